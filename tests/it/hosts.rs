//! Real hosts connect to the server with their own registration files and no account.
//!
//! Their exit codes say nothing about health, so the tests read what they print.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use support::{
    clients::{claude, host, run},
    install::{self, Node},
    process::Process,
    reply::joined,
    sandbox::Sandbox,
};

use crate::{printed_tools, registered};

fn node(what: &str) -> Option<Node> {
    install::or_skip(what, install::node())
}

/// The line that `mcp list` prints for a server.
pub(crate) fn status_of<'a>(printed: &'a str, name: &str) -> &'a str {
    let line = printed.lines().find(|line| line.contains(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("{name} is not listed in: {printed}"))
}

pub(crate) fn write_json(path: &std::path::Path, value: &Value) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
    fs::write(path, value.to_string()).expect("a written file");
}

#[test]
fn claude_code_connects_and_shows_a_broken_server_as_failed() {
    let Some(node) = node("Claude Code (mcp list)") else { return };
    let sandbox = Sandbox::new();
    let server = registered(&sandbox);
    let mut add = claude(&sandbox, &node);
    add.args(["mcp", "add", "toolyard", "--"]).arg(server.command()).args(server.arguments());
    assert_eq!(run(&mut add).code, Some(0));
    let mut add = claude(&sandbox, &node);
    assert_eq!(run(add.args(["mcp", "add", "broken", "--", "/bin/false"])).code, Some(0));

    let listed = run(claude(&sandbox, &node).args(["mcp", "list"])).stdout;
    assert!(status_of(&listed, "toolyard").contains("✔ Connected"), "{listed}");
    assert!(status_of(&listed, "broken").contains("✘ Failed to connect"), "{listed}");
    server.assert_valid_wire();
}

#[test]
fn claude_code_connects_to_an_approved_project_registration() {
    let Some(node) = node("Claude Code (.mcp.json)") else { return };
    let sandbox = Sandbox::new();
    let server = registered(&sandbox);
    write_json(&sandbox.workspace().join(".mcp.json"), &server.document("toolyard"));
    let listed = run(claude(&sandbox, &node).args(["mcp", "list"])).stdout;
    assert!(status_of(&listed, "toolyard").contains("Pending approval"), "{listed}");

    let approval = json!({ "enableAllProjectMcpServers": true });
    write_json(&sandbox.home().join(".claude/settings.json"), &approval);
    let listed = run(claude(&sandbox, &node).args(["mcp", "list"])).stdout;
    assert!(status_of(&listed, "toolyard").contains("✔ Connected"), "{listed}");
    server.assert_valid_wire();
}

#[test]
fn claude_code_offers_exactly_our_tools_to_its_model() {
    let Some(node) = node("Claude Code (init event)") else { return };
    let sandbox = Sandbox::new();
    let server = registered(&sandbox);
    claude_offers_exactly_our_tools(&sandbox, &node, &server.document("toolyard"));
    server.assert_valid_wire();
}

/// Reads the event that names the tools the model would see.
#[track_caller]
pub(crate) fn claude_offers_exactly_our_tools(sandbox: &Sandbox, node: &Node, document: &Value) {
    let file = sandbox.scratch("servers.json");
    write_json(&file, document);
    let mut session = claude(sandbox, node);
    session.args(["-p", "hi", "--output-format", "stream-json", "--verbose", "--strict-mcp-config"]);
    // Ends with "Not logged in" after the event that matters.
    let done = run(session.arg("--mcp-config").arg(&file));
    let first = done.stdout.lines().next().unwrap_or_else(|| panic!("no event: {}", done.stderr));
    let init: Value = serde_json::from_str(first).expect("an event is JSON");

    assert_eq!(init["mcp_servers"][0]["name"], "toolyard");
    assert_eq!(init["mcp_servers"][0]["status"], "connected");
    let tools = init["tools"].as_array().expect("tools");
    let ours = tools.iter().filter_map(Value::as_str);
    let mut ours: Vec<_> = ours.filter_map(|name| name.strip_prefix("mcp__toolyard__")).collect();
    let mut expected = printed_tools(sandbox);
    ours.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ours, expected);
}

