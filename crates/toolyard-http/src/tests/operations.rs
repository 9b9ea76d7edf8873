//! Health and metrics, on ports of their own.

use std::net::SocketAddr;

use serde_json::json;
use tokio::net::TcpStream;

use crate::testing::{Client, TestServer, borrowed, refusal_of, stateless_call, until};

async fn watched() -> TestServer {
    TestServer::start(|config| {
        let free = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        (config.health, config.metrics) = (free, free);
    })
    .await
}

async fn get(address: Option<SocketAddr>, path: &str) -> (u16, String) {
    let mut client = Client::over(TcpStream::connect(address.expect("a listener")).await.expect("it listens"));
    let reply = client.ask("GET", path, &[], "").await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn health_tells_what_is_under_way_and_that_the_end_has_begun() {
    let server = watched().await;
    let (status, told) = get(server.health, "/health").await;
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((status, &told["status"], &told["active_calls"]), (200, &json!("ok"), &json!(0)));
    assert_eq!(get(server.health, "/readyz").await.0, 200);
    let mut busy = server.connect().await;
    let (headers, body) = stateless_call("demo_slow", json!({"millis": 700}));
    busy.send("POST", "/mcp", &borrowed(&headers), &body).await;
    until("the call", || server.work.started() == 1).await;
    assert!(get(server.health, "/health").await.1.contains(r#""active_calls":1"#));
    server.stop();
    until("the end", || std::net::TcpStream::connect(server.address).is_err()).await;
    let (status, told) = get(server.health, "/readyz").await;
    assert_eq!((status, told.contains("draining")), (503, true), "{told}");
    assert_eq!(get(server.health, "/livez").await.0, 200);
    assert_eq!(busy.reply().await.status, 200);
    let health = server.health;
    server.ended().await;
    assert_eq!(refusal_of(health.expect("a listener")).await, Some(std::io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn metrics_count_calls_refusals_and_connections() {
    let server = watched().await;
    let mut client = server.connect().await;
    assert_eq!(client.call("demo_echo", json!({"text": "x"})).await.status, 200);
    assert_eq!(client.ask("GET", "/mcp", &[("Host", "evil.com")], "").await.status, 403);
    let (status, told) = get(server.metrics, "/metrics").await;
    assert_eq!(status, 200);
    for name in ["mcp_server_operation_duration_seconds", "gov_policy_decisions_total", "foreign_host", "demo_echo"] {
        assert!(told.contains(name), "{name}: {told}");
    }
    assert_eq!(server.connect().await.ask("GET", "/metrics", &[], "").await.status, 404);
}
