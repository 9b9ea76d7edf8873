//! Everything malformed: the status and the code that the specification names, as JSON-RPC.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use toolyard_core::Principal;

use super::{BOTH, Endpoint, JSON, Reply};
use crate::tests::{call, initialize, stateless};

const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})
}

#[tokio::test]
async fn a_request_without_its_caller_is_a_defect_of_the_transport_and_nobody_s() {
    let reply = Reply::of(Endpoint::new().send(Method::POST, None, &[BOTH, JSON], ping().to_string().into()).await).await;
    assert_eq!(reply.error(), (500, -32603));
}

#[tokio::test]
async fn what_is_no_json_or_no_message_is_a_bad_request() {
    let endpoint = Endpoint::new();
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    let name_twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"demo_echo","name":"demo_drop"}}"#;
    let method_twice = r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#;
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("nonsense", -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        ("{}", -32600),
        ("null", -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (method_twice, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, -32602),
        (name_twice, -32602),
        (deep.as_str(), -32602),
    ] {
        let reply = endpoint.post("a", &[], body.to_owned()).await;
        assert_eq!(reply.error(), (400, code), "{body:.80}");
    }
    let latin =
        endpoint.post("a", &[], Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{\"a\":\"\xFF\"}}")).await;
    assert_eq!(latin.error(), (400, -32700));
    assert_eq!(endpoint.recorder.outcomes(), Vec::<String>::new());
}

#[tokio::test]
async fn an_error_names_the_id_of_its_request() {
    let endpoint = Endpoint::new();
    for (body, id) in [
        (r#"{"jsonrpc":"2.0","id":"x\"y","method":"tools/call"}"#, json!("x\"y")),
        (r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, json!(7)),
        ("[]", Value::Null),
    ] {
        let reply = endpoint.post("a", &[], body).await;
        assert_eq!((reply.status, &reply.message()["id"]), (400, &id), "{body}");
    }
}

#[tokio::test]
async fn broken_escapes_in_arguments_are_bad_parameters() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"demo_echo","arguments":{"text":"\ud800"}}}"#;
    assert_eq!(Endpoint::new().post("a", &[], body).await.error(), (400, -32602));
}

#[tokio::test]
async fn h4_both_media_types_are_accepted_and_json_is_sent() {
    let endpoint = Endpoint::new();
    let body = || Bytes::from(ping().to_string());
    let caller = || Some(Principal::named("a"));
    for (accept, status) in
        [("application/json", 406), ("text/event-stream", 406), ("*/*", 406), ("text/event-stream;q=0.5 , Application/JSON; q=1", 400)]
    {
        let reply = Reply::of(endpoint.send(Method::POST, caller(), &[("accept", accept), JSON], body()).await).await;
        assert_eq!(reply.error(), (status, -32600), "{accept}");
    }
    for (sent, status) in [("text/plain", 415), ("application/jsonp", 415), ("application/json; charset=utf-8", 400)] {
        let reply = Reply::of(endpoint.send(Method::POST, caller(), &[BOTH, ("content-type", sent)], body()).await).await;
        assert_eq!(reply.error(), (status, -32600), "{sent}");
    }
    let nothing = Reply::of(endpoint.send(Method::POST, caller(), &[BOTH], body()).await).await;
    assert_eq!(nothing.error(), (415, -32600));
}

#[tokio::test]
async fn h1_other_methods_say_which_are_allowed() {
    let endpoint = Endpoint::new();
    for method in [Method::PUT, Method::PATCH, Method::OPTIONS, Method::HEAD] {
        let reply = Reply::of(endpoint.open(method, "a", &[], "").await).await;
        assert_eq!((reply.error().0, reply.header("allow")), (405, "GET, POST, DELETE"));
    }
    for method in [Method::GET, Method::DELETE] {
        let reply = Reply::of(endpoint.open(method, "a", &[VERSION], "").await).await;
        assert_eq!((reply.error().0, reply.header("allow")), (405, "POST"));
    }
}

#[tokio::test]
async fn h6_headers_that_contradict_the_body_or_are_missing_are_refused() {
    let endpoint = Endpoint::new();
    let body = stateless(call(1, "demo_echo", json!({"text": "x"})), json!({})).to_string();
    let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "demo_echo"));
    for headers in [
        vec![method, name],
        vec![VERSION, name],
        vec![VERSION, method],
        vec![VERSION, method, ("mcp-name", "demo_drop")],
        vec![VERSION, ("mcp-method", "tools/list"), name],
        vec![("mcp-protocol-version", "2025-11-25"), method, name],
    ] {
        let reply = endpoint.post("a", &headers, body.clone()).await;
        assert_eq!(reply.error(), (400, -32020), "{headers:?}");
    }
    assert_eq!(endpoint.recorder.outcomes(), Vec::<String>::new());
    assert_eq!(endpoint.post("a", &[VERSION, method, name], body).await.status, 200);
}

