//! The end of a connection.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Client, call};
use crate::End;

/// What the promise of 50 ms may become on a busy machine; the blocked calls take far longer.
const PROMPT: Duration = Duration::from_millis(900);

#[tokio::test]
async fn trap_8_an_end_before_any_message_is_no_failure() {
    assert_eq!(Client::silent().end().await, (End::InputClosed, Vec::new()));
}

#[tokio::test]
async fn trap_8_a_notification_as_first_message_is_harmless() {
    let mut client = Client::silent();
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "probe"}})).await;
    client.send(&json!({"jsonrpc": "2.0", "id": 3, "result": {}})).await;
    client.expect_nothing_else().await;
}

#[tokio::test]
async fn trap_7_the_end_of_the_input_does_not_wait_for_calls() {
    for tool in ["demo_wait", "demo_block"] {
        let mut client = Client::ready().await;
        client.send(&call(1, tool, json!({}))).await;
        client.expect_nothing_else().await;
        let started = Instant::now();
        let (end, _) = client.end().await;
        assert_eq!(end, End::InputClosed);
        assert!(started.elapsed() < PROMPT, "{tool}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn trap_7_calls_that_came_just_before_the_end_are_answered() {
    let mut client = Client::ready().await;
    let batch: String = (0..10).map(|id| format!("{}\n", call(id, "demo_echo", json!({"text": "x"})))).collect();
    // The last line has no newline.
    client.send_raw(batch.trim_end().as_bytes()).await;
    let (end, answers) = client.end().await;
    let answered = answers.iter().filter(|answer| answer["result"]["isError"] == Value::Bool(false)).count();
    assert_eq!((end, answered), (End::InputClosed, 10));
}

/// More than eight megabytes of answers, for more calls than may wait.
fn many_large_calls(count: u32) -> String {
    (0..count).map(|id| format!("{}\n", call(id, "demo_huge", json!({})))).collect()
}

#[tokio::test]
async fn the_end_of_the_input_is_noticed_while_answers_wait_for_a_client_that_reads_nothing() {
    let mut client = Client::ready().await;
    client.send_raw(many_large_calls(600).as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!client.served.is_finished());
    let started = Instant::now();
    drop(client.input.take());
    let end = tokio::time::timeout(Duration::from_secs(1), client.served).await.expect("serving ends").expect("serving does not panic");
    assert_eq!(end.map_err(|error| error.to_string()), Ok(End::InputClosed));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn after_the_end_of_the_input_a_client_that_goes_on_reading_gets_every_answer() {
    let mut client = Client::ready().await;
    client.send_raw(many_large_calls(40).as_bytes()).await;
    drop(client.input.take());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        seen.insert(client.receive().await["id"].as_u64());
    }
    assert_eq!(seen.len(), 40);
}

#[tokio::test]
async fn a_client_that_stops_reading_ends_the_connection() {
    let mut client = Client::ready().await;
    drop(client.output);
    let input = client.input.as_mut().expect("the input is open");
    let sent = tokio::io::AsyncWriteExt::write_all(input, format!("{}\n", call(1, "demo_echo", json!({"text": "x"}))).as_bytes()).await;
    assert_eq!(sent.map_err(|error| error.kind()), Ok(()));
    let end = tokio::time::timeout(super::PATIENCE, client.served).await.expect("serving ends").expect("serving does not panic");
    assert_eq!(end.map_err(|error| error.to_string()), Ok(End::OutputClosed));
}

#[tokio::test]
async fn shutdown_ends_the_connection_while_a_call_is_blocked() {
    let mut client = Client::ready().await;
    client.send(&call(1, "demo_block", json!({}))).await;
    client.expect_nothing_else().await;
    let started = Instant::now();
    client.shutdown.cancel();
    let end = tokio::time::timeout(super::PATIENCE, client.served).await.expect("serving ends").expect("serving does not panic");
    assert_eq!(end.map_err(|error| error.to_string()), Ok(End::Shutdown));
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
}
