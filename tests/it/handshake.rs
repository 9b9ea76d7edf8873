//! Both protocol eras on one pipe: `initialize` for the older versions, `server/discover` and
//! `_meta` on each request for 2026-07-28.

use std::time::Duration;

use serde_json::json;
use support::{
    client::{Client, HANDSHAKES, LEGACY, MODERN, modern_meta},
    sandbox::Sandbox,
};

use crate::{printed_tools, serve};

#[test]
fn every_older_version_is_negotiated_as_asked() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    for version in HANDSHAKES {
        let mut client = Client::silent(serve(&sandbox));
        let hello = client.initialize(version);
        assert_eq!(hello["protocolVersion"], version);
        assert_eq!(hello["serverInfo"]["name"], "toolyard");
        let text = client.call("fs_read", json!({ "path": "a.txt" })).text();
        assert!(text.contains("alpha"), "{version}: {text}");
    }
}

#[test]
fn an_unknown_version_is_answered_with_the_newest_that_has_a_handshake() {
    let sandbox = Sandbox::new();
    for asked in ["1999-01-01", "2099-01-01", "banana"] {
        let mut client = Client::silent(serve(&sandbox));
        assert_eq!(client.initialize(asked)["protocolVersion"], LEGACY, "asked for {asked}");
    }
}

#[test]
fn only_tools_are_declared_as_a_capability() {
    let sandbox = Sandbox::new();
    let hello = Client::silent(serve(&sandbox)).initialize(LEGACY);
    let declared = hello["capabilities"].as_object().expect("capabilities");
    assert_eq!(declared.keys().collect::<Vec<_>>(), ["tools"]);
}

#[test]
fn discover_names_the_supported_versions() {
    let sandbox = Sandbox::new();
    let mut client = Client::modern(serve(&sandbox));
    let found = client.request("server/discover", json!({})).result().clone();
    let versions = found["supportedVersions"].as_array().expect("versions");
    assert!(versions.contains(&json!(MODERN)), "{versions:?}");
    assert_eq!(found["resultType"], "complete");
    assert!(found["capabilities"]["tools"].is_object(), "{found}");
}

#[test]
fn discover_and_then_initialize_on_one_pipe_are_answered_in_order() {
    let sandbox = Sandbox::new();
    let mut client = Client::silent(serve(&sandbox));
    let probe = json!({ "jsonrpc": "2.0", "id": "server-discover-probe-1", "method": "server/discover",
        "params": { "_meta": modern_meta(MODERN) } });
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    client.raw(probe.to_string());
    client.raw(hello.to_string());
    assert_eq!(client.reply(0).result()["protocolVersion"], LEGACY);
    let first = client.process().receive(Duration::ZERO);
    assert_eq!(first, None, "an answer came behind the handshake's");
    let found = client.reply_within(&json!("server-discover-probe-1"), Duration::ZERO).expect("an answer to the probe");
    assert!(found.result()["supportedVersions"].is_array(), "{found:?}");
    client.notify("notifications/initialized", json!({}));
    assert_eq!(client.tool_names(), printed_tools(&sandbox));
}

#[test]
fn notifications_before_the_handshake_are_ignored() {
    let sandbox = Sandbox::new();
    let mut client = Client::silent(serve(&sandbox));
    client.notify("notifications/cancelled", json!({ "requestId": "server-discover-probe-1" }));
    client.notify("notifications/initialized", json!({}));
    client.notify("notifications/unheard_of", json!({}));
    assert_eq!(client.initialize(LEGACY)["protocolVersion"], LEGACY);
    assert_eq!(client.tool_names(), printed_tools(&sandbox));
}

#[test]
fn a_modern_request_without_meta_is_invalid() {
    let sandbox = Sandbox::new();
    let mut client = Client::silent(serve(&sandbox));
    let message = client.request("tools/list", json!({})).error(-32602);
    assert!(message.contains("_meta"), "{message}");
    client.raw(r#"{"jsonrpc":"2.0","id":90,"method":"tools/list"}"#);
    client.reply(90).error(-32602);
}

#[test]
fn a_modern_request_without_client_capabilities_is_invalid() {
    let sandbox = Sandbox::new();
    let mut client = Client::silent(serve(&sandbox));
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": MODERN });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
    client.raw(request.to_string());
    client.reply(1).error(-32602);
}

#[test]
fn an_unsupported_version_is_refused_with_the_supported_ones() {
    let sandbox = Sandbox::new();
    let mut client = Client::silent(serve(&sandbox));
    let reply = client.request("tools/list", json!({ "_meta": modern_meta("2099-01-01") }));
    reply.error(-32022);
    assert_eq!(reply.error_data()["requested"], "2099-01-01");
    let supported = reply.error_data()["supported"].as_array().expect("supported versions");
    assert!(supported.contains(&json!(MODERN)), "{supported:?}");
}

#[test]
fn methods_of_undeclared_capabilities_do_not_exist() {
    let sandbox = Sandbox::new();
    let requests = [
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "x" })),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "file:///x" })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "x" },
            "argument": { "name": "a", "value": "" } }),
        ),
        ("tasks/unheard_of", json!({})),
    ];
    let mut legacy = Client::legacy(serve(&sandbox), LEGACY);
    let mut modern = Client::modern(serve(&sandbox));
    for (method, params) in requests {
        for client in [&mut legacy, &mut modern] {
            let message = client.request(method, params.clone()).error(-32601);
            assert!(!message.is_empty(), "{method}");
        }
    }
    legacy.request("logging/setLevel", json!({ "level": "info" })).error(-32601);
    legacy.request("resources/subscribe", json!({ "uri": "file:///x" })).error(-32601);
}

#[test]
fn ping_answers_in_the_older_versions() {
    let sandbox = Sandbox::new();
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    assert_eq!(client.request("ping", json!({})).result(), &json!({}));
}

#[test]
fn every_era_lists_the_tools_that_the_command_line_prints() {
    let sandbox = Sandbox::new();
    let printed = printed_tools(&sandbox);
    for needed in [
        "fs_read",
        "fs_list",
        "fs_tree",
        "fs_glob",
        "fs_grep",
        "fs_stat",
        "fs_write",
        "fs_edit",
        "fs_mkdir",
        "fs_move",
        "fs_copy",
        "fs_delete",
    ] {
        assert!(printed.iter().any(|name| name == needed), "no {needed} in {printed:?}");
    }
    for version in HANDSHAKES {
        assert_eq!(Client::legacy(serve(&sandbox), version).tool_names(), printed, "{version}");
    }
    let mut modern = Client::modern(serve(&sandbox));
    assert_eq!(modern.tool_names(), printed);
    assert_eq!(modern.tool_names(), printed, "the order changed between two requests");
}

#[test]
fn the_tool_list_may_be_cached_by_this_client_only() {
    let sandbox = Sandbox::new();
    let listed = Client::modern(serve(&sandbox)).request("tools/list", json!({})).result().clone();
    assert_eq!(listed["cacheScope"], "private", "{listed}");
}
