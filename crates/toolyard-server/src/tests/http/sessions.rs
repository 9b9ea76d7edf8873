//! Sessions of the handshake era: whose they are, how many there may be, and how long they last.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use toolyard_core::{ApprovalFallback, Toolset};

use super::{Endpoint, Reply, read_until, until};
use crate::{
    HttpOptions, SessionEnd,
    tests::{Recorder, call, cancelled, initialize, recorded, tools::Watch},
};

const ECHO: &str = "x\n[complete=true]";

fn echo(id: u32) -> Value {
    call(id, "demo_echo", json!({"text": "x"}))
}

#[tokio::test]
async fn a_session_answers_its_owner() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    assert_eq!(session.text("demo_echo", json!({"text": "x"})).await, ECHO);
    assert_eq!(endpoint.service.sessions(), 1);
    let reply = session.post(&echo(2)).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!(reply.header("x-accel-buffering"), "no");
    assert_eq!(reply.messages().len(), 1, "{reply:?}");
}

#[tokio::test]
async fn sh2_session_ids_hold_128_random_bits_in_visible_characters() {
    let options = HttpOptions { max_sessions_per_principal: 100, ..HttpOptions::default() };
    let endpoint = Endpoint::with(&options);
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let id = endpoint.session("a").await.id;
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        seen.insert(id);
    }
    assert_eq!(seen.len(), 50);
}

#[tokio::test]
async fn sh1_a_session_of_somebody_else_looks_like_none_and_is_recorded() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    for (id, recorded) in [("0".repeat(32), 0), (session.id.clone(), 1)] {
        let headers = [("mcp-session-id", id.as_str())];
        let mut replies = Vec::new();
        for body in
            [echo(1), json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), json!({"jsonrpc": "2.0", "id": 1, "result": {}})]
        {
            replies.push(endpoint.post("b", &headers, body.to_string()).await);
        }
        for method in [Method::GET, Method::DELETE] {
            replies.push(Reply::of(endpoint.open(method, "b", &headers, "").await).await);
        }
        for reply in &replies {
            assert_eq!(reply.error(), (404, -32001), "{reply:?}");
            assert_eq!(reply.message()["error"]["message"], "session not found; send `initialize` again");
            assert_eq!(reply.head.headers.len(), 1, "{reply:?}");
        }
        let expected = vec!["b r1 foreign_handle session 1".to_owned(); recorded * replies.len()];
        assert_eq!(endpoint.recorder.refusals(), expected);
    }
    assert_eq!(session.text("demo_echo", json!({"text": "x"})).await, ECHO);
    assert_eq!(endpoint.recorder.outcomes(), ["ok"]);
}

#[tokio::test]
async fn an_ended_session_is_not_found() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    let ended = Reply::of(session.open(Method::DELETE, "").await).await;
    assert_eq!((ended.status, ended.text.as_str()), (204, ""));
    assert_eq!(session.post(&echo(1)).await.error(), (404, -32001));
    assert_eq!(Reply::of(session.open(Method::DELETE, "").await).await.error(), (404, -32001));
    assert_eq!(endpoint.service.sessions(), 0);
}

#[tokio::test]
async fn deleting_a_session_stops_its_calls_and_ends_its_streams() {
    let (watch, mut says) = Watch::new();
    let recorder = Recorder::default();
    let server = recorded(ApprovalFallback::Deny, Toolset::new().with(watch), &recorder);
    let endpoint = Endpoint::of(&server, &HttpOptions::default(), recorder);
    let session = endpoint.session("a").await;
    let answer = session.open(Method::POST, &call(1, "demo_watch", json!({})).to_string()).await;
    let listening = session.open(Method::GET, "").await;
    assert_eq!(says.recv().await, Some("started"));
    assert_eq!(Reply::of(session.open(Method::DELETE, "").await).await.status, 204);
    assert_eq!(says.recv().await, Some("stopped"));
    assert_eq!(Reply::of(answer).await.messages(), Vec::<Value>::new());
    assert_eq!(Reply::of(listening).await.messages(), Vec::<Value>::new());
    assert_eq!(endpoint.recorder.outcome().await, "cancelled");
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_nothing_in_a_session() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    drop(session.open(Method::POST, &call(1, "demo_block", json!({})).to_string()).await);
    assert_eq!(endpoint.recorder.outcome().await, "ok");
}

