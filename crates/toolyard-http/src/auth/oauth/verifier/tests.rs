//! Signed tokens, from a request to a grant, against an authorization server on loopback.

use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    super::{
        claims,
        key::Key,
        testing::{Signer, config, encode, publish, request},
    },
    Clock, Credential, DpopMode, Issuer, OauthConfig, Refusal, Scheme, Verifier,
};
use crate::{auth::tokens::hash_token, fetch::testing::Scripted};

const RESOURCE: &str = "https://tools.example.com/mcp";
const UNPUBLISHED: Refusal = Refusal::Invalid { why: "it is signed with a key that its issuer does not publish" };
const WRONG_SIGNATURE: Refusal = Refusal::Invalid { why: "its signature is wrong" };

struct Fixture {
    server: Scripted,
    signer: Signer,
    verifier: Verifier,
    clock: Clock,
}

async fn fixture() -> Fixture {
    fixture_with(|issuer| issuer, |config| config).await
}

async fn fixture_with(change: impl FnOnce(Issuer) -> Issuer, adapt: impl FnOnce(OauthConfig) -> OauthConfig) -> Fixture {
    let server = Scripted::start().await;
    let signer = Signer::new("ES256");
    publish(&server, &[signer.published("k1")]);
    let clock = Clock::default();
    let config = adapt(config(vec![change(Issuer::new("corp", &server.base))]));
    let verifier = Verifier::with_clock(&config, &Url::parse(RESOURCE).unwrap(), clock.clone()).unwrap();
    Fixture { server, signer, verifier, clock }
}

impl Fixture {
    fn claims(&self) -> Value {
        let now = self.clock.unix();
        json!({"iss": self.server.base, "aud": RESOURCE, "sub": "ada", "exp": now + 3600, "iat": now, "scope": "mcp:read"})
    }

    fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    fn token(&self) -> String {
        self.signer.access_token("k1", &self.claims())
    }

    async fn verify(&self, token: &str) -> Result<String, Refusal> {
        self.verify_as(Scheme::Bearer, token, &[]).await
    }

    async fn verify_as(&self, scheme: Scheme, token: &str, headers: &[(&str, &str)]) -> Result<String, Refusal> {
        let grant = self.verifier.verify(Credential { scheme, token }, hash_token(token), &request(headers)).await;
        grant.map(|grant| grant.principal.name().to_owned())
    }
}

#[tokio::test]
async fn a_good_token_is_its_principal_and_start_up_asks_nobody() {
    let fixture = fixture().await;
    assert_eq!(fixture.server.requests(), Vec::<String>::new());
    assert_eq!(fixture.verify(&fixture.token()).await, Ok("oauth:corp:ada".into()));
    assert_eq!((fixture.server.requests().len(), fixture.server.count("/keys")), (2, 1));
}

#[tokio::test]
async fn a8_every_algorithm_of_the_list_is_taken_and_no_other() {
    for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let fixture = fixture_with(|issuer| Issuer { algorithms: vec![alg.into()], ..issuer }, |config| config).await;
        let signer = Signer::new(alg);
        publish(&fixture.server, &[signer.published("k1"), fixture.signer.published("k2")]);
        let token = signer.access_token("k1", &fixture.claims());
        assert_eq!(fixture.verify(&token).await, Ok("oauth:corp:ada".into()), "{alg}");
        if alg != "ES256" {
            let other = fixture.signer.access_token("k2", &fixture.claims());
            assert_eq!(fixture.verify(&other).await, Err(Refusal::Invalid { why: "its algorithm is not one of its issuer's" }), "{alg}");
        }
    }
}

#[tokio::test]
async fn a8_a_key_serves_no_algorithm_of_another_kind() {
    let fixture = fixture().await;
    let rsa = Signer::new("RS256");
    let mut nameless = rsa.published("rsa");
    nameless.as_object_mut().unwrap().remove("alg");
    publish(&fixture.server, &[nameless, fixture.signer.published("k1")]);
    let confused = fixture.signer.token(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "rsa"}), &fixture.claims());
    assert_eq!(fixture.verify(&confused).await, Err(UNPUBLISHED));
    let ps = Signer::new("PS256").access_token("rsa", &fixture.claims());
    assert_eq!(fixture.verify(&ps).await, Ok("oauth:corp:ada".into()), "an RSA key without `alg` serves both of its algorithms");
}

