//! Bounds of what clients may send, and how often.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::testing::{Client, TestServer, borrowed, post_headers, stateless_call, until};

#[tokio::test]
async fn rl1_a_body_beyond_the_cap_is_413_even_if_its_length_was_not_told() {
    let server = TestServer::start(|config| config.limits.max_body_bytes = 10_000).await;
    let (headers, body) = stateless_call("demo_echo", json!({"text": "x".repeat(20_000)}));
    let reply = server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await;
    assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (413, Some("the body is larger than 10000 bytes")));

    let mut client = server.connect().await;
    let mut head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n".to_owned();
    for (name, value) in post_headers() {
        head += &format!("{name}: {value}\r\n");
    }
    client.send_raw(format!("{head}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
    assert_eq!(client.reply().await.status, 413);
}

#[tokio::test]
async fn rl1_a_client_that_sends_64_mb_without_looking_still_reads_its_413() {
    let server = TestServer::start(|_| ()).await;
    let headers = post_headers();
    let mut client = server.connect().await;
    client.send("POST", "/mcp", &borrowed(&headers), &"x".repeat(60 << 20)).await;
    assert_eq!(client.reply().await.status, 413);
    assert_eq!(server.connect().await.call("demo_echo", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn rl6_a_compressed_body_is_415() {
    let server = TestServer::start(|_| ()).await;
    let (mut headers, body) = stateless_call("demo_echo", json!({"text": "x"}));
    headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
    assert_eq!(server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await.status, 415);
}

#[tokio::test]
async fn rl5_a_deeply_nested_body_is_400_and_executes_nothing() {
    let server = TestServer::start(|_| ()).await;
    let (headers, _) = stateless_call("demo_echo", json!({"text": "x"}));
    for body in ["[".repeat(1 << 20), "{\"a\":".repeat(1 << 19), format!("{}{}", "[".repeat(4000), "]".repeat(4000))] {
        let reply = server.connect().await.ask("POST", "/mcp", &borrowed(&headers), &body).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let server = TestServer::start(|config| config.limits.body_timeout = Duration::from_millis(100)).await;
    let mut client = server.connect().await;
    client.send_raw("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{").await;
    assert_eq!(client.reply().await.status, 408);
}

#[tokio::test]
async fn a_head_that_does_not_arrive_closes_the_connection_and_keeps_nobody_out() {
    let server = TestServer::start(|config| {
        config.limits.head_timeout = Duration::from_millis(200);
        config.limits.max_connections = 2;
    })
    .await;
    let began = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.send_raw("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
        slow.push(client);
    }
    // It waits unaccepted until one of those is gone.
    let reply = server.connect().await.call("demo_echo", json!({"text": "x"})).await;
    assert_eq!(reply.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    for client in &mut slow {
        assert!(client.closed_or_refused(408).await);
    }
}

#[tokio::test]
async fn a_head_beyond_the_cap_is_431() {
    let server = TestServer::start(|config| config.limits.max_head_bytes = 4096).await;
    let large = "x".repeat(8000);
    let reply = server.connect().await.ask("GET", "/health", &[("X-Large", &large)], "").await;
    assert_eq!(reply.status, 431);
    let many = "X-Many: 1\r\n".repeat(200);
    let mut client = server.connect().await;
    client.send_raw(format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")).await;
    assert_eq!(client.reply().await.status, 431);
}

#[tokio::test]
async fn rl2_calls_beyond_the_rate_are_429_and_say_when_to_come_back() {
    let server = TestServer::start(|config| {
        config.limits.rate = 3;
        config.limits.rate_window = Duration::from_secs(60);
    })
    .await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        assert_eq!(client.call("demo_echo", json!({"text": "x"})).await.status, 200);
    }
    let reply = client.call("demo_echo", json!({"text": "x"})).await;
    let wait: u64 = reply.header("retry-after").and_then(|wait| wait.parse().ok()).expect("a wait");
    assert_eq!((reply.status, reply.json()["id"].is_null()), (429, true));
    assert!((50..=60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn rl4_requests_beyond_the_queue_are_503_and_say_when_to_come_back() {
    let server = TestServer::start(|config| {
        config.limits.max_requests = 1;
        config.limits.max_waiting = 0;
    })
    .await;
    let mut slow = server.connect().await;
    let (headers, body) = stateless_call("demo_slow", json!({"millis": 300}));
    slow.send("POST", "/mcp", &borrowed(&headers), &body).await;
    until("the call", || server.work.started() == 1).await;
    let reply = server.connect().await.call("demo_echo", json!({"text": "x"})).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(slow.reply().await.status, 200);
    assert_eq!(server.connect().await.call("demo_echo", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn a_listener_does_not_hold_a_place_of_those_who_call() {
    let server = TestServer::start(|config| {
        config.limits.max_requests = 1;
        config.limits.max_waiting = 0;
    })
    .await;
    let (headers, body) = crate::testing::stateless("subscriptions/listen", None, json!({"notifications": {"toolsListChanged": true}}));
    let mut listener = server.connect().await;
    let stream = listener.ask("POST", "/mcp", &borrowed(&headers), &body).await;
    assert_eq!(stream.status, 200);
    assert_eq!(server.connect().await.call("demo_echo", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_and_are_served_later() {
    let server = TestServer::start(|config| config.limits.max_connections = 3).await;
    let idle = [server.connect().await, server.connect().await, server.connect().await];
    let mut fourth = server.connect().await;
    let (headers, body) = stateless_call("demo_echo", json!({"text": "x"}));
    fourth.send("POST", "/mcp", &borrowed(&headers), &body).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(idle);
    assert_eq!(fourth.reply().await.status, 200);
}

#[tokio::test]
async fn ten_thousand_connections_that_come_and_go_leave_nothing_behind() {
    let server = TestServer::start(|config| config.limits.max_connections = 64).await;
    for round in 0..10_000_u32 {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        if round % 3 == 0 {
            stream.write_all(b"POST /mcp HT").await.expect("it takes bytes");
        }
    }
    let mut client = Client::over(TcpStream::connect(server.address).await.expect("it listens"));
    assert_eq!(client.call("demo_echo", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn bodies_that_do_not_arrive_keep_nobody_out() {
    let server = TestServer::start(|config| {
        config.limits.max_requests = 1;
        config.limits.max_waiting = 0;
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.send_raw("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{").await;
        slow.push(client);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.connect().await.call("demo_echo", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn unfinished_bodies_of_one_caller_hold_a_quarter_of_the_bytes_and_give_them_back() {
    let server = TestServer::start(|config| config.limits.max_body_bytes = 40 << 20).await;
    let head =
        format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", (33 << 20) + 1);
    let large = "x".repeat(33 << 20);
    let mut first = server.connect().await;
    first.send_raw(head.clone() + &large).await;
    until("the body", || server.held() >= 32 << 20).await;
    let mut second = server.connect().await;
    second.send_raw(head.clone() + &large + "x").await;
    let reply = second.reply().await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{}", reply.body);
    assert_eq!(server.connect().await.call("demo_echo", json!({"text": "x"})).await.status, 200, "small ones are free");
    first.send_raw("x").await;
    assert_eq!(first.reply().await.status, 406);
    until("its end", || server.held() == 0).await;
    let mut third = server.connect().await;
    third.send_raw(head + &large + "x").await;
    assert_eq!(third.reply().await.status, 406);
}

#[tokio::test]
async fn a_client_that_sends_a_lot_without_looking_still_reads_why_it_is_refused() {
    let server = TestServer::start(|config| {
        config.auth.unauthenticated = false;
        config.auth.tokens = vec![crate::testing::token("ci", "correct-horse-battery-staple-1")];
        config.limits.rate = 1;
    })
    .await;
    let large = "x".repeat(7 << 20);
    let mut headers = post_headers();
    let ask = async |headers: &[(String, String)]| {
        let mut client = server.connect().await;
        client.ask("POST", "/mcp", &borrowed(headers), &large).await.status
    };
    assert_eq!(ask(&headers).await, 401);
    headers.push(("Authorization".to_owned(), "Bearer correct-horse-battery-staple-1".to_owned()));
    assert_eq!(ask(&headers).await, 413);
    assert_eq!(ask(&headers).await, 429);
    headers.push(("Host".to_owned(), "evil.com".to_owned()));
    assert_eq!(ask(&headers).await, 403);
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_send_is_refused_at_once() {
    let server = TestServer::start(|_| ()).await;
    let mut client = server.connect().await;
    let began = Instant::now();
    client.send_raw("POST /mcp HTTP/1.1\r\nHost: evil.com\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n").await;
    assert_eq!(client.reply().await.status, 403);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
