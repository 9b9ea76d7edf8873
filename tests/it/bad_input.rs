//! Hostile and broken input: each is answered with what is wrong, and the server lives on.

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    client::{Client, LEGACY},
    reply::joined,
    sandbox::Sandbox,
};

use crate::serve;

fn connected(sandbox: &Sandbox) -> Client {
    Client::legacy(serve(sandbox), LEGACY)
}

/// The server still answers, and had nothing to say to the line before.
#[track_caller]
fn assert_alive(client: &mut Client) {
    assert_eq!(client.request("ping", json!({})).result(), &json!({}));
}

#[test]
fn an_unknown_tool_is_a_protocol_error() {
    let sandbox = Sandbox::new();
    let message = connected(&sandbox).call("fs_raed", json!({})).error(-32602);
    assert!(message.contains("fs_raed"), "{message}");
    let message = Client::modern(serve(&sandbox)).call("fs_raed", json!({})).error(-32602);
    assert!(message.contains("fs_raed"), "{message}");
}

#[test]
fn malformed_parameters_of_a_known_method_are_invalid_parameters() {
    let sandbox = Sandbox::new();
    let mut client = connected(&sandbox);
    let broken = [
        r#"{"jsonrpc":"2.0","id":101,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":102,"method":"tools/call","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":103,"method":"tools/call","params":{"name":7}}"#,
        r#"{"jsonrpc":"2.0","id":104,"method":"tools/call","params":{"name":"fs_list","arguments":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":105,"method":"tools/call","params":{"name":"fs_list","arguments":[1]}}"#,
        r#"{"jsonrpc":"2.0","id":106,"method":"tools/list","params":{"cursor":5}}"#,
    ];
    for (id, line) in (101..).zip(broken) {
        client.raw(line);
        client.reply(id).error(-32602);
    }
    assert_alive(&mut client);
}

#[test]
fn a_missing_arguments_object_means_no_arguments() {
    let sandbox = Sandbox::new().with("known.txt", "x");
    let mut client = connected(&sandbox);
    let text = client.request("tools/call", json!({ "name": "fs_list" })).text();
    assert!(text.contains("known.txt"), "{text}");
    let text = Client::modern(serve(&sandbox)).request("tools/call", json!({ "name": "fs_list" })).text();
    assert!(text.contains("known.txt"), "{text}");
}

#[test]
fn an_unknown_parameter_is_refused_with_the_nearest_name() {
    let sandbox = Sandbox::new().with("a.txt", "x");
    let mut client = connected(&sandbox);
    let message = client.call("fs_read", json!({ "paht": "a.txt" })).failure();
    assert!(message.contains("`paht`") && message.contains("`path`"), "{message}");
    let message = client.call("fs_grep", json!({ "pattern": "x", "no_ignroe": true })).failure();
    assert!(message.contains("`no_ignroe`") && message.contains("`no_ignore`"), "{message}");
}

