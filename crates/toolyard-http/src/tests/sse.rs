//! HTTP+SSE of 2024-11-05.

#![expect(clippy::disallowed_methods, reason = "a test reads how large this process is")]

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::testing::{Client, TestServer, initialize, token, until};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Opens a stream and reads where to post.
async fn open(server: &TestServer, headers: &[(&str, &str)]) -> (Client<TcpStream>, String) {
    let mut stream = server.connect().await;
    let head = stream.ask("GET", "/sse", headers, "").await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    let first = stream.chunk().await.expect("an event");
    let endpoint = first.strip_prefix("event: endpoint\ndata: ").and_then(|event| event.strip_suffix("\n\n"));
    (stream, endpoint.expect("the endpoint").to_owned())
}

fn call(id: u64, tool: &str, arguments: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}).to_string()
}

#[tokio::test]
async fn a_session_answers_posts_on_its_stream() {
    let server = TestServer::start(|config| config.legacy_sse = true).await;
    let (mut stream, endpoint) = open(&server, &[]).await;
    let id = endpoint.strip_prefix("/messages?sessionId=").expect("the path");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let mut posts = server.connect().await;
    let reply = posts.ask("POST", &endpoint, &[JSON], &initialize("2024-11-05")).await;
    assert_eq!((reply.status, &*reply.body), (202, ""));
    assert_eq!(stream.event().await.expect("an answer")["result"]["protocolVersion"], "2024-11-05");
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    assert_eq!(posts.ask("POST", &endpoint, &[JSON], &initialized).await.status, 202);
    assert_eq!(posts.ask("POST", &endpoint, &[JSON], &call(7, "demo_echo", &json!({"text": "hi"}))).await.status, 202);
    let answer = stream.event().await.expect("an answer");
    assert_eq!(
        (&answer["id"], answer["result"]["content"][0]["text"].as_str().and_then(|text| text.lines().next())),
        (&json!(7), Some("hi"))
    );
    for body in ["", "{", "[1]", "nonsense"] {
        assert_eq!(posts.ask("POST", &endpoint, &[JSON], body).await.status, 400, "{body}");
    }
    assert_eq!(posts.ask("POST", &endpoint, &[("Content-Type", "text/plain")], &initialized).await.status, 415);
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_with_comments() {
    let server = TestServer::start(|config| {
        config.legacy_sse = true;
        config.limits.keep_alive = Duration::from_millis(20);
    })
    .await;
    let (mut stream, _) = open(&server, &[]).await;
    for _ in 0..3 {
        assert_eq!(stream.chunk().await.as_deref(), Some(":\n\n"));
    }
}

#[tokio::test]
async fn sh1_unknown_foreign_malformed_and_ended_sessions_look_the_same() {
    let server = TestServer::start(|config| {
        config.legacy_sse = true;
        config.auth.unauthenticated = false;
        config.auth.tokens = vec![token("ci", "correct-horse-battery-staple-1"), token("dev", "correct-horse-battery-staple-2")];
    })
    .await;
    let (mine, theirs) =
        (("Authorization", "Bearer correct-horse-battery-staple-1"), ("Authorization", "Bearer correct-horse-battery-staple-2"));
    let (stream, endpoint) = open(&server, &[mine]).await;
    let (gone, ended) = open(&server, &[theirs]).await;
    drop(gone);
    let unknown = format!("/messages?sessionId={}", "0".repeat(32));
    let mut seen = Vec::new();
    until("the end", || server.streams() == 1).await;
    for path in [&*endpoint, &ended, &unknown, "/messages?sessionId=x", "/messages?sessionId=", "/messages", "/messages?a=b"] {
        let reply = server.connect().await.ask("POST", path, &[JSON, theirs], &initialize("2024-11-05")).await;
        seen.push((reply.status, reply.body));
    }
    assert_eq!(seen[0].0, 404);
    assert!(seen.iter().all(|reply| *reply == seen[0]), "{seen:?}");
    assert!(server.trail().contains("token:dev foreign_handle"), "{}", server.trail());
    assert_eq!(server.connect().await.ask("POST", &endpoint, &[JSON, mine], &initialize("2024-11-05")).await.status, 202);
    drop(stream);
}

#[tokio::test]
async fn sh3_an_id_without_its_token_is_401() {
    let server = TestServer::start(|config| {
        config.legacy_sse = true;
        config.auth.unauthenticated = false;
        config.auth.tokens = vec![token("ci", "correct-horse-battery-staple-1")];
    })
    .await;
    let (_stream, endpoint) = open(&server, &[("Authorization", "Bearer correct-horse-battery-staple-1")]).await;
    assert_eq!(server.connect().await.ask("POST", &endpoint, &[JSON], &initialize("2024-11-05")).await.status, 401);
}

#[tokio::test]
async fn a_stream_that_is_left_ends_its_session_and_stops_its_calls() {
    let server = TestServer::start(|config| config.legacy_sse = true).await;
    let (mut stream, endpoint) = open(&server, &[]).await;
    let mut posts = server.connect().await;
    assert_eq!(posts.ask("POST", &endpoint, &[JSON], &initialize("2024-11-05")).await.status, 202);
    drop(stream.event().await.expect("an answer"));
    assert_eq!(posts.ask("POST", &endpoint, &[JSON], &call(1, "demo_slow", &json!({"millis": 60_000}))).await.status, 202);
    until("the call", || server.work.started() == 1).await;
    drop(stream);
    until("its end", || server.work.dropped() == 1 && server.streams() == 0).await;
    assert_eq!(posts.ask("POST", &endpoint, &[JSON], &initialize("2024-11-05")).await.status, 404);
}

#[tokio::test]
async fn streams_beyond_the_caps_are_refused() {
    let server = TestServer::start(|config| {
        config.legacy_sse = true;
        config.limits.max_streams_per_principal = 2;
    })
    .await;
    let first = open(&server, &[]).await;
    let _second = open(&server, &[]).await;
    let reply = server.connect().await.ask("GET", "/sse", &[], "").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("5")));
    drop(first);
    until("the end", || server.streams() == 1).await;
    drop(open(&server, &[]).await);

    let server = TestServer::start(|config| {
        config.legacy_sse = true;
        config.limits.max_sessions = 1;
    })
    .await;
    let _first = open(&server, &[]).await;
    assert_eq!(server.connect().await.ask("GET", "/sse", &[], "").await.status, 503);
}

