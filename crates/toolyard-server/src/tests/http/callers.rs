//! Each request is its caller's own: tools, approvals and what is written down.

use http::Method;
use serde_json::{Value, json};
use toolyard_core::{ApprovalFallback, Principal};
use toolyard_policy::{PolicySpec, RuleSpec};

use super::{BOTH, Endpoint, JSON, Reply};
use crate::{
    HttpOptions,
    tests::{Recorder, call, ruled, stateless, tools},
};

/// Only operators may echo; everyone may do the rest.
fn by_role() -> Endpoint {
    let rule = |rule: &str, roles: &[&str]| RuleSpec {
        rule: rule.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..RuleSpec::default()
    };
    let rules = PolicySpec { deny: vec![rule("demo_echo", &["guest"])], ..PolicySpec::default() };
    let recorder = Recorder::default();
    Endpoint::of(&ruled(ApprovalFallback::Deny, tools::toolset(), &recorder, &rules), &HttpOptions::default(), recorder)
}

async fn ask(endpoint: &Endpoint, caller: Principal, request: Value) -> Value {
    let request = stateless(request, json!({"elicitation": {}}));
    let name = request["params"]["name"].as_str().map(|name| ("mcp-name", name));
    let mut headers =
        vec![BOTH, JSON, ("mcp-protocol-version", "2026-07-28"), ("mcp-method", request["method"].as_str().unwrap_or_default())];
    headers.extend(name);
    Reply::of(endpoint.send(Method::POST, Some(caller), &headers, request.to_string().into()).await).await.message()
}

fn guest() -> Principal {
    Principal::named("b").with_roles(["guest"])
}

#[tokio::test]
async fn the_list_of_tools_depends_on_the_roles_of_its_caller() {
    let endpoint = by_role();
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let names = |answer: &Value| -> Vec<String> {
        answer["result"]["tools"].as_array().into_iter().flatten().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect()
    };
    let all = names(&ask(&endpoint, Principal::named("a"), list.clone()).await);
    let fewer = names(&ask(&endpoint, guest(), list).await);
    assert_eq!((all.len(), all[0].as_str()), (9, "demo_echo"));
    assert_eq!(fewer, all[1..]);
}

#[tokio::test]
async fn a_hidden_tool_that_is_called_anyway_is_denied() {
    let endpoint = by_role();
    let echo = call(1, "demo_echo", json!({"text": "x"}));
    let answer = ask(&endpoint, guest(), echo.clone()).await;
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("denied: "), "{answer}");
    assert_eq!(ask(&endpoint, Principal::named("a"), echo).await["result"]["isError"], false);
    assert_eq!(endpoint.recorder.outcomes(), ["denied", "ok"]);
}

#[tokio::test]
async fn the_trail_names_the_caller_and_the_request_of_the_transport() {
    let endpoint = Endpoint::new();
    let echo = call(7, "demo_echo", json!({"text": "x"}));
    endpoint.ask("a", &stateless(echo.clone(), json!({}))).await;
    endpoint.session("b").await.post(&echo).await;
    assert_eq!(endpoint.recorder.requests(), ["a r1/7", "b r1/7"]);
}

#[tokio::test]
async fn h20_sh4_an_approval_holds_for_the_caller_who_was_asked() {
    let endpoint = Endpoint::new();
    let drop = call(1, "demo_drop", json!({"text": "x"}));
    let state = ask(&endpoint, Principal::named("a"), drop.clone()).await["result"]["requestState"].clone();
    assert!(state.is_string());
    let mut second = drop;
    second["params"]["requestState"] = state;
    second["params"]["inputResponses"] = json!({"approval": {"action": "accept", "content": {}}});
    let text = |answer: Value| answer["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    let foreign = text(ask(&endpoint, Principal::named("b"), second.clone()).await);
    assert!(foreign.starts_with("denied: "), "{foreign}");
    assert_eq!(text(ask(&endpoint, Principal::named("a"), second.clone()).await), "dropped x\n[complete=true]");
    let replayed = text(ask(&endpoint, Principal::named("a"), second).await);
    assert!(replayed.starts_with("denied: "), "{replayed}");
}

#[tokio::test]
async fn the_fallback_of_approvals_can_differ_from_that_of_stdio() {
    let recorder = Recorder::default();
    let server = ruled(ApprovalFallback::Host, tools::toolset(), &recorder, &PolicySpec::default());
    let drop = stateless(call(1, "demo_drop", json!({"text": "x"})), json!({}));
    for (server, expected) in [(server.clone(), "dropped x"), (server.with_approval_fallback(ApprovalFallback::Deny), "denied: ")] {
        let endpoint = Endpoint::of(&server, &HttpOptions::default(), recorder.clone());
        let answer = endpoint.ask("a", &drop).await.message();
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(text.starts_with(expected), "{text}");
    }
}
