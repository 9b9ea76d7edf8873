//! Thousands of mixed calls must not grow the server.
//!
//! `TOOLYARD_SOAK=1` makes it 20,000 calls over stdio and 200,000 over HTTP instead of 3,000.

use std::{
    env, fs,
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{
    client::{Client, LEGACY},
    http::{HttpServer, Mcp, Request},
    sandbox::Sandbox,
};

use crate::{SERVER, serve};

/// What the allocator may keep on top of what it kept after the first part.
const GROWTH_KIB: u64 = 8 * 1024;

#[test]
fn thousands_of_mixed_calls_grow_neither_memory_nor_descriptors() {
    let calls = if env::var_os("TOOLYARD_SOAK").is_some() { 20_000 } else { 3_000 };
    let rounds = calls / 6;
    let sandbox = Sandbox::new();
    for index in 0..50 {
        sandbox.write(&format!("src/{index}.rs"), "fn main() { let answer = 42; }\n".repeat(40));
    }
    sandbox.write("edited.txt", "the value is 0 now\n");
    let mut client = Client::legacy(serve(&sandbox), LEGACY);

    run(&mut client, 0..rounds / 3);
    let memory = client.process().resident_kib();
    let descriptors = client.process().descriptors();
    run(&mut client, rounds / 3..rounds);

    let grown = client.process().resident_kib().saturating_sub(memory);
    assert!(grown <= GROWTH_KIB, "{grown} KiB more after {calls} calls");
    assert_eq!(client.process().descriptors(), descriptors, "open descriptors");
    assert_eq!(sandbox.read("edited.txt"), format!("the value is {rounds} now\n"));
}

/// Rounds of six kinds of call, each answer checked, a whole round in flight at once.
fn run(client: &mut Client, rounds: Range<usize>) {
    for round in rounds {
        let calls = [
            ("fs_read", json!({ "path": format!("src/{}.rs", round % 50) }), "answer"),
            ("fs_list", json!({ "path": "src" }), "49.rs"),
            ("fs_grep", json!({ "pattern": "answer", "path": format!("src/{}.rs", round % 50) }), "answer"),
            ("fs_glob", json!({ "pattern": "src/*9.rs" }), "src/49.rs"),
            ("fs_stat", json!({ "path": "src/1.rs" }), "src/1.rs"),
            (
                "fs_edit",
                json!({ "path": "edited.txt", "edits": [
                    { "old": format!("is {round} now"), "new": format!("is {} now", round + 1) }] }),
                "edited.txt",
            ),
        ];
        let open: Vec<_> = calls.into_iter().map(|(tool, call, part)| (client.begin_call(tool, call), tool, part)).collect();
        for (id, tool, part) in open {
            let text = client.reply(id).text();
            assert!(text.contains(part), "{tool}: {text}");
        }
    }
}

/// Calls of one round over HTTP, refused ones and those of handshakes included.
const HTTP_ROUND: usize = 24;

#[test]
fn thousands_of_mixed_calls_over_http_grow_neither_memory_nor_descriptors() {
    let calls = if env::var_os("TOOLYARD_SOAK").is_some() { 200_000 } else { 3_000 };
    let rounds = calls / HTTP_ROUND;
    let sandbox = Sandbox::new();
    for index in 0..50 {
        sandbox.write(&format!("src/{index}.rs"), "fn main() { let answer = 42; }\n".repeat(40));
    }
    sandbox.write("edited.txt", "the value is 0 now\n");
    let config = sandbox.scratch("config.json");
    let limits = json!({ "rate": 100_000, "rateWindowSeconds": 1 });
    let settings = json!({ "policy": { "deny": ["read(secrets/**)"] }, "http": { "limits": limits, "legacySse": true } });
    fs::write(&config, settings.to_string()).expect("a configuration");
    let mut server = HttpServer::start(&sandbox, SERVER, &["--config", config.to_str().expect("a plain name")]);
    let mut client = server.modern();

    run_http(&server, &mut client, 0..rounds / 3);
    settle(&mut server, 0);
    let memory = server.process().resident_kib();
    let descriptors = server.process().descriptors();
    run_http(&server, &mut client, rounds / 3..rounds);
    settle(&mut server, descriptors);

    let grown = server.process().resident_kib().saturating_sub(memory);
    assert!(grown <= GROWTH_KIB, "{grown} KiB more after {calls} calls");
    let left = server.process().descriptors();
    assert!(left <= descriptors, "{left} open descriptors instead of {descriptors}");
    assert!(server.scrape().contains("\ntoolyard_http_sessions 0\n"), "sessions that were closed or left:\n{}", server.scrape());
    assert_eq!(sandbox.read("edited.txt"), format!("the value is {rounds} now\n"));
}

/// Rounds of calls, of refusals, of sessions that are closed or left, and of a call whose answer
/// nobody waits for; each answer checked.
fn run_http(server: &HttpServer, client: &mut Mcp, rounds: Range<usize>) {
    for round in rounds {
        let file = format!("src/{}.rs", round % 50);
        for (tool, call, part) in [
            ("fs_read", json!({ "path": file }), "answer"),
            ("fs_list", json!({ "path": "src" }), "49.rs"),
            ("fs_grep", json!({ "pattern": "answer", "path": file }), "answer"),
            ("fs_glob", json!({ "pattern": "src/*9.rs" }), "src/49.rs"),
            ("fs_stat", json!({ "path": "src/1.rs" }), "src/1.rs"),
            ("fs_read", json!({ "path": file, "lines": "3-5" }), "answer"),
        ] {
            let text = client.call(tool, call).text();
            assert!(text.contains(part), "{tool}: {text}");
        }
        let edits = json!([{ "old": format!("is {round} now"), "new": format!("is {} now", round + 1) }]);
        assert!(client.call("fs_edit", json!({ "path": "edited.txt", "edits": edits })).text().contains("edited.txt"));
        assert!(client.call("fs_read", json!({ "path": "secrets/key" })).failure().contains("denied"));
        assert!(client.call("fs_read", json!({ "path": "missing.txt" })).failure().contains("missing.txt"));
        client.request("tools/call", json!({ "name": "no_such_tool", "arguments": {} })).error(-32602);

        let list = client.message("tools/list", json!({}));
        for (request, status) in [
            (list.clone().body("{ \"jsonrpc\": "), 400),
            (list.clone().replace("Mcp-Method", "tools/call"), 400),
            (list.clone().bearer("nobody-gave-me-this"), 401),
            (Request::get("/nowhere"), 404),
            (list.clone().replace("Content-Type", "text/plain"), 415),
            (Request::new("PUT", "/mcp"), 405),
        ] {
            let response = server.ask(&request);
            assert_eq!(response.status(), status, "{}", response.text());
        }

        let mut session = server.legacy(LEGACY);
        assert!(session.call("fs_read", json!({ "path": file })).text().contains("answer"));
        assert!((200..300).contains(&session.close().status()));
        assert!(server.sse(LEGACY).call("fs_read", json!({ "path": file })).text().contains("answer"));
        drop(client.begin_call("fs_grep", json!({ "pattern": "nowhere to be found" })));
    }
}

/// Connections that were closed take a moment to be noticed.
fn settle(server: &mut HttpServer, descriptors: usize) {
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline && (descriptors == 0 || server.process().descriptors() > descriptors) {
        thread::sleep(Duration::from_millis(100));
    }
}
