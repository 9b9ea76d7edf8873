//! SH1 and roles: who a token stands for, and what that opens.

use serde_json::{Value, json};
use support::{
    client::LEGACY,
    http::{Connection, Mcp, Request, SseClient},
    reply::joined,
};

use super::{Site, issuer};

#[test]
fn a8_callers_are_told_apart_by_issuer_subject_and_client() {
    let Some(site) = Site::configured(&["one", "two"], |_, _| {}) else { return };
    let subject = |issuer: &str, claims: Value| site.idp.forge(issuer, &site.resource(), &json!({ "claims": claims }));
    let cases = [
        (site.idp.mint("one", &site.resource(), &json!({})), "oauth:one:alice"),
        (site.idp.mint("two", &site.resource(), &json!({})), "oauth:two:alice"),
        (site.mint(&json!({ "subject": "auth0|5f7c8ec7" })), "oauth:one:auth0|5f7c8ec7"),
        (subject("two", json!({ "sub": "x", "client_id": "other" })), "oauth:two:x"),
    ];
    for (token, principal) in cases {
        let listed = site.client(&token).call("fs_list", json!({ "path": "." }));
        assert_ne!(listed.result()["isError"], true, "{principal}");
        site.recorded(principal, |record| record["event"] == "intent" && record["principal"] == principal);
    }
}

#[test]
fn a8_a_client_that_acts_for_itself_is_nobodys_user() {
    let Some(site) = Site::start() else { return };
    // A user may be named as the client is; the two must not be mixed up.
    let user = site.mint(&json!({ "subject": "minter" }));
    let client = site.forge(&json!({ "claims": { "sub": null } }));
    for token in [&user, &client] {
        let listed = site.client(token).call("fs_list", json!({ "path": "." }));
        assert_ne!(listed.result()["isError"], true);
    }
    let who = || -> Vec<String> {
        let intents = site.trail().into_iter().filter(|record| record["event"] == "intent");
        intents.map(|record| record["principal"].as_str().unwrap_or_default().to_owned()).collect()
    };
    site.recorded("both calls", |_| who().len() == 2);
    let who = who();
    assert_eq!(who[0], "oauth:one:minter");
    assert!(who[1].starts_with("oauth:one:") && who[1].contains("minter"), "{who:?}");
    assert_ne!(who[0], who[1]);
}

#[test]
fn sh1_a_session_belongs_to_one_issuers_subject() {
    let Some(site) = Site::configured(&["one", "two"], |_, _| {}) else { return };
    let of_one = site.idp.mint("one", &site.resource(), &json!({}));
    let of_two = site.idp.mint("two", &site.resource(), &json!({}));
    let bob = site.mint(&json!({ "subject": "bob" }));
    let mut client = Mcp::legacy(site.server.address(), Some(&of_one), LEGACY);
    let stranger = client.message("tools/list", json!({})).replace("Mcp-Session-Id", "8f14e45f-ceea-467f-a34e-1b5c9e2d7f10");
    for token in [&of_two, &bob] {
        let nowhere = site.server.ask(&stranger.clone().bearer(token));
        client.set_token(Some(token));
        let taken = client.exchange("tools/list", json!({}));
        assert_eq!((taken.status(), &taken.json()["error"]), (404, &nowhere.json()["error"]), "as if there were no such session");
        assert_eq!(client.listen().response().status(), 404);
        assert_eq!(client.close().status(), 404);
    }
    for stranger in ["oauth:two:alice", "oauth:one:bob"] {
        site.recorded(stranger, |record| record["reason"] == "foreign_handle" && record["principal"] == stranger);
    }
    // The same caller may come with a newer token.
    client.set_token(Some(&site.mint(&json!({}))));
    assert_eq!(client.exchange("tools/list", json!({})).status(), 200);
    assert_eq!(client.close().status() / 100, 2);
    assert_eq!(client.exchange("tools/list", json!({})).status(), 404);
}

#[test]
fn sh1_messages_of_http_sse_are_taken_from_their_caller_only() {
    let Some(site) = Site::configured(&["one", "two"], |_, _| {}) else { return };
    let of_one = site.idp.mint("one", &site.resource(), &json!({}));
    let of_two = site.idp.mint("two", &site.resource(), &json!({}));
    let mut client = SseClient::connect(site.server.address(), Some(&of_one), "2024-11-05");
    let message = json!({ "jsonrpc": "2.0", "id": 99, "method": "tools/list" });
    let post = |endpoint: &str, token: &str| site.server.ask(&Request::post(endpoint).json(&message).bearer(token)).status();
    assert_eq!(post(client.endpoint(), &of_two), 404);
    assert_eq!(post("/messages?sessionId=8f14e45f-ceea-467f-a34e-1b5c9e2d7f10", &of_one), 404);
    site.recorded("the stranger", |record| record["reason"] == "foreign_handle" && record["principal"] == "oauth:two:alice");
    assert_eq!(client.tool_names().len(), site.client(&of_one).tool_names().len());
}

