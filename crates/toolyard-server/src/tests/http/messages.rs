//! Sessions to which messages are posted, of HTTP+SSE.

use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use toolyard_core::{ApprovalFallback, Principal, Toolset};

use crate::{
    MessageSession, MessageStream, PushError,
    tests::{PATIENCE, Recorder, call, initialize, recorded, server, stateless, tools::Watch},
};

struct Client {
    session: MessageSession,
    stream: MessageStream,
}

impl Client {
    fn new() -> Self {
        let (session, stream) = server(ApprovalFallback::Deny).message_session(Principal::named("a"), "r1".into());
        Self { session, stream }
    }

    fn push(&self, message: &Value) -> Result<(), PushError> {
        self.session.push(Bytes::from(message.to_string()))
    }

    async fn receive(&mut self) -> Value {
        let message = timeout(PATIENCE, self.stream.next()).await.expect("the session answers").expect("the stream is open");
        assert!(!message.contains(&b'\n'), "{message:?}");
        serde_json::from_slice(&message).expect("the answer is JSON")
    }

    async fn ask(&mut self, message: &Value) -> Value {
        assert_eq!(self.push(message), Ok(()));
        self.receive().await
    }
}

#[tokio::test]
async fn a_session_negotiates_a_version_of_the_handshake_era_and_answers() {
    let mut client = Client::new();
    assert_eq!(client.session.principal().name(), "a");
    for (asked, given) in [("2024-11-05", "2024-11-05"), ("2026-07-28", "2025-11-25")] {
        assert_eq!(client.ask(&initialize(asked, json!({}))).await["result"]["protocolVersion"], given);
    }
    let spread = serde_json::to_string_pretty(&call(1, "demo_echo", json!({"text": "x"}))).expect("it is JSON");
    assert_eq!(client.session.push(spread.into()), Ok(()));
    assert_eq!(client.receive().await["result"]["content"][0]["text"], "x\n[complete=true]");
    assert!(!client.session.is_busy());
}

#[tokio::test]
async fn the_stateless_era_is_not_served() {
    let mut client = Client::new();
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"});
    for probe in [discover.clone(), stateless(discover, json!({}))] {
        assert_eq!(client.ask(&probe).await["error"]["code"], -32601);
    }
    client.ask(&initialize("2025-06-18", json!({}))).await;
    let foreign = client.ask(&stateless(call(2, "demo_echo", json!({"text": "x"})), json!({}))).await;
    assert_eq!(foreign["error"]["code"], -32600);
}

#[tokio::test]
async fn nothing_runs_before_initialize_and_what_is_no_message_is_refused() {
    let mut client = Client::new();
    assert_eq!(client.ask(&call(1, "demo_echo", json!({"text": "x"}))).await["error"]["code"], -32602);
    for body in ["", "[]", "{}", "nonsense", r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#] {
        assert_eq!(client.session.push(body.into()), Err(PushError::Malformed), "{body}");
    }
}

#[tokio::test]
async fn more_than_may_wait_is_refused_and_leaves_the_session_as_it_was() {
    let mut client = Client::new();
    client.ask(&initialize("2025-06-18", json!({}))).await;
    let mut taken = 0;
    let refused = loop {
        match client.push(&call(taken, "demo_wait", json!({}))) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, PushError::Full);
    assert!((64..=64 * 4).contains(&taken), "{taken} were taken");
    assert!(client.session.is_busy());
}

#[tokio::test]
async fn dropping_the_stream_ends_the_session_and_stops_its_calls() {
    let (watch, mut says) = Watch::new();
    let recorder = Recorder::default();
    let server = recorded(ApprovalFallback::Deny, Toolset::new().with(watch), &recorder);
    let (session, stream) = server.message_session(Principal::named("a"), "r1".into());
    let mut client = Client { session, stream };
    client.ask(&initialize("2025-06-18", json!({}))).await;
    assert_eq!(client.push(&call(1, "demo_watch", json!({}))), Ok(()));
    assert_eq!(says.recv().await, Some("started"));
    let Client { session, stream } = client;
    drop(stream);
    assert_eq!(says.recv().await, Some("stopped"));
    assert_eq!(session.push(call(2, "demo_watch", json!({})).to_string().into()), Err(PushError::Closed));
    assert_eq!(recorder.outcome().await, "cancelled");
    assert_eq!(recorder.requests(), ["a r1/1"]);
}

#[tokio::test]
async fn closing_lets_what_is_ready_out_and_ends_the_stream() {
    let mut client = Client::new();
    client.ask(&initialize("2025-06-18", json!({}))).await;
    assert_eq!(client.push(&call(1, "demo_wait", json!({}))), Ok(()));
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    client.session.close();
    let last = client.receive().await;
    assert_eq!((&last["id"], &last["result"]["isError"]), (&json!(1), &json!(true)));
    assert_eq!(timeout(PATIENCE, client.stream.next()).await.ok(), Some(None));
}

#[tokio::test]
async fn the_user_is_asked_on_the_stream() {
    let mut client = Client::new();
    client.ask(&initialize("2025-06-18", json!({"elicitation": {}}))).await;
    let question = client.ask(&call(1, "demo_drop", json!({"text": "x"}))).await;
    assert_eq!(question["method"], "elicitation/create");
    let accept = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}});
    assert_eq!(client.ask(&accept).await["result"]["content"][0]["text"], "dropped x\n[complete=true]");
}
