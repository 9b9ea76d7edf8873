//! What the conformance suite takes on trust: any text is the right one for it, and so is any
//! answer to a wrong one. The same fixtures, looked at closely.

use serde_json::{Value, json};
use support::{
    client::{LEGACY, MODERN},
    http::{HttpServer, Response},
    reply::joined,
    sandbox::Sandbox,
};

use crate::conformance::fixtures_over_http;

/// The server needs nothing of a sandbox but a clean environment to start in.
fn fixtures() -> HttpServer {
    fixtures_over_http(&Sandbox::new())
}

/// A call of the stateless era by a client that can do everything.
fn call(server: &HttpServer, tool: &str, beside: &Value) -> Response {
    let mut params = json!({ "name": tool, "arguments": {}, "_meta": { "io.modelcontextprotocol/clientCapabilities":
        { "elicitation": {}, "sampling": {}, "roots": {} } } });
    for (name, value) in beside.as_object().into_iter().flatten() {
        params[name] = value.clone();
    }
    server.modern().exchange("tools/call", params)
}

fn result(server: &HttpServer, tool: &str, beside: &Value) -> Value {
    call(server, tool, beside).reply().result().clone()
}

fn filled_in(field: &str, value: impl Into<Value>) -> Value {
    json!({ "action": "accept", "content": { field: value.into() } })
}

#[test]
fn the_fixtures_say_the_same_in_both_eras_and_over_sse() {
    let server = fixtures();
    let answers = [
        ["test_simple_text", "test_error_handling"].map(|tool| server.modern().call(tool, json!({})).result().clone()),
        ["test_simple_text", "test_error_handling"].map(|tool| server.legacy(LEGACY).call(tool, json!({})).result().clone()),
        ["test_simple_text", "test_error_handling"].map(|tool| server.sse(LEGACY).call(tool, json!({})).result().clone()),
    ];
    for [simple, error] in answers {
        assert!(joined(&simple).starts_with("This is a simple text response for testing."), "{simple}");
        assert_ne!(simple["isError"], true);
        assert!(joined(&error).contains("This tool intentionally returns an error for testing"), "{error}");
        assert_eq!(error["isError"], true);
    }
}

#[test]
fn an_unknown_tool_is_a_protocol_error_and_no_text() {
    let server = fixtures();
    let text = server.modern().call("test_absent", json!({})).error(-32602);
    assert!(text.contains("test_absent"), "{text}");
    let text = server.legacy(LEGACY).call("test_absent", json!({})).error(-32602);
    assert!(text.contains("test_absent"), "{text}");
}

#[test]
fn a_tool_that_asks_is_answered_in_the_second_round() {
    let server = fixtures();
    let tool = "test_input_required_result_elicitation";
    let asked = result(&server, tool, &json!({}));
    assert_eq!(asked["resultType"], "input_required");
    assert_eq!(asked["inputRequests"]["user_name"]["params"]["message"], "What is your name?");
    let replies = json!({ "inputResponses": { "user_name": filled_in("name", "Ada"), "unasked": 1 } });
    let answered = result(&server, tool, &replies);
    assert_eq!((&answered["resultType"], joined(&answered).as_str()), (&json!("complete"), "Hello, Ada!"));
}

#[test]
fn a_reply_under_another_name_is_asked_for_again_and_one_of_another_shape_is_an_error() {
    let server = fixtures();
    let tool = "test_input_required_result_elicitation";
    let again = result(&server, tool, &json!({ "inputResponses": { "other": filled_in("name", "Ada") } }));
    assert_eq!(again["resultType"], "input_required");
    assert_eq!(again["inputRequests"]["user_name"]["method"], "elicitation/create");
    for reply in [json!(12345), json!("Ada"), json!({ "action": "accept" }), json!({ "action": "decline" })] {
        let response = call(&server, tool, &json!({ "inputResponses": { "user_name": reply } }));
        let text = response.reply().error(-32602);
        assert!(!text.is_empty(), "{reply}");
    }
}

#[test]
fn a_state_is_good_for_its_own_tool_and_only_unchanged() {
    let server = fixtures();
    let (tool, other) = ("test_input_required_result_request_state", "test_input_required_result_tampered_state");
    let asked = result(&server, tool, &json!({}));
    let state = asked["requestState"].as_str().expect("a state");
    let with = |state: &str| json!({ "inputResponses": { "confirm": filled_in("ok", true) }, "requestState": state });
    assert!(joined(&result(&server, tool, &with(state))).contains("state-ok"));
    for (tool, state) in [(tool, format!("{state}-TAMPERED")), (other, state.to_owned()), (tool, String::new())] {
        let text = call(&server, tool, &with(&state)).reply().error(-32602);
        assert!(text.contains("requestState"), "{text}");
    }
}

#[test]
fn rounds_follow_each_other_and_remember_what_was_said() {
    let server = fixtures();
    let tool = "test_input_required_result_multi_round";
    let first = result(&server, tool, &json!({}));
    let second =
        result(&server, tool, &json!({ "inputResponses": { "step1": filled_in("name", "Ada") }, "requestState": first["requestState"] }));
    assert_eq!(second["resultType"], "input_required");
    let third = result(
        &server,
        tool,
        &json!({ "inputResponses": { "step2": filled_in("color", "blue") }, "requestState": second["requestState"] }),
    );
    assert_eq!(joined(&third), "Ada likes blue");
}

#[test]
fn only_what_the_client_can_do_is_asked_of_it() {
    let server = fixtures();
    let params = |capabilities: Value| {
        json!({ "name": "test_input_required_result_capabilities", "arguments": {},
            "_meta": { "io.modelcontextprotocol/clientCapabilities": capabilities } })
    };
    let asked = server.modern().request("tools/call", params(json!({ "sampling": {} }))).result().clone();
    let methods: Vec<_> = asked["inputRequests"].as_object().expect("questions").values().map(|question| &question["method"]).collect();
    assert_eq!(methods, ["sampling/createMessage"]);
    let refused = server.modern().exchange("tools/call", json!({ "name": "test_missing_capability", "arguments": {} }));
    assert_eq!(refused.status(), 400);
    let reply = refused.reply();
    assert!(!reply.error(-32021).is_empty());
    assert_eq!(reply.error_data()["requiredCapabilities"], json!({ "sampling": {} }));
}

#[test]
fn a_change_reaches_exactly_those_who_listen_for_it() {
    let server = fixtures();
    let listen = |filter: &str| {
        let mut stream = server.modern().begin("subscriptions/listen", json!({ "notifications": { filter: true } }));
        assert_eq!(stream.head().status, 200);
        assert_eq!(stream.message()["method"], "notifications/subscriptions/acknowledged");
        stream
    };
    let (mut tools, mut prompts) = (listen("toolsListChanged"), listen("promptsListChanged"));
    for tool in ["test_trigger_tool_change", "test_trigger_prompt_change"] {
        assert_ne!(server.modern().call(tool, json!({})).result()["isError"], true);
    }
    assert_eq!(tools.message()["method"], "notifications/tools/list_changed");
    // The change of the tools came first, so it would have been here first.
    assert_eq!(prompts.message()["method"], "notifications/prompts/list_changed");
}

#[test]
fn the_newest_version_is_offered_beside_those_with_a_handshake() {
    let server = fixtures();
    let found = server.modern().request("server/discover", json!({})).result().clone();
    let versions = found["supportedVersions"].as_array().expect("versions");
    assert!(versions.contains(&json!(MODERN)), "{found}");
}
