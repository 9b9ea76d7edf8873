//! Thousands of mixed calls must not grow the server.
//!
//! `TOOLYARD_SOAK=1` makes it 20,000 calls instead of 3,000.

use std::{env, ops::Range};

use serde_json::json;
use support::{
    client::{Client, LEGACY},
    sandbox::Sandbox,
};

use crate::serve;

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
