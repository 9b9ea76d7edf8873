//! Starting in either era, and what is listed.

use std::sync::Arc;

use serde_json::{Value, json};
use toolyard_core::{ApprovalFallback, Dispatcher};
use toolyard_policy::{Policy, PolicySpec};

use super::{Client, call, initialize, server, stateless, tools};
use crate::{
    Extension, NameTaken, Reply, Server,
    mcp::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListPromptsResult, PaginatedRequestParams, RequestContext,
        RoleServer, ServerCapabilities, Tool,
    },
};

const INFO: &str = "io.modelcontextprotocol/serverInfo";

#[tokio::test]
async fn every_handshake_version_is_echoed_and_only_tools_are_declared() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let answer = Client::silent().ask(&initialize(version, json!({}))).await;
        let result = json!({
            "protocolVersion": version, "capabilities": {"tools": {}},
            "serverInfo": {"name": "test", "version": "1"}, "instructions": "Try it."});
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 0, "result": result}));
    }
}

#[tokio::test]
async fn an_unknown_or_stateless_version_in_initialize_gets_the_newest_handshake_version() {
    for version in ["1999-01-01", "2026-07-28", "2999-01-01"] {
        let answer = Client::silent().ask(&initialize(version, json!({}))).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "asked for {version}");
    }
}

#[tokio::test]
async fn a_probe_for_the_stateless_era_and_initialize_are_both_answered_on_one_pipe() {
    let mut client = Client::silent();
    let probe = json!({"jsonrpc": "2.0", "id": "server-discover-probe-1", "method": "server/discover"});
    client.send(&stateless(probe, json!({}))).await;
    client.send(&initialize("2025-11-25", json!({}))).await;
    let mut answers = [client.receive().await, client.receive().await];
    answers.sort_by_key(|answer| answer["id"].is_number());
    let [discovered, initialized] = answers;
    assert_eq!(
        discovered,
        json!({"jsonrpc": "2.0", "id": "server-discover-probe-1", "result": {
            "resultType": "complete", "supportedVersions": ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"],
            "capabilities": {"tools": {}}, "instructions": "Try it.", "ttlMs": 300_000, "cacheScope": "private",
            "_meta": {INFO: {"name": "test", "version": "1"}}}})
    );
    assert_eq!(initialized["result"]["protocolVersion"], "2025-11-25");
}

#[tokio::test]
async fn a_probe_without_metadata_or_of_an_unknown_version_is_refused_and_initialize_still_works() {
    let mut client = Client::silent();
    let bare = client.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"})).await;
    assert_eq!(bare["error"]["code"], -32602);
    let mut future = stateless(json!({"jsonrpc": "2.0", "id": 2, "method": "server/discover"}), json!({}));
    future["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2999-01-01");
    let unsupported = client.ask(&future).await;
    assert_eq!(unsupported["error"]["code"], -32022);
    assert_eq!(unsupported["error"]["data"]["supported"][4], "2026-07-28");
    assert_eq!(client.ask(&initialize("2025-06-18", json!({}))).await["result"]["protocolVersion"], "2025-06-18");
}

#[tokio::test]
async fn a_request_before_initialize_must_name_its_version() {
    let answer = Client::silent().ask(&call(1, "demo_echo", json!({"text": "x"}))).await;
    assert_eq!(answer["error"]["code"], -32602);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("send `initialize` first, or name in `_meta` of the request: "), "{message}");
}

#[tokio::test]
async fn both_eras_share_one_connection() {
    let mut client = Client::ready().await;
    let old = client.ask(&call(1, "demo_echo", json!({"text": "x"}))).await;
    let new = client.ask(&stateless(call(2, "demo_echo", json!({"text": "x"})), json!({}))).await;
    let content = json!([{"type": "text", "text": "x\n[complete=true]"}]);
    assert_eq!(old, json!({"jsonrpc": "2.0", "id": 1, "result": {"content": content, "isError": false}}));
    let meta = json!({INFO: {"name": "test", "version": "1"}});
    let result = json!({"resultType": "complete", "content": content, "isError": false, "_meta": meta});
    assert_eq!(new, json!({"jsonrpc": "2.0", "id": 2, "result": result}));
}

