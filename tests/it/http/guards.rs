//! DR and H2: pages in a browser, names that point elsewhere, and who may listen where.

use std::{fs, os::unix::fs::PermissionsExt as _, os::unix::net::UnixStream, process::Command, time::Duration};

use serde_json::json;
use support::{
    client::MODERN,
    http::{Connection, HttpServer, Request},
    process::finish,
    sandbox::Sandbox,
};

use super::{ALICE, open, with_tokens, within};
use crate::SERVER;

#[test]
fn dr1_a_host_that_is_not_this_server_is_forbidden() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let list = server.modern().message("tools/list", json!({}));
    let port = server.address().port();
    for host in [
        "evil.com".to_owned(),
        format!("evil.com:{port}"),
        "127.0.0.1.evil.com".into(),
        "localhost.evil.com".into(),
        "169.254.169.254".into(),
        "[::2]".into(),
    ] {
        for request in [list.clone(), Request::get("/health"), Request::get("/sse"), Request::post("/messages")] {
            assert_eq!(server.ask(&request.replace("Host", &host)).status(), 403, "{host}");
        }
    }
    for host in [
        "localhost".to_owned(),
        format!("localhost:{port}"),
        format!("LOCALHOST:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ] {
        assert_eq!(server.ask(&list.clone().replace("Host", &host)).status(), 200, "{host}");
    }
    for broken in ["", "a b", "http://localhost", "localhost:port", "user@localhost"] {
        assert_eq!(server.ask(&list.clone().replace("Host", broken)).status(), 400, "{broken:?}");
    }
    assert_eq!(server.ask(&list.replace("Host", "localhost").header("Host", "localhost")).status(), 400, "two hosts");
}

#[test]
fn h2_dr2_an_origin_that_is_not_allowed_is_forbidden() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({ "http": { "allowedOrigins": ["https://app.example.com"] } }));
    let list = server.modern().message("tools/list", json!({}));
    for origin in [
        "http://evil.com",
        "null",
        "https://app.example.com.evil.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://evil.com#https://app.example.com",
        "file://",
        "chrome-extension://abc",
        "",
        "not an origin",
    ] {
        for request in [list.clone(), Request::get("/sse").bearer(ALICE), Request::post("/messages?sessionId=x").bearer(ALICE)] {
            assert_eq!(server.ask(&request.header("Origin", origin)).status(), 403, "{origin:?}");
        }
    }
    for origin in ["https://app.example.com", "https://app.example.com:443", "http://localhost:5173", "http://127.0.0.1:80"] {
        assert_eq!(server.ask(&list.clone().header("Origin", origin)).status(), 200, "{origin}");
    }
}

#[test]
fn dr3_what_a_form_or_a_simple_request_of_a_page_can_send_is_refused() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = open(&sandbox);
    let write = server.modern().call_message("fs_write", &json!({ "path": "a.txt", "content": "x" }));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let status = server.ask(&write.clone().replace("Content-Type", kind)).status();
        assert!([403, 415].contains(&status), "{kind:?}: {status}");
    }
    for site in ["cross-site", "same-site"] {
        assert_eq!(server.ask(&write.clone().header("Sec-Fetch-Site", site)).status(), 403, "{site}");
    }
    assert_eq!(sandbox.read("a.txt"), "alpha\n");
    assert_eq!(server.ask(&write.header("Sec-Fetch-Site", "none")).status(), 200);
}

#[test]
fn cors_is_off_but_for_the_origins_that_are_allowed() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({ "http": { "allowedOrigins": ["https://app.example.com"] } }));
    let preflight = |origin: &str| {
        let asked = Request::new("OPTIONS", "/mcp").header("Origin", origin).header("Access-Control-Request-Method", "POST");
        server.ask(&asked.header("Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version"))
    };
    let refused = preflight("https://evil.com");
    assert_eq!((refused.status(), refused.header("access-control-allow-origin")), (403, None));
    let allowed = preflight("https://app.example.com");
    assert!(allowed.status() < 300, "{}", allowed.status());
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    let list = server.modern().message("tools/list", json!({}));
    assert_eq!(server.ask(&list).header("access-control-allow-origin"), None);
}

#[test]
fn dr4_on_loopback_a_token_is_needed_unless_it_was_said_otherwise() {
    let sandbox = Sandbox::new();
    let server = HttpServer::start(&sandbox, SERVER, &[]);
    let token = server.token().expect("a token in the state directory").to_owned();
    let mode = fs::metadata(sandbox.state().join("http-token")).expect("the token").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(token.len() >= 43, "{} characters", token.len());
    let list = server.modern().message("tools/list", json!({}));
    assert_eq!(server.ask(&list).status(), 200);
    assert_eq!(server.ask(&list.clone().without("Authorization")).status(), 401);
    drop(server);
    let again = HttpServer::start(&sandbox, SERVER, &[]);
    assert_eq!(again.token(), Some(&*token), "a registration survives a restart");
    drop(again);
    let open = open(&sandbox);
    assert_eq!(open.ask(&list.without("Authorization")).status(), 200);
}

#[test]
fn dr5_an_address_that_others_can_reach_needs_authentication() {
    let sandbox = Sandbox::new();
    for address in ["0.0.0.0:0", "[::]:0"] {
        for extra in [&[][..], &["--unauthenticated-loopback"]] {
            let mut command = sandbox.command(SERVER);
            command.args(["serve", "--http", address, "--health", "off", "--metrics", "off"]).args(extra);
            let done = finish(&mut command, Duration::from_secs(10)).expect("it does not start");
            assert_eq!(done.code, Some(2), "{address}: {}", done.stderr);
            assert!(done.stderr.contains("http.tokens") && done.stderr.contains("http.oauth"), "{}", done.stderr);
        }
    }
}

#[test]
fn dr6_a_unix_socket_is_for_this_user_alone_and_replaces_no_other_file() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let socket = sandbox.scratch("tools.sock");
    let path = socket.to_str().expect("a plain name").to_owned();
    let start = |sandbox: &Sandbox| -> Command {
        let mut command = sandbox.command(SERVER);
        command.args(["serve", "--workspace"]).arg(sandbox.workspace());
        command.args(["--http", &format!("unix:{path}"), "--health", "off", "--metrics", "off"]);
        command
    };
    let mut server = support::process::Process::spawn(start(&sandbox));
    assert!(within(Duration::from_secs(10), || socket.exists()), "{}", server.errors());
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);
    let mut stream = None;
    assert!(within(Duration::from_secs(5), || {
        stream = UnixStream::connect(&socket).ok();
        stream.is_some()
    }));
    let mut connection = Connection::over(stream.expect("a connection"), "localhost");
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "fs_read", "arguments": { "path": "a.txt" },
        "_meta": support::client::modern_meta(MODERN) } });
    let request =
        Request::message(&call).header("MCP-Protocol-Version", MODERN).header("Mcp-Method", "tools/call").header("Mcp-Name", "fs_read");
    assert!(connection.ask(&request).reply().text().contains("alpha"));
    let second = finish(&mut start(&sandbox), Duration::from_secs(10)).expect("a second server ends");
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    server.signal("TERM");
    assert!(server.wait(Duration::from_secs(10)).is_some());
    assert!(!socket.exists(), "the socket is left behind");
    fs::write(&socket, "somebody's file").expect("a file");
    let refused = finish(&mut start(&sandbox), Duration::from_secs(10)).expect("it does not start");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(&socket).expect("the file"), "somebody's file");
}
