//! Paths, methods, hosts and pages of other origins.

use serde_json::json;

use crate::testing::{TestServer, borrowed, post_headers, stateless_call};

#[tokio::test]
async fn cd_there_is_no_authorization_server_here() {
    let server = TestServer::start(|_| ()).await;
    let mut client = server.connect().await;
    for path in ["/authorize", "/token", "/register", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        for method in ["GET", "POST"] {
            let reply = client.ask(method, path, &[], "").await;
            assert_eq!((reply.status, reply.json()), (404, json!({"error": "not found"})), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn everything_unknown_is_404_and_the_legacy_transport_is_off() {
    let server = TestServer::start(|_| ()).await;
    let mut client = server.connect().await;
    for path in ["/", "/sse", "/messages?sessionId=1", "/mcp/", "/MCP", "/mcp/x", "/metrics", "/.well-known/oauth-protected-resource"] {
        assert_eq!(client.ask("GET", path, &[], "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn health_tells_no_detail_and_every_answer_has_an_id_and_security_headers() {
    let server = TestServer::start(|_| ()).await;
    let mut client = server.connect().await;
    let reply = client.ask("GET", "/health", &[("X-Request-Id", "mine-1")], "").await;
    assert_eq!((reply.status, &*reply.body), (200, r#"{"status":"ok"}"#));
    assert_eq!(reply.header("x-request-id"), Some("mine-1"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let missing = client.ask("GET", "/nowhere", &[], "").await;
    assert!(missing.header("x-request-id").is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn h1_other_methods_are_405_and_name_those_that_work() {
    let server = TestServer::start(|config| config.legacy_sse = true).await;
    for (method, path, allowed) in [
        ("PUT", "/mcp", "GET, POST, DELETE, OPTIONS"),
        ("PATCH", "/mcp", "GET, POST, DELETE, OPTIONS"),
        ("POST", "/sse", "GET, OPTIONS"),
        ("GET", "/messages", "POST, OPTIONS"),
        ("DELETE", "/health", "GET, HEAD, OPTIONS"),
    ] {
        let reply = server.connect().await.ask(method, path, &[], "").await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
    let mut client = server.connect().await;
    client.send("HEAD", "/mcp", &[], "").await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("allow")), (405, Some("GET, POST, DELETE, OPTIONS")));
    let mut client = server.connect().await;
    client.send("HEAD", "/health", &[], "").await;
    assert_eq!(client.head().await.status, 200);
    client.send("OPTIONS", "/mcp", &[], "").await;
    let options = client.reply().await;
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, POST, DELETE, OPTIONS")));
    assert_eq!(options.header("access-control-allow-methods"), None);
}

#[tokio::test]
async fn dr1_a_foreign_host_is_403_on_every_path() {
    let server = TestServer::start(|config| config.legacy_sse = true).await;
    for path in ["/mcp", "/health", "/sse", "/messages", "/nowhere", "/.well-known/oauth-protected-resource"] {
        let reply = server.connect().await.ask("GET", path, &[("Host", "evil.com")], "").await;
        assert_eq!(reply.status, 403, "{path}");
    }
    let (mut headers, body) = stateless_call("demo_echo", json!({"text": "x"}));
    headers.push(("Host".to_owned(), "evil.com:80".to_owned()));
    let reply = server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await;
    assert_eq!((reply.status, reply.json()["id"].is_null(), reply.json()["error"]["code"].as_i64()), (403, true, Some(-32600)));
}

#[tokio::test]
async fn dr2_a_foreign_or_opaque_origin_is_403() {
    let server = TestServer::start(|_| ()).await;
    for origin in ["http://evil.com", "null", "https://localhost.evil.com"] {
        let (mut headers, body) = stateless_call("demo_echo", json!({"text": "x"}));
        headers.push(("Origin".to_owned(), origin.to_owned()));
        assert_eq!(server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 403, "{origin}");
    }
    let (mut headers, body) = stateless_call("demo_echo", json!({"text": "x"}));
    headers.push(("Origin".to_owned(), "http://localhost:6274".to_owned()));
    assert_eq!(server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 200);
}

#[tokio::test]
async fn dr3_what_a_page_can_send_unasked_is_refused() {
    let server = TestServer::start(|_| ()).await;
    let (_, body) = stateless_call("demo_echo", json!({"text": "x"}));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json"] {
        let headers = [("Content-Type", kind), ("Accept", "*/*")];
        let reply = server.connect().await.ask("POST", "/mcp", &headers, &body).await;
        // A form could hold a token, which is a malformed request already.
        let expected: &[u16] = if kind.contains("form-urlencoded") { &[400, 415] } else { &[415] };
        assert!(expected.contains(&reply.status), "{kind}: {}", reply.status);
    }
    let mut headers = post_headers();
    headers.push(("Sec-Fetch-Site".to_owned(), "cross-site".to_owned()));
    assert_eq!(server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 403);
}

#[tokio::test]
async fn cors_is_off_unless_an_origin_was_named_and_answers_exactly_that_one() {
    const PAGE: &str = "https://app.example.com";
    let asks = [
        ("Origin", PAGE),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type, authorization, mcp-param-id, x-evil"),
    ];
    let server = TestServer::start(|_| ()).await;
    let reply = server.connect().await.ask("OPTIONS", "/mcp", &asks, "").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, None));

    let server = TestServer::start(|config| {
        config.allowed_origins = vec![PAGE.to_owned()];
        config.auth.unauthenticated = false;
        config.auth.tokens = vec![crate::testing::token("ci", "correct-horse-battery-staple-1")];
    })
    .await;
    let reply = server.connect().await.ask("OPTIONS", "/mcp", &asks, "").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some(PAGE)));
    assert_eq!(reply.header("access-control-allow-headers"), Some("content-type, authorization, mcp-param-id"));
    assert_eq!(reply.header("access-control-allow-methods"), Some("GET, POST, DELETE, OPTIONS"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    let (mut headers, body) = stateless_call("demo_echo", json!({"text": "x"}));
    headers.push(("Authorization".to_owned(), "Bearer correct-horse-battery-staple-1".to_owned()));
    headers.push(("Origin".to_owned(), PAGE.to_owned()));
    headers.push(("Sec-Fetch-Site".to_owned(), "cross-site".to_owned()));
    let reply = server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin"), reply.header("vary")), (200, Some(PAGE), Some("origin")));
    let reply = server.connect().await.ask("GET", "/health", &[("Origin", "http://localhost:1")], "").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, None));
}