#[tokio::test]
async fn ping_belongs_to_the_handshake_era() {
    let mut client = Client::silent();
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(client.ask(&ping).await, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    assert_eq!(client.ask(&stateless(ping, json!({}))).await["error"]["code"], -32601);
}

#[tokio::test]
async fn tools_are_listed_in_order_with_all_hints_and_say_when_they_ask() {
    let mut client = Client::ready().await;
    let answer = client.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await;
    assert_eq!(answer["result"].as_object().map(|result| result.keys().cloned().collect()), Some(vec!["tools".to_owned()]));
    let tools = answer["result"]["tools"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    let expected =
        ["echo", "wait", "block", "panic", "steps", "drop", "picture", "table", "huge"].map(|name| format!("demo_{name}")).to_vec();
    assert_eq!(names, expected);
    assert_eq!(
        tools[0],
        json!({
            "name": "demo_echo", "title": "demo_echo", "description": "Parameters of tools that need one text.",
            "inputSchema": {"type": "object", "additionalProperties": false, "required": ["text"],
                "properties": {"text": {"type": "string", "description": "Any text."}}},
            "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false}})
    );
    assert_eq!(tools[5]["annotations"]["readOnlyHint"], false);
    assert_eq!(tools[5]["annotations"]["destructiveHint"], true);
    assert_eq!(tools[5]["_meta"], json!({"anthropic/maxResultSizeChars": 100, "anthropic/requiresUserInteraction": true}));
}

#[tokio::test]
async fn traps_13_and_14_every_schema_is_a_plain_object_without_references_unions_or_nulls() {
    fn no_traps(value: &Value) -> bool {
        match value {
            Value::Object(object) => {
                ["$schema", "$ref", "$defs", "anyOf", "oneOf", "allOf"].iter().all(|key| !object.contains_key(*key))
                    && object.values().all(no_traps)
            }
            Value::Array(items) => items.iter().all(no_traps),
            other => other != "null",
        }
    }
    for tool in &server(ApprovalFallback::Deny).shared.tools {
        let schema = Value::Object((*tool.input_schema).clone());
        assert_eq!(schema["type"], "object", "{}", tool.name);
        assert!(no_traps(&schema), "{}: {schema}", tool.name);
        assert_eq!(tool.output_schema, None, "{}", tool.name);
    }
}

#[tokio::test]
async fn a_listing_of_the_stateless_era_says_how_long_and_for_whom_it_holds() {
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let mut answer = Client::silent().ask(&stateless(list, json!({}))).await;
    let tools = answer["result"]["tools"].take();
    assert_eq!(tools.as_array().map(Vec::len), Some(9));
    let meta = json!({INFO: {"name": "test", "version": "1"}});
    assert_eq!(
        answer["result"],
        json!({"resultType": "complete", "tools": null, "ttlMs": 300_000, "cacheScope": "private", "_meta": meta})
    );
}

#[tokio::test]
async fn a_cursor_nobody_gave_is_refused() {
    let mut client = Client::ready().await;
    let answer = client.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": "x"}})).await;
    assert_eq!(answer["error"]["code"], -32602);
}

struct Extra(&'static str);

impl Extension for Extra {
    fn capabilities(&self, mut declared: ServerCapabilities) -> ServerCapabilities {
        declared.prompts = Some(Default::default());
        declared
    }

    fn danger_unguarded_tools(&self) -> Vec<Tool> {
        vec![Tool::new(self.0, "Raw.", serde_json::Map::new())]
    }

    fn danger_call_unguarded(&self, request: CallToolRequestParams, _: RequestContext<RoleServer>) -> Reply<'_, CallToolResponse> {
        Box::pin(async move { Ok(CallToolResult::success(vec![ContentBlock::text(request.name)]).into()) })
    }

    fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Reply<'_, ListPromptsResult> {
        Box::pin(async { Ok(ListPromptsResult::default()) })
    }
}

#[tokio::test]
async fn an_extension_adds_tools_and_methods_and_leaves_the_rest_as_it_was() {
    let dispatcher = server(ApprovalFallback::Deny).dispatcher().clone();
    let builder = Server::builder(dispatcher).extension(Arc::new(Extra("raw_tool"))).expect("the name is free");
    let mut client = Client::of(&builder.build());
    let started = client.ask(&initialize("2025-11-25", json!({}))).await;
    assert_eq!(started["result"]["capabilities"], json!({"prompts": {}, "tools": {}}));
    assert_eq!(client.call("raw_tool", json!({})).await, "raw_tool");
    assert_eq!(client.call("demo_echo", json!({"text": "x"})).await, "x\n[complete=true]");
    let listed = client.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "prompts/list"})).await;
    assert_eq!(listed["result"], json!({"prompts": []}));
    let absent = client.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "resources/list"})).await;
    assert_eq!(absent["error"]["code"], -32601);
}

#[test]
fn an_extension_can_t_take_the_name_of_a_tool_even_of_one_the_policy_hides() {
    let ask = |deny: &[&str]| {
        let deny = deny.iter().map(|rule| (*rule).into()).collect();
        let policy = Policy::compile(&PolicySpec { deny, ..PolicySpec::default() }).map_err(|error| error.problem);
        let dispatcher = Dispatcher::builder(tools::toolset(), Arc::new(policy.expect("the rules compile")));
        Arc::new(dispatcher.build().expect("the tools fit together"))
    };
    for dispatcher in [ask(&[]), ask(&["demo_drop"])] {
        let refused = Server::builder(dispatcher).extension(Arc::new(Extra("demo_drop"))).err();
        assert_eq!(refused, Some(NameTaken("demo_drop".into())));
    }
}

#[tokio::test]
async fn an_initialize_that_fails_unlocks_nothing() {
    let mut client = Client::silent();
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let malformed = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 7}});
    for request in [&malformed, &list] {
        assert_eq!(client.ask(request).await["error"]["code"], -32602, "{request}");
    }
    assert_eq!(client.ask(&initialize("2025-11-25", json!({}))).await["result"]["protocolVersion"], "2025-11-25");
    assert!(client.ask(&list).await["result"]["tools"].is_array());
}
