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

#[tokio::test]
async fn the_endpoint_tells_that_the_server_can_not_work_as_well() {
    let server = watched().await;
    let mut client = server.connect().await;
    let told = client.ask("GET", "/health", &[], "").await;
    assert_eq!((told.status, &*told.body), (200, r#"{"status":"ok"}"#));
    server.fail_audit();
    let told = client.ask("GET", "/health", &[], "").await;
    assert_eq!((told.status, &*told.body), (503, r#"{"status":"degraded"}"#));
    assert_eq!(get(server.health, "/health").await.0, 503);
}

#[tokio::test]
async fn metrics_count_how_long_streams_of_the_legacy_transport_were_open() {
    let server = TestServer::start(|config| {
        config.metrics = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.legacy_sse = true;
    })
    .await;
    let mut stream = server.connect().await;
    assert_eq!(stream.ask("GET", "/sse", &[], "").await.status, 200);
    assert_eq!(server.streams(), 1);
    drop(stream);
    until("its end", || server.streams() == 0).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let told = get(server.metrics, "/metrics").await.1;
    let count = told.lines().find(|line| line.starts_with("mcp_server_session_duration_seconds_count")).unwrap_or_default();
    assert!(count.ends_with(" 1"), "{count}: {told}");
}