#[test]
fn roles_of_a_token_decide_what_is_listed_and_what_may_be_called() {
    let Some(site) = Site::configured(&["one"], |_, config| {
        config["policy"] = json!({
            "profile": "locked",
            "allow": ["read", { "rule": "fs_write(notes/**)", "roles": ["author"] }],
            "deny": [{ "rule": "fs_read(plans/**)", "roles": ["guest"] }],
        });
        issuer(config)["roleClaims"] = json!(["groups", "realm_access.roles"]);
        issuer(config)["roles"] = json!({ "dev-team": ["author"], "visitors": ["guest"], "root": [] });
    }) else {
        return;
    };
    site.sandbox.write("plans/a.txt", "the plan\n");
    let token = |claims: Value| site.mint(&json!({ "scope": "mcp:read mcp:write", "claims": claims }));
    let lists_write = |token: &str| site.client(token).tool_names().iter().any(|name| name == "fs_write");
    let authors = [token(json!({ "groups": ["x", "dev-team"] })), token(json!({ "realm_access": { "roles": ["dev-team"] } }))];
    let others = [
        token(json!({})),
        token(json!({ "groups": ["author"] })),
        token(json!({ "groups": "dev-team x" })),
        token(json!({ "roles": ["dev-team"] })),
        token(json!({ "groups": ["root"] })),
    ];
    for (nth, author) in authors.iter().enumerate() {
        assert!(lists_write(author), "author {nth}");
        let path = format!("notes/{nth}.txt");
        let response = site.write(author, &path);
        assert_eq!(site.sandbox.read(&path), "written\n", "{}", response.text());
        assert_eq!(site.write(author, "elsewhere.txt").reply().result()["isError"], true);
    }
    for (nth, other) in others.iter().enumerate() {
        assert!(!lists_write(other), "other {nth}");
        assert_eq!(site.write(other, "notes/no.txt").reply().result()["isError"], true, "other {nth}");
    }
    let unreadable =
        [json!({ "groups": [["dev-team"], 7] }), json!({ "realm_access": ["x"] }), json!({ "_claim_names": { "groups": "a" } })];
    for claims in unreadable {
        site.assert_refused(&site.list(&token(claims)));
    }
    let reads = |token: &str| {
        let read = site.client(token).call("fs_read", json!({ "path": "plans/a.txt" }));
        joined(read.result()).contains("the plan")
    };
    assert!(reads(&others[0]));
    assert!(!reads(&token(json!({ "groups": ["visitors"] }))), "a deny rule for a role holds");
    assert!(!reads(&token(json!({ "groups": ["dev-team", "visitors"] }))), "and another role does not lift it");
}

#[test]
fn roles_make_a_list_that_nobody_else_may_keep() {
    let Some(site) = Site::start() else { return };
    let listed = site.list(&site.mint(&json!({})));
    assert_eq!(listed.reply().result()["cacheScope"], "private");
    let stored = listed.header("cache-control").unwrap_or_default().to_owned();
    assert!(stored.contains("no-store") || stored.contains("private"), "{stored:?}");
}

#[test]
fn a_connection_is_not_a_caller() {
    let Some(site) = Site::start() else { return };
    let (alice, bob) = (site.mint(&json!({})), site.mint(&json!({ "subject": "bob" })));
    let mut connection = Connection::open(site.server.address());
    let mut ask = |token: Option<&str>| {
        let mut client = Mcp::modern(site.server.address(), token);
        let request = client.call_message("fs_list", &json!({ "path": "." }));
        connection.ask(&request).status()
    };
    assert_eq!(ask(Some(&alice)), 200);
    assert_eq!(ask(None), 401, "what one request proved does not hold for the next");
    assert_eq!(ask(Some(&bob)), 200);
    site.recorded("bob's call", |record| record["event"] == "intent" && record["principal"] == "oauth:one:bob");
}

#[test]
fn a_static_token_beside_access_tokens_is_not_limited_by_scopes() {
    let Some(site) = Site::configured(&["one"], |_, config| {
        // The SHA-256 of the token below.
        let sha256 = "afa3c296c6d86f612e79e1268802ec69e13576c0446e0dffdb8d94c61dadbffb";
        config["http"]["tokens"] = json!([{ "name": "alice", "sha256": sha256 }]);
    }) else {
        return;
    };
    let written = site.write("operator-token-of-the-test-suite", "a.txt");
    assert_eq!(site.sandbox.read("a.txt"), "written\n", "{}", written.text());
    site.recorded("the caller", |record| record["event"] == "intent" && record["principal"] == "token:alice");
    assert_eq!(site.write(&site.mint(&json!({})), "b.txt").status(), 403, "access tokens are");
    site.assert_refused(&site.write("another-token-of-the-test-suite", "c.txt"));
    assert_eq!(site.idp.count("one", "introspection"), 0, "what is no access token is not asked about");
}
