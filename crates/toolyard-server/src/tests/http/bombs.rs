//! Bodies that would take a hundred times their length once they are read.

#![expect(clippy::disallowed_methods, reason = "the tests ask the system how much memory they took")]

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use toolyard_core::{ApprovalFallback, Principal};

use super::{BOTH, Endpoint, JSON, Reply};
use crate::{
    PushError,
    tests::{call, server, stateless},
};

/// How much memory the refusal of one body of 4 MB may take, in KiB.
const MOST: u64 = 64 * 1024;

/// The most memory this process ever took, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it tells the peak");
    line.trim().trim_end_matches(" kB").trim().parse().expect("it is a number")
}

/// Elements up to 4 MB, as the arguments of a call.
fn wide(element: &str) -> Bytes {
    let list = vec![element; (4 << 20) / (element.len() + 1)].join(",");
    let call = stateless(call(1, "demo_echo", json!({"text": "HERE"})), json!({})).to_string();
    call.replace("\"HERE\"", &format!("[{list}]")).into()
}

#[tokio::test]
async fn wide_bodies_are_refused_without_being_read() {
    let endpoint = Endpoint::new();
    let (session, _stream) = server(ApprovalFallback::Deny).message_session(Principal::named("a"), "r1".into());
    let bodies = [r#"{"":0}"#, "0", "[]", "\"\"", "null"].map(wide);
    let before = peak();
    for body in bodies {
        let plain = [BOTH, JSON, ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "demo_echo")];
        let unusual =
            [BOTH, JSON, ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "=?base64?ZGVtb19lY2hv?=")];
        for headers in [plain, unusual] {
            let reply = Reply::of(endpoint.send(Method::POST, Some(Principal::named("a")), &headers, body.clone()).await).await;
            assert_eq!(reply.status, 400, "{reply:?}");
        }
        assert_eq!(session.push(body), Err(PushError::Malformed));
    }
    let took = peak().saturating_sub(before);
    assert!(took < MOST, "{took} KiB");
    assert_eq!(endpoint.recorder.outcomes(), Vec::<String>::new());
}

#[tokio::test]
async fn one_long_text_is_taken() {
    let endpoint = Endpoint::new();
    let text = "[{,:".repeat(750_000);
    let reply = endpoint.ask("a", &stateless(call(1, "demo_echo", json!({"text": text})), json!({}))).await;
    assert_eq!((reply.status, &reply.message()["error"]), (200, &Value::Null), "{:.300}", reply.text);
    assert_eq!(endpoint.recorder.outcomes(), ["ok"]);
}