#[tokio::test]
async fn a_cancelled_call_ends_its_stream_without_an_answer() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    let open = session.open(Method::POST, &call(7, "demo_wait", json!({})).to_string()).await;
    assert_eq!(session.post(&cancelled(&json!(7))).await.status, 202);
    assert_eq!(Reply::of(open).await.messages(), Vec::<Value>::new());
    assert_eq!(endpoint.recorder.outcome().await, "cancelled");
}

#[tokio::test]
async fn an_id_that_is_under_way_is_refused() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    let _open = session.open(Method::POST, &call(7, "demo_wait", json!({})).to_string()).await;
    assert_eq!(session.post(&echo(7)).await.error(), (400, -32600));
    assert_eq!(session.text("demo_echo", json!({"text": "x"})).await, ECHO);
}

#[tokio::test]
async fn more_requests_than_may_be_under_way_are_told_to_wait() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    let mut open = Vec::new();
    for id in 0..256 {
        open.push(session.open(Method::POST, &call(id, "demo_wait", json!({})).to_string()).await);
    }
    let refused = session.post(&echo(1000)).await;
    assert_eq!((refused.error(), refused.header("retry-after")), ((429, -32603), "2"));
}

#[tokio::test]
async fn progress_and_questions_leave_on_the_stream_of_their_call() {
    let endpoint = Endpoint::new();
    let session = endpoint.session_with("a", json!({"elicitation": {}})).await;
    let mut steps = call(1, "demo_steps", json!({}));
    steps["params"]["_meta"] = json!({"progressToken": "p"});
    let done: Vec<_> = session.post(&steps).await.messages().iter().map(|message| message["params"]["progress"].clone()).collect();
    assert_eq!(done.iter().filter_map(Value::as_f64).collect::<Vec<_>>(), [1.0, 3.0, 4.0]);
    let mut asking = session.open(Method::POST, &call(2, "demo_drop", json!({"text": "x"})).to_string()).await.into_body();
    let question = read_until(&mut asking, |message| message["method"] == "elicitation/create").await.pop().unwrap_or_default();
    let accept = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}});
    assert_eq!(session.post(&accept).await.status, 202);
    let answer = read_until(&mut asking, |message| message["id"] == 2).await.pop().unwrap_or_default();
    assert_eq!(answer["result"]["content"][0]["text"], "dropped x\n[complete=true]");
}

#[tokio::test]
async fn a_new_session_replaces_the_one_of_the_same_caller_that_was_idle_for_longest() {
    let options = HttpOptions { max_sessions_per_principal: 2, ..HttpOptions::default() };
    let endpoint = Endpoint::with(&options);
    let (first, second, other) = (endpoint.session("a").await, endpoint.session("a").await, endpoint.session("b").await);
    assert_eq!(first.post(&echo(1)).await.status, 200);
    let third = endpoint.session("a").await;
    assert_eq!(second.post(&echo(1)).await.error(), (404, -32001));
    for session in [&first, &third, &other] {
        assert_eq!(session.post(&echo(1)).await.status, 200);
    }
}

#[tokio::test]
async fn busy_sessions_are_not_replaced() {
    let options = HttpOptions { max_sessions_per_principal: 2, max_sessions: 3, ..HttpOptions::default() };
    let endpoint = Endpoint::with(&options);
    let (calling, listening) = (endpoint.session("a").await, endpoint.session("a").await);
    let _calling = calling.open(Method::POST, &call(1, "demo_wait", json!({})).to_string()).await;
    let listening = listening.open(Method::GET, "").await;
    let begin = || initialize("2025-11-25", json!({})).to_string();
    let full = endpoint.post("a", &[], begin()).await;
    assert_eq!((full.error(), full.header("retry-after")), ((429, -32603), "2"));
    let other = endpoint.session("b").await;
    let _other = other.open(Method::POST, &call(1, "demo_wait", json!({})).to_string()).await;
    let full = endpoint.post("c", &[], begin()).await;
    assert_eq!((full.error(), full.header("retry-after")), ((503, -32603), "2"));
    drop(listening);
    assert_eq!(endpoint.post("a", &[], begin()).await.status, 200);
}

