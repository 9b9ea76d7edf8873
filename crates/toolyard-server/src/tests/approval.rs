//! Calls that need the user's approval, in both eras.

use serde_json::{Value, json};
use toolyard_core::ApprovalFallback;

use super::{Client, Recorder, call, cancelled, recorded, server, stateless, tools};

const DROPPED: &str = "dropped x\n[complete=true]";

fn forms() -> Value {
    json!({"elicitation": {}})
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_default()
}

/// Calls in the handshake era, replies `result` to the question and gives back question and answer.
async fn ask_and_reply(reply: Value) -> (Value, Value) {
    let mut client = Client::initialized(&server(ApprovalFallback::Deny), forms()).await;
    let mut question = client.ask(&call(1, "demo_drop", json!({"text": "x"}))).await;
    let mut message = json!({"jsonrpc": "2.0", "id": question["id"].take()});
    message.as_object_mut().expect("an object").extend(reply.as_object().cloned().unwrap_or_default());
    (question, client.ask(&message).await)
}

#[tokio::test]
async fn the_user_is_asked_by_a_form_without_fields_and_accepting_runs_the_call() {
    let (question, answer) = ask_and_reply(json!({"result": {"action": "accept", "content": {}}})).await;
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["mode"], "form");
    assert_eq!(question["params"]["requestedSchema"], json!({"type": "object", "properties": {}}));
    let message = question["params"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("Allow demo_drop? "), "{message}");
    assert_eq!(text(&answer), DROPPED);
}

#[tokio::test]
async fn declining_and_nonsense_deny_the_call() {
    for reply in [
        json!({"result": {"action": "decline"}}),
        json!({"result": {"action": "perhaps"}}),
        json!({"result": {}}),
        json!({"error": {"code": -32603, "message": "the window was closed"}}),
    ] {
        let (_, answer) = ask_and_reply(reply.clone()).await;
        assert_eq!(answer["result"]["isError"], true, "{reply}");
        assert!(text(&answer).starts_with("denied: "), "{reply}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_can_t_ask_leaves_it_to_the_fallback() {
    for (fallback, expected) in [(ApprovalFallback::Host, DROPPED), (ApprovalFallback::Deny, "denied: ")] {
        for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
            let mut client = Client::initialized(&server(fallback), capabilities.clone()).await;
            let text = client.call("demo_drop", json!({"text": "x"})).await;
            assert!(text.starts_with(expected), "{fallback:?}: {text}");
            let request = stateless(call(2, "demo_drop", json!({"text": "x"})), capabilities);
            let answer = client.ask(&request).await;
            assert!(self::text(&answer).starts_with(expected), "{fallback:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_know_the_question_leaves_it_to_the_fallback() {
    let mut client = Client::initialized(&server(ApprovalFallback::Host), forms()).await;
    let question = client.ask(&call(1, "demo_drop", json!({"text": "x"}))).await;
    let error = json!({"code": -32601, "message": "unknown"});
    let answer = client.ask(&json!({"jsonrpc": "2.0", "id": question["id"], "error": error})).await;
    assert_eq!(text(&answer), DROPPED);
}

#[tokio::test]
async fn a_question_that_is_open_when_the_input_ends_denies_the_call_at_once() {
    let mut client = Client::initialized(&server(ApprovalFallback::Host), forms()).await;
    let question = client.ask(&call(1, "demo_drop", json!({"text": "x"}))).await;
    assert_eq!(question["method"], "elicitation/create");
    let (_, rest) = client.end().await;
    assert!(rest.iter().all(|message| text(message) != DROPPED), "{rest:?}");
}

#[tokio::test]
async fn a_question_is_withdrawn_when_its_call_is_cancelled_and_a_late_answer_runs_nothing() {
    let recorder = Recorder::default();
    let server = recorded(ApprovalFallback::Host, tools::toolset(), &recorder);
    let mut client = Client::initialized(&server, forms()).await;
    let question = client.ask(&call(7, "demo_drop", json!({"text": "x"}))).await;
    assert_eq!(question["method"], "elicitation/create");
    let withdrawn = client.ask(&cancelled(&json!(7))).await;
    assert_eq!((&withdrawn["method"], &withdrawn["params"]["requestId"]), (&json!("notifications/cancelled"), &question["id"]));
    client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}})).await;
    client.expect_nothing_else().await;
    assert_eq!(client.end().await.1, Vec::<Value>::new());
    assert_eq!(recorder.outcomes(), ["cancelled cancelled"]);
}

