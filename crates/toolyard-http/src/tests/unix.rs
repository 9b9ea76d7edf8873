//! A server on a Unix socket.

use serde_json::json;
use tokio::net::UnixStream;

use crate::{
    HttpConfig, Listen,
    testing::{Client, TestServer},
};

#[tokio::test]
async fn dr6_its_owner_calls_without_a_token_as_local() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("http.sock");
    let server = TestServer::start(|config| *config = HttpConfig::new(Listen::Unix(path.clone()))).await;
    let mut client = Client::over(UnixStream::connect(&path).await.expect("it listens"));
    client.host = "toolyard".to_owned();
    let reply = client.call("demo_echo", json!({"text": "x"})).await;
    assert_eq!((reply.status, reply.text().lines().next()), (200, Some("x")));
    drop(client);
    server.stop();
    server.ended().await;
    assert!(!path.exists());
}
