//! The inspector's command line over the network, with its exit codes and its load generator.

use serde_json::Value;
use support::{
    client::names,
    clients::{Kind, authorization, host, run},
    http::HttpServer,
    install::{self, Node},
    process::Finished,
    reply::joined,
    sandbox::Sandbox,
};

use super::{KINDS, WRONG, served, workspace};
use crate::printed_tools;

/// Transport and era; HTTP+SSE has only the older one.
const WAYS: [(Kind, &str); 4] = [(Kind::Http, "legacy"), (Kind::Http, "auto"), (Kind::Http, "modern"), (Kind::Sse, "legacy")];

const READ: [&str; 6] = ["--method", "tools/call", "--tool-name", "fs_read", "--tool-arg", "path=known.txt"];

fn node() -> Option<Node> {
    install::or_skip("inspector CLI over HTTP", install::node())
}

fn inspect(sandbox: &Sandbox, node: &Node, server: &HttpServer, kind: Kind, arguments: &[&str]) -> Finished {
    inspect_as(sandbox, node, &kind.url(server), kind, &authorization(server), arguments)
}

fn inspect_as(sandbox: &Sandbox, node: &Node, url: &str, kind: Kind, authorization: &str, arguments: &[&str]) -> Finished {
    let mut command = host(sandbox, node, "inspector");
    command.args(["--cli", url, "--transport", kind.name(), "--header", &format!("Authorization: {authorization}")]);
    run(command.args(arguments).args(["--format", "json", "-q"]))
}

fn printed(done: &Finished) -> Value {
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).expect("the inspector prints JSON")
}

#[test]
fn the_inspector_lists_our_tools_over_the_network_in_both_eras() {
    let Some(node) = node() else { return };
    let sandbox = workspace();
    let server = served(&sandbox);
    let expected = printed_tools(&sandbox);
    for (kind, era) in WAYS {
        let done = inspect(&sandbox, &node, &server, kind, &["--protocol-era", era, "--method", "tools/list"]);
        assert_eq!(names(&printed(&done)["result"]["tools"]), expected, "{kind:?} {era}");
    }
}

#[test]
fn the_inspector_exits_with_0_5_3_and_4_over_the_network() {
    let Some(node) = node() else { return };
    let sandbox = workspace();
    let mut server = served(&sandbox);
    for kind in KINDS {
        let done = inspect(&sandbox, &node, &server, kind, &READ);
        assert!(joined(&printed(&done)["result"]).contains("the known content"), "{}", done.stdout);
        let missing = ["--method", "tools/call", "--tool-name", "fs_read", "--tool-arg", "path=missing.txt"];
        let done = inspect(&sandbox, &node, &server, kind, &missing);
        assert_eq!(done.code, Some(5), "a failed call: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains("tool_is_error"), "{}", done.stderr);
        let done = inspect_as(&sandbox, &node, &kind.url(&server), kind, &format!("Bearer {WRONG}"), &READ);
        assert_eq!(done.code, Some(3), "a wrong token: {}{}", done.stdout, done.stderr);
    }
    let (url, token) = (server.url(), authorization(&server));
    server.stop();
    let done = inspect_as(&sandbox, &node, &url, Kind::Http, &token, &READ);
    assert_eq!(done.code, Some(4), "nobody there: {}{}", done.stdout, done.stderr);
}

#[test]
fn five_hundred_calls_eight_at_a_time_have_no_errors_over_the_network() {
    let Some(node) = node() else { return };
    let sandbox = workspace();
    let server = served(&sandbox);
    for (kind, era) in WAYS {
        let mut load = READ.to_vec();
        load.extend(["--protocol-era", era, "--load", "--load-requests", "500", "--load-concurrency", "8"]);
        let printed = printed(&inspect(&sandbox, &node, &server, kind, &load));
        let result = &printed["result"];
        assert_eq!((&result["ok"], &result["errors"]), (&500.into(), &0.into()), "{kind:?} {era}: {printed}");
        assert_eq!(result["toolErrors"], 0, "{kind:?} {era}: {printed}");
    }
}
