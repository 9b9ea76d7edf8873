//! The ordered end.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::testing::{TestServer, borrowed, refusal_of, stateless, stateless_call, until};

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
