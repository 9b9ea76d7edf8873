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
const INACTIVE: Refusal = Refusal::Invalid { why: "no issuer knows it as active" };

struct Fixture {
    servers: Vec<Scripted>,
    verifier: Arc<Verifier>,
    clock: Clock,
}

async fn fixture(issuers: usize) -> Fixture {
    let (mut servers, mut configured) = (Vec::new(), Vec::new());
    for n in 0..issuers {
        let server = Scripted::start().await;
        publish(&server, &[]);
        server.json("/introspect", &json!({"active": false}));
        let introspection = Introspection { endpoint: None, client_id: "tool yard".into(), client_secret: "canary:+%".into() };
        configured.push(Issuer { introspection: Some(introspection), ..Issuer::new(format!("idp{n}"), &server.base) });
        servers.push(server);
    }
    let clock = Clock::default();
    let verifier = Verifier::with_clock(&config(configured), &Url::parse(RESOURCE).unwrap(), clock.clone()).unwrap();
    Fixture { servers, verifier: Arc::new(verifier), clock }
}

impl Fixture {
    fn active(&self, server: usize, changes: &Value) {
        let mut answer = json!({"active": true, "aud": RESOURCE, "sub": "ada", "scope": "mcp:read", "exp": self.clock.unix() + 3600});
        for (name, value) in changes.as_object().unwrap() {
            answer[name] = value.clone();
        }
        self.servers[server].json("/introspect", &answer);
    }

    async fn verify(&self, token: &str) -> Result<String, Refusal> {
        verify(&self.verifier, token).await
    }

    fn questions(&self, server: usize) -> usize {
        self.servers[server].count("/introspect")
    }
}

async fn verify(verifier: &Verifier, token: &str) -> Result<String, Refusal> {
    let credential = Credential { scheme: Scheme::Bearer, token };
    verifier.verify(credential, hash_token(token), &request(&[])).await.map(|grant| grant.principal.name().to_owned())
}

#[tokio::test]
async fn a9_an_active_token_is_its_principal() {
    let fixture = fixture(1).await;
    fixture.active(0, &json!({}));
    assert_eq!(fixture.verify("opaque+/~=").await, Ok("oauth:idp0:ada".into()));
    let request = fixture.servers[0].requests().into_iter().find(|request| request.starts_with("POST")).unwrap();
    // Encoded as in a form, then joined: `tool+yard:canary%3A%2B%25`.
    assert!(request.contains("authorization: Basic dG9vbCt5YXJkOmNhbmFyeSUzQSUyQiUyNQ==\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ntoken=opaque%2B%2F%7E%3D&token_type_hint=access_token"), "{request}");
}

#[tokio::test]
async fn a9_answers_are_remembered_for_a_minute_at_most() {
    let fixture = fixture(1).await;
    fixture.active(0, &json!({}));
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp0:ada".into()));
    fixture.servers[0].json("/introspect", &json!({"active": false}));
    fixture.clock.advance(59);
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp0:ada".into()));
    assert_eq!(fixture.questions(0), 1);
    fixture.clock.advance(1);
    assert_eq!(fixture.verify("a").await, Err(INACTIVE));
    assert_eq!(fixture.questions(0), 2);
}

#[tokio::test]
async fn a9_a_token_that_ends_sooner_is_remembered_for_less() {
    let fixture = fixture(1).await;
    fixture.active(0, &json!({"exp": fixture.clock.unix() + 20}));
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp0:ada".into()));
    fixture.clock.advance(21);
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp0:ada".into()), "within the leeway, by the issuer's word");
    assert_eq!(fixture.questions(0), 2);
}

#[tokio::test]
async fn a9_an_inactive_token_is_remembered_for_10_seconds() {
    let fixture = fixture(1).await;
    for _ in 0..5 {
        assert_eq!(fixture.verify("a").await, Err(INACTIVE));
    }
    assert_eq!(fixture.questions(0), 1);
    fixture.active(0, &json!({}));
    fixture.clock.advance(10);
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp0:ada".into()));
}

#[tokio::test]
async fn a9_the_audience_is_required_in_the_answer() {
    let fixture = fixture(1).await;
    fixture.active(0, &json!({"aud": "https://other.example"}));
    assert_eq!(fixture.verify("a").await, Err(Refusal::Invalid { why: "it is for another audience" }));
    fixture.servers[0].json("/introspect", &json!({"active": true, "sub": "ada"}));
    assert_eq!(fixture.verify("b").await, Err(Refusal::Invalid { why: "it has no audience" }));
    fixture.active(0, &json!({"iss": "https://evil.example"}));
    assert_eq!(fixture.verify("c").await, Err(Refusal::Invalid { why: "it is from another issuer" }));
}

#[tokio::test]
async fn issuers_are_asked_in_order_until_one_knows_the_token() {
    let fixture = fixture(3).await;
    fixture.active(1, &json!({}));
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp1:ada".into()));
    assert_eq!([0, 1, 2].map(|server| fixture.questions(server)), [1, 1, 0]);
}

#[tokio::test]
async fn an_issuer_that_is_silent_might_have_known_the_token() {
    let fixture = fixture(2).await;
    fixture.servers[0].raw("/introspect", "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(fixture.verify("a").await, Err(Refusal::Unavailable));
    fixture.servers[0].json("/introspect", &json!({"active": "yes"}));
    assert_eq!(fixture.verify("a").await, Err(Refusal::Unavailable), "an answer that makes no sense is none");
    fixture.active(1, &json!({}));
    assert_eq!(fixture.verify("a").await, Ok("oauth:idp1:ada".into()));
}

#[tokio::test]
async fn the_same_question_is_asked_once_at_a_time() {
    let fixture = fixture(1).await;
    fixture.active(0, &json!({}));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let verifier = Arc::clone(&fixture.verifier);
            tokio::spawn(async move { verify(&verifier, "a").await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok("oauth:idp0:ada".into()));
    }
    assert_eq!(fixture.questions(0), 1);
}

#[tokio::test]
async fn questions_that_wait_are_bounded() {
    let fixture = fixture(1).await;
    fixture.servers[0].raw("/introspect", "");
    let waiting: Vec<_> = (0..MAX_WAITING)
        .map(|n| {
            let verifier = Arc::clone(&fixture.verifier);
            tokio::spawn(async move { verify(&verifier, &n.to_string()).await })
        })
        .collect();
    while fixture.questions(0) < MAX_QUESTIONS {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.verify("one more").await, Err(Refusal::Unavailable));
    assert_eq!(fixture.questions(0), MAX_QUESTIONS);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn tp4_secrets_are_in_no_debug_output() {
    let fixture = fixture(1).await;
    fixture.active(0, &json!({}));
    assert_eq!(fixture.verify("canary-token").await, Ok("oauth:idp0:ada".into()));
    let shown = format!("{:?}", fixture.verifier);
    assert!(!shown.contains("canary") && !shown.contains("Y2FuYXJ5"), "{shown}");
}
