//! What an operator sees: health, figures, logs, the end, and the settings of a container.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    client::LEGACY,
    http::{Connection, HttpServer, Request},
    process::finish,
    sandbox::Sandbox,
};

use super::{active_calls, assert_serves, open, trail, with_tokens, within};
use crate::{SERVER, SLOW_PATTERN, slow_workspace};

#[test]
fn health_is_told_in_detail_on_its_own_port_and_without_on_the_main_one() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({}));
    let ask = |path: &str| Connection::open(server.health()).ask(&Request::get(path));
    let told = ask("/health").json();
    assert_eq!((&told["status"], &told["active_calls"]), (&json!("ok"), &json!(0)), "{told}");
    assert_eq!(told["families"]["fs"], "ok", "{told}");
    assert!(told["uptime_seconds"].as_f64().is_some_and(|uptime| uptime < 60.0), "{told}");
    assert_eq!((ask("/livez").status(), ask("/readyz").status(), ask("/other").status()), (200, 200, 404));
    assert_eq!(server.ask(&Request::get("/health")).json(), json!({ "status": "ok" }));
    assert_eq!(Connection::open(server.health()).ask(&Request::post("/health").json(&json!({}))).status(), 405);
}

#[test]
fn figures_count_calls_decisions_refusals_and_the_process() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = with_tokens(&sandbox, &json!({}));
    let mut client = server.modern();
    for _ in 0..3 {
        assert!(client.call("fs_read", json!({ "path": "a.txt" })).text().contains("alpha"));
    }
    for (tool, arguments) in [("fs_read", json!({ "path": "none.txt" })), ("fs_write", json!({ "path": ".git/config", "content": "x" }))] {
        assert_eq!(client.call(tool, arguments).result()["isError"], true);
    }
    let list = client.message("tools/list", json!({}));
    assert_eq!(server.ask(&list.without("Authorization")).status(), 401);
    let text = server.scrape();
    let sum = |name: &str, labels: &[&str]| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let reads = &[r#"gen_ai_tool_name="fs_read""#, r#"mcp_method_name="tools/call""#];
    assert_eq!(sum("mcp_server_operation_duration_seconds_count", reads), 4.0, "{text}");
    assert_eq!(sum("mcp_server_operation_duration_seconds_count", &[reads[0], r#"error_type="tool_error""#]), 1.0, "{text}");
    assert_eq!(sum("gov_policy_decisions_total", &[r#"decision="deny""#]), 1.0, "{text}");
    assert!(sum("gov_policy_decisions_total", &[r#"decision="allow""#]) >= 4.0, "{text}");
    assert_eq!(sum("toolyard_http_refusals_total", &[r#"reason="unauthenticated""#]), 1.0, "{text}");
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"] {
        assert!(sum(name, &[]) > 0.0, "{name}");
    }
    for bucket in ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "30", "60", "120", "300"] {
        let there = text.lines().any(|line| {
            line.starts_with("mcp_server_operation_duration_seconds_bucket")
                && (line.contains(&format!(r#"le="{bucket}""#)) || line.contains(&format!(r#"le="{bucket}.0""#)))
        });
        assert!(there, "no bucket {bucket}");
    }
    assert!(!text.contains("none.txt") && !text.contains("alice"), "figures name no contents and no callers");
}

#[test]
fn a_client_can_not_make_up_names_of_figures() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let mut client = server.modern();
    let before = server.scrape().lines().count();
    for index in 0..50 {
        assert_eq!(client.exchange(&format!("made/up{index}"), json!({})).status(), 404);
        let unknown = client.exchange("tools/call", json!({ "name": format!("made_up_{index}"), "arguments": {} }));
        assert_eq!(unknown.json()["error"]["code"], -32602, "{}", unknown.text());
    }
    let after = server.scrape();
    assert!(!after.contains("made"), "{after}");
    assert!(after.lines().count() < before + 120, "{} lines became {}", before, after.lines().count());
}

#[test]
fn a_server_told_to_stop_takes_nothing_new_finishes_what_it_does_and_then_cancels() {
    let sandbox = slow_workspace();
    let mut server = with_tokens(&sandbox, &json!({ "http": { "limits": { "drainSeconds": 2, "earlyHeadersSeconds": 1 } } }));
    let listener = server.legacy(LEGACY);
    let mut stream = listener.listen();
    assert_eq!(stream.head().status, 200);
    let mut short = server.modern().begin_call("fs_grep", json!({ "pattern": r"(?:\b\w+\b\W+){4}\d" }));
    let mut long = server.modern().begin_call("fs_grep", json!({ "pattern": SLOW_PATTERN }));
    assert!(within(Duration::from_secs(5), || active_calls(&server) >= 1), "the searches did not start");
    server.process().signal("TERM");
    let health = server.health();
    let began = Instant::now();
    let draining = within(Duration::from_millis(1500), || {
        let ready = Connection::try_open(health).and_then(|mut health| health.try_ask(&Request::get("/readyz")));
        ready.is_ok_and(|ready| ready.status() == 503)
    });
    assert!(draining, "a server that stops is not ready");
    let address = server.address();
    let refused = Connection::try_open(address).and_then(|mut connection| connection.try_ask(&Request::get("/health")));
    assert!(refused.is_err(), "a new connection was served: {refused:?}");
    assert!(stream.closes_within(Duration::from_secs(2)), "the listening stream stays open");
    let status = server.process().wait(Duration::from_secs(10)).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", server.errors());
    assert!((Duration::from_secs(1)..Duration::from_secs(5)).contains(&began.elapsed()), "{:?}", began.elapsed());
    // Whatever came back, each connection is closed and each call has its end in the trail.
    assert!(short.closes_within(Duration::from_secs(1)) && long.closes_within(Duration::from_secs(1)));
    let records = trail(&sandbox);
    let count = |event: &str| records.iter().filter(|record| record["event"] == event).count();
    assert_eq!(count("intent"), count("finish"), "{records:#?}");
}

#[test]
fn logs_are_json_lines_when_asked_for_and_the_log_level_is_heard() {
    let sandbox = Sandbox::new();
    let start = |level: &str| {
        let mut command = sandbox.command(SERVER);
        command.args(["serve", "--workspace"]).arg(sandbox.workspace());
        command.args(["--unauthenticated-loopback", "--http", "127.0.0.1:0", "--health", "off", "--metrics", "off"]);
        command.env("LOG_FORMAT", "json").env("LOG_LEVEL", level);
        HttpServer::spawn(command)
    };
    let mut server = start("debug");
    // The file that is not there is worth a line at this level.
    assert_eq!(server.modern().call("fs_read", json!({ "path": "none" })).result()["isError"], true);
    server.stop();
    let lines: Vec<Value> =
        server.errors().lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!lines.is_empty(), "{}", server.errors());
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string(), "{line}");
    }
    let mut quiet = start("error");
    assert_serves(&quiet);
    quiet.stop();
    // Where it listens is said at every level: whoever started it waits for that.
    assert!(quiet.errors().lines().all(|line| line.contains("toolyard::started")), "{}", quiet.errors());
}

#[test]
fn the_settings_of_a_container_choose_address_and_configuration() {
    let sandbox = Sandbox::new();
    let config = sandbox.scratch("config.json");
    let text = json!({ "http": { "tokens": [{ "name": "alice", "sha256": super::ALICE_SHA256 }], "health": "off", "metrics": "off" } });
    std::fs::write(&config, text.to_string()).expect("a configuration");
    let mut command = sandbox.command(SERVER);
    command.args(["serve", "--workspace"]).arg(sandbox.workspace());
    command.env("MCP_HOST", "127.0.0.1").env("MCP_PORT", "0").env("MCP_CONFIG_PATH", &config);
    let server = HttpServer::spawn(command).with_token(super::ALICE);
    assert!(server.modern().tool_names().contains(&"fs_read".to_owned()));
    let mut broken = sandbox.command(SERVER);
    broken.args(["serve"]).env("MCP_PORT", "eighty");
    let done = finish(&mut broken, Duration::from_secs(10)).expect("it does not start");
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("MCP_PORT"), "{}", done.stderr);
}

#[test]
fn the_health_check_of_a_container_says_by_its_exit_code_whether_to_restart() {
    let sandbox = Sandbox::new();
    let mut server = open(&sandbox);
    let check = |url: &str| {
        let mut command: Command = sandbox.command(SERVER);
        command.args(["healthcheck", "--url", url]);
        finish(&mut command, Duration::from_secs(10)).expect("it ends").code
    };
    let ready = format!("http://{}/readyz", server.health());
    assert_eq!(check(&ready), Some(0));
    assert_eq!(check(&format!("http://{}/none", server.health())), Some(1));
    server.stop();
    assert_eq!(check(&ready), Some(1));
    assert_eq!(check("not a url"), Some(2));
}

#[test]
fn a_taken_port_is_an_error_that_says_which_option_to_change() {
    let sandbox = Sandbox::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    for (option, others) in
        [("--http", ["--health", "--metrics"]), ("--health", ["--http", "--metrics"]), ("--metrics", ["--http", "--health"])]
    {
        let mut command = sandbox.command(SERVER);
        command.args(["serve", "--unauthenticated-loopback", option, &address]);
        for other in others {
            command.args([other, "127.0.0.1:0"]);
        }
        let done = finish(&mut command, Duration::from_secs(10)).expect("it does not start");
        assert_eq!(done.code, Some(2), "{option}: {}", done.stderr);
        assert!(done.stderr.contains(option) && done.stderr.contains(&address), "{option}: {}", done.stderr);
    }
}

#[test]
fn every_response_has_a_request_id_and_headers_that_keep_browsers_out() {
    let sandbox = Sandbox::new();
    let server = open(&sandbox);
    let list = server.modern().message("tools/list", json!({}));
    for request in
        [list.clone(), Request::get("/health"), Request::get("/none"), Request::get("/mcp"), list.clone().replace("Host", "evil.com")]
    {
        let response = server.ask(&request);
        assert!(response.header("x-request-id").is_some_and(|id| !id.is_empty()));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert!(response.header("content-security-policy").is_some_and(|policy| policy.contains("frame-ancestors 'none'")));
        assert!(response.header("cache-control").is_some_and(|cache| cache.contains("no-store")));
    }
    assert_eq!(server.ask(&list.clone().header("X-Request-Id", "trace-1.a_B")).header("x-request-id"), Some("trace-1.a_B"));
    let odd = server.ask(&list.header("X-Request-Id", "a b;c"));
    assert_ne!(odd.header("x-request-id"), Some("a b;c"));
}