#[tokio::test]
async fn a8_a_shared_secret_made_of_the_public_key_is_refused() {
    let fixture = fixture().await;
    let signed = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"at+jwt","kid":"k1"}"#), encode(fixture.claims().to_string().as_bytes()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, fixture.signer.jwk().to_string().as_bytes());
    let token = format!("{signed}.{}", encode(ring::hmac::sign(&key, signed.as_bytes()).as_ref()));
    assert_eq!(fixture.verify(&token).await, Err(Refusal::Invalid { why: "its algorithm is not taken by anyone" }));
}

#[tokio::test]
async fn a8_a_wrong_signature_is_refused() {
    let fixture = fixture().await;
    let token = fixture.token();
    assert_eq!(fixture.verify(&Signer::new("ES256").access_token("k1", &fixture.claims())).await, Err(WRONG_SIGNATURE));
    let parts: Vec<&str> = token.split('.').collect();
    let promoted = encode(fixture.claims_with("sub", json!("root")).to_string().as_bytes());
    assert_eq!(fixture.verify(&format!("{}.{promoted}.{}", parts[0], parts[2])).await, Err(WRONG_SIGNATURE));
    assert_eq!(fixture.verify(&token).await, Ok("oauth:corp:ada".into()));
}

#[tokio::test]
async fn a8_the_type_is_that_of_an_access_token() {
    let typed = |fixture: &Fixture, typ: Value| {
        let mut header = json!({"alg": "ES256", "kid": "k1"});
        if !typ.is_null() {
            header["typ"] = typ;
        }
        fixture.signer.token(&header, &fixture.claims())
    };
    let refused = Err(Refusal::Invalid { why: "its type is not that of an access token" });
    let strict = fixture().await;
    for typ in [json!("JWT"), json!("id+jwt"), json!("dpop+jwt"), json!("logout+jwt"), json!(""), json!(null)] {
        assert_eq!(strict.verify(&typed(&strict, typ.clone())).await, refused, "{typ}");
    }
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT"] {
        assert_eq!(strict.verify(&typed(&strict, json!(typ))).await, Ok("oauth:corp:ada".into()), "{typ}");
    }
    let lenient = fixture_with(|issuer| Issuer { accept_typ_jwt: true, ..issuer }, |config| config).await;
    assert_eq!(lenient.verify(&typed(&lenient, json!("JWT"))).await, Ok("oauth:corp:ada".into()));
    assert_eq!(lenient.verify(&typed(&lenient, json!("dpop+jwt"))).await, refused);
    assert_eq!(lenient.verify(&typed(&lenient, json!(null))).await, refused);
}

