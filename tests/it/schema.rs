//! The official schemas hold for our tools, and the checker itself can fail.

use serde_json::{Value, json};
use support::{
    client::{Client, LEGACY, MODERN, modern_meta},
    sandbox::Sandbox,
    schemas::{present, tool_schema_problems, violations},
    wire::{Line, To},
};

use crate::serve;

#[test]
fn every_tool_schema_is_valid_2020_12_with_an_object_root() {
    let sandbox = Sandbox::new();
    let listed = Client::modern(serve(&sandbox)).request("tools/list", json!({})).result().clone();
    let tools = listed["tools"].as_array().expect("tools");
    assert!(tools.len() >= 12, "only {} tools", tools.len());
    for tool in tools {
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            if *schema != Value::Null {
                assert_eq!(tool_schema_problems(schema), [""; 0], "{}", tool["name"]);
            }
        }
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{}", tool["name"]);
    }
}

#[test]
fn schemas_stay_within_what_hosts_understand() {
    let sandbox = Sandbox::new();
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    let listed = client.request("tools/list", json!({})).result().clone();
    for tool in listed["tools"].as_array().expect("tools") {
        let schema = tool["inputSchema"].to_string();
        for word in ["$ref", "$defs", "$schema", "\"uint", "\"null\"", "oneOf", "anyOf", "allOf"] {
            assert!(!schema.contains(word), "{}: {word} in {schema}", tool["name"]);
        }
    }
    let size = listed["tools"].to_string().len();
    assert!(size <= 12 * 1024, "the family's tools take {size} bytes");
}

#[test]
fn every_tool_has_a_title_a_short_description_and_all_annotations() {
    let sandbox = Sandbox::new();
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    let listed = client.request("tools/list", json!({})).result().clone();
    for tool in listed["tools"].as_array().expect("tools") {
        let name = tool["name"].as_str().expect("a name");
        let description = tool["description"].as_str().expect("a description");
        assert!((20..=900).contains(&description.len()), "{name}: {} bytes", description.len());
        let title = tool["title"].as_str().or(tool["annotations"]["title"].as_str());
        assert!(title.is_some_and(|title| !title.is_empty()), "{name} has no title");
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{name}: {hint} is not set");
        }
        assert_eq!(tool["annotations"]["openWorldHint"], false, "{name}");
    }
}

fn conversation(lines: &[(To, Value)]) -> Vec<String> {
    let line = |(to, value): &(To, Value)| Line { to: *to, text: value.to_string(), deliberate: false };
    violations(&lines.iter().map(line).collect::<Vec<_>>())
}

fn response(result: Value) -> (To, Value) {
    (To::Client, json!({ "jsonrpc": "2.0", "id": 1, "result": result }))
}

fn modern_request(method: &str) -> (To, Value) {
    let params = json!({ "name": "x", "_meta": modern_meta(MODERN) });
    (To::Server, json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
}

#[test]
fn the_checker_reports_a_result_without_a_required_member() {
    if !present() {
        return;
    }
    let good = json!({ "resultType": "complete", "content": [{ "type": "text", "text": "x" }] });
    assert_eq!(conversation(&[modern_request("tools/call"), response(good)]), [""; 0]);
    for bad in [
        json!({ "content": [{ "type": "text", "text": "x" }] }),
        json!({ "resultType": "complete", "content": [{ "type": "text" }] }),
        json!({ "resultType": "complete", "content": 7 }),
    ] {
        let found = conversation(&[modern_request("tools/call"), response(bad.clone())]);
        assert!(!found.is_empty(), "not reported: {bad}");
    }
}

#[test]
fn the_checker_judges_a_session_by_its_negotiated_version() {
    if !present() {
        return;
    }
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    let chosen = json!({ "jsonrpc": "2.0", "id": 0, "result": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": { "name": "s", "version": "1" } } });
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let start = [(To::Server, hello), (To::Client, chosen), (To::Server, list)];
    let with = |result: Value| {
        let mut lines = start.to_vec();
        lines.push(response(result));
        conversation(&lines)
    };
    let tool = json!({ "name": "t", "inputSchema": { "type": "object" } });
    assert_eq!(with(json!({ "tools": [tool] })), [""; 0]);
    let found = with(json!({ "tools": [{ "name": "t" }] }));
    assert!(found[0].contains("2025-06-18 ListToolsResult"), "{found:?}");
}

#[test]
fn the_checker_reports_lines_that_are_not_json() {
    let line = Line { to: To::Client, text: "hello".to_owned(), deliberate: false };
    assert_eq!(violations(&[line]).len(), 1);
}

#[test]
fn the_checker_reports_unusable_tool_schemas() {
    for bad in [
        json!({ "properties": {} }),
        json!({ "type": "object", "properties": { "a": { "type": "strng" } } }),
        json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/absent" } } }),
    ] {
        assert!(!tool_schema_problems(&bad).is_empty(), "not reported: {bad}");
    }
    assert_eq!(tool_schema_problems(&json!({ "type": "object" })), [""; 0]);
}