/// Each call must fail as a result that says what is wrong, and naming the culprit.
#[test]
fn bad_arguments_are_failed_results_that_name_the_culprit() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\nbeta\n").with("dir/b.txt", "b\n");
    let mut client = connected(&sandbox);
    let cases: &[(&str, Value, &str)] = &[
        ("fs_read", json!({ "path": 7 }), "path"),
        ("fs_read", json!({ "path": null }), "path"),
        ("fs_read", json!({ "path": ["a.txt"] }), "path"),
        ("fs_read", json!({}), "path"),
        ("fs_read", json!({ "path": "" }), "path"),
        ("fs_read", json!({ "path": "a\0b" }), "NUL"),
        ("fs_read", json!({ "path": "missing.txt" }), "missing.txt"),
        ("fs_read", json!({ "path": "dir" }), "directory"),
        ("fs_read", json!({ "path": "../outside" }), "outside"),
        ("fs_read", json!({ "path": "/etc/passwd" }), "outside"),
        ("fs_read", json!({ "path": "a.txt", "lines": "x-y" }), "lines"),
        ("fs_read", json!({ "path": "a.txt", "lines": "9-1" }), "9-1"),
        ("fs_read", json!({ "path": "a.txt", "max_tokens": -1 }), "max_tokens"),
        ("fs_read", json!({ "path": "a.txt", "max_tokens": 1e300 }), "max_tokens"),
        ("fs_read", json!({ "path": "a.txt", "max_tokens": 18446744073709551615_u64 }), "max_tokens"),
        ("fs_grep", json!({ "pattern": "(" }), "pattern"),
        ("fs_grep", json!({ "pattern": "x", "glob": "[" }), "glob"),
        ("fs_grep", json!({ "pattern": "x", "cursor": "forged" }), "cursor"),
        ("fs_glob", json!({ "pattern": "[" }), "pattern"),
        ("fs_list", json!({ "path": "a.txt" }), "a.txt"),
        ("fs_tree", json!({ "depth": -1 }), "depth"),
        ("fs_edit", json!({ "path": "a.txt", "edits": [] }), "edits"),
        ("fs_edit", json!({ "path": "a.txt", "edits": [{ "old": "", "new": "x" }] }), "old"),
        ("fs_edit", json!({ "path": "a.txt", "edits": [{ "old": "zzz", "new": "x" }] }), "edits[0]"),
        ("fs_write", json!({ "path": "a.txt", "content": "gone" }), "overwrite"),
        ("fs_mkdir", json!({ "path": "a.txt/x" }), "a.txt"),
        ("fs_move", json!({ "from": "missing", "to": "b" }), "missing"),
        ("fs_copy", json!({ "from": "a.txt", "to": "dir/b.txt" }), "overwrite"),
        ("fs_delete", json!({ "path": "missing" }), "missing"),
    ];
    let mut problems = Vec::new();
    for (tool, arguments, culprit) in cases {
        let reply = client.call(tool, arguments.clone());
        let result = reply.result();
        let message = joined(result);
        let mut complain = |what: &str| problems.push(format!("{tool} {arguments}: {what} in: {message}"));
        if result["isError"] != true {
            complain("no failure");
        } else if !message.contains(culprit) {
            complain(&format!("no `{culprit}`"));
        }
        for word in ["u32", "u64", "usize", "i64", "f64", "struct ", "panicked"] {
            if message.contains(word) {
                complain(&format!("`{word}`, a word of the implementation,"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(sandbox.read("a.txt"), "alpha\nbeta\n", "a refused call changed the file");
    assert_eq!(sandbox.read("dir/b.txt"), "b\n", "a refused call changed the file");
}

#[test]
fn errors_do_not_reveal_whether_an_outside_path_exists() {
    let sandbox = Sandbox::new();
    let mut client = connected(&sandbox);
    let there = client.call("fs_read", json!({ "path": "/etc/passwd" })).failure();
    let absent = client.call("fs_read", json!({ "path": "/etc/absent" })).failure();
    assert_eq!(there.replace("passwd", "absent"), absent);
}

#[test]
fn lines_that_are_not_messages_are_survived() {
    let sandbox = Sandbox::new();
    let mut client = connected(&sandbox);
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":7001,"method":"tools/call","params":{{"name":"fs_list","arguments":{}1{}}}}}"#,
        r#"{"path":"#.repeat(5000),
        "}".repeat(5000),
    );
    let lines: [&[u8]; 13] = [
        b"",
        b"   ",
        b"not json",
        b"{",
        b"[]",
        b"null",
        b"42",
        b"\"text\"",
        b"{}",
        br#"{"jsonrpc":"1.0","id":7002,"method":"ping"}"#,
        br#"[{"jsonrpc":"2.0","id":7003,"method":"ping"}]"#,
        b"{\"jsonrpc\":\"2.0\",\"id\":7004,\"method\":\"tools/call\",\"params\":{\"name\":\"\xff\xfe\"}}",
        deep.as_bytes(),
    ];
    for line in lines {
        client.raw(line);
        assert_alive(&mut client);
    }
    client.raw(b"[".repeat(100_000));
    assert_alive(&mut client);
}

#[test]
fn a_line_over_16_mib_is_survived() {
    let sandbox = Sandbox::new();
    let mut client = connected(&sandbox);
    let huge = format!(
        r#"{{"jsonrpc":"2.0","id":8001,"method":"tools/call","params":{{"name":"fs_list","arguments":{{"path":"{}"}}}}}}"#,
        "a".repeat(17 << 20),
    );
    client.raw(huge);
    assert_alive(&mut client);
}

#[test]
fn a_line_of_4_mb_is_a_normal_call() {
    let sandbox = Sandbox::new();
    let mut client = connected(&sandbox);
    let content = "0123456789abcde\n".repeat(4 << 16);
    let text = client.call("fs_write", json!({ "path": "big.txt", "content": content })).text();
    assert!(text.contains("big.txt"), "{text}");
    assert_eq!(sandbox.read("big.txt"), content);
}

#[test]
fn a_response_to_a_request_that_was_never_made_is_ignored() {
    let sandbox = Sandbox::new();
    let mut client = connected(&sandbox);
    client.raw(r#"{"jsonrpc":"2.0","id":4711,"result":{}}"#);
    client.raw(r#"{"jsonrpc":"2.0","id":4712,"error":{"code":-1,"message":"x"}}"#);
    assert_alive(&mut client);
    assert_eq!(client.until_quiet(Duration::from_millis(200)), Vec::<Value>::new());
}
