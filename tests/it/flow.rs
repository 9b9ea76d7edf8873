//! Many calls at once, long calls, and calls that are no longer wanted.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    client::{Client, LEGACY},
    sandbox::Sandbox,
};

use crate::{SLOW_PATTERN, serve, slow_workspace};

#[test]
fn pipelined_calls_are_all_answered_with_their_own_content() {
    let sandbox = Sandbox::new();
    for index in 0..64 {
        sandbox.write(&format!("{index}.txt"), format!("content of number {index}.\n"));
    }
    for mut client in [Client::legacy(serve(&sandbox), LEGACY), Client::modern(serve(&sandbox))] {
        let read = |index| json!({ "path": format!("{index}.txt") });
        let ids: Vec<_> = (0..64).map(|index| client.begin_call("fs_read", read(index))).collect();
        for (index, id) in ids.into_iter().enumerate() {
            let text = client.reply(id).text();
            assert!(text.contains(&format!("content of number {index}.")), "{index}: {text}");
        }
    }
}

#[test]
fn parallel_edits_of_different_lines_of_one_file_all_survive() {
    let line = |index: i32| format!("line {index:02} has a value of its own\n");
    let sandbox = Sandbox::new().with("shared.txt", (0..32).map(line).collect::<String>());
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    let ids: Vec<_> = (0..32)
        .map(|index| {
            let edit = json!({ "old": format!("line {index:02} has"), "new": format!("LINE {index:02} got") });
            client.begin_call("fs_edit", json!({ "path": "shared.txt", "edits": [edit] }))
        })
        .collect();
    for id in ids {
        let text = client.reply(id).text();
        assert!(text.contains("LINE"), "{text}");
    }
    let expected: String = (0..32).map(|i| format!("LINE {i:02} got a value of its own\n")).collect();
    assert_eq!(sandbox.read("shared.txt"), expected);
}

#[test]
fn a_long_search_reports_progress_to_whoever_asked() {
    let sandbox = slow_workspace();
    for mut client in [Client::legacy(serve(&sandbox), LEGACY), Client::modern(serve(&sandbox))] {
        let id = client.begin(
            "tools/call",
            json!({ "name": "fs_grep", "arguments": { "pattern": SLOW_PATTERN },
                "_meta": { "progressToken": "the-token" } }),
        );
        let mut last = -1.0;
        for _ in 0..2 {
            let progress = client.notification("notifications/progress", Duration::from_secs(20));
            let progress = progress.expect("progress while the search runs");
            assert_eq!(progress["params"]["progressToken"], "the-token");
            let now = progress["params"]["progress"].as_f64().expect("a number");
            assert!(now > last, "progress went from {last} to {now}");
            last = now;
        }
        client.notify("notifications/cancelled", json!({ "requestId": id }));
    }
}

#[test]
fn a_call_without_a_progress_token_gets_no_notifications() {
    let sandbox = slow_workspace();
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    let id = client.begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }));
    assert_eq!(client.notification("notifications/progress", Duration::from_secs(1)), None);
    assert!(client.reply_within(&json!(id), Duration::ZERO).is_none(), "the search was too fast");
    client.notify("notifications/cancelled", json!({ "requestId": id }));
}

#[test]
fn a_cancelled_call_is_not_answered_and_stops_working() {
    let sandbox = slow_workspace();
    for mut client in [Client::legacy(serve(&sandbox), LEGACY), Client::modern(serve(&sandbox))] {
        let id = client.begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }));
        thread::sleep(Duration::from_millis(300));
        let before = client.process().ticks();
        assert!(before > 5, "the search did not start: {before} ticks");
        client.notify("notifications/cancelled", json!({ "requestId": id }));
        assert!(idle_within(&mut client, Duration::from_secs(2)), "the search goes on");
        assert!(client.reply_within(&json!(id), Duration::from_millis(300)).is_none(), "answered");
        let text = client.call("fs_list", json!({ "path": "." })).text();
        assert!(text.contains("slow"), "{text}");
    }
}

/// Whether the server uses less than a twentieth of a processor for a moment.
fn idle_within(client: &mut Client, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        let before = client.process().ticks();
        thread::sleep(Duration::from_millis(200));
        if client.process().ticks() - before <= 1 {
            return true;
        }
    }
    false
}

#[test]
fn a_storm_of_cancellations_leaves_a_working_server() {
    let sandbox = slow_workspace();
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    // Quick to compile and slow to search, so that cancelled work would be seen.
    for _ in 0..200 {
        let id = client.begin_call("fs_grep", json!({ "pattern": r"(?:\b\w+\b\W+){5}\d" }));
        client.notify("notifications/cancelled", json!({ "requestId": id }));
        client.notify("notifications/cancelled", json!({ "requestId": id }));
    }
    client.notify("notifications/cancelled", json!({ "requestId": "never-made" }));
    let noise = client.until_quiet(Duration::from_millis(100));
    assert_eq!(noise, Vec::<Value>::new(), "cancelled calls were answered");
    assert_eq!(client.request("ping", json!({})).result(), &json!({}));
    assert!(idle_within(&mut client, Duration::from_secs(10)), "cancelled searches go on");
    let text = client.call("fs_read", json!({ "path": "slow/0000.txt", "lines": "1-1" })).text();
    assert!(text.contains("ipsüm"), "{text}");
}

#[test]
fn two_calls_with_the_same_id_leave_a_working_server() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    let call = r#"{"jsonrpc":"2.0","id":"twin","method":"tools/call","params":{"name":"fs_read","arguments":{"path":"a.txt"}}}"#;
    client.raw(call);
    client.raw(call);
    let text = client.reply("twin").text();
    assert!(text.contains("alpha"), "{text}");
    let text = client.call("fs_read", json!({ "path": "a.txt" })).text();
    assert!(text.contains("alpha"), "{text}");
}

#[test]
fn ids_come_back_as_they_were_sent() {
    let sandbox = Sandbox::new();
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    let ids = [json!("a string"), json!(0), json!(-5), json!(9_007_199_254_740_991_u64), json!("7")];
    for id in &ids {
        client.raw(json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string());
    }
    for id in ids {
        assert_eq!(client.reply(id).result(), &json!({}));
    }
}