#[tokio::test]
async fn tp1_tp2_claims_that_rule_a_token_out_fetch_no_keys() {
    let fixture = fixture().await;
    for claims in [
        fixture.claims_with("aud", json!("https://other.example")),
        fixture.claims_with("aud", json!(null)),
        fixture.claims_with("iss", json!("https://evil.example")),
        fixture.claims_with("exp", json!(1)),
        fixture.claims_with("sub", json!("a\u{7}")),
    ] {
        assert!(matches!(fixture.verify(&fixture.signer.access_token("k1", &claims)).await, Err(Refusal::Invalid { .. })), "{claims}");
    }
    assert_eq!(fixture.server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a8_a_new_key_is_found_and_an_old_one_forgotten() {
    let fixture = fixture().await;
    assert_eq!(fixture.verify(&fixture.token()).await, Ok("oauth:corp:ada".into()));
    let next = Signer::new("ES256");
    publish(&fixture.server, &[next.published("k2")]);
    fixture.clock.advance(10);
    assert_eq!(fixture.verify(&next.access_token("k2", &fixture.claims())).await, Ok("oauth:corp:ada".into()));
    assert_eq!(fixture.server.count("/keys"), 2);
    assert_eq!(fixture.verify(&fixture.signer.access_token("k1", &fixture.claims_with("jti", json!(1)))).await, Err(UNPUBLISHED));
}

#[tokio::test]
async fn a8_a_storm_of_unknown_keys_is_one_refresh_in_10_seconds() {
    let fixture = fixture().await;
    assert_eq!(fixture.verify(&fixture.token()).await, Ok("oauth:corp:ada".into()));
    fixture.clock.advance(10);
    for n in 0..200 {
        let token = Signer::new("ES256").access_token(&format!("storm-{n}"), &fixture.claims());
        assert_eq!(fixture.verify(&token).await, Err(UNPUBLISHED));
    }
    assert_eq!(fixture.server.count("/keys"), 2);
    let other = fixture.signer.access_token("k1", &fixture.claims_with("jti", json!(1)));
    assert_eq!(fixture.verify(&other).await, Ok("oauth:corp:ada".into()), "good tokens pass all the while");
}

#[tokio::test]
async fn a_token_without_key_id_is_tried_with_every_fitting_key() {
    let fixture = fixture().await;
    publish(&fixture.server, &[Signer::new("RS256").published("a"), Signer::new("ES256").published("b"), fixture.signer.published("k1")]);
    let token = fixture.signer.token(&json!({"alg": "ES256", "typ": "at+jwt"}), &fixture.claims());
    assert_eq!(fixture.verify(&token).await, Ok("oauth:corp:ada".into()));
}

#[tokio::test]
async fn keys_that_can_not_be_fetched_are_no_reason_to_blame_the_token() {
    let fixture = fixture().await;
    fixture.server.forget("/keys");
    assert_eq!(fixture.verify(&fixture.token()).await, Err(Refusal::Unavailable));
    publish(&fixture.server, &[fixture.signer.published("k1")]);
    assert_eq!(fixture.verify(&fixture.token()).await, Err(Refusal::Unavailable), "not asked again at once");
    fixture.clock.advance(10);
    assert_eq!(fixture.verify(&fixture.token()).await, Ok("oauth:corp:ada".into()));
}

#[tokio::test]
async fn a8_keys_may_be_at_a_configured_place() {
    let server = Scripted::start().await;
    let signer = Signer::new("EdDSA");
    server.json("/elsewhere", &json!({"keys": [signer.published("k")]}));
    let jwks = Some(Url::parse(&format!("{}/elsewhere", server.base)).unwrap());
    let issuer = Issuer { jwks, ..Issuer::new("corp", "http://localhost:1/nothing-here") };
    let verifier = Verifier::new(&config(vec![issuer]), &Url::parse(RESOURCE).unwrap()).unwrap();
    let now = Clock::default().unix();
    let token = signer.access_token("k", &json!({"iss": "http://localhost:1/nothing-here", "aud": RESOURCE, "sub": "a", "exp": now + 60}));
    let grant = verifier.verify(Credential { scheme: Scheme::Bearer, token: &token }, hash_token(&token), &request(&[])).await.unwrap();
    assert_eq!(grant.principal.name(), "oauth:corp:a");
}

#[tokio::test]
async fn one_issuer_can_not_speak_for_another() {
    let (one, two) = (Scripted::start().await, Scripted::start().await);
    let (first, second) = (Signer::new("ES256"), Signer::new("ES256"));
    publish(&one, &[first.published("k")]);
    publish(&two, &[second.published("k")]);
    let issuers = vec![Issuer::new("one", &one.base), Issuer::new("two", &two.base)];
    let verifier = Verifier::new(&config(issuers), &Url::parse(RESOURCE).unwrap()).unwrap();
    let now = Clock::default().unix();
    let verify = async |signer: &Signer, issuer: &str| {
        let token = signer.access_token("k", &json!({"iss": issuer, "aud": RESOURCE, "sub": "ada", "exp": now + 60}));
        let grant = verifier.verify(Credential { scheme: Scheme::Bearer, token: &token }, hash_token(&token), &request(&[])).await;
        grant.map(|grant| grant.principal.name().to_owned())
    };
    assert_eq!(verify(&first, &one.base).await, Ok("oauth:one:ada".into()));
    assert_eq!(verify(&second, &two.base).await, Ok("oauth:two:ada".into()), "the same subject is somebody else");
    assert_eq!(verify(&first, &two.base).await, Err(WRONG_SIGNATURE));
}

#[tokio::test]
async fn a_known_token_is_not_checked_again_until_it_ends() {
    let fixture = fixture().await;
    let short = fixture.signer.access_token("k1", &fixture.claims_with("exp", json!(fixture.clock.unix() + 100)));
    let long = fixture.token();
    assert_eq!(fixture.verify(&short).await, Ok("oauth:corp:ada".into()));
    assert_eq!(fixture.verify(&long).await, Ok("oauth:corp:ada".into()));
    // Keys are gone; only what is remembered can still pass.
    publish(&fixture.server, &[]);
    fixture.clock.advance(90);
    let unknown = fixture.signer.access_token("k9", &fixture.claims());
    assert_eq!(fixture.verify(&unknown).await, Err(UNPUBLISHED));
    assert_eq!(fixture.verify(&short).await, Ok("oauth:corp:ada".into()));
    fixture.clock.advance(10);
    assert_eq!(fixture.verify(&short).await, Err(UNPUBLISHED), "what is remembered ends with the token, without leeway");
    assert_eq!(fixture.verify(&long).await, Ok("oauth:corp:ada".into()));
    fixture.clock.advance(200);
    assert_eq!(fixture.verify(&long).await, Err(UNPUBLISHED), "and after 5 minutes in any case");
}

#[tokio::test]
async fn a8_an_expired_token_is_refused_even_when_it_was_known() {
    let fixture = fixture().await;
    let token = fixture.signer.access_token("k1", &fixture.claims_with("exp", json!(fixture.clock.unix() + 30)));
    assert_eq!(fixture.verify(&token).await, Ok("oauth:corp:ada".into()));
    fixture.clock.advance(91);
    assert_eq!(fixture.verify(&token).await, Err(Refusal::Invalid { why: "it has expired" }));
}

#[tokio::test]
async fn encrypted_and_opaque_tokens_are_refused_without_asking() {
    let fixture = fixture().await;
    let encrypted = format!("{}.a.b.c.d", encode(br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#));
    assert_eq!(fixture.verify(&encrypted).await, Err(Refusal::Invalid { why: "it is encrypted" }));
    let opaque = Refusal::Invalid { why: "it is no signed token, and no issuer answers questions" };
    assert_eq!(fixture.verify("opaque").await, Err(opaque));
    assert_eq!(fixture.server.requests(), Vec::<String>::new());
}

fn proof(key: &Signer, token: &str, id: &str, now: u64) -> String {
    let claims = json!({"htm": "POST", "htu": RESOURCE, "iat": now, "jti": id, "ath": encode(&hash_token(token))});
    key.token(&json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": key.jwk()}), &claims)
}

#[tokio::test]
async fn a12_a_bound_token_needs_its_proof_each_time() {
    let fixture = fixture_with(|issuer| issuer, |config| OauthConfig { dpop: DpopMode::Accept, ..config }).await;
    let key = Signer::new("ES256");
    let thumbprint = Key::from_jwk(&key.jwk()).unwrap().thumbprint();
    let bound = fixture.signer.access_token("k1", &fixture.claims_with("cnf", json!({"jkt": thumbprint})));
    let now = fixture.clock.unix();
    for id in ["first", "and with what is remembered"] {
        assert_eq!(fixture.verify_as(Scheme::Dpop, &bound, &[("dpop", &proof(&key, &bound, id, now))]).await, Ok("oauth:corp:ada".into()));
    }
    let again = fixture.verify_as(Scheme::Dpop, &bound, &[("dpop", &proof(&key, &bound, "first", now))]).await;
    assert_eq!(again, Err(Refusal::Proof { why: "the proof was used before" }));
    assert_eq!(fixture.verify_as(Scheme::Dpop, &bound, &[]).await, Err(Refusal::Proof { why: "there is not exactly one proof" }));
    assert_eq!(fixture.verify(&bound).await, Err(Refusal::Invalid { why: "it is bound to a key and came without the proof" }));
    let thief = Signer::new("ES256");
    let stolen = fixture.verify_as(Scheme::Dpop, &bound, &[("dpop", &proof(&thief, &bound, "x", now))]).await;
    assert_eq!(stolen, Err(Refusal::Proof { why: "the token is bound to another key" }));
    let free = fixture.token();
    assert_eq!(fixture.verify(&free).await, Ok("oauth:corp:ada".into()));
    let unbound = fixture.verify_as(Scheme::Dpop, &free, &[("dpop", &proof(&key, &free, "y", now))]).await;
    assert_eq!(unbound, Err(Refusal::Invalid { why: "it is not bound to a key and came with a proof" }));
}

#[tokio::test]
async fn a12_binding_can_be_required_or_refused() {
    let required = fixture_with(|issuer| issuer, |config| OauthConfig { dpop: DpopMode::Require, ..config }).await;
    assert_eq!(required.verify(&required.token()).await, Err(Refusal::Invalid { why: "it is not bound to a key" }));
    let off = fixture().await;
    let bound = off.signer.access_token("k1", &off.claims_with("cnf", json!({"jkt": "abc"})));
    assert_eq!(off.verify(&bound).await, Err(Refusal::Invalid { why: "it is bound to a key, and proofs are not taken" }));
    assert_eq!(off.verify_as(Scheme::Dpop, &bound, &[]).await, Err(Refusal::Missing));
}

#[test]
fn what_is_configured_wrongly_is_named() {
    let problem = |issuer: Issuer| {
        let config = OauthConfig::new(vec![issuer]);
        Verifier::new(&config, &Url::parse(RESOURCE).unwrap()).map(drop).unwrap_err().to_string()
    };
    let good = || Issuer::new("corp", "https://idp.example.com/tenant");
    assert_eq!(
        problem(Issuer { name: "Corp".into(), ..good() }),
        "issuers.Corp.name: use up to 64 lower-case letters, digits, `.` and `-`"
    );
    assert_eq!(
        problem(Issuer { issuer: "http://idp.example.com".into(), ..good() }),
        "issuers.corp.issuer: `http://idp.example.com`: the address has to begin with `https://`"
    );
    assert_eq!(
        problem(Issuer { issuer: "https://10.0.0.1".into(), ..good() }),
        "issuers.corp.issuer: `https://10.0.0.1`: the address is not a public one"
    );
    assert!(problem(Issuer { issuer: "https://a.example/?x".into(), ..good() }).ends_with("an issuer has no query and no fragment"));
    assert_eq!(
        problem(Issuer { algorithms: vec!["HS256".into()], ..good() }),
        "issuers.corp.algorithms: `HS256` is not taken; use RS256, PS256, ES256, ES384 or EdDSA"
    );
    assert!(problem(Issuer { algorithms: vec![], ..good() }).starts_with("issuers.corp.algorithms: the list is empty"));
    assert_eq!(problem(Issuer { leeway: Duration::from_secs(61), ..good() }), "issuers.corp.leeway: at most 60 s are forgiven");
    assert_eq!(
        problem(Issuer { jwks: Some(Url::parse("http://127.0.0.1/keys").unwrap()), ..good() }),
        "issuers.corp.jwks: `http://127.0.0.1/keys`: the address has to begin with `https://`"
    );
    let twice = OauthConfig::new(vec![good(), Issuer::new("other", "https://idp.example.com/tenant")]);
    assert_eq!(Verifier::new(&twice, &Url::parse(RESOURCE).unwrap()).map(drop).unwrap_err().place, "issuers.other.issuer");
    let none = OauthConfig::new(vec![]);
    assert_eq!(Verifier::new(&none, &Url::parse(RESOURCE).unwrap()).map(drop).unwrap_err().place, "issuers");
}

#[test]
fn private_issuers_need_to_be_configured() {
    let corp = || vec![Issuer::new("corp", "https://10.0.0.1")];
    let private = OauthConfig { private_issuers: true, ..OauthConfig::new(corp()) };
    assert_eq!(Verifier::new(&private, &Url::parse(RESOURCE).unwrap()).map(|verifier| verifier.issuers.len()), Ok(1));
}

#[tokio::test]
async fn a_known_token_is_not_waited_for() {
    let fixture = fixture().await;
    let token = fixture.token();
    let pending = fixture.verify(&token).now_or_never();
    assert_eq!(pending, None, "keys have to be fetched first");
    assert_eq!(fixture.verify(&token).await, Ok("oauth:corp:ada".into()));
    assert_eq!(fixture.verify(&token).now_or_never(), Some(Ok("oauth:corp:ada".into())));
}

/// Keeps the claims of the fixture in line with what is accepted.
#[tokio::test]
async fn the_claims_of_the_fixture_are_those_of_an_access_token() {
    let fixture = fixture().await;
    let claims: Map<String, Value> = fixture.claims().as_object().unwrap().clone();
    let rules = claims::Rules::new(&Issuer::new("corp", &fixture.server.base), RESOURCE);
    assert_eq!(rules.accept(&claims, claims::Origin::Token, fixture.clock.unix()).unwrap().expires, fixture.clock.unix() + 3600);
}

#[tokio::test]
async fn a_grant_ends_with_its_token_and_what_is_forgiven() {
    let exact = |issuer: Issuer| Issuer { leeway: Duration::from_secs(30), max_token_age: Some(Duration::from_secs(100)), ..issuer };
    let fixture = fixture_with(exact, |config| config).await;
    let left = async |token: &str| {
        let credential = Credential { scheme: Scheme::Bearer, token };
        let grant = fixture.verifier.verify(credential, hash_token(token), &request(&[])).await.unwrap();
        grant.until.unwrap().saturating_duration_since(fixture.clock.instant()).as_secs_f64().round()
    };
    let short = fixture.signer.access_token("k1", &fixture.claims_with("exp", json!(fixture.clock.unix() + 60)));
    let old = fixture.token();
    assert!((88.0..=90.0).contains(&left(&short).await));
    assert!((128.0..=130.0).contains(&left(&old).await), "its age is limited");
    fixture.clock.advance(20);
    assert!((68.0..=70.0).contains(&left(&short).await), "also once the token is known");
}

#[tokio::test]
async fn streams_end_when_the_token_that_opened_them_expires() {
    use crate::testing::{TestServer, borrowed, stateless};
    let scripted = Scripted::start().await;
    let signer = Signer::new("ES256");
    publish(&scripted, &[signer.published("k1")]);
    let issuer = Issuer { leeway: Duration::ZERO, audiences: vec![RESOURCE.into()], ..Issuer::new("corp", &scripted.base) };
    let server = TestServer::start(|http| {
        http.auth.unauthenticated = false;
        http.auth.oauth = Some(config(vec![issuer]));
        http.legacy_sse = true;
    })
    .await;
    let now = Clock::default().unix();
    let claims = json!({"iss": scripted.base, "aud": RESOURCE, "sub": "ada", "exp": now + 3, "iat": now, "scope": "mcp:read"});
    let authorization = format!("Bearer {}", signer.access_token("k1", &claims));
    let began = std::time::Instant::now();
    let mut legacy = server.connect().await;
    assert_eq!(legacy.ask("GET", "/sse", &[("Authorization", &authorization)], "").await.status, 200);
    let mut listener = server.connect().await;
    let (mut headers, body) = stateless("subscriptions/listen", None, json!({"notifications": {"toolsListChanged": true}}));
    headers.push(("Authorization".into(), authorization.clone()));
    assert_eq!(listener.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 200);
    assert_eq!(listener.event().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
    assert!(legacy.chunk().await.is_some_and(|first| first.starts_with("event: endpoint")));
    assert_eq!((legacy.chunk().await, listener.event().await), (None, None));
    assert!((1..10).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    crate::testing::until("the end of the streams", || server.streams() == 0).await;
    assert_eq!(legacy.ask("GET", "/sse", &[("Authorization", &authorization)], "").await.status, 401);
}
