//! H1 to H22 for protocol 2026-07-28.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use support::{
    client::{HANDSHAKES, MODERN, modern_meta},
    http::{Request, Response},
    sandbox::Sandbox,
};

use super::{active_calls, open, recorded, with_tokens, within};
use crate::{SLOW_PATTERN, slow_workspace};

/// The code of the one error in a response.
#[track_caller]
fn code(response: &Response) -> (u16, i64) {
    let code = response.json()["error"]["code"].as_i64();
    (response.status(), code.unwrap_or_else(|| panic!("no error: {} {}", response.status(), response.text())))
}

#[test]
fn h1_the_stateless_era_knows_only_post() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    for method in ["GET", "DELETE"] {
        let request = Request::new(method, "/mcp").header("MCP-Protocol-Version", MODERN).header("Accept", "text/event-stream");
        assert_eq!(server.ask(&request).status(), 405, "{method}");
    }
    for method in ["PUT", "PATCH", "TRACE"] {
        let response = server.ask(&Request::new(method, "/mcp"));
        assert_eq!(response.status(), 405, "{method}");
        assert!(response.header("allow").is_some_and(|allowed| allowed.contains("POST")), "{method}");
    }
}

#[test]
fn h3_a_bare_port_is_opened_on_loopback_only() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(crate::SERVER);
    command.args(["serve", "--unauthenticated-loopback", "--http", ":0", "--health", "off", "--metrics", "off"]);
    let server = support::http::HttpServer::spawn(command);
    assert!(server.address().ip().is_loopback(), "{}", server.address());
}

#[test]
fn h4_both_media_types_must_be_accepted_and_one_of_them_comes() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    let mut client = server.modern();
    for accept in ["application/json", "text/event-stream", "text/html", "application/json;q=0, text/event-stream"] {
        let request = client.call_message("fs_read", &json!({ "path": "a.txt" })).replace("Accept", accept);
        assert_eq!(server.ask(&request).status(), 406, "{accept}");
    }
    let request = client.call_message("fs_read", &json!({ "path": "a.txt" })).without("Accept");
    assert_eq!(server.ask(&request).status(), 406, "none");
    let request = client.call_message("fs_read", &json!({ "path": "a.txt" }));
    for accept in ["text/event-stream, application/json", "Application/JSON; charset=utf-8 , TEXT/event-stream;q=0.5"] {
        let response = server.ask(&request.clone().replace("Accept", accept));
        assert_eq!((response.status(), response.header("content-type")), (200, Some("application/json")), "{accept}");
        assert!(response.reply().text().contains("alpha"));
    }
    for (kind, status) in [("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/json; charset=utf-8", 200)] {
        assert_eq!(server.ask(&request.clone().replace("Content-Type", kind)).status(), status, "{kind}");
    }
}

#[test]
fn h5_a_notification_is_accepted_without_a_body_and_a_broken_one_is_refused() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    let accepted = client.notify("notifications/cancelled", json!({ "requestId": 7, "_meta": modern_meta(MODERN) }));
    assert_eq!((accepted.status(), accepted.text()), (202, String::new()));
    let broken = Request::message(&json!({ "jsonrpc": "1.0", "method": "notifications/cancelled" }));
    assert_eq!(code(&server.ask(&broken)), (400, -32600));
}

