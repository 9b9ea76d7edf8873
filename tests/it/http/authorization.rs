//! Who may call, with the tokens the operator hands out; access tokens are tested with an identity
//! provider of their own.

use serde_json::json;
use support::{
    client::{LEGACY, MODERN},
    http::{HttpServer, Request},
    sandbox::Sandbox,
};

use super::{ALICE, BOB, recorded, trail, with_tokens};
use crate::SERVER;

#[test]
fn a3_without_a_token_every_path_of_the_protocol_answers_401_without_an_error_code() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({}));
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let listen = json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {} });
    for (what, request) in [
        ("POST", Request::message(&message)),
        ("listen", Request::message(&listen).header("MCP-Protocol-Version", MODERN)),
        ("GET", Request::get("/mcp").header("Accept", "text/event-stream")),
        ("DELETE", Request::delete("/mcp").header("Mcp-Session-Id", "x")),
        ("SSE", Request::get("/sse").header("Accept", "text/event-stream")),
        ("messages", Request::post("/messages?sessionId=x").json(&message)),
    ] {
        let response = server.ask(&request);
        assert_eq!(response.status(), 401, "{what}");
        let challenge = response.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer") && !challenge.contains("error="), "{what}: {challenge}");
    }
    recorded(&sandbox, "the refusals", |record| record["event"] == "refusal" && record["reason"] == "unauthenticated");
}

#[test]
fn a4_a_token_that_is_not_known_is_invalid_and_runs_nothing() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let server = with_tokens(&sandbox, &json!({}));
    let mut client = server.modern();
    let call = client.call_message("fs_write", &json!({ "path": "a.txt", "content": "x", "overwrite": true }));
    for token in ["x", &ALICE[1..], &format!("{ALICE}x"), &ALICE.to_uppercase(), ALICE_HASH] {
        let response = server.ask(&call.clone().bearer(token));
        assert_eq!(response.status(), 401, "{token}");
        let challenge = response.header("www-authenticate").unwrap_or_default();
        assert!(challenge.contains(r#"error="invalid_token""#), "{token}: {challenge}");
        assert!(!response.text().contains(token) || token == "x", "the answer repeats the token");
    }
    assert_eq!(sandbox.read("a.txt"), "alpha\n");
    let challenge = server.ask(&call.clone().replace("Authorization", "Basic YTpi"));
    assert_eq!(challenge.status(), 401);
    assert!(server.ask(&call.bearer(ALICE)).reply().text().contains("a.txt"));
    assert!(trail(&sandbox).iter().all(|record| record["tool"] != "fs_write" || record["principal"] == "token:alice"));
}

/// What the configuration holds opens nothing.
const ALICE_HASH: &str = super::ALICE_SHA256;

#[test]
fn a6_a_token_in_the_wrong_place_or_twice_makes_the_request_malformed() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({}));
    let list = server.modern().message("tools/list", json!({})).without("Authorization");
    let twice = list.clone().header("Authorization", &format!("Bearer {ALICE}")).header("Authorization", &format!("Bearer {BOB}"));
    assert_eq!(server.ask(&twice).status(), 400);
    let two = list.header("Authorization", &format!("Bearer {ALICE}, Bearer {BOB}"));
    assert!([400, 401].contains(&server.ask(&two).status()));
    for path in [format!("/mcp?access_token={ALICE}"), format!("/sse?access_token={ALICE}")] {
        let request = Request::get(&path).header("Accept", "text/event-stream");
        assert_eq!(server.ask(&request).status(), 400, "a token in the query");
    }
    let body = Request::post("/mcp").header("Content-Type", "application/x-www-form-urlencoded").body(format!("access_token={ALICE}"));
    assert!([400, 401, 415].contains(&server.ask(&body).status()));
}

#[test]
fn cd_there_is_no_authorization_server_here() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({}));
    for path in
        ["/authorize", "/token", "/register", "/revoke", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]
    {
        for method in ["GET", "POST"] {
            assert_eq!(server.ask(&Request::new(method, path).bearer(ALICE)).status(), 404, "{method} {path}");
        }
    }
}

