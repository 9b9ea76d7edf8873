//! The official SDK clients, each through the same plan.

use std::{fs, process::Command};

use serde_json::{Value, json};
use support::{
    client::{LEGACY, MODERN},
    clients::{Registered, driver, host, run, source},
    install,
    reply::joined,
    sandbox::Sandbox,
};

use crate::{printed_tools, registered};

/// Runs one driver through the plan and checks what the client saw and what was on the wire.
fn check(sandbox: &Sandbox, server: &Registered, mode: &str, mut client: Command, negotiated: &str) {
    let plan = json!({
        "command": server.command(),
        "args": server.arguments(),
        "mode": mode,
        "calls": [
            { "name": "fs_read", "arguments": { "path": "known.txt" } },
            { "name": "fs_edit", "arguments": { "path": "known.txt",
                "edits": [{ "old": "second", "new": "SECOND" }] } },
            { "name": "fs_read", "arguments": { "path": "missing.txt" } },
            { "name": "fs_absent", "arguments": {} },
        ],
    });
    let file = sandbox.scratch("plan.json");
    fs::write(&file, plan.to_string()).expect("a written plan");
    let done = run(client.arg(&file));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).expect("the driver prints JSON");

    assert_eq!(report["negotiated"], negotiated);
    assert_eq!(report["tools"], json!(printed_tools(sandbox)));
    let results = &report["results"];
    let text = joined(&results[0]["result"]);
    assert_ne!(results[0]["result"]["isError"], true, "{text}");
    assert!(text.contains("first line") && text.contains("second line"), "{text}");
    assert_ne!(results[1]["result"]["isError"], true, "{}", joined(&results[1]["result"]));
    assert_eq!(sandbox.read("known.txt"), "first line\nSECOND line\n");
    assert_eq!(results[2]["result"]["isError"], true, "{report}");
    assert!(joined(&results[2]["result"]).contains("missing.txt"), "{report}");
    assert_eq!(results[3]["error"]["code"], -32602, "{report}");
    server.assert_valid_wire();
}

fn workspace() -> Sandbox {
    Sandbox::new().with("known.txt", "first line\nsecond line\n")
}

fn typescript(what: &str, script: &str, mode: &str, negotiated: &str) {
    let Some(node) = install::or_skip(what, install::node()) else { return };
    let sandbox = workspace();
    let mut client = host(&sandbox, &node, "node");
    client.arg(driver(&sandbox, &node, script));
    check(&sandbox, &registered(&sandbox), mode, client, negotiated);
}

fn python(major: u8, mode: &str, negotiated: &str) {
    let what = format!("Python SDK v{major} ({mode})");
    let Some(python) = install::or_skip(&what, install::python(major)) else { return };
    let sandbox = workspace();
    let mut client = sandbox.command(python);
    client.arg(source(&format!("sdk_v{major}.py")));
    check(&sandbox, &registered(&sandbox), mode, client, negotiated);
}

#[test]
fn the_typescript_sdk_v1_reads_edits_and_sees_errors() {
    typescript("TypeScript SDK v1", "sdk_v1.mjs", "legacy", LEGACY);
}

#[test]
fn the_typescript_sdk_v2_negotiates_the_modern_protocol() {
    typescript("TypeScript SDK v2 (auto)", "sdk_v2.mjs", "auto", MODERN);
}

#[test]
fn the_typescript_sdk_v2_works_with_a_handshake() {
    typescript("TypeScript SDK v2 (legacy)", "sdk_v2.mjs", "legacy", LEGACY);
}

#[test]
fn the_python_sdk_v1_reads_edits_and_sees_errors() {
    python(1, "legacy", LEGACY);
}

#[test]
fn the_python_sdk_v2_negotiates_the_modern_protocol() {
    python(2, "auto", MODERN);
}

#[test]
fn the_python_sdk_v2_works_with_a_handshake() {
    python(2, "legacy", LEGACY);
}