#[test]
fn h6_headers_that_are_missing_or_say_something_else_than_the_body_are_a_mismatch() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    let mut client = server.modern();
    let request = client.call_message("fs_read", &json!({ "path": "a.txt" }));
    let broken = [
        ("no version", request.clone().without("MCP-Protocol-Version").judged_by(MODERN)),
        ("another version", request.clone().replace("MCP-Protocol-Version", "2025-11-25").judged_by(MODERN)),
        ("no method", request.clone().without("Mcp-Method")),
        ("another method", request.clone().replace("Mcp-Method", "tools/list")),
        ("method in other case", request.clone().replace("Mcp-Method", "Tools/Call")),
        ("no name", request.clone().without("Mcp-Name")),
        ("another name", request.clone().replace("Mcp-Name", "fs_delete")),
        ("name in other case", request.clone().replace("Mcp-Name", "FS_READ")),
        ("broken base64", request.clone().replace("Mcp-Name", "=?base64?%%%?=")),
    ];
    for (what, request) in broken {
        assert_eq!(code(&server.ask(&request)), (400, -32020), "{what}");
    }
    let encoded = format!("=?base64?{}?=", BASE64_STANDARD.encode("fs_read"));
    let response = server.ask(&request.replace("Mcp-Name", &encoded));
    assert!(response.reply().text().contains("alpha"), "an encoded name is decoded");
}

#[test]
fn h7_a_version_that_is_not_spoken_is_answered_with_those_that_are() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    let meta = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2031-01-01" } });
    let request = client.message("tools/list", meta).replace("MCP-Protocol-Version", "2031-01-01").judged_by(MODERN);
    let response = server.ask(&request);
    assert_eq!(code(&response), (400, -32022));
    let data = response.json()["error"]["data"].clone();
    assert_eq!(data["requested"], "2031-01-01");
    let supported = data["supported"].as_array().expect("a list").clone();
    assert!(supported.contains(&json!(MODERN)), "{supported:?}");
}

#[test]
fn h8_a_request_without_its_version_or_capabilities_is_invalid() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    let request = client.message("tools/list", json!({}));
    let mut body: Value = serde_json::from_slice(request.body_bytes()).expect("JSON");
    let meta = body["params"]["_meta"].as_object_mut().expect("an object");
    assert!(meta.remove("io.modelcontextprotocol/clientCapabilities").is_some());
    assert_eq!(code(&server.ask(&request.json(&body))), (400, -32602));
}

#[test]
fn h10_an_unknown_method_is_not_found() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    for method in ["tools/destroy", "resources/list", "ping", "logging/setLevel"] {
        assert_eq!(code(&client.exchange(method, json!({}))), (404, -32601), "{method}");
    }
}

#[test]
fn h11_sessions_and_event_ids_mean_nothing_and_are_never_given() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    let mut client = server.modern();
    let request = client.call_message("fs_read", &json!({ "path": "a.txt" }));
    let response = server.ask(&request.header("Mcp-Session-Id", "no-such-session").header("Last-Event-ID", "17"));
    assert!(response.reply().text().contains("alpha"));
    assert_eq!(response.header("mcp-session-id"), None);
    assert!(response.events().iter().all(|event| event.id.is_none()));
}

#[test]
fn h12_closing_the_stream_cancels_the_call_and_the_work_stops() {
    let sandbox = slow_workspace();
    let mut server = open(&sandbox);
    let mut client = server.modern();
    let call = client.begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }));
    assert!(within(Duration::from_secs(5), || active_calls(&server) == 1), "the search did not start");
    drop(call);
    assert!(within(Duration::from_secs(2), || active_calls(&server) == 0), "the search goes on");
    let finish = recorded(&sandbox, "the end", |record| record["event"] == "finish");
    assert!(["cancelled", "abandoned"].contains(&finish["result"].as_str().unwrap_or_default()), "{finish}");
    let before = server.process().ticks();
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.process().ticks() - before <= 3, "the processor is still busy");
}

#[test]
fn h13_streams_are_not_buffered_and_silent_ones_are_kept_alive() {
    let sandbox = slow_workspace();
    let server = with_tokens(&sandbox, &json!({ "http": { "limits": { "keepAliveSeconds": 1, "earlyHeadersSeconds": 1 } } }));
    let mut stream = server.modern().begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }));
    let head = stream.head();
    assert!(head.status == 200 && head.is_stream(), "{head:?}");
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    for _ in 0..2 {
        assert!(stream.event(Duration::from_secs(3)).is_some_and(|event| event.comment), "no comment on a silent stream");
    }
}

