//! SH: what one caller was given is nothing in the hands of another.

use serde_json::json;
use support::{client::LEGACY, http::Request, sandbox::Sandbox};

use super::{ALICE, BOB, recorded, with_tokens};

#[test]
fn sh1_a_session_of_somebody_else_does_not_exist() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({}));
    let mut alice = server.legacy(LEGACY);
    let list = alice.message("tools/list", json!({}));
    let unknown = list.clone().replace("Mcp-Session-Id", "0123456789abcdef0123456789abcdef");
    let session = alice.session().expect("a session").to_owned();
    for (what, foreign, missing) in [
        ("POST", list.bearer(BOB), unknown.bearer(BOB)),
        (
            "GET",
            Request::get("/mcp").header("Accept", "text/event-stream").header("Mcp-Session-Id", &session).bearer(BOB),
            Request::get("/mcp").header("Accept", "text/event-stream").header("Mcp-Session-Id", "x").bearer(BOB),
        ),
        (
            "DELETE",
            Request::delete("/mcp").header("Mcp-Session-Id", &session).bearer(BOB),
            Request::delete("/mcp").header("Mcp-Session-Id", "x").bearer(BOB),
        ),
    ] {
        let (foreign, missing) = (server.ask(&foreign), server.ask(&missing));
        assert_eq!((foreign.status(), foreign.text()), (missing.status(), missing.text()), "{what}");
        assert_eq!(foreign.status(), 404, "{what}");
    }
    assert!(!alice.tool_names().is_empty(), "the session is as it was");
    let record = recorded(&sandbox, "the attempt", |record| record["reason"] == "foreign_handle" || record["reason"] == "foreign_session");
    assert_eq!(record["principal"], "token:bob");
    assert!(!record.to_string().contains(&session), "the handle itself is not in the trail");
}

#[test]
fn sh1_an_event_stream_of_somebody_else_takes_no_messages() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({}));
    let mut alice = server.sse(LEGACY);
    let ping = json!({ "jsonrpc": "2.0", "id": 99, "method": "ping" });
    let foreign = server.ask(&Request::post(alice.endpoint()).json(&ping).bearer(BOB));
    let missing = server.ask(&Request::post("/messages?sessionId=0123456789abcdef0123456789abcdef").json(&ping).bearer(BOB));
    assert_eq!((foreign.status(), foreign.text()), (missing.status(), missing.text()));
    assert_eq!(foreign.status(), 404);
    assert!(alice.request("ping", json!({})).result().is_object());
    recorded(&sandbox, "the attempt", |record| record["event"] == "refusal" && record["principal"] == "token:bob");
}

#[test]
fn sh1_a_cursor_of_somebody_else_is_no_cursor() {
    let sandbox = Sandbox::new();
    for index in 0..400 {
        sandbox.write(&format!("files/{index:03}.txt"), "x\n");
    }
    let server = with_tokens(&sandbox, &json!({}));
    let (mut alice, mut bob) = (server.modern(), server.modern());
    bob.set_token(Some(BOB));
    let first = alice.call("fs_list", json!({ "path": "files", "max_tokens": 500 })).text();
    let cursor = first.rsplit("cursor=").next().and_then(|rest| rest.split([';', ']', ' ']).next()).expect("a cursor").to_owned();
    let next = json!({ "path": "files", "max_tokens": 500, "cursor": cursor });
    let made_up = json!({ "path": "files", "max_tokens": 500, "cursor": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" });
    assert_eq!(bob.call("fs_list", next.clone()).failure(), bob.call("fs_list", made_up).failure());
    assert!(alice.call("fs_list", next).text().contains(".txt"));
}

#[test]
fn sh3_possession_of_a_handle_without_a_token_is_worth_nothing() {
    let sandbox = Sandbox::new();
    let server = with_tokens(&sandbox, &json!({}));
    let mut alice = server.legacy(LEGACY);
    let list = alice.message("tools/list", json!({}));
    assert_eq!(server.ask(&list.clone().without("Authorization")).status(), 401);
    assert_eq!(server.ask(&list.clone().bearer("wrong")).status(), 401);
    assert_eq!(server.ask(&list.bearer(ALICE)).status(), 200);
}
