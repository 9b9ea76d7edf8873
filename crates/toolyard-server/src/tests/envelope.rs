//! Lines that are no good requests.

use rmcp::model::ClientRequest;
use serde_json::{Value, json};

use super::{Client, call};
use crate::from_mcp::{Incoming, Reader};

#[tokio::test]
async fn trap_9_what_is_no_json_is_ignored_and_the_connection_goes_on() {
    let mut client = Client::ready().await;
    client.send_raw(b"nonsense\n\n\r\n{\"jsonrpc\":\n\xff\xfe{}\n").await;
    client.expect_nothing_else().await;
}

#[tokio::test]
async fn trap_9_a_message_over_16_mib_is_dropped_and_the_next_is_answered() {
    let mut client = Client::ready().await;
    let long = format!("{}\n", call(1, "demo_echo", json!({"text": "x".repeat(16 << 20)})));
    client.send_raw(long.as_bytes()).await;
    client.expect_nothing_else().await;
}

#[tokio::test]
async fn trap_21_json_that_is_no_request_is_an_invalid_request() {
    let mut client = Client::ready().await;
    for (line, id) in [("[]", None), ("{}", None), ("7", None), (r#"{"jsonrpc":"1.0","id":4,"method":"ping"}"#, Some(4))] {
        client.send_raw(format!("{line}\n").as_bytes()).await;
        let mut expected = json!({"jsonrpc": "2.0", "error": {"code": -32600, "message": "not a JSON-RPC request of this protocol"}});
        if let Some(id) = id {
            expected["id"] = json!(id);
        }
        assert_eq!(client.receive().await, expected, "{line}");
    }
    let batch = json!([call(1, "demo_echo", json!({"text": "x"}))]);
    assert_eq!(client.ask(&batch).await["error"]["code"], -32600);
}

#[tokio::test]
async fn trap_10_malformed_parameters_of_a_known_method_are_invalid_parameters() {
    let mut client = Client::ready().await;
    for (method, params, message) in [
        ("tools/call", json!({"arguments": {}}), "malformed parameters of `tools/call`: missing field `name`"),
        (
            "tools/call",
            json!({"name": "demo_echo", "arguments": []}),
            "malformed parameters of `tools/call`: invalid type: sequence, expected a map",
        ),
        ("tools/call", json!({"name": 7}), "malformed parameters of `tools/call`: invalid type: integer `7`, expected a string"),
        ("initialize", json!({}), "malformed parameters of `initialize`"),
        ("resources/read", json!({}), "malformed parameters of `resources/read`"),
    ] {
        let answer = client.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).await;
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": message}}));
    }
}

#[tokio::test]
async fn parameters_that_can_t_be_read_are_answered_with_their_id() {
    let mut client = Client::ready().await;
    for (name, text) in [("nesting", "[".repeat(500) + &"]".repeat(500)), ("half a surrogate", r#""\ud800""#.to_owned())] {
        let line =
            format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"demo_echo","arguments":{{"text":{text}}}}}}}"#);
        client.send_raw(format!("{line}\n").as_bytes()).await;
        let answer = client.receive().await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(5), &json!(-32602)), "{name}: {answer}");
    }
    client.expect_nothing_else().await;
}

#[tokio::test]
async fn methods_that_are_not_declared_are_not_found() {
    let mut client = Client::ready().await;
    for (method, params) in [
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "x"})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "file:///x"})),
        ("resources/subscribe", json!({"uri": "file:///x"})),
        ("resources/unsubscribe", json!({"uri": "file:///x"})),
        ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}})),
        ("logging/setLevel", json!({"level": "info"})),
        ("tasks/get", json!({"taskId": "x"})),
        ("foreign/method", json!({"a": [1]})),
    ] {
        let answer = client.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).await;
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
    }
}

#[tokio::test]
async fn foreign_and_malformed_notifications_are_ignored() {
    let mut client = Client::ready().await;
    for (method, params) in [
        ("notifications/foreign", json!({})),
        ("$/cancelRequest", json!({"id": 1})),
        ("notifications/cancelled", json!({"requestId": {}})),
        ("tools/call", json!({"name": "demo_echo"})),
    ] {
        client.send(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }
    client.expect_nothing_else().await;
}

#[test]
fn a_call_is_read_the_same_whatever_the_order_of_its_members() {
    for line in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1},"_meta":{"progressToken":9}}}"#,
        r#"  {"method":"tools/call","params":{"_meta":{"progressToken":9},"arguments":{"a":1},"name":"t"},"jsonrpc":"2.0","id":1}"#,
        "\u{feff}{\"id\":1,\"params\":{\"arguments\":{\"a\":1},\"name\":\"\\u0074\",\"_meta\":{\"progressToken\":9}},\"method\":\"tools\\/call\",\"jsonrpc\":\"2.0\"}",
    ] {
        let mut reader = Reader::default();
        assert!(reader.read(br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#).is_some());
        let Some(Incoming::Message(message)) = reader.read(line.as_bytes()) else {
            panic!("{line} is no message");
        };
        let Some((ClientRequest::CallToolRequest(request), id)) = message.into_request() else {
            panic!("{line} is no call");
        };
        assert_eq!(serde_json::to_value(id).unwrap_or_default(), json!(1));
        assert_eq!((request.params.name.as_ref(), request.params.arguments.map(Value::Object)), ("t", Some(json!({"a": 1}))));
        let token = request.extensions.get::<rmcp::model::RequestMetaObject>().and_then(|meta| meta.get_progress_token());
        assert_eq!(serde_json::to_value(token).unwrap_or_default(), json!(9));
    }
}
