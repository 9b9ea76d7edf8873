//! A5, A12, SM3, SM4: from a token that reads to one that writes, and from a password to a
//! second factor. A wider token still gets no further than the policy.

use serde_json::{Value, json};
use support::http::Response;

use super::{NO_SCOPE, Site, deviation, each};

const NO_FACTOR: &str = "this operation needs a stronger authentication of the user";

fn call(site: &Site, token: &str, tool: &str, arguments: Value) -> Response {
    site.client(token).exchange("tools/call", json!({ "name": tool, "arguments": arguments }))
}

fn needs(site: &Site, scope: &str, response: &Response) -> Option<String> {
    let body = json!({ "error": "insufficient_scope", "error_description": NO_SCOPE }).to_string();
    deviation(response, 403, &[&site.challenge("insufficient_scope", scope, NO_SCOPE)], &body)
}

#[test]
fn a5_a_token_that_reads_is_told_the_scope_for_writing() {
    let Some(site) = Site::start() else { return };
    site.sandbox.write("kept.txt", "kept\n");
    let reader = site.mint(&json!({ "scope": "mcp:read" }));
    assert_eq!(call(&site, &reader, "fs_read", json!({ "path": "kept.txt" })).status(), 200);
    let cases = [
        ("writing", ("fs_write", json!({ "path": "new.txt", "content": "x" }))),
        ("editing", ("fs_edit", json!({ "path": "kept.txt", "edits": [{ "old": "kept", "new": "gone" }] }))),
        ("deleting", ("fs_delete", json!({ "path": "kept.txt" }))),
        ("writing without arguments", ("fs_write", json!({}))),
    ];
    each(&cases, |(tool, arguments)| needs(&site, "mcp:write", &call(&site, &reader, tool, arguments.clone())));
    assert_eq!(site.sandbox.read("kept.txt"), "kept\n");
    assert!(!site.sandbox.workspace().join("new.txt").exists());
    assert_eq!(
        needs(&site, "mcp:read", &site.list(&site.forge(&json!({ "claims": { "scope": "mcp:reader xmcp:read" } })))),
        None,
        "a scope is a whole word"
    );
    assert_eq!(needs(&site, "mcp:read", &site.list(&site.mint(&json!({ "scope": "" })))), None, "no scope at all");
}

#[test]
fn a5_the_scope_for_writing_reads_as_well() {
    let Some(site) = Site::start() else { return };
    site.sandbox.write("kept.txt", "kept\n");
    let writer = site.mint(&json!({ "scope": "mcp:write" }));
    assert_eq!(site.list(&writer).status(), 200);
    let read = call(&site, &writer, "fs_read", json!({ "path": "kept.txt" }));
    assert!(read.reply().text().contains("kept"), "{}", read.text());
    assert_eq!(needs(&site, "mcp:read", &site.list(&site.mint(&json!({ "scope": "profile" })))), None);
}

#[test]
fn a5_sm1_the_list_is_the_same_for_every_scope_so_that_a_client_can_step_up() {
    let Some(site) = Site::start() else { return };
    let names = |scope: &str| site.client(&site.mint(&json!({ "scope": scope }))).tool_names();
    let (reader, writer) = (names("mcp:read"), names("mcp:read mcp:write mcp:execute"));
    assert!(reader.iter().any(|name| name == "fs_write"), "{reader:?}");
    assert_eq!(reader, writer);
}

