//! Claude Code works through our tools under a model that follows a script on loopback.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use support::{
    clients::{Kind, claude, driver, host, remote_document, run},
    http::HttpServer,
    install::{self, Node},
    process::Process,
    sandbox::Sandbox,
};

use crate::{SERVER, registered};

#[test]
fn claude_code_passes_a_read_and_an_edit_to_the_model_and_back() {
    let Some(node) = node() else { return };
    let sandbox = workspace();
    let server = registered(&sandbox);
    works_through(&sandbox, &node, &server.document("toolyard"));
    server.assert_valid_wire();
}

#[test]
fn claude_code_passes_a_read_and_an_edit_to_the_model_and_back_over_http() {
    remotely(Kind::Http);
}

#[test]
fn claude_code_passes_a_read_and_an_edit_to_the_model_and_back_over_sse() {
    remotely(Kind::Sse);
}

fn remotely(kind: Kind) {
    let Some(node) = node() else { return };
    let sandbox = workspace();
    let server = HttpServer::start(&sandbox, SERVER, &["--legacy-sse"]);
    works_through(&sandbox, &node, &remote_document("toolyard", kind, &server));
}

fn node() -> Option<Node> {
    install::or_skip("Claude Code (scripted model)", install::node())
}

fn workspace() -> Sandbox {
    Sandbox::new().with("known.txt", "first line\nsecond line\n")
}

/// Lets the model read, edit and fail, and looks at what it sees of that.
#[track_caller]
fn works_through(sandbox: &Sandbox, node: &Node, document: &Value) {
    let plan = json!({ "calls": [
        { "name": "mcp__toolyard__fs_read", "arguments": { "path": "known.txt" } },
        { "name": "mcp__toolyard__fs_edit", "arguments": { "path": "known.txt",
            "edits": [{ "old": "second", "new": "SECOND" }] } },
        { "name": "mcp__toolyard__fs_read", "arguments": { "path": "missing.txt" } },
    ] });
    let plan_file = sandbox.scratch("plan.json");
    fs::write(&plan_file, plan.to_string()).expect("a written plan");
    let mut model = host(sandbox, node, "node");
    model.arg(driver(sandbox, node, "scripted_model.mjs")).arg(&plan_file);
    let model = Process::spawn(model);
    let port = said(&model)["port"].as_u64().expect("a port");

    let servers = sandbox.scratch("servers.json");
    fs::write(&servers, document.to_string()).expect("a written file");
    let mut session = claude(sandbox, node);
    session
        .env("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{port}"))
        .env("ANTHROPIC_API_KEY", "dummy")
        .env("ENABLE_TOOL_SEARCH", "false")
        .args(["-p", "go", "--strict-mcp-config", "--mcp-config"])
        .arg(&servers)
        .args(["--allowedTools", "mcp__toolyard__fs_read,mcp__toolyard__fs_edit"]);
    let done = run(&mut session);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert_eq!(done.stdout.trim(), "done");

    let read = said(&model);
    let text = seen(&read);
    assert!(text.contains("first line") && text.contains("second line"), "{read}");
    assert_ne!(read["toolResult"]["is_error"], true, "{read}");
    let edited = said(&model);
    assert_ne!(edited["toolResult"]["is_error"], true, "{edited}");
    assert!(seen(&edited).contains("SECOND line"), "{edited}");
    assert_eq!(sandbox.read("known.txt"), "first line\nSECOND line\n");
    let missing = said(&model);
    assert_eq!(missing["toolResult"]["is_error"], true, "{missing}");
    assert!(seen(&missing).contains("missing.txt"), "{missing}");
}

/// The next line of the scripted model.
fn said(model: &Process) -> Value {
    let line = model.receive(Duration::from_secs(30));
    let line = line.unwrap_or_else(|| panic!("the model says nothing more: {}", model.errors()));
    serde_json::from_str(&line).expect("the model prints JSON")
}

/// The text of a tool result as the model sees it: a string or a list of blocks.
fn seen(result: &Value) -> String {
    let content = &result["toolResult"]["content"];
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = blocks.iter().filter_map(|block| block["text"].as_str());
    content.as_str().map_or_else(|| texts.collect::<Vec<_>>().join("\n"), str::to_owned)
}
