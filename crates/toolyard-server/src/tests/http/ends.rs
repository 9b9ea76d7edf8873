//! Trap 12: the end in order. Listening streams first, then calls, then what is left.

use http::Method;
use serde_json::{Value, json};

use super::{
    Endpoint, Reply, read_until,
    stateless::{acknowledged, listen, listening},
    until,
};
use crate::{
    HttpOptions,
    tests::{call, initialize, stateless},
};

#[tokio::test]
async fn trap_12_subscriptions_end_with_their_result_and_no_others_begin() {
    let endpoint = listening(&HttpOptions::default());
    let mut body = endpoint.open_stateless("a", &listen(5)).await.into_body();
    read_until(&mut body, acknowledged).await;
    endpoint.service.close();
    let last = read_until(&mut body, |message| message["id"] == 5).await.pop().unwrap_or_default();
    assert_eq!(last["result"]["resultType"], "complete", "{last}");
    let late = endpoint.ask("a", &listen(6)).await;
    assert_eq!((late.error(), late.header("retry-after")), ((503, -32603), "2"));
}

#[tokio::test]
async fn trap_12_calls_are_answered_after_the_end_has_begun() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    let listening = session.open(Method::GET, "").await;
    let answer = session.open(Method::POST, &call(1, "demo_block", json!({})).to_string()).await;
    endpoint.service.close();
    assert_eq!(Reply::of(listening).await.messages(), Vec::<Value>::new());
    assert_eq!(endpoint.post("a", &[], initialize("2025-11-25", json!({})).to_string()).await.error(), (503, -32603));
    assert_eq!(Reply::of(session.open(Method::GET, "").await).await.error(), (503, -32603));
    assert_eq!(Reply::of(answer).await.message()["result"]["content"][0]["text"], "blocked\n[complete=true]");
}

#[tokio::test]
async fn stopping_ends_sessions_and_calls_of_both_eras() {
    let endpoint = Endpoint::new();
    let session = endpoint.session("a").await;
    let open = session.open(Method::POST, &call(1, "demo_wait", json!({})).to_string()).await;
    let wait = stateless(call(2, "demo_wait", json!({})), json!({}));
    // With a token for progress the SDK answers it.
    let mut reporting = wait.clone();
    reporting["params"]["_meta"]["progressToken"] = json!("p");
    let (stopped, refused, ()) = tokio::join!(endpoint.ask("a", &wait), endpoint.ask("a", &reporting), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        endpoint.stop.cancel();
    });
    assert_eq!((stopped.status, &stopped.message()["result"]["isError"]), (200, &json!(true)));
    assert_eq!(refused.error(), (503, -32603));
    assert_eq!(Reply::of(open).await.messages(), Vec::<Value>::new());
    until(|| endpoint.service.sessions() == 0).await;
    until(|| endpoint.recorder.outcomes() == ["cancelled"; 3]).await;
}
