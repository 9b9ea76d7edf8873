//! Requests with and without a credential.

use serde_json::json;

use crate::testing::{TestServer, borrowed, post_headers, stateless, stateless_call, token};

async fn guarded() -> TestServer {
    TestServer::start(|config| {
        config.auth.unauthenticated = false;
        config.auth.tokens = vec![token("ci", "correct-horse-battery-staple-1"), token("dev", "correct-horse-battery-staple-2")];
        config.legacy_sse = true;
    })
    .await
}

#[tokio::test]
async fn dr4_without_a_token_every_route_of_the_protocol_is_401() {
    let server = guarded().await;
    let (headers, body) = stateless_call("demo_echo", json!({"text": "x"}));
    for (method, path) in [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("GET", "/sse"), ("POST", "/messages?sessionId=1")] {
        for authorization in [None, Some("Bearer wrong"), Some("Basic Y2k6Y2k=")] {
            let mut headers = headers.clone();
            headers.extend(authorization.map(|value| ("Authorization".to_owned(), value.to_owned())));
            let body = if method == "POST" { &*body } else { "" };
            let reply = server.connect().await.ask(method, path, &borrowed(&headers), body).await;
            assert_eq!(reply.status, 401, "{method} {path} {authorization:?}");
            assert!(reply.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")), "{}", reply.head);
        }
    }
    assert_eq!(server.connect().await.ask("GET", "/health", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_token_opens_the_protocol_and_a_connection_keeps_nobodys_name() {
    let server = guarded().await;
    let mut client = server.connect().await;
    let (mut headers, body) = stateless_call("demo_echo", json!({"text": "x"}));
    assert_eq!(client.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 401);
    headers.push(("Authorization".to_owned(), "Bearer correct-horse-battery-staple-1".to_owned()));
    assert_eq!(client.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 200);
    headers.pop();
    assert_eq!(client.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 401);
}

#[tokio::test]
async fn tp4_no_credential_reaches_a_tool_or_the_trail() {
    let server = guarded().await;
    let (mut headers, body) = stateless("tools/list", None, json!({}));
    headers.push(("Authorization".to_owned(), "Bearer correct-horse-battery-staple-1".to_owned()));
    headers.push(("Cookie".to_owned(), "session=canary".to_owned()));
    let reply = server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await;
    assert_eq!(reply.status, 200);
    headers.pop();
    headers.pop();
    headers.push(("Authorization".to_owned(), "Bearer canary-of-a-wrong-token".to_owned()));
    assert_eq!(server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 401);
    let trail = server.trail();
    assert!(trail.contains("invalid_token") && !trail.contains("canary") && !trail.contains("correct-horse"), "{trail}");
}

#[tokio::test]
async fn sh1_a_session_of_somebody_else_looks_like_none() {
    let server = guarded().await;
    let bearer = |name: &str| ("Authorization".to_owned(), format!("Bearer correct-horse-battery-staple-{name}"));
    let mut mine = post_headers();
    mine.push(bearer("1"));
    let started = server.connect().await.ask("POST", "/mcp", &borrowed(&mine), &crate::testing::initialize("2025-11-25")).await;
    let session = started.header("mcp-session-id").expect("a session").to_owned();
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string();
    let mut replies = Vec::new();
    for session in [&*session, "00000000000000000000000000000000"] {
        let mut headers = post_headers();
        headers.push(bearer("2"));
        headers.push(("Mcp-Session-Id".to_owned(), session.to_owned()));
        headers.push(("MCP-Protocol-Version".to_owned(), "2025-11-25".to_owned()));
        let reply = server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &list).await;
        replies.push((reply.status, reply.body));
    }
    assert_eq!(replies[0].0, 404);
    assert_eq!(replies[0], replies[1]);
}