#[tokio::test]
async fn callers_with_many_sessions_make_room_for_those_with_fewer() {
    let options = HttpOptions { max_sessions_per_principal: 3, max_sessions: 5, ..HttpOptions::default() };
    let endpoint = Endpoint::with(&options);
    let few = [endpoint.session("b").await, endpoint.session("b").await];
    let many = [endpoint.session("a").await, endpoint.session("a").await, endpoint.session("a").await];
    assert_eq!(many[0].post(&echo(1)).await.status, 200);
    let newcomer = endpoint.session("c").await;
    assert_eq!(many[1].post(&echo(1)).await.error(), (404, -32001));
    for session in [&few[0], &few[1], &many[0], &many[2], &newcomer] {
        assert_eq!(session.post(&echo(1)).await.status, 200);
    }
    // Everybody else has more, but an own session goes first.
    let again = endpoint.session("c").await;
    assert_eq!(newcomer.post(&echo(1)).await.error(), (404, -32001));
    assert_eq!(again.post(&echo(1)).await.status, 200);
    assert_eq!(endpoint.service.sessions(), 5);
}

#[tokio::test]
async fn nobody_s_session_goes_for_an_initialize_that_fails() {
    let options = HttpOptions { max_sessions_per_principal: 1, ..HttpOptions::default() };
    let endpoint = Endpoint::with(&options);
    let session = endpoint.session("a").await;
    let malformed = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 7}});
    assert_eq!(endpoint.post("a", &[], malformed.to_string()).await.status, 400);
    let begin = initialize("2025-11-25", json!({})).to_string();
    assert_eq!(endpoint.post("a", &[("mcp-protocol-version", "2025-06-18")], begin).await.status, 400);
    assert_eq!(session.post(&echo(1)).await.status, 200);
}

#[tokio::test]
async fn idle_sessions_end_and_how_long_each_lasted_is_told() {
    let lasted = Arc::new(Mutex::new(Vec::new()));
    let told: SessionEnd = {
        let lasted = Arc::clone(&lasted);
        Arc::new(move |took| lasted.lock().unwrap_or_else(PoisonError::into_inner).push(took))
    };
    let options = HttpOptions { session_idle: Duration::from_millis(150), on_session_end: Some(told), ..HttpOptions::default() };
    let endpoint = Endpoint::with(&options);
    let (idle, calling, listening) = (endpoint.session("a").await, endpoint.session("a").await, endpoint.session("a").await);
    let _open = calling.open(Method::POST, &call(1, "demo_wait", json!({})).to_string()).await;
    let heard = listening.open(Method::GET, "").await;
    until(|| endpoint.service.sessions() == 2).await;
    assert_eq!(idle.post(&echo(1)).await.error(), (404, -32001));
    // Trap 5: what is under way, silent calls and open streams, is not idle.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(endpoint.service.sessions(), 2);
    drop(heard);
    until(|| endpoint.service.sessions() == 1).await;
    assert_eq!(calling.post(&echo(2)).await.status, 200);
    let lasted = lasted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(lasted.len(), 2);
    assert!(lasted.iter().all(|lasted| *lasted >= Duration::from_millis(150)), "{lasted:?}");
}

#[tokio::test]
async fn listening_streams_are_counted_for_each_caller() {
    let options = HttpOptions { max_streams_per_principal: 2, ..HttpOptions::default() };
    let endpoint = Endpoint::with(&options);
    let (a, b) = (endpoint.session("a").await, endpoint.session("b").await);
    let (first, _second) = (a.open(Method::GET, "").await, a.open(Method::GET, "").await);
    let third = Reply::of(a.open(Method::GET, "").await).await;
    assert_eq!((third.error(), third.header("retry-after")), ((429, -32603), "2"));
    let _other = b.open(Method::GET, "").await;
    assert_eq!(endpoint.service.streams(), 3);
    drop(first);
    assert_eq!(endpoint.service.streams(), 2);
    assert_eq!(a.open(Method::GET, "").await.status(), 200);
}

#[tokio::test]
async fn ten_thousand_sessions_leave_nothing_behind() {
    let endpoint = Endpoint::new();
    let begin = initialize("2025-11-25", json!({})).to_string();
    for _ in 0..10_000 {
        drop(endpoint.open(Method::POST, "a", &[], begin.clone()).await);
    }
    assert_eq!(endpoint.service.sessions(), 32);
    assert_eq!(endpoint.session("a").await.text("demo_echo", json!({"text": "x"})).await, ECHO);
}
