//! The ordered end.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::testing::{TestServer, borrowed, initialize, refusal_of, stateless, stateless_call, until};

#[tokio::test]
async fn calls_under_way_finish_and_idle_connections_close() {
    let server = TestServer::start(|_| ()).await;
    let mut idle = server.connect().await;
    assert_eq!(idle.call("demo_echo", json!({"text": "x"})).await.status, 200);
    let mut busy = server.connect().await;
    let (headers, body) = stateless_call("demo_slow", json!({"millis": 300}));
    busy.send("POST", "/mcp", &borrowed(&headers), &body).await;
    until("the call", || server.work.started() == 1).await;
    server.stop();
    assert!(idle.closed().await);
    let reply = busy.reply().await;
    assert_eq!((reply.status, reply.text().starts_with("slept")), (200, true));
    assert!(busy.closed().await);
    let address = server.address;
    server.ended().await;
    assert_eq!(refusal_of(address).await, Some(std::io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn calls_that_go_on_for_too_long_are_cancelled() {
    let server = TestServer::start(|config| config.limits.drain = Duration::from_millis(100)).await;
    let mut busy = server.connect().await;
    let (headers, body) = stateless_call("demo_slow", json!({"millis": 60_000}));
    busy.send("POST", "/mcp", &borrowed(&headers), &body).await;
    until("the call", || server.work.started() == 1).await;
    let (began, work) = (Instant::now(), server.work.clone());
    server.stop();
    server.ended().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    until("its end", || work.dropped() == 1).await;
    assert_eq!(work.finished(), 0);
}

#[tokio::test]
async fn listening_streams_end_at_once_with_their_result() {
    let server = TestServer::start(|_| ()).await;
    let mut listener = server.connect().await;
    let (headers, body) = stateless("subscriptions/listen", None, json!({"notifications": {"toolsListChanged": true}}));
    assert_eq!(listener.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 200);
    let acknowledged = listener.event().await.expect("an acknowledgement");
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let began = Instant::now();
    server.stop();
    let last = listener.event().await.expect("a result");
    assert_eq!((&last["id"], last["result"].is_object()), (&json!(1), true), "{last}");
    assert_eq!(listener.event().await, None);
    server.ended().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_without_anything_to_do_ends_at_once() {
    let server = TestServer::start(|_| ()).await;
    let began = Instant::now();
    server.stop();
    server.ended().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn half_a_head_delays_the_end_by_no_more_than_a_moment() {
    let server = TestServer::start(|_| ()).await;
    let mut half = server.connect().await;
    half.send_raw("POST /mcp HT").await;
    let mut second = server.connect().await;
    assert_eq!(second.call("demo_echo", json!({"text": "x"})).await.status, 200);
    second.send_raw("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    server.stop();
    server.ended().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(half.closed().await && second.closed().await);
}

#[tokio::test]
async fn answers_that_nobody_reads_delay_the_end_by_no_more_than_a_moment() {
    let server = TestServer::start(|config| config.legacy_sse = true).await;
    let mut stream = server.connect().await;
    stream.ask("GET", "/sse", &[], "").await;
    let endpoint = stream.chunk().await.expect("an event");
    let endpoint = endpoint.trim().strip_prefix("event: endpoint\ndata: ").expect("the endpoint");
    let mut posts = server.connect().await;
    let json_type = [("Content-Type", "application/json")];
    assert_eq!(posts.ask("POST", endpoint, &json_type, &initialize("2024-11-05")).await.status, 202);
    let text = "x".repeat(20_000);
    let mut taken = 0;
    loop {
        let params = json!({"name": "demo_echo", "arguments": {"text": text}});
        let call = json!({"jsonrpc": "2.0", "id": taken + 1, "method": "tools/call", "params": params}).to_string();
        if posts.ask("POST", endpoint, &json_type, &call).await.status == 503 {
            break;
        }
        taken += 1;
        assert!(taken < 5_000, "there is no end to what it keeps for a client that does not read");
    }
    assert!(taken > 10, "{taken}");
    let began = Instant::now();
    server.stop();
    server.ended().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}
