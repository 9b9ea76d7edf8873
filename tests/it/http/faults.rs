//! Slow, broken, hostile and vanishing clients, and a server that is killed. Afterwards nothing is
//! left behind and the server answers.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{
    client::LEGACY,
    http::{Connection, HttpServer, Request},
    sandbox::Sandbox,
};

use super::{ALICE, active_calls, assert_serves, open, trail, with_tokens, within};
use crate::{SERVER, SLOW_PATTERN, slow_workspace};

/// A server that loses patience after a second.
fn impatient(sandbox: &Sandbox) -> HttpServer {
    with_tokens(sandbox, &json!({ "http": { "limits": { "headTimeoutSeconds": 1, "bodyTimeoutSeconds": 1 } } }))
}

#[test]
fn a_head_that_comes_too_slowly_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let server = impatient(&sandbox);
    let mut slow: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for connection in &mut slow {
        connection.write(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A: ").expect("a part of a head");
    }
    let began = Instant::now();
    for connection in &mut slow {
        connection.write(b"b").ok();
        assert!(connection.closes_within(Duration::from_secs(4)), "still open after {:?}", began.elapsed());
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_serves(&server);
}

#[test]
fn a_body_that_comes_too_slowly_is_a_timeout() {
    let sandbox = Sandbox::new();
    let server = impatient(&sandbox);
    let call = server.modern().call_message("fs_read", &json!({ "path": "a.txt" }));
    let mut slow = server.connect();
    slow.expect(&call);
    let head = call.head(slow.host());
    slow.write(&head).expect("the head");
    slow.write(b"{\"jsonrpc\"").expect("a part of the body");
    assert_eq!(slow.head().status, 408);
    assert_serves(&server);
}

#[test]
fn connections_that_say_nothing_are_closed_and_nothing_of_them_is_left() {
    let sandbox = Sandbox::new();
    let mut server = impatient(&sandbox);
    assert_serves(&server);
    let before = server.process().descriptors();
    let mut silent: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for connection in &mut silent {
        assert!(connection.closes_within(Duration::from_secs(4)));
    }
    assert!(
        within(Duration::from_secs(3), || server.process().descriptors() <= before + 2),
        "{} and {before}",
        server.process().descriptors()
    );
    assert_serves(&server);
}

#[test]
fn half_closed_connections_get_their_answer_or_none_and_leave_nothing() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let mut server = open(&sandbox);
    let call = server.modern().call_message("fs_read", &json!({ "path": "a.txt" }));
    assert_eq!(server.ask(&call).status(), 200);
    let before = server.process().descriptors();
    for _ in 0..50 {
        let mut connection = server.connect();
        connection.send(&call);
        connection.end().expect("the end");
        if let Ok(response) = connection.try_response(Duration::from_secs(5)) {
            assert_eq!(response.status(), 200);
        }
    }
    assert!(
        within(Duration::from_secs(3), || server.process().descriptors() <= before + 8),
        "{} and {before}",
        server.process().descriptors()
    );
    assert_serves(&server);
}

#[test]
fn ten_thousand_sessions_opened_and_dropped_leave_neither_memory_nor_descriptors() {
    let sandbox = Sandbox::new();
    let mut server = with_tokens(&sandbox, &json!({ "http": { "limits": { "rate": 0, "maxSessionsPerPrincipal": 100 } } }));
    let address = server.address();
    let open = |count: usize| {
        let mut connection = Connection::open(address);
        let hello = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } });
        let request = Request::message(&json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello })).bearer(ALICE);
        for _ in 0..count {
            let response = connection.ask(&request);
            assert_eq!(response.status(), 200, "{}", response.text());
        }
    };
    open(1000);
    let (memory, descriptors) = (server.process().resident_kib(), server.process().descriptors());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| open(4500));
        }
    });
    let grown = server.process().resident_kib().saturating_sub(memory);
    assert!(grown < 8 * 1024, "{grown} KiB more");
    assert!(server.process().descriptors() <= descriptors + 4, "{} and {descriptors}", server.process().descriptors());
    assert_serves(&server);
}

#[test]
fn ten_thousand_event_streams_opened_and_dropped_leave_nothing() {
    let sandbox = Sandbox::new();
    let mut server = with_tokens(&sandbox, &json!({ "http": { "limits": { "rate": 0 } } }));
    let request = Request::get("/sse").header("Accept", "text/event-stream").bearer(ALICE);
    let address = server.address();
    let open = |count: usize| {
        for _ in 0..count {
            let mut connection = Connection::open(address);
            connection.send(&request);
            assert_eq!(connection.head().status, 200);
        }
    };
    open(500);
    assert!(within(Duration::from_secs(5), || server.process().descriptors() < 40), "{}", server.process().descriptors());
    let (memory, descriptors) = (server.process().resident_kib(), server.process().descriptors());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| open(4750));
        }
    });
    assert!(
        within(Duration::from_secs(5), || server.process().descriptors() <= descriptors + 4),
        "{} and {descriptors}",
        server.process().descriptors()
    );
    let grown = server.process().resident_kib().saturating_sub(memory);
    assert!(grown < 8 * 1024, "{grown} KiB more");
    assert_serves(&server);
}

