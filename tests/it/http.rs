//! The real program over HTTP, asked by hand: every statement of the specification and of the
//! security catalogue that concerns it, by its id, and faults of every kind.

mod authorization;
mod faults;
mod guards;
mod handles;
mod limits;
mod operations;
mod sessions;
mod stateless;

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    http::{HttpServer, Request},
    sandbox::Sandbox,
};

use crate::SERVER;

/// A token without roles, and its SHA-256 in the configuration.
const ALICE: &str = "alice-token-of-the-tests-0123456789abcdef";
const ALICE_SHA256: &str = "1e3bf49420dea16efbc11228b4cc6c71c2821c86b692cab8a056de9867a2f809";

/// A token of a maintainer.
const BOB: &str = "bob-token-of-the-tests-0123456789abcdef";
const BOB_SHA256: &str = "3abc37eda1a3582142274b789ab6f8f28fed613b99e35c87d911c91d7f9f5163";

/// A server of this machine that asks nobody who they are.
#[track_caller]
fn open(sandbox: &Sandbox) -> HttpServer {
    HttpServer::start(sandbox, SERVER, &["--unauthenticated-loopback", "--legacy-sse"])
}

/// A server with the two tokens and with `extra` over the rest of its configuration; Alice's token
/// is sent unless another is set.
#[track_caller]
fn with_tokens(sandbox: &Sandbox, extra: &Value) -> HttpServer {
    let mut config = json!({
        "policy": { "allow": [{ "rule": "fs_delete(/maintained/**)", "roles": ["maintainer"] }] },
        "http": { "legacySse": true, "tokens": [
            { "name": "alice", "sha256": ALICE_SHA256 },
            { "name": "bob", "sha256": BOB_SHA256, "roles": ["maintainer"] },
        ] },
    });
    merge(&mut config, extra);
    let file = sandbox.scratch("config.json");
    fs::write(&file, config.to_string()).expect("a configuration");
    let file = file.to_str().expect("a plain name");
    HttpServer::start(sandbox, SERVER, &["--config", file]).with_token(ALICE)
}

fn merge(into: &mut Value, extra: &Value) {
    match (into, extra) {
        (Value::Object(into), Value::Object(extra)) => {
            for (key, value) in extra {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, extra) => *into = extra.clone(),
    }
}

/// The audit records of a sandbox, in the order they were written.
fn trail(sandbox: &Sandbox) -> Vec<Value> {
    let Ok(files) = fs::read_dir(sandbox.state().join("audit")) else { return Vec::new() };
    let mut paths: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
    paths.sort();
    let text: String = paths.iter().map(|path| fs::read_to_string(path).expect("a trail")).collect();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits for a record that fits.
#[track_caller]
fn recorded(sandbox: &Sandbox, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    let there = within(Duration::from_secs(5), || {
        found = trail(sandbox).into_iter().find(&is_it);
        found.is_some()
    });
    assert!(there, "no record of {what} in {:#?}", trail(sandbox));
    found.unwrap_or_default()
}

/// Whether something comes true in time.
fn within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// How many calls the server works on, by its own account.
#[track_caller]
fn active_calls(server: &HttpServer) -> u64 {
    let mut health = support::http::Connection::open(server.health());
    let told = health.ask(&Request::get("/health")).json();
    told["active_calls"].as_u64().unwrap_or_else(|| panic!("no active calls in {told}"))
}

/// That the server still does its work.
#[track_caller]
fn assert_serves(server: &HttpServer) {
    let listed = server.modern().tool_names();
    assert!(listed.contains(&"fs_read".to_owned()), "{listed:?}");
}
