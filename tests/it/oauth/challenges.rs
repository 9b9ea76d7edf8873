//! A2, A3, A6, A7, SM1, SM2: where tokens are from, and what a request without a good one is told.

use serde_json::{Value, json};
use support::{
    client::{LEGACY, MODERN, modern_meta},
    http::{Mcp, Request, Response},
};

use super::{MALFORMED, Site, deviation, each};

fn missing(site: &Site, response: &Response) -> Option<String> {
    let body = r#"{"error":"unauthorized","error_description":"send a token in the Authorization header: Bearer and the token"}"#;
    deviation(response, 401, &[&format!("Bearer {}", site.parameters("mcp:read"))], body)
}

fn malformed(site: &Site, response: &Response) -> Option<String> {
    let body = json!({ "error": "invalid_request", "error_description": MALFORMED }).to_string();
    deviation(response, 400, &[&site.challenge("invalid_request", "mcp:read", MALFORMED)], &body)
}

fn list() -> Request {
    let params = json!({ "_meta": modern_meta(MODERN) });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params });
    Request::message(&message).header("MCP-Protocol-Version", MODERN).header("Mcp-Method", "tools/list")
}

#[test]
fn a2_the_metadata_is_at_both_well_known_places_for_everyone() {
    let Some(site) = Site::configured(&["one", "two"], |_, _| {}) else { return };
    let expected = json!({
        "resource": site.resource(),
        "authorization_servers": [site.idp.issuer("one"), site.idp.issuer("two")],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["mcp:read"],
    });
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        for request in [Request::get(path), Request::get(path).bearer("wrong")] {
            let response = site.server.ask(&request);
            assert_eq!((response.status(), response.header("content-type")), (200, Some("application/json")), "{path}");
            assert_eq!(response.json(), expected, "{path}");
        }
    }
    let elsewhere = site.server.ask(&Request::get("/.well-known/oauth-protected-resource/other"));
    assert_eq!(elsewhere.status(), 404);
    for issuer in ["one", "two"] {
        assert_eq!(site.idp.count(issuer, "discovery"), 0, "telling where tokens are from needs no issuer");
    }
}

