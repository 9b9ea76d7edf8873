//! A9: opaque tokens, which only their issuer understands.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use support::{
    http::Response,
    idp::{self, now},
};

use super::{Site, each, issuer};

fn asking() -> Option<Site> {
    Site::configured(&["one"], |_, config| {
        issuer(config)["introspection"] = json!({ "clientId": "toolyard", "clientSecret": format!("env:{}", idp::SECRET_VARIABLE) });
    })
}

fn opaque(site: &Site, order: Value) -> String {
    let mut order = order;
    order["opaque"] = json!(true);
    site.mint(&order)
}

fn answered(site: &Site) -> u64 {
    site.idp.count("one", "introspection")
}

#[test]
fn a9_an_opaque_token_is_asked_about_once() {
    let Some(site) = asking() else { return };
    let token = opaque(&site, json!({ "scope": "mcp:read mcp:write" }));
    for nth in 0..5 {
        let path = format!("{nth}.txt");
        let response = site.write(&token, &path);
        assert_eq!(site.sandbox.read(&path), "written\n", "{}", response.text());
    }
    assert_eq!(answered(&site), 1, "what was answered holds for a while");
    site.recorded("the caller", |record| record["event"] == "intent" && record["principal"] == "oauth:one:alice");
    let reader = opaque(&site, json!({ "scope": "mcp:read" }));
    assert_eq!(site.write(&reader, "no.txt").status(), 403, "scopes hold for opaque tokens as well");
    assert_eq!(site.list(&site.mint(&json!({}))).status(), 200);
    assert_eq!(answered(&site), 2, "a JWT is checked here");
}

#[test]
fn a9_roles_and_classes_of_opaque_tokens_count() {
    let Some(site) = Site::configured(&["one"], |_, config| {
        issuer(config)["introspection"] = json!({ "clientId": "toolyard", "clientSecret": format!("env:{}", idp::SECRET_VARIABLE) });
        issuer(config)["roleClaims"] = json!(["groups"]);
        config["policy"] = json!({ "profile": "locked", "allow": ["read", { "rule": "fs_write(**)", "roles": ["author"] }] });
        config["http"]["oauth"]["acr"] = json!([{ "tools": ["write"], "values": ["mfa"] }]);
    }) else {
        return;
    };
    let token = |claims: Value| opaque(&site, json!({ "scope": "mcp:read mcp:write", "claims": claims }));
    let written = site.write(&token(json!({ "groups": ["author"], "acr": "mfa" })), "a.txt");
    assert_eq!(site.sandbox.read("a.txt"), "written\n", "{}", written.text());
    assert_eq!(site.write(&token(json!({ "groups": ["author"] })), "b.txt").status(), 401);
    assert_eq!(site.write(&token(json!({ "acr": "mfa" })), "c.txt").reply().result()["isError"], true);
}

#[test]
fn a9_opaque_tokens_that_their_issuer_does_not_vouch_for_are_refused() {
    let Some(site) = asking() else { return };
    let revoked = opaque(&site, json!({}));
    site.idp.revoke("one", &revoked);
    let cases = [
        ("unknown", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("revoked", revoked),
        ("for another server", site.mint(&json!({ "resource": "https://other.example", "opaque": true }))),
        ("of somebody else's kind", "a.b".to_owned()),
    ];
    each(&cases, |token| site.not_refused(&site.list(token)));
}

#[test]
fn a9_answers_that_do_not_fit_are_refused() {
    let Some(site) = asking() else { return };
    let (one, resource) = (site.idp.issuer("one").to_owned(), site.resource());
    let good = json!({
        "active": true, "sub": "alice", "client_id": "minter", "aud": resource, "iss": one, "scope": "mcp:read", "exp": now() + 300,
    });
    let with = |key: &str, value: Value| {
        let mut answer = good.clone();
        match value {
            Value::Null => drop(answer.as_object_mut().expect("an object").remove(key)),
            value => answer[key] = value,
        }
        answer
    };
    let ask = |nth: usize, answer: &Value| -> Response {
        site.idp.fault("one", "introspection", &json!({ "body": answer }));
        site.list(&format!("opaque-{nth}"))
    };
    assert_eq!(ask(0, &good).status(), 200);
    let cases = [
        ("not active", with("active", json!(false))),
        ("no audience", with("aud", Value::Null)),
        ("another audience", with("aud", json!("https://other.example"))),
        ("an empty audience", with("aud", json!([]))),
        ("another issuer", with("iss", json!("https://other.example"))),
        ("expired", with("exp", json!(now() - 120))),
        ("not valid yet", with("nbf", json!(now() + 120))),
        ("bound to a key", with("cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }))),
        ("neither subject nor client", json!({ "active": true, "aud": resource, "scope": "mcp:read" })),
    ];
    let numbered: Vec<_> = cases.into_iter().enumerate().map(|(nth, (name, answer))| (name, (nth + 1, answer))).collect();
    each(&numbered, |(nth, answer)| site.not_refused(&ask(*nth, answer)));
}

#[test]
fn a9_an_issuer_that_cannot_be_asked_is_503() {
    let Some(site) = asking() else { return };
    let redirect = json!({ "status": 307, "headers": { "location": format!("{}/introspect", site.idp.trap()) } });
    let cases = [
        ("500", json!({ "status": 500 })),
        ("our secret is wrong", json!({ "status": 401, "body": { "error": "invalid_client" } })),
        ("no JSON", json!({ "body": "<html>" })),
        ("a list", json!({ "body": [true] })),
        ("active as text", json!({ "body": { "active": "true", "sub": "alice", "aud": site.resource() } })),
        ("active as a number", json!({ "body": { "active": 1, "sub": "alice", "aud": site.resource() } })),
        ("nothing about it", json!({ "body": { "sub": "alice", "aud": site.resource() } })),
        ("a redirect", redirect),
        ("too much", json!({ "bytes": 2 << 20, "body": { "active": true } })),
        ("nobody there", json!({ "hangUp": true })),
    ];
    let numbered: Vec<_> = cases.into_iter().enumerate().map(|(nth, (name, fault))| (name, (nth, fault))).collect();
    each(&numbered, |(nth, fault)| {
        site.idp.fault("one", "introspection", fault);
        let response = site.list(&format!("opaque-{nth}"));
        (response.status() != 503).then(|| format!("{} {}", response.status(), response.text()))
    });
    assert_eq!(site.idp.trapped(), Vec::<Value>::new(), "the token is not sent on to where a redirect points");
    site.idp.fault("one", "introspection", &Value::Null);
    assert_eq!(site.list(&opaque(&site, json!({}))).status(), 200, "the next one is fine again");
}

#[test]
fn a9_an_answer_is_kept_no_longer_than_the_token_lives() {
    let Some(site) = Site::configured(&["one"], |_, config| {
        issuer(config)["introspection"] = json!({ "clientId": "toolyard", "clientSecret": format!("env:{}", idp::SECRET_VARIABLE) });
        issuer(config)["leewaySeconds"] = json!(0);
    }) else {
        return;
    };
    let token = opaque(&site, json!({ "ttl": 2 }));
    assert_eq!(site.list(&token).status(), 200);
    thread::sleep(Duration::from_millis(3100));
    site.assert_refused(&site.list(&token));
}

#[test]
fn a9_a_flood_of_unknown_tokens_does_not_reach_the_issuer_one_by_one() {
    let Some(site) = asking() else { return };
    let unknown = "B".repeat(43);
    for _ in 0..20 {
        site.assert_refused(&site.list(&unknown));
    }
    assert_eq!(answered(&site), 1, "that a token is unknown is remembered");
}
