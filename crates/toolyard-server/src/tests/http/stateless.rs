//! Requests of the stateless era.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};
use toolyard_core::{ApprovalFallback, Toolset};

use super::{Endpoint, Reply, read_until};
use crate::{
    Extension, HttpOptions, Server,
    mcp::{ServerCapabilities, SubscriptionFilter},
    tests::{Recorder, call, recorded, server, stateless, tools::Watch},
};

/// Lets clients listen for changes of the tools, which never change.
pub(super) struct Listening;

impl Extension for Listening {
    fn capabilities(&self, _: ServerCapabilities) -> ServerCapabilities {
        ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build()
    }

    fn accepted_subscriptions(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }
}

pub(super) fn listening(options: &HttpOptions) -> Endpoint {
    let dispatcher = Arc::clone(server(ApprovalFallback::Deny).dispatcher());
    let server = Server::builder(dispatcher).extension(Arc::new(Listening)).expect("it has no tools").build();
    Endpoint::of(&server, options, Recorder::default())
}

pub(super) fn listen(id: u32) -> Value {
    stateless(
        json!({"jsonrpc": "2.0", "id": id, "method": "subscriptions/listen", "params": {"notifications": {"toolsListChanged": true}}}),
        json!({}),
    )
}

pub(super) fn acknowledged(message: &Value) -> bool {
    message["method"] == "notifications/subscriptions/acknowledged"
}

#[tokio::test]
async fn h15_a_call_is_answered_by_one_json_object_that_says_what_kind_of_result_it_is() {
    let reply = Endpoint::new().ask("a", &stateless(call(1, "demo_echo", json!({"text": "x"})), json!({}))).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    let message = reply.message();
    assert_eq!(message["id"], 1);
    assert_eq!(message["result"]["resultType"], "complete");
    assert_eq!(message["result"]["content"][0]["text"], "x\n[complete=true]");
}

#[tokio::test]
async fn an_unusual_spelling_of_a_call_is_answered_in_the_same_way() {
    let endpoint = Endpoint::new();
    for (tool, encoded) in [
        ("demo_echo", "=?base64?ZGVtb19lY2hv?="),
        ("demo_table", "=?base64?ZGVtb190YWJsZQ==?="),
        ("demo_panic", "=?base64?ZGVtb19wYW5pYw==?="),
        ("demo_unknown", "=?base64?ZGVtb191bmtub3du?="),
    ] {
        for arguments in [json!({"text": "x"}), json!({}), json!({"other": 1})] {
            let request = stateless(call(1, tool, arguments.clone()), json!({}));
            let usual = endpoint.ask("a", &request).await;
            let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", encoded)];
            let unusual = endpoint.post("a", &headers, request.to_string()).await;
            assert_eq!(usual.message(), unusual.message(), "{tool} {arguments}");
            assert_eq!((usual.status, usual.head.headers), (unusual.status, unusual.head.headers), "{tool} {arguments}");
        }
    }
}

#[tokio::test]
async fn h11_session_ids_and_event_ids_are_ignored_and_none_are_given() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("b").await;
    let request = stateless(call(1, "demo_echo", json!({"text": "x"})), json!({})).to_string();
    for id in [session.id.as_str(), "made up"] {
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "demo_echo"),
            ("mcp-session-id", id),
            ("last-event-id", "0"),
        ];
        let reply = endpoint.post("a", &headers, request.clone()).await;
        assert_eq!((reply.status, reply.header("mcp-session-id")), (200, ""));
    }
    assert_eq!(endpoint.recorder.refusals(), Vec::<String>::new());
}

#[tokio::test]
async fn h16_discover_tells_the_versions_and_the_tools_alone() {
    let request = stateless(json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"}), json!({}));
    let result = Endpoint::new().ask("a", &request).await.message()["result"].clone();
    assert_eq!(result["supportedVersions"].as_array().map(Vec::len), Some(5));
    assert_eq!(result["capabilities"], json!({"tools": {}}));
    assert_eq!((&result["cacheScope"], &result["resultType"]), (&json!("private"), &json!("complete")));
}

#[tokio::test]
async fn h17_the_list_of_tools_is_the_same_every_time_and_private() {
    let endpoint = Endpoint::new();
    let request = stateless(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}), json!({}));
    let first = endpoint.ask("a", &request).await.message();
    assert_eq!(first["result"]["tools"].as_array().map(Vec::len), Some(9));
    assert_eq!((&first["result"]["cacheScope"], &first["result"]["ttlMs"]), (&json!("private"), &json!(300_000)));
    assert_eq!(endpoint.ask("a", &request).await.message(), first);
}

