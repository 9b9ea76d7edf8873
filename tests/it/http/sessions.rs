//! The handshake era: sessions of Streamable HTTP, and HTTP+SSE.

use std::time::{Duration, Instant};

use serde_json::json;
use support::{
    client::{HANDSHAKES, LEGACY, MODERN},
    http::Request,
    sandbox::Sandbox,
};

use super::{active_calls, open, with_tokens, within};
use crate::{SLOW_PATTERN, slow_workspace};

#[test]
fn a_session_serves_every_version_of_the_handshake_era() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    for version in &HANDSHAKES[1..] {
        let mut client = server.legacy(version);
        assert!(client.call("fs_read", json!({ "path": "a.txt" })).text().contains("alpha"), "{version}");
        assert!(client.tool_names().contains(&"fs_edit".to_owned()), "{version}");
        assert!(client.request("ping", json!({})).result().is_object(), "{version}");
    }
}

#[test]
fn a_session_id_is_128_bits_of_visible_ascii() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let ids: Vec<_> = (0..20).map(|_| server.legacy(LEGACY).session().expect("a session").to_owned()).collect();
    for id in &ids {
        assert!(id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn without_a_session_a_request_is_bad_and_after_its_end_the_session_is_not_found() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.legacy(LEGACY);
    let list = client.message("tools/list", json!({}));
    assert_eq!(server.ask(&list.clone().without("Mcp-Session-Id")).status(), 400);
    assert_eq!(server.ask(&list.clone().replace("Mcp-Session-Id", "0123456789abcdef0123456789abcdef")).status(), 404);
    let ended = client.close();
    assert!([200, 204].contains(&ended.status()), "clients take another status for a failure: {}", ended.status());
    assert_eq!(server.ask(&list).status(), 404);
    assert_eq!(client.close().status(), 404);
}

#[test]
fn a_request_that_names_no_version_is_one_of_2025_03_26_and_an_unknown_version_is_bad() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    let mut client = server.legacy(LEGACY);
    let call = client.call_message("fs_read", &json!({ "path": "a.txt" }));
    let response = server.ask(&call.clone().without("MCP-Protocol-Version").judged_by(LEGACY));
    assert!(response.reply().text().contains("alpha"));
    assert_eq!(server.ask(&call.replace("MCP-Protocol-Version", "2019-01-01").judged_by(LEGACY)).status(), 400);
}

#[test]
fn a_client_that_goes_away_in_a_session_leaves_its_call_running_until_the_session_ends() {
    let sandbox = slow_workspace();
    let server = open(&sandbox);
    let mut client = server.legacy(LEGACY);
    let call = client.begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }));
    assert!(within(Duration::from_secs(5), || active_calls(&server) == 1), "the search did not start");
    drop(call);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(active_calls(&server), 1, "the call ended with its connection");
    let ended = client.close();
    assert!(ended.status() < 300, "{}", ended.status());
    assert!(within(Duration::from_secs(2), || active_calls(&server) == 0), "the search outlives its session");
}

#[test]
fn a_cancelled_call_of_a_session_stops_working() {
    let sandbox = slow_workspace();
    let server = open(&sandbox);
    let mut client = server.legacy(LEGACY);
    let request = client.call_message("fs_grep", &json!({ "pattern": SLOW_PATTERN }));
    let body: serde_json::Value = serde_json::from_slice(request.body_bytes()).expect("JSON");
    let mut call = server.connect();
    call.send(&request);
    assert!(within(Duration::from_secs(5), || active_calls(&server) == 1), "the search did not start");
    let accepted = client.notify("notifications/cancelled", json!({ "requestId": body["id"] }));
    assert_eq!(accepted.status(), 202);
    assert!(within(Duration::from_secs(2), || active_calls(&server) == 0), "the search goes on");
}

#[test]
fn an_idle_session_ends_and_a_busy_or_listening_one_does_not() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({ "http": { "limits": { "sessionIdleSeconds": 1 } } }));
    let (mut idle, listening) = (server.legacy(LEGACY), server.legacy(LEGACY));
    let mut stream = listening.listen();
    assert_eq!(stream.head().status, 200);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(idle.exchange("tools/list", json!({})).status(), 404);
    let mut listening = listening;
    assert_eq!(listening.exchange("tools/list", json!({})).status(), 200);
}

#[test]
fn a_long_call_is_answered_by_a_stream_that_begins_early_and_is_kept_alive() {
    let sandbox = slow_workspace();
    let limits = json!({
        "limits": { "toolTimeoutsSeconds": { "fs_grep": 3 } },
        "http": { "limits": { "earlyHeadersSeconds": 1, "keepAliveSeconds": 1, "sessionIdleSeconds": 1 } },
    });
    let server = with_tokens(&sandbox, &limits);
    for legacy in [false, true] {
        let mut client = if legacy { server.legacy(LEGACY) } else { server.modern() };
        let began = Instant::now();
        let mut call = client.begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }));
        let head = call.head();
        assert!(head.is_stream(), "{head:?}");
        assert!(began.elapsed() < Duration::from_millis(2500), "no headers for {:?}", began.elapsed());
        assert_eq!(head.header("x-accel-buffering"), Some("no"));
        let first = call.event(Duration::from_secs(3)).expect("a sign of life");
        assert!(first.comment || first.message().is_none(), "{first:?}");
        let answer = call.message();
        assert_eq!(answer["jsonrpc"], "2.0", "the answer comes in the end: {answer}");
        assert!(answer["result"]["content"].is_array(), "{answer}");
    }
}

#[test]
fn http_sse_serves_the_handshake_era_and_nothing_newer() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    for version in HANDSHAKES {
        let mut client = server.sse(version);
        assert!(client.call("fs_read", json!({ "path": "a.txt" })).text().contains("alpha"), "{version}");
    }
    let mut client = server.sse(LEGACY);
    let hello = json!({ "protocolVersion": MODERN, "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } });
    let agreed = client.request("initialize", hello).result()["protocolVersion"].clone();
    assert_eq!(agreed, LEGACY);
}

#[test]
fn http_sse_is_off_unless_it_is_asked_for() {
    let sandbox = Sandbox::new();
    let server = support::http::HttpServer::start(&sandbox, crate::SERVER, &["--unauthenticated-loopback"]);
    assert_eq!(server.ask(&Request::get("/sse").header("Accept", "text/event-stream")).status(), 404);
    assert_eq!(server.ask(&Request::post("/messages?sessionId=x").json(&json!({}))).status(), 404);
}

#[test]
fn http_sse_answers_bad_posts_with_a_status_and_ends_with_its_stream() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.sse(LEGACY);
    let endpoint = client.endpoint().to_owned();
    let mut posts = server.connect();
    let mut status = |request: Request| posts.ask(&request).status();
    assert_eq!(status(Request::post(&endpoint).header("Content-Type", "application/json").body("{")), 400);
    assert_eq!(status(Request::post(&endpoint).header("Content-Type", "text/plain").body("{}")), 415);
    assert_eq!(status(Request::post("/messages").json(&json!({}))), 404);
    assert_eq!(status(Request::post("/messages?sessionId=0123456789abcdef0123456789abcdef").json(&json!({}))), 404);
    assert!(client.request("ping", json!({})).result().is_object());
    drop(client);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let gone = within(Duration::from_secs(3), || server.ask(&Request::post(&endpoint).json(&ping)).status() == 404);
    assert!(gone, "the session outlives its stream");
}
