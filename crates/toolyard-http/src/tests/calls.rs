//! Calls that panic, that take long, and that nobody waits for any more.

use std::time::Duration;

use serde_json::json;

use crate::testing::{TestServer, borrowed, stateless_call, until};

#[tokio::test]
async fn a_tool_that_panics_is_an_error_without_its_payload() {
    let server = TestServer::start(|_| ()).await;
    let mut client = server.connect().await;
    let reply = client.call("demo_panic", json!({"text": "payload"})).await;
    assert_eq!((reply.status, &reply.json()["result"]["isError"]), (200, &json!(true)));
    assert!(!reply.body.contains("secret"), "{}", reply.body);
    assert_eq!(client.call("demo_echo", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn h12_a_client_that_goes_away_stops_its_call() {
    let server = TestServer::start(|_| ()).await;
    let mut client = server.connect().await;
    let (headers, body) = stateless_call("demo_slow", json!({"millis": 60_000}));
    client.send("POST", "/mcp", &borrowed(&headers), &body).await;
    until("the call", || server.work.started() == 1).await;
    drop(client);
    until("its end", || server.work.dropped() == 1).await;
    assert_eq!(server.work.finished(), 0);
}

#[tokio::test]
async fn h13_a_call_that_takes_long_is_a_stream_with_comments_and_then_its_answer() {
    let server = TestServer::start(|config| {
        config.limits.early_headers = Duration::from_millis(50);
        config.limits.keep_alive = Duration::from_millis(50);
    })
    .await;
    let mut client = server.connect().await;
    let (headers, body) = stateless_call("demo_slow", json!({"millis": 400}));
    client.send("POST", "/mcp", &borrowed(&headers), &body).await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(server.work.finished(), 0);
    let mut comments = 0;
    let answer = loop {
        let chunk = client.chunk().await.expect("an answer before the end");
        if chunk.starts_with(':') {
            comments += 1;
        } else {
            break chunk;
        }
    };
    assert!(comments >= 3, "{comments}");
    let answer = answer.strip_prefix("data: ").and_then(|answer| answer.strip_suffix("\n\n")).expect("one event");
    let answer: serde_json::Value = serde_json::from_str(answer).expect("JSON");
    assert_eq!(
        (&answer["id"], answer["result"]["content"][0]["text"].as_str().map(|text| text.starts_with("slept"))),
        (&json!(1), Some(true))
    );
    assert_eq!(client.chunk().await, None);
    assert_eq!(client.call("demo_echo", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn h12_a_client_that_leaves_such_a_stream_stops_its_call() {
    let server = TestServer::start(|config| config.limits.early_headers = Duration::from_millis(20)).await;
    let mut client = server.connect().await;
    let (headers, body) = stateless_call("demo_slow", json!({"millis": 60_000}));
    client.send("POST", "/mcp", &borrowed(&headers), &body).await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(server.work.dropped(), 0);
    drop(client);
    until("its end", || server.work.dropped() == 1).await;
}

#[tokio::test]
async fn a_hundred_clients_that_vanish_leave_room_for_others() {
    let server = TestServer::start(|config| {
        config.limits.max_requests = 8;
        config.limits.max_requests_per_principal = 8;
    })
    .await;
    let (headers, body) = stateless_call("demo_slow", json!({"millis": 60_000}));
    for _ in 0..100 {
        let mut client = server.connect().await;
        client.send("POST", "/mcp", &borrowed(&headers), &body).await;
    }
    assert_eq!(server.connect().await.call("demo_echo", json!({"text": "x"})).await.status, 200);
    until("all ends", || server.work.started() == server.work.dropped()).await;
}
