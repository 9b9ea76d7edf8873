//! RL: bodies, rates, places and sessions are bounded, and who exceeds them is told when to come back.

use std::time::Duration;

use serde_json::json;
use support::{client::LEGACY, http::Request, sandbox::Sandbox};

use super::{BOB, active_calls, assert_serves, open, recorded, with_tokens, within};
use crate::{SLOW_PATTERN, slow_workspace};

#[test]
fn rl1_a_body_over_the_limit_is_too_large_however_it_is_sent() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({ "http": { "limits": { "maxBodyBytes": 4096 } } }));
    let call = server.modern().call_message("fs_read", &json!({ "path": "x".repeat(5000) }));
    assert_eq!(server.ask(&call).status(), 413, "with its length");
    let announced =
        Request::post("/mcp").bearer(super::ALICE).header("Content-Type", "application/json").header("Content-Length", "99999999999");
    let mut connection = server.connect();
    connection.send(&announced);
    assert_eq!(connection.head().status, 413, "only announced");
    let mut chunked = server.connect();
    let head = call.header("Transfer-Encoding", "chunked");
    chunked.expect(&head);
    let bytes = head.head(chunked.host());
    chunked.write(&bytes).expect("the head");
    let sent = (0..8).try_for_each(|_| chunked.write(format!("400\r\n{}\r\n", "x".repeat(0x400)).as_bytes()));
    assert_eq!(chunked.head().status, 413, "in chunks: {sent:?}");
    assert_serves(&server);
    recorded(&sandbox, "the refusal", |record| record["event"] == "refusal" && record["principal"] == "token:alice");
}

#[test]
fn rl1_a_head_over_the_limit_is_refused() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let long = Request::get("/health").header("X-Long", &"x".repeat(200_000));
    let mut connection = server.connect();
    match connection.try_ask(&long) {
        Ok(response) => assert_eq!(response.status(), 431),
        // The server may close before it has read what nobody should send.
        Err(error) => assert!(connection.closes_within(Duration::from_secs(2)), "{error}"),
    }
    let many = (0..500).fold(Request::get("/health"), |request, index| request.header(&format!("X-{index}"), "x"));
    let refused = server.connect().try_ask(&many);
    assert!(refused.as_ref().map_or(true, |response| response.status() == 431), "{refused:?}");
    assert_serves(&server);
}

#[test]
fn rl2_more_calls_than_the_rate_are_refused_until_the_window_has_passed() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({ "http": { "limits": { "rate": 10, "rateWindowSeconds": 2 } } }));
    let mut alice = server.modern();
    let statuses: Vec<_> = (0..12).map(|_| alice.exchange("tools/list", json!({})).status()).collect();
    assert_eq!(statuses, [[200; 10].as_slice(), &[429; 2]].concat());
    let refused = alice.exchange("tools/list", json!({}));
    let wait: u64 = refused.header("retry-after").expect("when to come back").parse().expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    let mut bob = server.modern();
    bob.set_token(Some(BOB));
    assert_eq!(bob.exchange("tools/list", json!({})).status(), 200, "another caller is not concerned");
    std::thread::sleep(Duration::from_secs(wait));
    assert!(within(Duration::from_millis(500), || alice.exchange("tools/list", json!({})).status() == 200));
    recorded(&sandbox, "the refusal", |record| record["reason"] == "rate_limited");
}

#[test]
fn rl2_one_callers_slow_calls_leave_room_for_the_others() {
    let sandbox = slow_workspace();
    let limits = json!({ "http": { "limits": { "maxRequestsPerPrincipal": 2, "maxRequests": 4, "maxWaiting": 1, "maxWaitSeconds": 1 } } });
    let server = with_tokens(&sandbox, &limits);
    let mut alice = server.modern();
    let slow: Vec<_> = (0..2).map(|_| alice.begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }))).collect();
    assert!(within(Duration::from_secs(5), || active_calls(&server) == 2), "the searches did not start");
    let refused = alice.exchange("tools/list", json!({}));
    assert!([429, 503].contains(&refused.status()), "{}", refused.status());
    assert!(refused.header("retry-after").is_some());
    let mut bob = server.modern();
    bob.set_token(Some(BOB));
    assert_eq!(bob.exchange("tools/list", json!({})).status(), 200);
    drop(slow);
    assert!(within(Duration::from_secs(3), || alice.exchange("tools/list", json!({})).status() == 200));
}

#[test]
fn rl3_answers_keep_to_their_budget_over_http_as_well() {
    let sandbox = Sandbox::new().with("large.txt", "a line of some length that is repeated\n".repeat(100_000));
    let server = open(&sandbox);
    let text = server.modern().call("fs_read", json!({ "path": "large.txt", "max_tokens": 1000 })).text();
    assert!(text.len() <= 3300 + 200, "{} bytes", text.len());
}

#[test]
fn rl6_a_compressed_body_is_not_unpacked() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let list = server.modern().message("tools/list", json!({}));
    for coding in ["gzip", "br", "deflate", "zstd", "gzip, identity"] {
        assert_eq!(server.ask(&list.clone().header("Content-Encoding", coding)).status(), 415, "{coding}");
    }
}

#[test]
fn a_caller_with_many_sessions_loses_the_one_idle_for_longest_and_nobody_elses() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({ "http": { "limits": { "maxSessionsPerPrincipal": 3 } } }));
    let mut bob = server.modern();
    bob.set_token(Some(BOB));
    assert_eq!(bob.initialize(LEGACY, &json!({})).status(), 200);
    let mut sessions: Vec<_> = (0..3).map(|_| server.legacy(LEGACY)).collect();
    assert_eq!(sessions[0].exchange("tools/list", json!({})).status(), 200);
    let mut fourth = server.legacy(LEGACY);
    let statuses: Vec<_> = sessions.iter_mut().map(|session| session.exchange("tools/list", json!({})).status()).collect();
    assert_eq!(statuses, [200, 404, 200]);
    assert_eq!(fourth.exchange("tools/list", json!({})).status(), 200);
    assert_eq!(bob.exchange("tools/list", json!({})).status(), 200);
}
