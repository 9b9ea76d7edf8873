//! Programs that stand between transports, and FastMCP, which brings a client of its own.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    client::{Client, LEGACY},
    clients::{Kind, authorization, host, run},
    http::Mcp,
    install::{self, Node},
    process::Process,
    reply::joined,
};

use super::{KINDS, WRONG, served, workspace};
use crate::{SERVER, conformance::free_port, printed_tools};

fn node(what: &str) -> Option<Node> {
    install::or_skip(what, install::node())
}

/// Talks to a bridge as a host that knows only stdio does.
fn check_pipe(bridge: Command, tools: &[String]) {
    let mut client = Client::legacy(bridge, LEGACY);
    assert_eq!(client.tool_names(), tools);
    let text = client.call("fs_read", json!({ "path": "known.txt" })).text();
    assert!(text.contains("the known content"), "{text}");
    let text = client.call("fs_read", json!({ "path": "missing.txt" })).failure();
    assert!(text.contains("missing.txt"), "{text}");
    client.hang_up();
}

#[test]
fn mcp_remote_brings_both_transports_to_a_pipe() {
    let Some(node) = node("mcp-remote") else { return };
    let sandbox = workspace();
    let server = served(&sandbox);
    for kind in KINDS {
        let mut bridge = host(&sandbox, &node, "mcp-remote");
        bridge.arg(kind.url(&server)).args(["--allow-http", "--transport", &format!("{}-only", kind.name())]);
        bridge.args(["--header", &format!("Authorization:{}", authorization(&server))]);
        check_pipe(bridge, &printed_tools(&sandbox));
    }
}

#[test]
fn supergateway_brings_both_transports_to_a_pipe() {
    let Some(node) = node("supergateway over HTTP") else { return };
    let sandbox = workspace();
    let server = served(&sandbox);
    for kind in KINDS {
        let mut bridge = host(&sandbox, &node, "supergateway");
        let option = if kind == Kind::Http { "--streamableHttp" } else { "--sse" };
        bridge.args([option, &kind.url(&server), "--oauth2Bearer", server.token().expect("a token"), "--logLevel", "none"]);
        check_pipe(bridge, &printed_tools(&sandbox));
    }
}

/// The way around: our pipe becomes an endpoint of both eras.
#[test]
fn mcp_proxy_serves_our_pipe_over_http() {
    let Some(node) = node("mcp-proxy") else { return };
    let sandbox = workspace();
    let port = free_port();
    let mut proxy = host(&sandbox, &node, "mcp-proxy");
    proxy.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--", SERVER, "serve", "--workspace"]).arg(sandbox.workspace());
    let mut proxy = Process::spawn(proxy);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        assert!(proxy.is_running() && Instant::now() < deadline, "the proxy does not listen: {}", proxy.errors());
        thread::sleep(Duration::from_millis(20));
    }
    let mut client = Mcp::legacy(address, None, LEGACY);
    assert_eq!(client.tool_names(), printed_tools(&sandbox));
    let text = client.call("fs_read", json!({ "path": "known.txt" })).text();
    assert!(text.contains("the known content"), "{text}");
    proxy.kill();
}

#[test]
fn fastmcp_lists_and_calls_over_both_transports() {
    let Some(fastmcp) = install::or_skip("FastMCP", install::fastmcp()) else { return };
    let sandbox = workspace();
    let server = served(&sandbox);
    let token = server.token().expect("a token");
    for kind in KINDS {
        let ask = |words: &[&str], token: &str| {
            let mut command = sandbox.command(&fastmcp);
            let (verb, rest) = words.split_first().expect("a verb");
            command.args([verb, &*kind.url(&server)]).args(rest);
            run(command.args(["--transport", kind.name(), "--auth", token, "--json"]))
        };
        let done = ask(&["call", "fs_read", "path=known.txt"], token);
        assert_eq!(done.code, Some(0), "{kind:?}: {}{}", done.stdout, done.stderr);
        let printed: Value = serde_json::from_str(&done.stdout).expect("FastMCP prints JSON");
        assert!(joined(&printed).contains("the known content"), "{kind:?}: {printed}");
        let done = ask(&["list"], WRONG);
        assert_eq!(done.code, Some(1), "{kind:?}: a wrong token: {}", done.stdout);
    }
}