#[test]
fn a2_a_public_url_is_the_resource_in_its_canonical_form() {
    let Some(site) = Site::configured(&["one"], |_, config| config["http"]["publicUrl"] = json!("https://Tools.Example.com:443/mcp"))
    else {
        return;
    };
    let document = site.server.ask(&Request::get("/.well-known/oauth-protected-resource/mcp")).json();
    assert_eq!(document["resource"], "https://tools.example.com/mcp");
    let response = site.server.ask(&list());
    let place = r#"resource_metadata="https://tools.example.com/.well-known/oauth-protected-resource/mcp""#;
    assert_eq!(response.header("www-authenticate"), Some(&*format!(r#"Bearer {place}, scope="mcp:read""#)));
    let ours = site.idp.mint("one", "https://tools.example.com/mcp", &json!({}));
    assert_eq!(site.list(&ours).status(), 200);
    assert_eq!(site.list(&site.mint(&json!({}))).status(), 401, "the address behind the proxy is no audience");
}

#[test]
fn cd_there_is_no_authorization_server_here() {
    let Some(site) = Site::start() else { return };
    let token = site.mint(&json!({}));
    let paths = [
        "/authorize",
        "/token",
        "/register",
        "/oauth/token",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ];
    for path in paths {
        for method in ["GET", "POST"] {
            let response = site.server.ask(&Request::new(method, path).bearer(&token));
            assert_eq!(response.status(), 404, "{method} {path}");
        }
    }
}

#[test]
fn a3_sm1_a_request_without_credentials_is_told_where_to_get_the_read_scope() {
    let Some(site) = Site::start() else { return };
    let cases = [
        ("nothing", list()),
        ("a scheme of somebody else", list().header("Authorization", "Basic YTpi")),
        ("a scheme without a name", list().header("Authorization", "Bearerabc")),
        ("DPoP, which is off", list().header("DPoP", "abc")),
    ];
    each(&cases, |request| missing(&site, &site.server.ask(request)));
}

#[test]
fn a6_a_request_with_more_than_one_token_or_one_elsewhere_is_malformed() {
    let Some(site) = Site::start() else { return };
    let token = site.mint(&json!({}));
    let bearer = format!("Bearer {token}");
    let to =
        |target: &str| Request::post(target).header("Accept", "application/json, text/event-stream").header("MCP-Protocol-Version", MODERN);
    let in_query =
        |target: &str| to(target).header("Mcp-Method", "tools/list").body(list().body_bytes()).header("Content-Type", "application/json");
    let form = format!("access_token={token}");
    let cases = [
        ("the same token twice", list().bearer(&token).header("Authorization", &bearer)),
        ("two headers, one of another scheme", list().bearer(&token).header("Authorization", "Basic YTpi")),
        ("two tokens in one header", list().header("Authorization", &format!("{bearer}, {bearer}"))),
        ("two tokens behind one scheme", list().header("Authorization", &format!("{bearer} {token}"))),
        ("no token", list().header("Authorization", "Bearer")),
        ("only spaces", list().header("Authorization", "Bearer   ")),
        ("quotes", list().header("Authorization", &format!("Bearer \"{token}\""))),
        ("in the query", in_query(&format!("/mcp?access_token={token}"))),
        ("in the query, escaped", in_query(&format!("/mcp?access%5Ftoken={token}"))),
        ("in the query and in the header", in_query(&format!("/mcp?access_token={token}")).bearer(&token)),
        ("in the query of HTTP+SSE", Request::get(&format!("/sse?access_token={token}")).header("Accept", "text/event-stream")),
        ("in the body", to("/mcp").header("Content-Type", "application/x-www-form-urlencoded").body(form.as_str())),
        ("in the body and in the header", to("/mcp").header("Content-Type", "application/x-www-form-urlencoded").bearer(&token).body(form)),
    ];
    each(&cases, |request| malformed(&site, &site.server.ask(request)));
    assert_eq!(site.server.ask(&list().bearer(&token)).status(), 200, "the token itself is good");
}

/// Every route that does something, in both eras and both transports.
fn routes() -> Vec<(&'static str, Request)> {
    let hello = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } });
    let modern = |method: &str, mut params: Value| {
        params["_meta"] = modern_meta(MODERN);
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = Request::message(&message).header("MCP-Protocol-Version", MODERN).header("Mcp-Method", method);
        match params["name"].as_str() {
            Some(name) => request.header("Mcp-Name", name),
            None => request,
        }
    };
    let legacy = |request: Request| request.header("MCP-Protocol-Version", LEGACY).header("Mcp-Session-Id", "made-up");
    let message = |method: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} });
    vec![
        ("a tool call", modern("tools/call", json!({ "name": "fs_list", "arguments": { "path": "." } }))),
        ("the list of tools", modern("tools/list", json!({}))),
        ("server/discover", modern("server/discover", json!({}))),
        ("subscriptions/listen", modern("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }))),
        ("an unknown method", modern("nothing/here", json!({}))),
        ("a notification", Request::message(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))),
        ("no JSON", Request::message(&json!({})).body("{")),
        ("initialize", Request::message(&json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }))),
        ("a request of a session", legacy(Request::message(&message("tools/list")))),
        ("ping", legacy(Request::message(&message("ping")))),
        ("the stream of a session", legacy(Request::get("/mcp").header("Accept", "text/event-stream"))),
        ("the end of a session", legacy(Request::delete("/mcp"))),
        ("the stream of HTTP+SSE", Request::get("/sse").header("Accept", "text/event-stream")),
        ("a message of HTTP+SSE", Request::post("/messages?sessionId=made-up").json(&message("tools/list"))),
    ]
}

#[test]
fn a7_every_route_needs_a_token() {
    let Some(site) = Site::start() else { return };
    each(&routes(), |request| missing(&site, &site.server.ask(request)));
}

#[test]
fn a7_every_route_needs_a_good_token() {
    let Some(site) = Site::start() else { return };
    let foreign = site.forge(&json!({ "by": "foreign" }));
    each(&routes(), |request| site.not_refused(&site.server.ask(&request.clone().bearer(&foreign))));
}

#[test]
fn a7_a_token_with_none_of_our_scopes_opens_no_route() {
    let Some(site) = Site::start() else { return };
    let token = site.mint(&json!({ "scope": "profile" }));
    let body = json!({ "error": "insufficient_scope", "error_description": super::NO_SCOPE }).to_string();
    let challenge = site.challenge("insufficient_scope", "mcp:read", super::NO_SCOPE);
    each(&routes(), |request| deviation(&site.server.ask(&request.clone().bearer(&token)), 403, &[&challenge], &body));
}

#[test]
fn sh3_a_session_id_is_nothing_without_a_token() {
    let Some(site) = Site::start() else { return };
    let token = site.mint(&json!({}));
    let mut client = Mcp::legacy(site.server.address(), Some(&token), LEGACY);
    assert!(client.session().is_some(), "there is a session");
    client.set_token(None);
    assert_eq!(missing(&site, &client.exchange("tools/list", json!({}))), None);
    let mut stream = client.listen();
    assert_eq!(missing(&site, &stream.response()), None);
    assert_eq!(missing(&site, &client.close()), None);
    let expired = site.forge(&json!({ "claims": { "exp": support::idp::now() - 120 } }));
    client.set_token(Some(&expired));
    site.assert_refused(&client.exchange("tools/list", json!({})));
    client.set_token(Some(&token));
    assert_eq!(client.exchange("tools/list", json!({})).status(), 200, "the session itself went on");
}
