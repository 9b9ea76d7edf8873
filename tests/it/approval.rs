//! A tool that destroys asks the user first: through the client where it can show a question,
//! through the host's own prompt where it can't.

use serde_json::{Value, json};
use support::{
    client::{Client, LEGACY},
    reply::Reply,
    sandbox::Sandbox,
};

use crate::serve;

fn workspace() -> Sandbox {
    Sandbox::new().with("old.txt", "x").with("new.txt", "x")
}

fn can_ask() -> Value {
    json!({ "elicitation": { "form": {} } })
}

fn delete(path: &str) -> Value {
    json!({ "name": "fs_delete", "arguments": { "path": path } })
}

fn is_there(sandbox: &Sandbox, path: &str) -> bool {
    sandbox.workspace().join(path).exists()
}

#[test]
fn without_a_way_to_ask_the_hosts_own_prompt_is_the_consent() {
    let sandbox = workspace();
    let mut client = Client::legacy(serve(&sandbox), LEGACY);
    let text = client.call("fs_delete", json!({ "path": "old.txt" })).text();
    assert!(text.contains("old.txt"), "{text}");
    assert!(!is_there(&sandbox, "old.txt"));
}

#[test]
fn with_a_handshake_the_server_asks_and_does_what_the_user_says() {
    let sandbox = workspace();
    let mut client = Client::silent(serve(&sandbox));
    client.initialize_with(LEGACY, &can_ask());
    for (path, action, goes) in [("old.txt", "accept", true), ("new.txt", "decline", false), ("new.txt", "cancel", false)] {
        let id = client.begin("tools/call", delete(path));
        let question = client.server_request("elicitation/create");
        let message = question["params"]["message"].as_str().expect("a question");
        assert!(message.contains("fs_delete") && message.contains(path), "{message}");
        assert!(is_there(&sandbox, path), "deleted before the answer");
        let mut answer = json!({ "action": action });
        if goes {
            answer["content"] = json!({});
        }
        client.respond(&question, &answer);
        let reply = client.reply(id);
        assert_eq!(reply.result()["isError"] == true, !goes, "{action}: {reply:?}");
        assert_eq!(is_there(&sandbox, path), !goes, "{action}");
    }
}

/// A modern call that may carry the answer to an earlier question.
fn modern_call(client: &mut Client, path: &str, answer: Option<(&Value, &str)>) -> Reply {
    let mut params = delete(path);
    params["_meta"] = json!({ "io.modelcontextprotocol/clientCapabilities": can_ask() });
    if let Some((question, action)) = answer {
        let requests = question["inputRequests"].as_object().expect("a question");
        params["requestState"] = question["requestState"].clone();
        params["inputResponses"] = requests.keys().map(|key| (key.clone(), json!({ "action": action }))).collect();
    }
    client.request("tools/call", params)
}

#[test]
fn without_sessions_the_question_comes_back_with_a_sealed_state_that_counts_once() {
    let sandbox = workspace();
    let mut client = Client::modern(serve(&sandbox));
    let question = modern_call(&mut client, "old.txt", None).result().clone();
    assert_eq!(question["resultType"], "input_required");
    assert!(is_there(&sandbox, "old.txt"), "deleted before the answer");

    let other = modern_call(&mut client, "new.txt", Some((&question, "accept"))).failure();
    assert!(is_there(&sandbox, "new.txt"), "a consent was used for another call: {other}");

    let text = modern_call(&mut client, "old.txt", Some((&question, "accept"))).text();
    assert!(!is_there(&sandbox, "old.txt"), "{text}");

    sandbox.write("old.txt", "made again");
    let again = modern_call(&mut client, "old.txt", Some((&question, "accept"))).failure();
    assert!(is_there(&sandbox, "old.txt"), "a consent was used twice: {again}");
}

#[test]
fn without_sessions_a_declined_or_forged_consent_changes_nothing() {
    let sandbox = workspace();
    let mut client = Client::modern(serve(&sandbox));
    let mut question = modern_call(&mut client, "old.txt", None).result().clone();
    let text = modern_call(&mut client, "old.txt", Some((&question, "decline"))).failure();
    assert!(is_there(&sandbox, "old.txt"), "{text}");
    let state = question["requestState"].as_str().expect("a state").to_owned();
    question["requestState"] = json!(state.chars().rev().collect::<String>());
    let text = modern_call(&mut client, "old.txt", Some((&question, "accept"))).failure();
    assert!(is_there(&sandbox, "old.txt"), "{text}");
}
