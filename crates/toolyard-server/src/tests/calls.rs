//! Calls: results, errors, progress, cancellation, many at once.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use toolyard_core::ApprovalFallback;

use super::{Client, Recorder, call, recorded, stateless, tools};

#[tokio::test]
async fn missing_and_null_arguments_are_no_arguments() {
    let mut client = Client::ready().await;
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "demo_table"}});
    let expected =
        json!({"content": [{"type": "text", "text": "{\"rows\":[1,2]}"}], "structuredContent": {"rows": [1, 2]}, "isError": false});
    assert_eq!(client.ask(&request).await["result"], expected);
    assert_eq!(client.ask(&call(2, "demo_table", Value::Null)).await["result"], expected);
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error_that_names_the_nearest() {
    let mut client = Client::ready().await;
    let answer = client.ask(&call(1, "demo_ecko", json!({}))).await;
    let error = json!({"code": -32602, "message": "unknown tool `demo_ecko`, did you mean `demo_echo`?"});
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1, "error": error}));
}

#[tokio::test]
async fn wrong_arguments_are_a_result_the_model_can_read() {
    let mut client = Client::ready().await;
    let answer = client.ask(&call(1, "demo_echo", json!({"txt": "x"}))).await;
    assert_eq!(answer["result"]["isError"], true);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("invalid input: ") && text.contains("`text`"), "{text}");
}

#[tokio::test]
async fn an_image_never_travels_with_a_structured_form() {
    let mut client = Client::ready().await;
    let answer = client.ask(&call(1, "demo_picture", json!({}))).await;
    let content = json!([{"type": "image", "data": "AQID", "mimeType": "image/png"}, {"type": "text", "text": "{\"size\":3}"}]);
    assert_eq!(answer["result"], json!({"content": content, "isError": false}));
}

#[tokio::test]
async fn trap_1_a_panic_is_an_answer_without_its_payload() {
    let mut client = Client::ready().await;
    let answer = client.ask(&call(1, "demo_panic", json!({}))).await;
    assert_eq!(answer["result"]["isError"], true);
    assert!(!answer.to_string().contains("secret"), "{answer}");
    client.expect_nothing_else().await;
}

#[tokio::test]
async fn trap_2_a_cancelled_call_stops_and_is_not_answered() {
    let (recorder, (watch, mut seen)) = (Recorder::default(), tools::Watch::new());
    let server = recorded(ApprovalFallback::Deny, tools::toolset().with(watch), &recorder);
    let mut client = Client::initialized(&server, json!({})).await;
    client.send(&call(7, "demo_watch", json!({}))).await;
    assert_eq!(seen.recv().await, Some("started"));
    let asked = Instant::now();
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7, "reason": "enough"}})).await;
    let stopped = timeout(Duration::from_millis(300).saturating_sub(asked.elapsed()), seen.recv()).await;
    assert_eq!(stopped, Ok(Some("stopped")));
    assert_eq!(recorder.outcome().await, "cancelled");
    client.expect_nothing_else().await;
    let (_, rest) = client.end().await;
    assert_eq!(rest, Vec::<Value>::new());
}

#[tokio::test]
async fn trap_2_cancelling_a_call_that_is_over_or_unknown_changes_nothing() {
    let mut client = Client::ready().await;
    assert_eq!(client.call("demo_echo", json!({"text": "x"})).await, "x\n[complete=true]");
    for id in [json!(1), json!(99), json!("x")] {
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})).await;
    }
    client.expect_nothing_else().await;
}

#[tokio::test]
async fn progress_comes_in_growing_order_and_before_the_result() {
    for era in ["handshake", "stateless"] {
        let mut client = Client::ready().await;
        let mut request = call(1, "demo_steps", json!({}));
        request["params"]["_meta"] = json!({"progressToken": "t"});
        if era == "stateless" {
            request = stateless(request, json!({}));
        }
        client.send(&request).await;
        let progress = |done: f64, message: &str| {
            let mut params = json!({"progressToken": "t", "progress": done, "total": 4.0});
            if !message.is_empty() {
                params["message"] = json!(message);
            }
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        };
        for expected in [progress(1.0, "one"), progress(3.0, "three"), progress(4.0, "")] {
            assert_eq!(client.receive().await, expected, "{era}");
        }
        assert_eq!(client.receive().await["id"], 1, "{era}");
        client.expect_nothing_else().await;
    }
}

#[tokio::test]
async fn no_progress_is_sent_when_none_was_asked_for() {
    let mut client = Client::ready().await;
    assert_eq!(client.call("demo_steps", json!({})).await, "done\n[complete=true]");
    client.expect_nothing_else().await;
}

#[tokio::test]
async fn sixty_four_pipelined_calls_are_all_answered() {
    let mut client = Client::ready().await;
    let batch: String = (0..64).map(|id| format!("{}\n", call(id, "demo_echo", json!({"text": id.to_string()})))).collect();
    client.send_raw(batch.as_bytes()).await;
    let mut seen = BTreeSet::new();
    for _ in 0..64 {
        let answer = client.receive().await;
        let id = answer["id"].as_u64().unwrap_or(u64::MAX);
        assert_eq!(answer["result"]["content"][0]["text"], format!("{id}\n[complete=true]"));
        seen.insert(id);
    }
    assert_eq!(seen, (0..64).collect());
}

#[tokio::test]
async fn a_client_that_reads_late_gets_every_large_answer() {
    let mut client = Client::ready().await;
    for id in 0..100 {
        client.send(&call(id, "demo_huge", json!({}))).await;
    }
    let expected = "0123456789 ".repeat(5000) + "\n[complete=true]";
    for _ in 0..100 {
        assert_eq!(client.receive().await["result"]["content"][0]["text"], expected);
    }
}
