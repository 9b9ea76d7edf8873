//! Opaque tokens against authorization servers on loopback.

use std::sync::Arc;

use serde_json::{Value, json};
use url::Url;

use super::{
    super::{
        Issuer, Verifier,
        testing::{config, publish, request},
    },
    Introspection, MAX_QUESTIONS, MAX_WAITING, Refusal,
};
use crate::{
    auth::{
        credential::{Credential, Scheme},
        oauth::clock::Clock,
        tokens::hash_token,
    },
    fetch::testing::Scripted,
};

const RESOURCE: &str = "https://tools.example.com/mcp";
const INACTIVE: Refusal = Refusal::Invalid { why: "its issuer does not know it as active" };

struct Fixture {
    server: Scripted,
    verifier: Arc<Verifier>,
    clock: Clock,
}

async fn fixture() -> Fixture {
    let server = Scripted::start().await;
    publish(&server, &[]);
    server.json("/introspect", &json!({"active": false}));
    let introspection = Introspection { endpoint: None, client_id: "tool yard".into(), client_secret: "canary:+%".into() };
    let issuer = Issuer { introspection: Some(introspection), ..Issuer::new("idp", &server.base) };
    let clock = Clock::default();
    let verifier = Verifier::with_clock(&config(vec![issuer]), &Url::parse(RESOURCE).unwrap(), clock.clone()).unwrap();
    Fixture { server, verifier: Arc::new(verifier), clock }
}

impl Fixture {
    fn active(&self, changes: &Value) {
        let mut answer = json!({"active": true, "aud": RESOURCE, "sub": "ada", "scope": "mcp:read", "exp": self.clock.unix() + 3600});
        for (name, value) in changes.as_object().unwrap() {
            answer[name] = value.clone();
        }
        self.server.json("/introspect", &answer);
    }

    async fn verify(&self, token: &str) -> Result<String, Refusal> {
        verify(&self.verifier, token).await
    }

    fn questions(&self) -> usize {
        self.server.count("/introspect")
    }
}

async fn verify(verifier: &Verifier, token: &str) -> Result<String, Refusal> {
    let credential = Credential { scheme: Scheme::Bearer, token };
    verifier.verify(credential, hash_token(token), &request(&[])).await.map(|grant| grant.principal.name().to_owned())
}

#[tokio::test]
async fn a9_an_active_token_is_its_principal() {
    let fixture = fixture().await;
    fixture.active(&json!({}));
    assert_eq!(fixture.verify("opaque+/~=").await, Ok("oauth:idp:ada".into()));
    let request = fixture.server.requests().into_iter().find(|request| request.starts_with("POST")).unwrap();
    // Encoded as in a form, then joined: `tool+yard:canary%3A%2B%25`.
    assert!(request.contains("authorization: Basic dG9vbCt5YXJkOmNhbmFyeSUzQSUyQiUyNQ==\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ntoken=opaque%2B%2F%7E%3D&token_type_hint=access_token"), "{request}");
}

#[tokio::test]
async fn a9_answers_are_remembered_for_a_minute_at_most() {
    let fixture = fixture().await;
    fixture.active(&json!({}));
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp:ada".into()));
    fixture.server.json("/introspect", &json!({"active": false}));
    fixture.clock.advance(59);
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp:ada".into()));
    assert_eq!(fixture.questions(), 1);
    fixture.clock.advance(1);
    assert_eq!(fixture.verify("a").await, Err(INACTIVE));
    assert_eq!(fixture.questions(), 2);
}

#[tokio::test]
async fn a9_a_token_that_ends_sooner_is_remembered_for_less() {
    let fixture = fixture().await;
    fixture.active(&json!({"exp": fixture.clock.unix() + 20}));
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp:ada".into()));
    fixture.clock.advance(21);
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp:ada".into()), "within the leeway, by the issuer's word");
    assert_eq!(fixture.questions(), 2);
}

#[tokio::test]
async fn a9_an_inactive_token_is_remembered_for_10_seconds() {
    let fixture = fixture().await;
    for _ in 0..5 {
        assert_eq!(fixture.verify("a").await, Err(INACTIVE));
    }
    assert_eq!(fixture.questions(), 1);
    fixture.active(&json!({}));
    fixture.clock.advance(10);
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp:ada".into()));
}

