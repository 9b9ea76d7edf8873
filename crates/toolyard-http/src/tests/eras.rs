//! Both eras at one endpoint.

use serde_json::json;

use crate::testing::{TestServer, borrowed, initialize, post_headers};

#[tokio::test]
async fn a_stateless_call_is_answered_on_a_connection_that_stays_open() {
    let server = TestServer::start(|_| ()).await;
    let mut client = server.connect().await;
    for text in ["one", "two"] {
        let reply = client.call("demo_echo", json!({"text": text})).await;
        assert_eq!((reply.status, reply.text().lines().next()), (200, Some(text)));
        assert_eq!(reply.header("mcp-session-id"), None);
    }
}

#[tokio::test]
async fn a_session_of_the_handshake_era_works_from_start_to_end() {
    let server = TestServer::start(|_| ()).await;
    let mut client = server.connect().await;
    let mut headers = post_headers();
    let reply = client.ask("POST", "/mcp", &borrowed(&headers), &initialize("2025-11-25")).await;
    assert_eq!(reply.status, 200);
    let session = reply.header("mcp-session-id").map(str::to_owned).expect("a session");
    if reply.body.is_empty() {
        let answer = client.event().await.expect("an answer");
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
        client = server.connect().await;
    } else {
        assert_eq!(reply.json()["result"]["protocolVersion"], "2025-11-25");
    }
    headers.push(("Mcp-Session-Id".to_owned(), session));
    headers.push(("MCP-Protocol-Version".to_owned(), "2025-11-25".to_owned()));
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    assert_eq!(client.ask("POST", "/mcp", &borrowed(&headers), &initialized).await.status, 202);
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "demo_echo", "arguments": {"text": "hi"}}});
    let reply = client.ask("POST", "/mcp", &borrowed(&headers), &call.to_string()).await;
    assert_eq!(reply.status, 200);
    let answer = if reply.body.is_empty() { client.event().await.expect("an answer") } else { reply.json() };
    assert_eq!(answer["result"]["content"][0]["text"].as_str().and_then(|text| text.lines().next()), Some("hi"));
    let mut client = server.connect().await;
    assert!([200, 202, 204].contains(&client.ask("DELETE", "/mcp", &borrowed(&headers), "").await.status));
    assert_eq!(client.ask("POST", "/mcp", &borrowed(&headers), &call.to_string()).await.status, 404);
}
