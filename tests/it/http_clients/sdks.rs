//! The official SDK clients, each through the same plan as over stdio.

use std::{fs, process::Command};

use serde_json::{Value, json};
use support::{
    client::{LEGACY, MODERN},
    clients::{Kind, authorization, driver, host, run, source},
    http::HttpServer,
    install,
    process::Finished,
    reply::joined,
    sandbox::Sandbox,
};

use super::{KINDS, WRONG, served, workspace};
use crate::{SERVER, printed_tools};

/// Runs a driver once; both transports share a workspace.
fn drive(sandbox: &Sandbox, mut client: Command, mode: &str, kind: Kind, url: &str, authorization: &str) -> Finished {
    let plan = json!({
        "transport": kind.name(),
        "url": url,
        "headers": { "Authorization": authorization },
        "mode": mode,
        "calls": [
            { "name": "fs_read", "arguments": { "path": "known.txt" } },
            { "name": "fs_write", "arguments": { "path": format!("{}.txt", kind.name()), "content": "written\n" } },
            { "name": "fs_read", "arguments": { "path": "missing.txt" } },
            { "name": "fs_absent", "arguments": {} },
        ],
    });
    let file = sandbox.scratch("plan.json");
    fs::write(&file, plan.to_string()).expect("a written plan");
    run(client.arg(&file))
}

/// What the client saw, over each transport, and that it can't without the token.
fn check(client: impl Fn(&Sandbox) -> Command, mode: &str, negotiated: &str) {
    let sandbox = workspace();
    let server = served(&sandbox);
    for kind in KINDS {
        let done = drive(&sandbox, client(&sandbox), mode, kind, &kind.url(&server), &authorization(&server));
        assert_eq!(done.code, Some(0), "{kind:?}: {}{}", done.stdout, done.stderr);
        // A client that is told that its session is over, but not in the words it expects, says so.
        assert!(!done.stderr.contains("ermination failed"), "{kind:?}: {}", done.stderr);
        let report: Value = serde_json::from_str(&done.stdout).expect("the driver prints JSON");
        // HTTP+SSE was never part of the newest protocol.
        let negotiated = if kind == Kind::Sse { LEGACY } else { negotiated };
        assert_eq!(report["negotiated"], negotiated, "{kind:?}");
        assert_eq!(report["tools"], json!(printed_tools(&sandbox)), "{kind:?}");
        let results = &report["results"];
        let text = joined(&results[0]["result"]);
        assert!(text.contains("first line") && text.contains("the known content"), "{kind:?}: {text}");
        assert_ne!(results[1]["result"]["isError"], true, "{kind:?}: {report}");
        assert_eq!(sandbox.read(&format!("{}.txt", kind.name())), "written\n");
        assert_eq!(results[2]["result"]["isError"], true, "{kind:?}: {report}");
        assert!(joined(&results[2]["result"]).contains("missing.txt"), "{kind:?}: {report}");
        assert_eq!(results[3]["error"]["code"], -32602, "{kind:?}: {report}");
    }
    for kind in KINDS {
        let done = drive(&sandbox, client(&sandbox), mode, kind, &kind.url(&server), &format!("Bearer {WRONG}"));
        assert_ne!(done.code, Some(0), "a wrong token opened the server: {}", done.stdout);
        assert!(!done.stdout.contains("first line"), "{kind:?}: {}", done.stdout);
        // Over Streamable HTTP one of the clients does not say why.
        assert!(kind == Kind::Http || done.stderr.contains("401"), "{}", done.stderr);
    }
}

fn typescript(what: &str, script: &str, mode: &str, negotiated: &str) {
    let Some(node) = install::or_skip(what, install::node()) else { return };
    let client = |sandbox: &Sandbox| {
        let mut client = host(sandbox, &node, "node");
        client.arg(driver(sandbox, &node, script));
        client
    };
    check(client, mode, negotiated);
}

fn python(major: u8, mode: &str, negotiated: &str) {
    let what = format!("Python SDK v{major} ({mode}) over HTTP");
    let Some(python) = install::or_skip(&what, install::python(major)) else { return };
    let client = |sandbox: &Sandbox| {
        let mut client = sandbox.command(&python);
        client.arg(source(&format!("sdk_v{major}.py")));
        client
    };
    check(client, mode, negotiated);
}

#[test]
fn the_typescript_sdk_v1_works_over_both_transports() {
    typescript("TypeScript SDK v1 over HTTP", "sdk_v1.mjs", "legacy", LEGACY);
}

#[test]
fn the_typescript_sdk_v2_negotiates_the_modern_protocol_over_http() {
    typescript("TypeScript SDK v2 (auto) over HTTP", "sdk_v2.mjs", "auto", MODERN);
}

#[test]
fn the_typescript_sdk_v2_works_with_a_handshake_over_both_transports() {
    typescript("TypeScript SDK v2 (legacy) over HTTP", "sdk_v2.mjs", "legacy", LEGACY);
}

#[test]
fn the_python_sdk_v1_works_over_both_transports() {
    python(1, "legacy", LEGACY);
}

#[test]
fn the_python_sdk_v2_negotiates_the_modern_protocol_over_http() {
    python(2, "auto", MODERN);
}

#[test]
fn the_python_sdk_v2_works_with_a_handshake_over_both_transports() {
    python(2, "legacy", LEGACY);
}

#[test]
fn a_client_of_http_sse_finds_nothing_on_a_server_that_does_not_serve_it() {
    let Some(node) = install::or_skip("TypeScript SDK v1 over HTTP", install::node()) else { return };
    let sandbox = workspace();
    let server = HttpServer::start(&sandbox, SERVER, &[]);
    let mut client = host(&sandbox, &node, "node");
    client.arg(driver(&sandbox, &node, "sdk_v1.mjs"));
    let done = drive(&sandbox, client, "legacy", Kind::Sse, &server.sse_url(), &authorization(&server));
    assert_ne!(done.code, Some(0), "{}", done.stdout);
    assert!(done.stderr.contains("404"), "{}", done.stderr);
}