#[test]
fn clients_that_vanish_in_the_middle_of_calls_stop_their_work() {
    let sandbox = slow_workspace();
    let mut server = open(&sandbox);
    for _ in 0..3 {
        let mut client = server.modern();
        let calls: Vec<_> = (0..8).map(|_| client.begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }))).collect();
        assert!(within(Duration::from_secs(5), || active_calls(&server) >= 4), "the searches did not start");
        drop(calls);
        assert!(within(Duration::from_secs(3), || active_calls(&server) == 0), "{} searches go on", active_calls(&server));
    }
    let before = server.process().ticks();
    thread::sleep(Duration::from_millis(300));
    assert!(server.process().ticks() - before <= 3, "the processor is still busy");
    // An event stream that is dropped takes its calls with it as well.
    let mut events = server.sse(LEGACY);
    events.begin("tools/call", json!({ "name": "fs_grep", "arguments": { "pattern": SLOW_PATTERN } }));
    assert!(within(Duration::from_secs(5), || active_calls(&server) == 1), "the search did not start");
    drop(events);
    assert!(within(Duration::from_secs(3), || active_calls(&server) == 0), "the search goes on");
}

#[test]
fn a_server_that_is_killed_and_started_again_knows_its_token_and_no_old_session() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let mut server = HttpServer::start(&sandbox, SERVER, &[]);
    let token = server.token().expect("a token").to_owned();
    let mut client = server.legacy(LEGACY);
    assert!(client.call("fs_write", json!({ "path": "b.txt", "content": "beta\n" })).text().contains("b.txt"));
    let list = client.message("tools/list", json!({}));
    server.process().kill();
    let server = HttpServer::start(&sandbox, SERVER, &[]);
    assert_eq!(server.token(), Some(&*token));
    assert_eq!(server.ask(&list).status(), 404, "sessions end with the process");
    let mut client = server.legacy(LEGACY);
    assert!(client.call("fs_read", json!({ "path": "b.txt" })).text().contains("beta"));
    let written = trail(&sandbox).iter().any(|record| record["event"] == "intent" && record["tool"] == "fs_write");
    assert!(written, "the record of the change outlived the process");
}

#[test]
fn huge_and_deep_bodies_cost_little_and_break_nothing() {
    let sandbox = Sandbox::new();
    let mut server = open(&sandbox);
    assert_serves(&server);
    let before = server.process().resident_kib();
    let request = server.modern().call_message("fs_read", &json!({ "path": "a" }));
    let huge = request.clone().body(vec![b' '; 64 << 20]);
    let status = |request: &Request| server.connect().try_ask(request).map(|response| response.status());
    for _ in 0..3 {
        // The server may close before it has read what it will not take.
        assert!(status(&huge).map_or(true, |status| status == 413));
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(500_000), close.repeat(500_000));
        assert_eq!(status(&request.clone().body(deep)).expect("an answer"), 400);
    }
    let unclosed = "[".repeat(3 << 20);
    assert_eq!(status(&request.body(unclosed)).expect("an answer"), 400);
    assert_serves(&server);
    let grown = server.process().resident_kib().saturating_sub(before);
    assert!(grown < 24 * 1024, "{grown} KiB more");
}

#[test]
fn a_server_without_descriptors_waits_and_goes_on_when_there_are_some() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let mut command: Command = sandbox.command("/bin/sh");
    let script = r#"ulimit -n 96; exec "$0" "$@""#;
    command.args(["-c", script, SERVER, "serve", "--workspace"]).arg(sandbox.workspace());
    command.args(["--unauthenticated-loopback", "--http", "127.0.0.1:0", "--health", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let mut server = HttpServer::spawn(command);
    let call = server.modern().call_message("fs_read", &json!({ "path": "a.txt" }));
    assert_serves(&server);
    let mut many: Vec<_> = (0..100).filter_map(|_| Connection::try_open(server.address()).ok()).collect();
    thread::sleep(Duration::from_millis(500));
    let before = server.process().ticks();
    thread::sleep(Duration::from_millis(500));
    assert!(server.process().ticks() - before <= 10, "it spins while it waits");
    // Those it took still work, files included.
    let first = many.first_mut().expect("a connection");
    assert!(first.ask(&call).reply().text().contains("alpha"));
    many.clear();
    assert!(within(Duration::from_secs(5), || server.process().descriptors() < 60), "{}", server.process().descriptors());
    assert_serves(&server);
    assert!(server.process().is_running(), "{}", server.errors());
}

#[test]
fn garbage_instead_of_http_is_answered_or_closed() {
    let sandbox = Sandbox::new();
    let mut server = impatient(&sandbox);
    assert_serves(&server);
    let before = server.process().descriptors();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/0.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: \x00\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"\xff\xfe\xfd",
    ] {
        let mut connection = server.connect();
        connection.write(garbage).ok();
        connection.end().ok();
        assert!(connection.closes_within(Duration::from_secs(4)), "{garbage:?}");
    }
    assert!(within(Duration::from_secs(3), || server.process().descriptors() <= before + 2));
    assert_serves(&server);
}