#[test]
fn sm3_sm4_a_wider_token_still_meets_the_policy_and_the_trail_tells_the_way() {
    let Some(site) = Site::configured(&["one"], |_, config| config["policy"] = json!({ "deny": ["write(secret/**)"] })) else { return };
    let reader = site.mint(&json!({ "scope": "mcp:read" }));
    let refused = call(&site, &reader, "fs_write", json!({ "path": "a.txt", "content": "x" }));
    assert_eq!(needs(&site, "mcp:write", &refused), None);
    let request = refused.header("x-request-id").expect("an id to look for").to_owned();
    let record = site.recorded("the missing scope", |record| record["reason"] == "insufficient_scope");
    assert_eq!((&record["principal"], &record["request"]), (&json!("oauth:one:alice"), &json!(request)));

    let writer = site.mint(&json!({ "scope": "mcp:read mcp:write" }));
    let written = call(&site, &writer, "fs_write", json!({ "path": "a.txt", "content": "x" }));
    assert_eq!(site.sandbox.read("a.txt"), "x", "{}", written.text());
    let record = site.recorded("the elevated call", |record| record["event"] == "intent" && record["tool"] == "fs_write");
    assert_eq!((&record["principal"], &record["decision"]), (&json!("oauth:one:alice"), &json!("allow")));
    let request = written.header("x-request-id").expect("an id to look for");
    assert_eq!(record["request"], format!("{request}/1"), "the request, and the message in it");

    // Destroying asks, and nobody can be asked here; a deny rule stands above any scope.
    for (tool, arguments) in [("fs_delete", json!({ "path": "a.txt" })), ("fs_write", json!({ "path": "secret/b.txt", "content": "x" }))] {
        let response = call(&site, &writer, tool, arguments);
        assert_eq!(response.status(), 200, "{}", response.text());
        assert_eq!(response.reply().result()["isError"], true, "{tool}");
    }
    assert_eq!(site.sandbox.read("a.txt"), "x");
    assert!(!site.sandbox.workspace().join("secret").exists());
}

#[test]
fn a5_scopes_of_the_configuration_open_what_they_say() {
    let Some(site) = Site::configured(&["one"], |_, config| {
        config["http"]["oauth"]["scopes"] = json!([
            { "scope": "mcp:execute", "opens": ["fs_list", "fs_find"] },
            { "scope": "mcp:write", "opens": ["fs"] },
        ]);
    }) else {
        return;
    };
    let lister = site.mint(&json!({ "scope": "mcp:execute" }));
    assert_eq!(call(&site, &lister, "fs_list", json!({ "path": "." })).status(), 200);
    assert_eq!(needs(&site, "mcp:write", &call(&site, &lister, "fs_read", json!({ "path": "a" }))), None);
    let all = site.mint(&json!({ "scope": "mcp:write" }));
    assert_eq!(call(&site, &all, "fs_list", json!({ "path": "." })).status(), 200);
    let reader = site.mint(&json!({ "scope": "mcp:read" }));
    assert_eq!(needs(&site, "mcp:execute", &site.list(&reader)), None, "the first scope of the table is asked for");
    let document = site.server.ask(&support::http::Request::get("/.well-known/oauth-protected-resource")).json();
    assert_eq!(document["scopes_supported"], json!(["mcp:execute"]));
}

#[test]
fn a12_a_tool_that_needs_a_second_factor_says_which() {
    let Some(site) = Site::configured(&["one"], |_, config| {
        config["http"]["oauth"]["acr"] = json!([{ "tools": ["write"], "values": ["urn:mfa", "phr"] }]);
    }) else {
        return;
    };
    let token = |acr: Value| site.mint(&json!({ "scope": "mcp:read mcp:write", "claims": { "acr": acr } }));
    let body = json!({ "error": "insufficient_user_authentication", "error_description": NO_FACTOR }).to_string();
    let challenge = format!(
        r#"Bearer error="insufficient_user_authentication", {}, acr_values="urn:mfa phr", error_description="{NO_FACTOR}""#,
        site.parameters("mcp:write")
    );
    let cases = [
        ("a password", token(json!("pwd"))),
        ("nothing said", token(Value::Null)),
        ("a list", token(json!(["phr"]))),
        ("two in one", token(json!("urn:mfa phr"))),
    ];
    each(&cases, |token| deviation(&site.write(token, "a.txt"), 401, &[&challenge], &body));
    assert!(!site.sandbox.workspace().join("a.txt").exists());
    assert_eq!(site.list(&token(json!("pwd"))).status(), 200, "only writing needs it");
    let strong = site.write(&token(json!("phr")), "a.txt");
    assert_eq!(site.sandbox.read("a.txt"), "written\n", "{}", strong.text());
    let reader = site.mint(&json!({ "scope": "mcp:read", "claims": { "acr": "pwd" } }));
    assert_eq!(needs(&site, "mcp:write", &site.write(&reader, "a.txt")), None, "the scope is asked for first");
}
