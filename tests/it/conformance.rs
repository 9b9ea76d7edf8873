//! The official conformance suite, over our HTTP transport and over a pipe.
//!
//! The suite speaks HTTP only, so a bridge stands between it and the pipe. Scenarios that test HTTP
//! itself would test the bridge and are left out there.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    client::{Client, LEGACY, MODERN},
    clients::{Registered, host, run_within},
    http::HttpServer,
    install::{self, Node},
    process::{Finished, Process},
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
fn every_scored_scenario_of_2025_11_25_passes_over_http() {
    passes_over_http(LEGACY, 30);
}

#[test]
fn every_scored_scenario_of_2026_07_28_passes_over_http() {
    passes_over_http(MODERN, 37);
}

/// The release that people get who name no version is older and knows no frozen sets.
#[test]
fn the_released_suite_passes_over_http() {
    let Some(node) = install::or_skip("conformance suite 0.1", install::node()) else { return };
    let sandbox = Sandbox::new();
    let server = fixtures_over_http(&sandbox);
    let mut suite = host(&sandbox, &node, "node");
    suite.arg(node.modules().join("conformance-latest/dist/index.js"));
    suite.args(["server", "--url", &server.url(), "-o"]).arg(sandbox.scratch("conformance"));
    let done = run_within(&mut suite, Duration::from_secs(180));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("Total: 40 passed, 0 failed"), "{}", done.stdout);
}

/// The fixtures behind the shipped transport, open to everyone on this machine.
pub(crate) fn fixtures_over_http(sandbox: &Sandbox) -> HttpServer {
    let mut server = sandbox.command(CONFORMANCE_SERVER);
    server.arg("--http");
    HttpServer::spawn(server)
}

/// Runs the frozen set of a version against our transport; what is not scored is only reported.
fn passes_over_http(version: &str, scored: usize) {
    let Some(node) = install::or_skip("conformance suite", install::node()) else { return };
    let sandbox = Sandbox::new();
    let server = fixtures_over_http(&sandbox);
    let output = sandbox.scratch("conformance");
    let done = suite(&sandbox, &node, version, &server.url(), &output);
    let mut verdicts = read_verdicts(&output, &["FAILURE", "WARNING"]);
    for name in not_scored(&done.stdout) {
        let failed = verdicts.remove(&name).unwrap_or_default();
        let count = failed.len();
        let written = writeln!(io::stderr(), "NOT SCORED: {version} {name}: {count} failed");
        written.expect("standard error can be written");
    }
    let failed: Vec<_> = verdicts.iter().filter(|(_, failed)| !failed.is_empty()).collect();
    assert!(failed.is_empty(), "{version}: {failed:#?}");
    assert_eq!(verdicts.len(), scored, "{:?}", verdicts.keys());
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
}

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
    // The exit code speaks for the bridge's scenarios too, so only the files are read.
    let _code = suite(sandbox, node, LEGACY, &format!("http://127.0.0.1:{port}/mcp"), &output).code;
    read_verdicts(&output, &["FAILURE"])
}

/// Runs the suite to its end.
fn suite(sandbox: &Sandbox, node: &Node, version: &str, url: &str, output: &Path) -> Finished {
    let mut suite = host(sandbox, node, "node");
    // Two releases are installed, so the name of the program would be ambiguous.
    suite.arg(node.modules().join("@modelcontextprotocol/conformance/dist/index.js"));
    suite.args(["server", "--requirements", version, "--url", url, "-o"]).arg(output);
    let done = run_within(&mut suite, Duration::from_secs(180));
    assert!(done.stdout.contains("=== SUMMARY ==="), "{}{}", done.stdout, done.stderr);
    done
}

/// The scenarios under the last heading of the summary: `  ✓ NAME (REASON)`.
fn not_scored(printed: &str) -> Vec<String> {
    let (_, listed) = printed.split_once("Not scored for ").unwrap_or_else(|| panic!("nothing about scores: {printed}"));
    let entries = listed.lines().skip(1).filter_map(|line| line.trim().strip_prefix(['✓', '✗']));
    entries.filter_map(|entry| entry.split_whitespace().next()).map(str::to_owned).collect()
}

/// What went wrong in each scenario: the checks that ended in one of these ways.
fn read_verdicts(output: &Path, bad: &[&str]) -> BTreeMap<String, Vec<String>> {
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
            .filter(|check| bad.iter().any(|bad| check["status"] == **bad))
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

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a local address").port()
}
