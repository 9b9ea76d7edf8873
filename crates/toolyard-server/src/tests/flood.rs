//! More requests than are worked on at once.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{Client, call, cancelled};
use crate::gate::MAX_REQUESTS;

/// Fills the gate with calls that never end, with ids from 0.
async fn busy() -> Client {
    let mut client = Client::ready().await;
    for id in 0..MAX_REQUESTS {
        client.send(&call(u32::try_from(id).unwrap_or(u32::MAX), "demo_wait", json!({}))).await;
    }
    client
}

fn ping(id: u32) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "ping"})
}

async fn nothing_comes(client: &mut Client) {
    let line = tokio::time::timeout(Duration::from_millis(100), client.output.next_line()).await;
    assert!(line.is_err(), "{line:?}");
}

#[tokio::test]
async fn a_flood_of_requests_is_left_in_the_pipe() {
    const LINE: usize = 8 * 1024;
    let mut client = Client::ready().await;
    let mut input = client.input.take().expect("the input is open");
    let mut taken = 0;
    let flood = async {
        for id in 0..10_000 {
            let line = call(id, "demo_wait", json!({})).to_string();
            if input.write_all(format!("{line:LINE$}\n").as_bytes()).await.is_err() {
                return;
            }
            taken += LINE;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), flood).await.is_err(), "everything was taken");
    // 256 are worked on, 64 wait or a little more, a megabyte is read ahead, the pipe holds some.
    assert!((256 * LINE..6 * 1024 * 1024).contains(&taken), "{taken} bytes were taken");
}

#[tokio::test]
async fn a_cancellation_passes_those_that_wait_and_makes_room() {
    let mut client = busy().await;
    client.send(&ping(1000)).await;
    nothing_comes(&mut client).await;
    assert_eq!(client.ask(&cancelled(&json!(3))).await, json!({"jsonrpc": "2.0", "id": 1000, "result": {}}));
}

#[tokio::test]
async fn a_request_that_is_cancelled_while_it_waits_never_runs() {
    let mut client = busy().await;
    client.send(&ping(1000)).await;
    client.send(&ping(1001)).await;
    client.send(&cancelled(&json!(1000))).await;
    assert_eq!(client.ask(&cancelled(&json!(3))).await["id"], 1001);
    client.expect_nothing_else().await;
}

#[tokio::test]
async fn the_end_of_the_input_is_noticed_while_requests_wait() {
    let mut client = busy().await;
    for id in 1000..1300 {
        client.send(&ping(id)).await;
    }
    let started = std::time::Instant::now();
    let (_, rest) = client.end().await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(rest.iter().filter(|answer| answer["result"] != Value::Null).count(), 0);
}