#[tokio::test]
async fn h5_a_notification_is_accepted_without_a_word() {
    let endpoint = Endpoint::new();
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "notifications/cancelled")];
    let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}).to_string();
    let reply = endpoint.post("a", &headers, body).await;
    assert_eq!((reply.status, reply.text.as_str()), (202, ""));
}

#[tokio::test]
async fn h12_a_client_that_goes_away_stops_the_work() {
    goes_away_from(&stateless(call(1, "demo_watch", json!({})), json!({}))).await;
}

#[tokio::test]
async fn h12_a_client_that_goes_away_stops_work_that_may_report_progress() {
    let mut request = stateless(call(1, "demo_watch", json!({})), json!({}));
    request["params"]["_meta"]["progressToken"] = json!("p");
    goes_away_from(&request).await;
}

/// Leaves a call once it runs; its work has to stop.
async fn goes_away_from(request: &Value) {
    let (watch, mut says) = Watch::new();
    let recorder = Recorder::default();
    let server = recorded(ApprovalFallback::Deny, Toolset::new().with(watch), &recorder);
    let endpoint = Endpoint::of(&server, &HttpOptions::default(), recorder);
    tokio::select! {
        _ = endpoint.ask("a", request) => panic!("it does not end by itself"),
        started = says.recv() => assert_eq!(started, Some("started")),
    }
    assert_eq!(says.recv().await, Some("stopped"));
    assert_eq!(endpoint.recorder.outcome().await, "cancelled");
}

#[tokio::test]
async fn h12_closing_a_subscription_ends_it() {
    let endpoint = listening(&HttpOptions::default());
    let mut body = endpoint.open_stateless("a", &listen(5)).await.into_body();
    read_until(&mut body, acknowledged).await;
    drop(body);
    assert_eq!(endpoint.service.streams(), 0);
}

#[tokio::test]
async fn h13_progress_makes_a_stream_that_proxies_do_not_hold_back() {
    let mut steps = stateless(call(1, "demo_steps", json!({})), json!({}));
    steps["params"]["_meta"]["progressToken"] = json!("p");
    let reply = Endpoint::new().ask("a", &steps).await;
    assert_eq!((reply.header("content-type"), reply.header("x-accel-buffering")), ("text/event-stream", "no"));
    let messages = reply.messages();
    assert_eq!(messages.last().map(|last| &last["id"]), Some(&json!(1)));
    // H14: nothing on it asks the client for anything.
    assert!(messages.iter().all(|message| message["method"].is_null() || message["id"].is_null()), "{messages:?}");
}

#[tokio::test]
async fn h14_approval_is_asked_for_in_the_result_and_not_by_a_request() {
    let reply = Endpoint::new().ask("a", &stateless(call(1, "demo_drop", json!({"text": "x"})), json!({"elicitation": {}}))).await;
    assert_eq!(reply.messages().len(), 1);
    assert_eq!(reply.message()["result"]["resultType"], "input_required");
}

#[tokio::test]
async fn h13_a_silent_subscription_is_kept_alive_by_comments() {
    let endpoint = listening(&HttpOptions { keep_alive: Duration::from_millis(20), ..HttpOptions::default() });
    let response = endpoint.open_stateless("a", &listen(5)).await;
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let mut body = response.into_body();
    read_until(&mut body, acknowledged).await;
    let frame = http_body_util::BodyExt::frame(&mut body).await.expect("the stream goes on").expect("bodies don't fail");
    let comment = frame.into_data().unwrap_or_default();
    assert!(comment.starts_with(b":"), "{comment:?}");
}

#[tokio::test]
async fn subscriptions_count_as_listening_streams_until_they_are_dropped() {
    let endpoint = listening(&HttpOptions { max_streams_per_principal: 1, ..HttpOptions::default() });
    let first = endpoint.open_stateless("a", &listen(1)).await;
    assert_eq!((first.status().as_u16(), endpoint.service.streams()), (200, 1));
    let second = endpoint.ask("a", &listen(2)).await;
    assert_eq!((second.error(), second.header("retry-after")), ((429, -32603), "2"));
    drop(first);
    assert_eq!(endpoint.service.streams(), 0);
    assert_eq!(endpoint.open_stateless("a", &listen(3)).await.status(), 200);
}

#[tokio::test]
async fn a_get_without_a_session_opens_nothing() {
    let endpoint = Endpoint::new();
    let reply = Reply::of(endpoint.open(Method::GET, "a", &[("mcp-session-id", "made up")], "").await).await;
    assert_eq!((reply.error(), endpoint.service.streams()), ((404, -32001), 0));
}