#[test]
fn tp4_a_token_appears_in_no_answer_log_record_or_figure() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let config = json!({ "http": { "tokens": [{ "name": "alice", "sha256": super::ALICE_SHA256 }] } });
    let file = sandbox.scratch("config.json");
    std::fs::write(&file, config.to_string()).expect("a configuration");
    let mut server =
        HttpServer::start(&sandbox, SERVER, &["--config", file.to_str().expect("a plain name"), "--debug=trace"]).with_token(ALICE);
    let wrong = "a-wrong-token-that-is-a-secret-somewhere-else";
    let mut answers = String::new();
    for mut client in [server.modern(), server.legacy(LEGACY)] {
        answers += &client.exchange("tools/list", json!({})).text();
        answers += &client.exchange("tools/call", json!({ "name": "fs_read", "arguments": { "path": "a.txt" } })).text();
        answers += &client.exchange("tools/call", json!({ "name": "fs_read", "arguments": { "path": "none" } })).text();
        client.set_token(Some(wrong));
        answers += &client.exchange("tools/list", json!({})).text();
    }
    let query = Request::get(&format!("/mcp?access_token={wrong}")).header("Accept", "text/event-stream");
    answers += &server.ask(&query).text();
    let figures = server.scrape();
    server.stop();
    let records = trail(&sandbox).iter().map(ToString::to_string).collect::<String>();
    assert!(records.contains("fs_read") && server.errors().len() > 100 && figures.contains("mcp_server"), "there is nothing to look at");
    for (where_, text) in [("answers", &answers), ("log", &server.errors()), ("trail", &records), ("figures", &figures)] {
        for token in [ALICE, wrong] {
            assert!(!text.contains(token), "a token in the {where_}");
        }
    }
}

#[test]
fn sm3_a_token_never_opens_what_the_policy_denies() {
    let sandbox = Sandbox::new().with(".git/config", "[core]\n").with("maintained/a.txt", "a\n").with("b.txt", "b\n");
    let server = with_tokens(&sandbox, &json!({}));
    let mut bob = server.modern();
    bob.set_token(Some(BOB));
    let protected = bob.call("fs_write", json!({ "path": ".git/config", "content": "x" })).failure();
    assert!(protected.contains("denied"), "{protected}");
    let asked = bob.call("fs_delete", json!({ "path": "b.txt" })).failure();
    assert!(asked.contains("consent"), "{asked}");
    assert_eq!((sandbox.read(".git/config"), sandbox.read("b.txt")), ("[core]\n".to_owned(), "b\n".to_owned()));
}

#[test]
fn roles_of_a_token_reach_the_policy_and_principals_the_trail() {
    let sandbox = Sandbox::new();
    let rules = json!({ "policy": { "profile": "locked", "allow": ["read", { "rule": "write(docs/**)", "roles": ["maintainer"] }] } });
    let server = with_tokens(&sandbox, &rules);
    let (mut alice, mut bob) = (server.modern(), server.modern());
    bob.set_token(Some(BOB));
    let write = json!({ "path": "docs/a.md", "content": "text\n" });
    std::fs::create_dir(sandbox.workspace().join("docs")).expect("a directory");
    let refused = alice.call("fs_write", write.clone()).failure();
    assert!(refused.contains("no rule allows it"), "{refused}");
    assert!(bob.call("fs_write", write).text().contains("docs/a.md"));
    let by = |name: &str, decision: &str| {
        let name = format!("token:{name}");
        recorded(&sandbox, "a decision", |record| {
            record["event"] == "intent" && record["principal"] == *name && record["decision"] == *decision
        })
    };
    assert_eq!(by("alice", "deny")["tool"], "fs_write");
    assert_eq!(by("bob", "allow")["tool"], "fs_write");
}
