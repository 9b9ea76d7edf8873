//! The inspector's command line, with its exit codes and its load generator.

use serde_json::Value;
use support::{
    client::names,
    clients::{Registered, host, run},
    install::{self, Node},
    process::Finished,
    reply::joined,
    sandbox::Sandbox,
};

use crate::{printed_tools, registered};

fn node() -> Option<Node> {
    install::or_skip("inspector CLI", install::node())
}

fn inspect(sandbox: &Sandbox, node: &Node, server: &Registered, arguments: &[&str]) -> Finished {
    let mut command = host(sandbox, node, "inspector");
    command.arg("--cli").arg(server.command()).args(server.arguments());
    command.args(arguments).args(["--format", "json", "-q"]);
    run(&mut command)
}

#[test]
fn the_inspector_lists_our_tools_in_both_eras() {
    let Some(node) = node() else { return };
    let sandbox = Sandbox::new();
    for era in ["legacy", "auto", "modern"] {
        let server = registered(&sandbox);
        let done = inspect(&sandbox, &node, &server, &["--protocol-era", era, "--method", "tools/list"]);
        assert_eq!(done.code, Some(0), "{era}: {}{}", done.stdout, done.stderr);
        let printed: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!(names(&printed["result"]["tools"]), printed_tools(&sandbox), "{era}");
        server.assert_valid_wire();
    }
}

#[test]
fn the_inspector_calls_a_tool_and_exits_with_0() {
    let Some(node) = node() else { return };
    let sandbox = Sandbox::new().with("known.txt", "the known content\n");
    let server = registered(&sandbox);
    let call = ["--method", "tools/call", "--tool-name", "fs_read", "--tool-arg", "path=known.txt"];
    let done = inspect(&sandbox, &node, &server, &call);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let printed: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert!(joined(&printed["result"]).contains("the known content"), "{printed}");
    server.assert_valid_wire();
}

#[test]
fn the_inspector_exits_with_5_when_a_call_fails() {
    let Some(node) = node() else { return };
    let sandbox = Sandbox::new();
    let server = registered(&sandbox);
    let call = ["--method", "tools/call", "--tool-name", "fs_read", "--tool-arg", "path=missing.txt"];
    let done = inspect(&sandbox, &node, &server, &call);
    assert_eq!(done.code, Some(5), "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("tool_is_error"), "{}", done.stderr);
    server.assert_valid_wire();
}

#[test]
fn five_hundred_calls_eight_at_a_time_have_no_errors() {
    let Some(node) = node() else { return };
    let sandbox = Sandbox::new().with("known.txt", "the known content\n");
    let server = registered(&sandbox);
    let load = [
        "--method",
        "tools/call",
        "--tool-name",
        "fs_read",
        "--tool-arg",
        "path=known.txt",
        "--load",
        "--load-requests",
        "500",
        "--load-concurrency",
        "8",
    ];
    let done = inspect(&sandbox, &node, &server, &load);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let printed: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let result = &printed["result"];
    assert_eq!((&result["ok"], &result["errors"]), (&500.into(), &0.into()), "{printed}");
    assert_eq!(result["toolErrors"], 0, "{printed}");
}