#[tokio::test]
async fn a_thousand_idle_sessions_take_less_than_64_mb() {
    let server = TestServer::start(|config| config.legacy_sse = true).await;
    drop(open(&server, &[]).await);
    let before = resident_bytes();
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        let (mut stream, endpoint) = open(&server, &[]).await;
        let mut posts = server.connect().await;
        assert_eq!(posts.ask("POST", &endpoint, &[JSON], &initialize("2024-11-05")).await.status, 202);
        drop(stream.event().await.expect("an answer"));
        streams.push(stream);
    }
    // The clients of this test are counted as well.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    drop(streams);
    until("their ends", || server.streams() == 0).await;
}

fn resident_bytes() -> usize {
    let figures = std::fs::read_to_string("/proc/self/statm").expect("figures of this process");
    let pages: usize = figures.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

#[tokio::test]
async fn at_the_end_a_session_finishes_its_call_and_idle_ones_close() {
    let server = TestServer::start(|config| config.legacy_sse = true).await;
    let (mut idle, _) = open(&server, &[]).await;
    let (mut busy, endpoint) = open(&server, &[]).await;
    let mut posts = server.connect().await;
    assert_eq!(posts.ask("POST", &endpoint, &[JSON], &initialize("2024-11-05")).await.status, 202);
    drop(busy.event().await.expect("an answer"));
    assert_eq!(posts.ask("POST", &endpoint, &[JSON], &call(1, "demo_slow", &json!({"millis": 300}))).await.status, 202);
    until("the call", || server.work.started() == 1).await;
    server.stop();
    assert_eq!(idle.event().await, None);
    let answer = busy.event().await.expect("its answer");
    assert_eq!(answer["result"]["content"][0]["text"].as_str().map(|text| text.starts_with("slept")), Some(true), "{answer}");
    assert_eq!(busy.event().await, None);
    server.ended().await;
}