#[tokio::test]
async fn a9_the_audience_is_required_in_the_answer() {
    let fixture = fixture().await;
    fixture.active(&json!({"aud": "https://other.example"}));
    assert_eq!(fixture.verify("a").await, Err(Refusal::Invalid { why: "it is for another audience" }));
    fixture.server.json("/introspect", &json!({"active": true, "sub": "ada"}));
    assert_eq!(fixture.verify("b").await, Err(Refusal::Invalid { why: "it has no audience" }));
    fixture.active(&json!({"iss": "https://evil.example"}));
    assert_eq!(fixture.verify("c").await, Err(Refusal::Invalid { why: "it is from another issuer" }));
}

#[test]
fn a10_only_one_issuer_may_be_asked() {
    let asked = |name: &str| {
        let introspection = Introspection { endpoint: None, client_id: "tool yard".into(), client_secret: "canary".into() };
        Issuer { introspection: Some(introspection), ..Issuer::new(name, format!("https://{name}.example.com")) }
    };
    let new = |issuers: Vec<Issuer>| Verifier::new(&config(issuers), &Url::parse(RESOURCE).unwrap()).map(drop);
    assert_eq!(new(vec![Issuer::new("other", "https://other.example.com"), asked("corp")]), Ok(()));
    let error = new(vec![asked("corp"), asked("partner")]).unwrap_err();
    assert_eq!(error.place, "issuers.partner.introspection");
    assert!(error.problem.starts_with("another issuer is asked about opaque tokens already"), "{error}");
}

#[tokio::test]
async fn a10_what_looks_like_a_jwt_is_asked_about_nowhere() {
    let fixture = fixture().await;
    fixture.active(&json!({}));
    for token in ["a.b.c", "eyJhbGciOiJFUzI1NiJ9", "eyJhbGciOiJFUzI1NiJ9.e30", "a.b.c.d.e"] {
        assert_eq!(fixture.verify(token).await.unwrap_err().reason(), "invalid_token", "{token}");
    }
    assert_eq!(fixture.questions(), 0);
}

#[tokio::test]
async fn an_active_token_of_another_kind_is_refused() {
    let fixture = fixture().await;
    let answers = [
        json!({"token_type": "refresh_token"}),
        json!({"token_type": 7}),
        json!({"token_use": "refresh"}),
        json!({"token_use": "id"}),
        json!({"token_type": "Bearer", "token_use": "refresh"}),
    ];
    for (nth, answer) in answers.iter().enumerate() {
        fixture.active(answer);
        let refused = Err(Refusal::Invalid { why: "its issuer says that it is no access token" });
        assert_eq!(fixture.verify(&format!("refused-{nth}")).await, refused, "{answer}");
    }
    for (nth, answer) in [json!({"token_type": "bearer", "token_use": "access"}), json!({"token_type": null})].iter().enumerate() {
        fixture.active(answer);
        assert_eq!(fixture.verify(&format!("taken-{nth}")).await, Ok("oauth:idp:ada".into()), "{answer}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_silent_might_have_known_the_token() {
    let fixture = fixture().await;
    fixture.server.raw("/introspect", "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(fixture.verify("a").await, Err(Refusal::Unavailable));
    fixture.server.json("/introspect", &json!({"active": "yes"}));
    assert_eq!(fixture.verify("a").await, Err(Refusal::Unavailable), "an answer that makes no sense is none");
    fixture.active(&json!({}));
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp:ada".into()));
}

#[tokio::test]
async fn the_same_question_is_asked_once_at_a_time() {
    let fixture = fixture().await;
    fixture.active(&json!({}));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let verifier = Arc::clone(&fixture.verifier);
            tokio::spawn(async move { verify(&verifier, "a").await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok("oauth:idp:ada".into()));
    }
    assert_eq!(fixture.questions(), 1);
}

#[tokio::test]
async fn questions_that_wait_are_bounded() {
    let fixture = fixture().await;
    fixture.server.raw("/introspect", "");
    let waiting: Vec<_> = (0..MAX_WAITING)
        .map(|n| {
            let verifier = Arc::clone(&fixture.verifier);
            tokio::spawn(async move { verify(&verifier, &n.to_string()).await })
        })
        .collect();
    while fixture.questions() < MAX_QUESTIONS {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.verify("one more").await, Err(Refusal::Unavailable));
    assert_eq!(fixture.questions(), MAX_QUESTIONS);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn tp4_secrets_are_in_no_debug_output() {
    let fixture = fixture().await;
    fixture.active(&json!({}));
    assert_eq!(fixture.verify("canary-token").await, Ok("oauth:idp:ada".into()));
    let shown = format!("{:?}", fixture.verifier);
    assert!(!shown.contains("canary") && !shown.contains("Y2FuYXJ5"), "{shown}");
}