#[tokio::test]
async fn h7_an_unknown_version_is_answered_with_the_known_ones() {
    let endpoint = Endpoint::new();
    let unknown = ("mcp-protocol-version", "2999-01-01");
    let mut stated = stateless(call(1, "demo_echo", json!({"text": "x"})), json!({}));
    stated["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2999-01-01");
    let headers = [unknown, ("mcp-method", "tools/call"), ("mcp-name", "demo_echo")];
    let in_both = endpoint.post("a", &headers, stated.to_string()).await;
    let in_header = endpoint.post("a", &[unknown], ping().to_string()).await;
    let on_get = Reply::of(endpoint.open(Method::GET, "a", &[unknown], "").await).await;
    let on_delete = Reply::of(endpoint.open(Method::DELETE, "a", &[unknown], "").await).await;
    for reply in [in_both, in_header, on_get, on_delete] {
        assert_eq!(reply.error(), (400, -32022));
        let data = &reply.message()["error"]["data"];
        assert_eq!((&data["supported"][4], &data["requested"]), (&json!("2026-07-28"), &json!("2999-01-01")));
    }
}

#[tokio::test]
async fn h8_a_request_that_lacks_its_metadata_is_refused() {
    let endpoint = Endpoint::new();
    let headers = [VERSION, ("mcp-method", "tools/list")];
    let bare = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let mut half = stateless(bare.clone(), json!({}));
    half["params"]["_meta"].as_object_mut().expect("an object").remove("io.modelcontextprotocol/clientCapabilities");
    for body in [bare, half] {
        assert_eq!(endpoint.post("a", &headers, body.to_string()).await.error(), (400, -32602), "{body}");
    }
}

#[tokio::test]
async fn h10_unknown_methods_are_not_found() {
    let endpoint = Endpoint::new();
    for method in ["made/up", "ping", "subscriptions/listen", "resources/list", "prompts/get", "logging/setLevel"] {
        let request = stateless(
            json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"notifications": {}, "level": "info", "name": "x"}}),
            json!({}),
        );
        assert_eq!(endpoint.ask("a", &request).await.error(), (404, -32601), "{method}");
    }
}

#[tokio::test]
async fn a_cursor_nobody_gave_is_refused() {
    let endpoint = Endpoint::new();
    for cursor in [json!("x"), json!(7), json!({})] {
        let request = stateless(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": cursor}}), json!({}));
        assert_eq!(endpoint.ask("a", &request).await.error().1, -32602, "{cursor}");
    }
}

#[tokio::test]
async fn malformed_parameters_of_a_known_method_are_no_unknown_method() {
    let endpoint = Endpoint::new();
    let request =
        stateless(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "demo_echo", "arguments": [1]}}), json!({}));
    assert_eq!(endpoint.ask("a", &request).await.message()["error"]["code"], -32602);
}

#[tokio::test]
async fn a_failed_initialize_opens_no_session() {
    let endpoint = Endpoint::new();
    let malformed = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 7}});
    let reply = endpoint.post("a", &[], malformed.to_string()).await;
    assert_eq!(reply.error().0, 400);
    let contradicting =
        endpoint.post("a", &[("mcp-protocol-version", "2025-06-18")], initialize("2025-11-25", json!({})).to_string()).await;
    assert_eq!(contradicting.error(), (400, -32600));
    assert_eq!(endpoint.service.sessions(), 0);
}

#[tokio::test]
async fn a_request_of_the_handshake_era_without_a_session_is_told_to_begin_one() {
    let endpoint = Endpoint::new();
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let get = Reply::of(endpoint.open(Method::GET, "a", &[], "").await).await;
    let delete = Reply::of(endpoint.open(Method::DELETE, "a", &[], "").await).await;
    for reply in [endpoint.post("a", &[], list).await, get, delete] {
        assert_eq!(reply.error(), (400, -32600));
        let message = reply.message()["error"]["message"].to_string();
        assert!(message.contains("Mcp-Session-Id"), "{message}");
    }
}