#[test]
fn h13_there_is_nothing_to_listen_for_where_nothing_changes() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    let declared = client.request("server/discover", json!({})).result()["capabilities"].clone();
    assert_ne!(declared["tools"]["listChanged"], true, "{declared}");
    let response = client.exchange("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    assert_eq!(code(&response), (404, -32601));
}

#[test]
fn h14_a_question_to_the_user_is_a_result_and_never_a_request_of_the_server() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    let mut client = server.modern();
    let capable = json!({ "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} } });
    let params = json!({ "name": "fs_delete", "arguments": { "path": "a.txt" }, "_meta": capable });
    let response = client.exchange("tools/call", params);
    let messages = response.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0]["result"]["resultType"], "input_required", "{}", messages[0]);
    assert_eq!(messages[0].get("method"), None);
}

#[test]
fn h15_results_say_their_type_and_lists_how_long_and_by_whom_they_may_be_kept() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    let mut client = server.modern();
    for method in ["tools/list", "server/discover"] {
        let result = client.request(method, json!({})).result().clone();
        assert_eq!(result["resultType"], "complete", "{method}");
        assert_eq!(result["cacheScope"], "private", "{method}");
        assert!(result["ttlMs"].as_u64().is_some_and(|ttl| ttl > 0), "{method}: {result}");
    }
    let call = client.call("fs_read", json!({ "path": "a.txt" }));
    assert_eq!(call.result()["resultType"], "complete");
}

#[test]
fn h16_discovery_names_versions_capabilities_and_the_server() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let result = server.modern().request("server/discover", json!({})).result().clone();
    let versions = result["supportedVersions"].as_array().expect("versions").clone();
    assert!(versions.contains(&json!(MODERN)), "{versions:?}");
    assert!(result["capabilities"]["tools"].is_object(), "{result}");
}

#[test]
fn h17_the_list_of_tools_is_the_same_on_every_connection_and_differs_only_by_role() {
    let sandbox = Sandbox::new();
    let rules = json!({ "policy": { "profile": "locked", "allow": ["read", { "rule": "fs_write", "roles": ["maintainer"] }] } });
    let server = with_tokens(&sandbox, &rules);
    let first = server.modern().exchange("tools/list", json!({})).json()["result"]["tools"].clone();
    for _ in 0..5 {
        assert_eq!(server.modern().exchange("tools/list", json!({})).json()["result"]["tools"], first);
    }
    let (mut alice, mut bob) = (server.modern(), server.modern());
    bob.set_token(Some(super::BOB));
    let (alices, bobs) = (alice.tool_names(), bob.tool_names());
    assert!(!alices.contains(&"fs_write".to_owned()) && bobs.contains(&"fs_write".to_owned()), "{alices:?} {bobs:?}");
    let without: Vec<_> = bobs.into_iter().filter(|name| name != "fs_write").collect();
    assert_eq!(without, alices, "the order is the same");
    let refused = alice.call("fs_write", json!({ "path": "a.txt", "content": "x" })).failure();
    assert!(refused.contains("no rule allows it"), "{refused}");
}

#[test]
fn h19_no_code_is_sent_that_this_revision_does_not_define() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    let mut codes = BTreeSet::new();
    let mut requests = Vec::new();
    for body in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
    ] {
        requests.push(client.message("tools/list", json!({})).body(body));
    }
    for (method, params) in [
        ("tools/call", json!({ "name": "no_such_tool" })),
        ("tools/call", json!({ "name": 7 })),
        ("tools/call", json!({})),
        ("tools/call", json!([])),
        ("resources/read", json!({ "uri": "test://none" })),
        ("prompts/get", json!({ "name": "none" })),
        ("tools/list", json!({ "cursor": "made-up" })),
        ("completion/complete", json!({})),
        ("tasks/get", json!({ "taskId": "none" })),
    ] {
        requests.push(if params.is_object() {
            client.message(method, params)
        } else {
            client.message(method, json!({})).json(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
        });
    }
    for request in requests {
        let response = server.ask(&request);
        let shown = String::from_utf8_lossy(request.body_bytes()).into_owned();
        assert!((400..500).contains(&response.status()) || response.status() == 200, "{shown}: {}", response.status());
        for message in response.messages() {
            codes.extend(message["error"]["code"].as_i64());
        }
    }
    let undefined: Vec<_> = codes
        .iter()
        .filter(|code| ((-32099..=-32020).contains(*code) && !(-32022..=-32020).contains(*code)) || **code == -32002 || **code == -32042)
        .collect();
    assert!(undefined.is_empty(), "{undefined:?} of {codes:?}");
    assert!(codes.contains(&-32700) && codes.contains(&-32600) && codes.contains(&-32602), "{codes:?}");
}