#[test]
fn gemini_cli_connects_and_shows_a_broken_server_as_disconnected() {
    let Some(node) = node("Gemini CLI") else { return };
    let sandbox = Sandbox::new();
    let server = registered(&sandbox);
    let mut settings = server.document("toolyard");
    settings["mcpServers"]["broken"] = json!({ "command": "/bin/false" });
    write_json(&sandbox.workspace().join(".gemini/settings.json"), &settings);
    trust_workspace(&sandbox);

    let done = run(host(&sandbox, &node, "gemini").args(["mcp", "list"]));
    let listed = format!("{}{}", done.stdout, done.stderr);
    assert!(status_of(&listed, "toolyard").contains("- Connected"), "{listed}");
    assert!(status_of(&listed, "broken").contains("- Disconnected"), "{listed}");
    server.assert_valid_wire();
}

/// Gemini CLI starts no servers in folders that nobody vouched for.
pub(crate) fn trust_workspace(sandbox: &Sandbox) {
    let workspace = fs::canonicalize(sandbox.workspace()).expect("the workspace");
    let trusted = json!({ workspace.to_str().expect("a plain name"): "TRUST_FOLDER" });
    write_json(&sandbox.home().join(".gemini/trustedFolders.json"), &trusted);
}

#[test]
fn codex_lists_our_tools_and_calls_one() {
    let Some(node) = node("Codex app-server") else { return };
    let sandbox = Sandbox::new().with("known.txt", "the known content\n");
    let server = registered(&sandbox);
    // Strings and lists of strings are written the same way in JSON and TOML.
    let registration = format!("command = {}\nargs = {}\n", json!(server.command()), json!(server.arguments()));
    let mut codex = Codex::start(&sandbox, &node, &registration);

    codex.lists_our_tools(&sandbox);
    codex.reads_the_known_file(&sandbox);
    drop(codex);
    server.assert_valid_wire();
}

/// A running `codex app-server` and the next request's number.
pub(crate) struct Codex {
    process: Process,
    next: u64,
}

impl Codex {
    /// Starts it with one server; a token for it goes into `TOOLYARD_TOKEN`.
    pub(crate) fn start(sandbox: &Sandbox, node: &Node, registration: &str) -> Self {
        Self::start_with_token(sandbox, node, registration, "")
    }

    pub(crate) fn start_with_token(sandbox: &Sandbox, node: &Node, registration: &str, token: &str) -> Self {
        let home = sandbox.home().join("codex");
        fs::create_dir_all(&home).expect("a home for codex");
        fs::write(home.join("config.toml"), format!("[mcp_servers.toolyard]\n{registration}")).expect("a written configuration");
        let mut command = host(sandbox, node, "codex");
        command.arg("app-server").env("CODEX_HOME", home).env("TOOLYARD_TOKEN", token);
        let mut codex = Self { process: Process::spawn(command), next: 1 };
        let hello = json!({ "clientInfo": { "name": "toolyard-it", "title": "t", "version": "1" },
            "capabilities": { "experimentalApi": true } });
        codex.request("initialize", &hello);
        codex.process.send(br#"{"method":"initialized"}"#, false);
        codex
    }

    /// The tools it found, in order of their names.
    pub(crate) fn tools(&mut self) -> Vec<String> {
        let status = self.request("mcpServerStatus/list", &json!({}));
        let entry = &status["data"][0];
        assert_eq!(entry["name"], "toolyard", "{status}");
        let mut listed: Vec<_> = entry["tools"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        listed.sort_unstable();
        listed
    }

    #[track_caller]
    pub(crate) fn lists_our_tools(&mut self, sandbox: &Sandbox) {
        let mut expected = printed_tools(sandbox);
        expected.sort_unstable();
        assert_eq!(self.tools(), expected);
    }

    #[track_caller]
    pub(crate) fn reads_the_known_file(&mut self, sandbox: &Sandbox) {
        let thread = self.request("thread/start", &json!({ "cwd": sandbox.workspace() }));
        let call = json!({ "threadId": thread["thread"]["id"], "server": "toolyard", "tool": "fs_read",
            "arguments": { "path": "known.txt" } });
        let result = self.request("mcpServer/tool/call", &call);
        assert!(joined(&result).contains("the known content"), "{result}");
    }

    fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.next;
        self.next += 1;
        let request = json!({ "id": id, "method": method, "params": params });
        self.process.send(request.to_string().as_bytes(), false);
        while let Some(line) = self.process.receive(Duration::from_secs(60)) {
            let message: Value = serde_json::from_str(&line).expect("codex prints JSON");
            if message["id"] == id && message.get("method").is_none() {
                assert!(message.get("result").is_some(), "{method}: {message}");
                return message["result"].clone();
            }
        }
        panic!("codex did not answer {method}: {}", self.process.errors());
    }
}
