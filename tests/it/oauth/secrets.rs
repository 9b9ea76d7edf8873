//! A10, TP3, TP4: tokens and secrets turn up nowhere.

use std::{fs, path::Path};

use serde_json::json;
use support::{
    client::LEGACY,
    http::{Mcp, Request, Response},
    idp::{self, now},
};

use super::{Site, issuer};

/// All bytes of all files below a directory, with their names.
fn everything_below(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            everything_below(&path, into);
        } else {
            into.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
}

#[test]
fn a10_tp3_tp4_a_token_turns_up_in_no_log_trail_answer_figure_or_request() {
    let Some(mut site) = Site::configured(&["one", "two"], |_, config| {
        issuer(config)["introspection"] = json!({ "clientId": "toolyard", "clientSecret": format!("env:{}", idp::SECRET_VARIABLE) });
        config["http"]["oauth"]["dpop"] = json!("accept");
    }) else {
        return;
    };
    site.sandbox.write("a.txt", "hello\n");
    let good = site.mint(&json!({ "scope": "mcp:read mcp:write" }));
    let reader = site.mint(&json!({}));
    let opaque = site.mint(&json!({ "opaque": true }));
    let unknown = "canary-of-nobody-0123456789".to_owned();
    let expired = site.forge(&json!({ "claims": { "exp": now() - 120 } }));
    let foreign = site.forge(&json!({ "by": "foreign", "header": { "kid": "canary-kid" } }));
    let malformed = format!("{}.canary-malformed", &good[..60]);
    let bound = site.mint(&json!({ "dpop": "laptop" }));
    let proof = site.idp.proof(&json!({ "key": "laptop", "htm": "POST", "htu": site.resource(), "token": bound }));

    let mut answers: Vec<Response> = Vec::new();
    for token in [&good, &reader, &opaque, &unknown, &expired, &foreign, &malformed, &bound] {
        let mut client = site.client(token);
        answers.push(client.exchange("tools/list", json!({})));
        answers.push(client.exchange("tools/call", json!({ "name": "fs_read", "arguments": { "path": "a.txt" } })));
        answers.push(client.exchange("tools/call", json!({ "name": "fs_write", "arguments": { "path": "b.txt", "content": "x" } })));
        answers.push(client.exchange("tools/call", json!({ "name": "fs_read", "arguments": { "path": "../outside" } })));
        answers.push(client.exchange("tools/call", json!({ "name": "no_such_tool", "arguments": {} })));
        answers.push(site.server.ask(&Request::get(&format!("/mcp?access_token={token}"))));
        answers.push(site.server.ask(&Request::post("/mcp").header("Authorization", &format!("Bearer {token}, Bearer {token}"))));
        answers.push(site.server.ask(&Request::get(&format!("/{token}")).bearer(token)));
        answers.push(site.server.ask(&Request::get("/sse").header("Authorization", &format!("Basic {token}"))));
        answers.push(site.server.ask(&Request::post("/mcp").bearer(token).header("Mcp-Session-Id", token).body("{")));
    }
    let proven = site.client(&bound).message("tools/list", json!({})).replace("Authorization", &format!("DPoP {bound}"));
    for _ in 0..2 {
        answers.push(site.server.ask(&proven.clone().header("DPoP", &proof)));
    }
    let mut session = Mcp::legacy(site.server.address(), Some(&good), LEGACY);
    answers.push(session.exchange("tools/list", json!({})));
    answers.push(session.close());
    let statuses: Vec<_> = answers.iter().map(Response::status).collect();
    for status in [200, 400, 401, 403, 404] {
        assert!(statuses.contains(&status), "no answer was {status}: {statuses:?}");
    }

    let figures = site.server.scrape();
    site.server.stop();
    let mut places = vec![("the log".to_owned(), site.server.errors().into_bytes()), ("the figures".to_owned(), figures.into_bytes())];
    places.extend(answers.iter().map(|answer| (format!("an answer {}", answer.status()), format!("{:?}", answer.head()).into_bytes())));
    places.extend(answers.iter().map(|answer| (format!("an answer {}", answer.status()), answer.body().to_vec())));
    // Introspection sends the opaque token to its own issuer, in the body; heads hold none.
    for name in ["one", "two"] {
        places.extend(site.idp.heads(name).into_iter().map(|head| (format!("a request to {name}"), head.into_bytes())));
    }
    everything_below(&site.sandbox.state(), &mut places);
    assert!(places.iter().any(|(name, _)| name.ends_with(".jsonl")), "there is a trail");
    assert!(site.server.errors().len() > 200, "there is a log");

    let part = |token: &str| token.rsplit('.').next().unwrap_or_default().to_owned();
    let claims = |token: &str| token.split('.').nth(1).unwrap_or_default().to_owned();
    let canaries = [
        ("the good token's signature", part(&good)),
        ("its claims", claims(&good)),
        ("the reader's signature", part(&reader)),
        ("the opaque token", opaque),
        ("an unknown token", unknown),
        ("the expired token's signature", part(&expired)),
        ("the foreign token's signature", part(&foreign)),
        ("what strangers name a key", "canary-kid".to_owned()),
        ("a malformed token", "canary-malformed".to_owned()),
        ("the bound token's signature", part(&bound)),
        ("the proof's signature", part(&proof)),
        ("our client secret", idp::SECRET.to_owned()),
    ];
    for (what, canary) in &canaries {
        assert!(canary.len() >= 10, "{what} is too short to look for");
        for (place, bytes) in &places {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{what} is in {place}: {}", String::from_utf8_lossy(bytes));
        }
    }
}
