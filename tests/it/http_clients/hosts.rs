//! Real hosts register the server by its address, each the way its users do.

use serde_json::json;
use support::{
    clients::{authorization, claude, host, remote_document, run},
    http::HttpServer,
    install::{self, Node},
    sandbox::Sandbox,
};

use super::{KINDS, WRONG, served, workspace};
use crate::{
    SERVER,
    hosts::{Codex, claude_offers_exactly_our_tools, status_of, trust_workspace, write_json},
};

fn node(what: &str) -> Option<Node> {
    install::or_skip(what, install::node())
}

/// `claude mcp add --transport KIND NAME URL --header …`.
fn add(sandbox: &Sandbox, node: &Node, kind: &str, name: &str, url: &str, authorization: &str) {
    let header = format!("Authorization: {authorization}");
    let mut add = claude(sandbox, node);
    let done = run(add.args(["mcp", "add", "--transport", kind, name, url, "--header", &header]));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
}

#[test]
fn claude_code_connects_over_http_and_sse_and_shows_what_fails() {
    let Some(node) = node("Claude Code (mcp list over HTTP)") else { return };
    let (sandbox, other) = (workspace(), Sandbox::new());
    let server = served(&sandbox);
    let without_sse = HttpServer::start(&other, SERVER, &[]);
    for kind in KINDS {
        let url = kind.url(&server);
        add(&sandbox, &node, kind.name(), &format!("toolyard-{}", kind.name()), &url, &authorization(&server));
        add(&sandbox, &node, kind.name(), &format!("wrong-token-{}", kind.name()), &url, &format!("Bearer {WRONG}"));
    }
    add(&sandbox, &node, "sse", "without-sse", &without_sse.sse_url(), &authorization(&without_sse));

    let listed = run(claude(&sandbox, &node).args(["mcp", "list"])).stdout;
    for connected in ["toolyard-http", "toolyard-sse"] {
        assert!(status_of(&listed, connected).contains("✔ Connected"), "{connected}: {listed}");
    }
    for (refused, status) in [("wrong-token-http", "401"), ("wrong-token-sse", "401"), ("without-sse", "404")] {
        let line = status_of(&listed, refused);
        assert!(line.contains("✘ Failed to connect") && line.contains(status), "{refused}: {listed}");
    }
}

#[test]
fn claude_code_offers_exactly_our_tools_to_its_model_over_http_and_sse() {
    let Some(node) = node("Claude Code (init event over HTTP)") else { return };
    let sandbox = workspace();
    let server = served(&sandbox);
    for kind in KINDS {
        claude_offers_exactly_our_tools(&sandbox, &node, &remote_document("toolyard", kind, &server));
    }
}

#[test]
fn codex_lists_our_tools_and_calls_one_over_http() {
    let Some(node) = node("Codex app-server over HTTP") else { return };
    let sandbox = workspace();
    let server = served(&sandbox);
    let by_variable = format!("url = {}\nbearer_token_env_var = \"TOOLYARD_TOKEN\"\n", json!(server.url()));
    let mut codex = Codex::start_with_token(&sandbox, &node, &by_variable, server.token().expect("a token"));
    codex.lists_our_tools(&sandbox);
    codex.reads_the_known_file(&sandbox);
    drop(codex);

    let by_header = format!("url = {}\nhttp_headers = {{ Authorization = {} }}\n", json!(server.url()), json!(authorization(&server)));
    let mut codex = Codex::start(&sandbox, &node, &by_header);
    codex.reads_the_known_file(&sandbox);
    drop(codex);

    let mut codex = Codex::start_with_token(&sandbox, &node, &by_variable, WRONG);
    assert_eq!(codex.tools(), Vec::<String>::new());
}

#[test]
fn gemini_cli_connects_over_http_and_sse_and_shows_what_fails() {
    let Some(node) = node("Gemini CLI over HTTP") else { return };
    let (sandbox, other) = (workspace(), Sandbox::new());
    let server = served(&sandbox);
    let without_sse = HttpServer::start(&other, SERVER, &[]);
    let right = json!({ "Authorization": authorization(&server) });
    let wrong = json!({ "Authorization": format!("Bearer {WRONG}") });
    let right_there = json!({ "Authorization": authorization(&without_sse) });
    let settings = json!({ "mcpServers": {
        "toolyard-http": { "httpUrl": server.url(), "headers": right },
        "toolyard-sse": { "url": server.sse_url(), "type": "sse", "headers": right },
        "wrong-token": { "httpUrl": server.url(), "headers": wrong },
        "without-sse": { "url": without_sse.sse_url(), "type": "sse", "headers": right_there },
    } });
    write_json(&sandbox.workspace().join(".gemini/settings.json"), &settings);
    trust_workspace(&sandbox);

    let done = run(host(&sandbox, &node, "gemini").args(["mcp", "list"]));
    let listed = format!("{}{}", done.stdout, done.stderr);
    for connected in ["toolyard-http", "toolyard-sse"] {
        assert!(status_of(&listed, connected).contains("- Connected"), "{connected}: {listed}");
    }
    for refused in ["wrong-token", "without-sse"] {
        assert!(status_of(&listed, refused).contains("- Disconnected"), "{refused}: {listed}");
    }
}
