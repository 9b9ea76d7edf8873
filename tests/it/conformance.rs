//! The official conformance suite speaks HTTP only, so a bridge stands between it and the pipe.
//!
//! Scenarios that test HTTP itself would test the bridge and are left out.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    client::{Client, LEGACY},
    clients::{Registered, host, run_within},
    install::{self, Node},
    process::Process,
    sandbox::Sandbox,
};

use crate::{CONFORMANCE_SERVER, TEE, registered};

/// Scored for 2025-11-25, without the two that only test HTTP, which the bridge answers:
/// `dns-rebinding-protection` and `server-sse-multiple-streams`.
const REACHABLE: [&str; 28] = [
    "completion-complete",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
    "logging-set-level",
    "ping",
    "prompts-get-embedded-resource",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-with-image",
    "prompts-list",
    "resources-list",
    "resources-read-binary",
    "resources-read-text",
    "resources-subscribe",
    "resources-templates-read",
    "resources-unsubscribe",
    "server-initialize",
    "tools-call-audio",
    "tools-call-elicitation",
    "tools-call-embedded-resource",
    "tools-call-error",
    "tools-call-image",
    "tools-call-mixed-content",
    "tools-call-sampling",
    "tools-call-simple-text",
    "tools-call-with-logging",
    "tools-call-with-progress",
    "tools-list",
];

/// Satisfied by any server, without the suite's fixtures.
const WITHOUT_FIXTURES: [&str; 3] = ["ping", "server-initialize", "tools-list"];

#[test]
fn our_server_and_transport_pass_every_scored_scenario_that_a_pipe_can_carry() {
    let Some(node) = install::or_skip("conformance suite", install::node()) else { return };
    let sandbox = Sandbox::new();
    let server = Registered::new(&sandbox, TEE, CONFORMANCE_SERVER, &[]);
    let verdicts = verdicts(&sandbox, &node, &server);
    for name in REACHABLE {
        assert_eq!(verdicts.get(name), Some(&Vec::new()), "{name}");
    }
    server.assert_valid_wire();
}

/// The suite takes any text for the right one, so the fixtures' content is checked here.
#[test]
fn the_fixtures_answer_with_their_own_content() {
    let sandbox = Sandbox::new();
    let mut client = Client::legacy(sandbox.command(CONFORMANCE_SERVER), LEGACY);
    let text = client.call("test_simple_text", json!({})).text();
    assert!(text.starts_with("This is a simple text response for testing."), "{text}");
    let text = client.call("test_error_handling", json!({})).failure();
    assert!(text.contains("intentionally returns an error"), "{text}");
    let image = client.call("test_image_content", json!({})).result().clone();
    assert_eq!(image["content"][0]["mimeType"], "image/png");
}

#[test]
fn a_tool_that_panics_fails_its_call_and_nothing_else() {
    let sandbox = Sandbox::new();
    for mut client in [Client::legacy(sandbox.command(CONFORMANCE_SERVER), LEGACY), Client::modern(sandbox.command(CONFORMANCE_SERVER))] {
        for _ in 0..3 {
            let text = client.call("test_panics", json!({})).failure();
            assert!(!text.contains("the payload of the panic"), "{text}");
        }
        let text = client.call("test_simple_text", json!({})).text();
        assert!(text.starts_with("This is a simple text response"), "{text}");
    }
}

#[test]
fn the_shipped_server_conforms_where_no_fixture_is_needed() {
    let Some(node) = install::or_skip("conformance suite", install::node()) else { return };
    let sandbox = Sandbox::new();
    let server = registered(&sandbox);
    let verdicts = verdicts(&sandbox, &node, &server);
    for name in WITHOUT_FIXTURES {
        assert_eq!(verdicts.get(name), Some(&Vec::new()), "{name}");
    }
    server.assert_valid_wire();
}

/// What failed in each scenario of the frozen set for 2025-11-25.
fn verdicts(sandbox: &Sandbox, node: &Node, server: &Registered) -> BTreeMap<String, Vec<String>> {
    let (_bridge, port) = bridge(sandbox, node, server);
    let output = sandbox.scratch("conformance");
    let mut suite = host(sandbox, node, "conformance");
    suite.args(["server", "--requirements", "2025-11-25", "--url", &format!("http://127.0.0.1:{port}/mcp"), "-o"]);
    // The exit code speaks for the bridge's scenarios too, so the files are read instead.
    let done = run_within(suite.arg(&output), Duration::from_secs(180));
    assert!(done.stdout.contains("=== SUMMARY ==="), "{}{}", done.stdout, done.stderr);
    read_verdicts(&output)
}

fn read_verdicts(output: &Path) -> BTreeMap<String, Vec<String>> {
    let mut verdicts = BTreeMap::new();
    for entry in fs::read_dir(output).expect("the suite's output") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a plain name");
        // server-<scenario>-<time>, and the time has 24 characters.
        let scenario = &name["server-".len()..name.len() - "-2026-01-01T00-00-00-000Z".len()];
        let text = fs::read_to_string(folder.join("checks.json")).expect("checks");
        let checks: Value = serde_json::from_str(&text).expect("checks are JSON");
        let checks = checks.as_array().expect("a list of checks");
        let mut failed: Vec<_> = checks
            .iter()
            .filter(|check| check["status"] == "FAILURE")
            .map(|check| format!("{}: {}", check["id"], check["errorMessage"]))
            .collect();
        if checks.is_empty() {
            failed.push("nothing was checked".to_owned());
        }
        verdicts.insert(scenario.to_owned(), failed);
    }
    verdicts
}

/// Starts the bridge from Streamable HTTP to the server's pipe and waits until it listens.
fn bridge(sandbox: &Sandbox, node: &Node, server: &Registered) -> (Process, u16) {
    let port = free_port();
    let words = [server.command().display().to_string()].into_iter().chain(server.arguments().to_vec());
    let quoted: Vec<_> = words.map(|word| format!("'{word}'")).collect();
    let mut command = host(sandbox, node, "supergateway");
    command.args(["--stdio", &quoted.join(" "), "--outputTransport", "streamableHttp", "--stateful"]);
    command.args(["--logLevel", "none", "--port", &port.to_string()]);
    let mut bridge = Process::spawn(command);
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(bridge.is_running(), "the bridge ended: {}", bridge.errors());
        assert!(Instant::now() < deadline, "the bridge does not listen: {}", bridge.errors());
        thread::sleep(Duration::from_millis(20));
    }
    (bridge, port)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a local address").port()
}
