//! A host ends a stdio server by closing its input; the server must be gone at once.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use support::{
    client::{Client, LEGACY},
    sandbox::Sandbox,
};

use crate::{SLOW_PATTERN, serve, slow_workspace};

const LIMIT: Duration = Duration::from_millis(100);

/// The fastest of a few attempts, because other tests load the machine.
fn fastest(attempt: impl FnMut() -> Duration) -> Duration {
    std::iter::repeat_with(attempt).take(5).min().expect("five attempts")
}

#[test]
fn the_end_of_the_input_before_any_message_exits_with_code_0() {
    let sandbox = Sandbox::new();
    let took = fastest(|| Client::silent(serve(&sandbox)).hang_up());
    assert!(took < LIMIT * 3, "start and exit took {took:?}");
}

#[test]
fn the_end_of_the_input_exits_within_100_ms_after_a_handshake() {
    let sandbox = Sandbox::new();
    let took = fastest(|| Client::legacy(serve(&sandbox), LEGACY).hang_up());
    assert!(took < LIMIT, "exit took {took:?}");
}

#[test]
fn the_end_of_the_input_exits_within_100_ms_after_modern_requests() {
    let sandbox = Sandbox::new();
    let took = fastest(|| {
        let mut client = Client::modern(serve(&sandbox));
        assert_ne!(client.tool_names(), [""; 0]);
        client.hang_up()
    });
    assert!(took < LIMIT, "exit took {took:?}");
}

#[test]
fn the_end_of_the_input_exits_within_100_ms_with_a_call_in_flight() {
    let sandbox = slow_workspace();
    let took = fastest(|| {
        let mut client = Client::legacy(serve(&sandbox), LEGACY);
        client.begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }));
        thread::sleep(Duration::from_millis(200));
        let early = client.until_quiet(Duration::ZERO);
        assert_eq!(early, Vec::<Value>::new(), "the search was too fast");
        client.hang_up()
    });
    assert!(took < LIMIT, "exit took {took:?}");
}

#[test]
fn the_end_of_the_input_exits_within_100_ms_with_an_open_subscription() {
    let sandbox = Sandbox::new();
    let took = fastest(|| {
        let mut client = Client::modern(serve(&sandbox));
        client.begin("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
        thread::sleep(Duration::from_millis(100));
        client.hang_up()
    });
    assert!(took < LIMIT, "exit took {took:?}");
}

#[test]
fn answers_that_were_ready_before_the_end_of_the_input_are_delivered() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    let id = client.begin_call("fs_read", json!({ "path": "a.txt" }));
    let text = client.reply(id).text();
    assert!(text.contains("alpha"), "{text}");
    client.hang_up();
}