#[test]
fn h20_a_state_is_good_for_one_answer_to_one_call_of_one_caller() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n").with("b.txt", "beta\n");
    let server = with_tokens(&sandbox, &json!({}));
    let capable = json!({ "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} } });
    let ask = |path: &str| json!({ "name": "fs_delete", "arguments": { "path": path }, "_meta": capable });
    let reply = |path: &str, state: &str| {
        let mut params = ask(path);
        params["requestState"] = json!(state);
        params["inputResponses"] = json!({ "approval": { "action": "accept", "content": {} } });
        params
    };
    let (mut alice, mut bob) = (server.modern(), server.modern());
    bob.set_token(Some(super::BOB));
    let asked = alice.request("tools/call", ask("a.txt")).result().clone();
    let state = asked["requestState"].as_str().expect("a state").to_owned();
    let mut tampered = state.clone().into_bytes();
    let middle = tampered.len() / 2;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).expect("text");
    for (what, refused) in [
        ("a changed state", alice.request("tools/call", reply("a.txt", &tampered))),
        ("a made-up state", alice.request("tools/call", reply("a.txt", "AAAA"))),
        ("another call", alice.request("tools/call", reply("b.txt", &state))),
        ("another caller", bob.request("tools/call", reply("a.txt", &state))),
    ] {
        let said = refused.result().clone();
        assert!(said["isError"] == true || said["resultType"] == "input_required", "{what}: {said}");
        assert!(sandbox.workspace().join("a.txt").exists() && sandbox.workspace().join("b.txt").exists(), "{what}");
    }
    assert!(alice.request("tools/call", reply("a.txt", &state)).text().contains("a.txt"));
    assert!(!sandbox.workspace().join("a.txt").exists());
    sandbox.write("a.txt", "again\n");
    let again = alice.request("tools/call", reply("a.txt", &state)).result().clone();
    assert!(sandbox.workspace().join("a.txt").exists(), "a state was used twice: {again}");
}

#[test]
fn h21_schemas_refer_to_nothing_outside_and_deep_bodies_are_refused() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    let listed = client.exchange("tools/list", json!({})).text();
    assert!(!listed.contains("\"$ref\"") && !listed.contains("\"$schema\""), "{listed}");
    for depth in [200, 100_000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"fs_read","arguments":{{"path":{nested}}}}}}}"#);
        let response = server.ask(&client.call_message("fs_read", &json!({})).body(body));
        assert_eq!(response.status(), 400, "{depth}: {}", response.text());
    }
    super::assert_serves(&server);
}

#[test]
fn h22_an_initialize_that_asks_for_the_stateless_version_gets_one_that_has_it() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    let hello = json!({ "protocolVersion": MODERN, "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello });
    let response = client.connection().ask(&Request::message(&message).judged_by(HANDSHAKES[3]));
    // Either an older version is agreed on, or the error names those there are.
    let answer = response.messages().into_iter().next().expect("an answer");
    match answer.get("result") {
        Some(result) => assert!(HANDSHAKES.contains(&result["protocolVersion"].as_str().unwrap_or_default()), "{answer}"),
        None => assert!(answer["error"]["data"]["supported"].is_array(), "{answer}"),
    }
}