#[tokio::test]
async fn an_answer_in_the_same_breath_as_the_cancellation_runs_nothing() {
    let recorder = Recorder::default();
    let server = recorded(ApprovalFallback::Host, tools::toolset(), &recorder);
    let mut client = Client::initialized(&server, forms()).await;
    let question = client.ask(&call(7, "demo_drop", json!({"text": "x"}))).await;
    let accepted = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}});
    client.send_raw(format!("{}\n{accepted}\n", cancelled(&json!(7))).as_bytes()).await;
    assert_eq!(recorder.outcome().await, "cancelled cancelled");
}

#[tokio::test]
async fn closing_the_question_is_told_apart_from_declining_it() {
    for (action, outcome) in [("cancel", "cancelled cancelled"), ("decline", "denied declined")] {
        let recorder = Recorder::default();
        let server = recorded(ApprovalFallback::Host, tools::toolset(), &recorder);
        let mut client = Client::initialized(&server, forms()).await;
        let question = client.ask(&call(1, "demo_drop", json!({"text": "x"}))).await;
        client.ask(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": action}})).await;
        let pending = client.ask(&first_round("x")).await;
        client.ask(&second_round("x", &pending["result"]["requestState"], action)).await;
        assert_eq!(recorder.outcomes(), [outcome, "pending", outcome]);
    }
}

fn first_round(argument: &str) -> Value {
    stateless(call(1, "demo_drop", json!({"text": argument})), forms())
}

fn second_round(argument: &str, state: &Value, action: &str) -> Value {
    let mut request = first_round(argument);
    request["params"]["requestState"] = state.clone();
    request["params"]["inputResponses"] = json!({"approval": {"action": action, "content": {}}});
    request
}

async fn asked() -> (Client, Value) {
    let mut client = Client::silent();
    let answer = client.ask(&first_round("x")).await;
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required");
    let question = &result["inputRequests"]["approval"];
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["requestedSchema"], json!({"type": "object", "properties": {}}));
    let state = result["requestState"].clone();
    assert!(state.is_string(), "{answer}");
    (client, state)
}

#[tokio::test]
async fn the_second_round_runs_the_approved_call_once() {
    let (mut client, state) = asked().await;
    assert_eq!(text(&client.ask(&second_round("x", &state, "accept")).await), DROPPED);
    let replayed = client.ask(&second_round("x", &state, "accept")).await;
    assert!(text(&replayed).starts_with("denied: "), "{replayed}");
}

#[tokio::test]
async fn a_declined_state_can_t_be_accepted_afterwards() {
    let (mut client, state) = asked().await;
    for action in ["decline", "accept"] {
        let answer = client.ask(&second_round("x", &state, action)).await;
        assert!(text(&answer).starts_with("denied: "), "{action}: {answer}");
    }
}

#[tokio::test]
async fn approval_holds_for_exactly_the_call_that_was_shown() {
    let (mut client, state) = asked().await;
    let other = client.ask(&second_round("y", &state, "accept")).await;
    assert!(text(&other).starts_with("denied: "), "{other}");
    assert_eq!(text(&client.ask(&second_round("x", &state, "accept")).await), DROPPED);
}

#[tokio::test]
async fn a_state_that_was_changed_or_made_elsewhere_denies_the_call() {
    let (mut client, state) = asked().await;
    let (_, foreign) = asked().await;
    let mut changed = state.as_str().unwrap_or_default().to_owned();
    let last = changed.pop();
    changed.push(if last == Some('A') { 'B' } else { 'A' });
    for forged in [json!(changed), foreign, json!(""), json!("x")] {
        let answer = client.ask(&second_round("x", &forged, "accept")).await;
        assert!(text(&answer).starts_with("denied: "), "{forged}: {answer}");
    }
}

#[tokio::test]
async fn a_second_round_without_the_answer_asks_again() {
    let (mut client, state) = asked().await;
    let mut request = second_round("x", &state, "accept");
    request["params"]["inputResponses"] = json!({"other": {"action": "accept"}});
    let again = client.ask(&request).await;
    assert_eq!(again["result"]["resultType"], "input_required");
    let fresh = again["result"]["requestState"].clone();
    assert_ne!(fresh, state);
    assert_eq!(text(&client.ask(&second_round("x", &fresh, "accept")).await), DROPPED);
}
