//! Static tokens and the absence of them, from a request to a grant.

use http::request::Parts;
use url::Url;

use super::{Authenticator, Grant, Operation, Refusal};
use crate::{
    auth::{StaticToken, hash_token},
    config::AuthConfig,
};

fn request(authorization: Option<&str>) -> Parts {
    let mut request = http::Request::builder().uri("/mcp");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    request.body(()).unwrap().into_parts().0
}

fn resource() -> Url {
    Url::parse("http://127.0.0.1:8080/mcp").unwrap()
}

fn with_token() -> Authenticator {
    let token = StaticToken { name: "ci".into(), sha256: hash_token("canary"), roles: vec!["dev".into()] };
    Authenticator::new(&AuthConfig { tokens: vec![token], ..AuthConfig::default() }, &resource()).unwrap()
}

async fn name(authenticator: &Authenticator, authorization: Option<&str>) -> Result<String, Refusal> {
    authenticator.authenticate(&request(authorization)).await.map(|grant: Grant| grant.principal.name().to_owned())
}

#[tokio::test]
async fn a_static_token_is_its_principal() {
    let authenticator = with_token();
    assert_eq!(name(&authenticator, Some("Bearer canary")).await, Ok("token:ci".into()));
    assert_eq!(name(&authenticator, Some("Bearer canarx")).await, Err(Refusal::Invalid { why: "the token is unknown" }));
    assert_eq!(name(&authenticator, None).await, Err(Refusal::Missing));
    let bound = Err(Refusal::Invalid { why: "a static token is not bound to a key; it is sent as Bearer" });
    assert_eq!(name(&authenticator, Some("DPoP canary")).await, bound);
    assert_eq!(name(&authenticator, Some("DPoP other")).await, Err(Refusal::Missing));
    assert_eq!(authenticator.metadata(), None);
    let grant = authenticator.authenticate(&request(Some("Bearer canary"))).await.unwrap();
    assert_eq!(authenticator.check(&grant, Operation::Protocol), Ok(()));
}

#[tokio::test]
async fn dr4_nobody_is_let_in_without_a_token_unless_configured() {
    let error = Authenticator::new(&AuthConfig::default(), &resource()).unwrap_err();
    assert_eq!(error.to_string(), "auth: nobody could call; configure a token or an authorization server");
    let open = AuthConfig { unauthenticated: true, ..AuthConfig::default() };
    let authenticator = Authenticator::new(&open, &resource()).unwrap();
    assert_eq!(name(&authenticator, None).await, Ok("local".into()));
    assert_eq!(name(&authenticator, Some("Bearer a, Bearer b")).await.unwrap_err().reason(), "invalid_request");
    let token = StaticToken { name: "ci".into(), sha256: hash_token("canary"), roles: vec![] };
    let both = AuthConfig { unauthenticated: true, tokens: vec![token], oauth: None };
    assert_eq!(Authenticator::new(&both, &resource()).unwrap_err().place, "auth");
}

#[tokio::test]
async fn a6_a_form_may_hold_a_token_and_is_malformed() {
    let authenticator = with_token();
    for kind in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"] {
        for authorization in [None, Some("Bearer canary")] {
            let mut head = request(authorization);
            head.headers.insert("content-type", kind.parse().unwrap());
            let refusal = authenticator.authenticate(&head).await.unwrap_err();
            assert_eq!(refusal, Refusal::Malformed { why: "a form, which may hold a token" }, "{kind}");
        }
    }
    let mut head = request(Some("Bearer canary"));
    head.headers.insert("content-type", "application/json".parse().unwrap());
    assert_eq!(authenticator.authenticate(&head).await.unwrap().principal.name(), "token:ci");
}

#[tokio::test]
async fn tp4_a_token_is_in_no_refusal() {
    let authenticator = with_token();
    let refusal = authenticator.authenticate(&request(Some("Bearer canary-of-a-wrong-token"))).await.unwrap_err();
    let response = authenticator.challenge(&refusal);
    let told = format!("{refusal:?} {response:?} {authenticator:?}");
    assert!(!told.contains("canary"), "{told}");
}
