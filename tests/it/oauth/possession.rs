//! A12: tokens bound to a key of the client (RFC 9449), and the proofs that come with them.

use serde_json::{Value, json};
use support::{
    http::{Request, Response},
    idp::now,
};

use super::{INVALID, Site, each};

const NO_PROOF: &str = "the proof of possession does not fit this request and token";
const ALGORITHMS: &str = "ES256 ES384 EdDSA PS256 RS256";

fn site(mode: &str) -> Option<Site> {
    Site::configured(&["one"], |_, config| config["http"]["oauth"]["dpop"] = json!(mode))
}

/// A request for the list of tools with this token and these proofs.
fn list(site: &Site, scheme: &str, token: &str, proofs: &[&str]) -> Response {
    let request = site.client(token).message("tools/list", json!({}));
    let request = request.replace("Authorization", &format!("{scheme} {token}"));
    site.server.ask(&proofs.iter().fold(request, |request, proof| request.header("DPoP", proof)))
}

/// A proof for one request of this token, changed by `order`.
fn proof(site: &Site, token: &str, order: &Value) -> String {
    let mut whole = json!({ "key": "laptop", "htm": "POST", "htu": site.resource(), "token": token });
    for (key, value) in order.as_object().expect("an object") {
        whole[key] = value.clone();
    }
    site.idp.proof(&whole)
}

fn bound(site: &Site) -> String {
    site.mint(&json!({ "dpop": "laptop" }))
}

/// What is not as it must be in the answer when both kinds of token are taken.
fn not_refused(site: &Site, response: &Response, blamed: &str) -> Option<String> {
    let parameters = site.parameters("mcp:read");
    let algorithms = format!(r#"{parameters}, algs="{ALGORITHMS}""#);
    let expected = match blamed {
        "proof" => {
            [format!("Bearer {parameters}"), format!(r#"DPoP error="invalid_dpop_proof", {algorithms}, error_description="{NO_PROOF}""#)]
        }
        _ => [format!(r#"Bearer error="invalid_token", {parameters}, error_description="{INVALID}""#), format!("DPoP {algorithms}")],
    };
    let told: Vec<_> = response.head().all("www-authenticate").collect();
    (response.status() != 401 || told != expected).then(|| format!("{} {told:?} {}", response.status(), response.text()))
}

#[test]
fn a12_a_bound_token_is_taken_with_its_proof() {
    let Some(site) = site("accept") else { return };
    let token = bound(&site);
    let cases = [
        ("the proof", json!({})),
        ("an address with a query", json!({ "htu": format!("{}?a=b#c", site.resource()) })),
        ("made a moment ago", json!({ "claims": { "iat": now() - 5 } })),
    ];
    each(&cases, |order| {
        let response = list(&site, "DPoP", &token, &[&proof(&site, &token, order)]);
        (response.status() != 200).then(|| format!("{} {}", response.status(), response.text()))
    });
    assert_eq!(list(&site, "Bearer", &site.mint(&json!({})), &[]).status(), 200, "others need none");
}

#[test]
fn a12_a_bound_token_is_nothing_without_its_proof() {
    let Some(site) = site("accept") else { return };
    let token = bound(&site);
    let other = bound(&site);
    let cases = [
        ("another key", json!({ "key": "stolen" })),
        ("the right key in the header, another one's signature", json!({ "by": "stolen" })),
        ("for another method", json!({ "htm": "GET" })),
        ("for a method in small letters", json!({ "htm": "post" })),
        ("for another server", json!({ "htu": "https://other.example/mcp" })),
        ("for another path", json!({ "htu": site.resource().replace("/mcp", "/sse") })),
        ("for no address", json!({ "claims": { "htu": null } })),
        ("for no method", json!({ "claims": { "htm": null } })),
        ("for another token", json!({ "token": other })),
        ("for no token", json!({ "token": null })),
        ("old", json!({ "claims": { "iat": now() - 900 } })),
        ("of the future", json!({ "claims": { "iat": now() + 900 } })),
        ("of no time", json!({ "claims": { "iat": null } })),
        ("without an identifier", json!({ "claims": { "jti": null } })),
        ("of another type", json!({ "header": { "typ": "JWT" } })),
        ("of no type", json!({ "header": { "typ": null } })),
        ("unsigned", json!({ "header": { "alg": "none" } })),
        ("signed with a secret", json!({ "header": { "alg": "HS256" } })),
        ("without a key", json!({ "header": { "jwk": null } })),
        ("with the private key", json!({ "leakPrivateKey": true })),
        ("with something critical", json!({ "header": { "crit": ["x"], "x": 1 } })),
    ];
    each(&cases, |order| not_refused(&site, &list(&site, "DPoP", &token, &[&proof(&site, &token, order)]), "proof"));
    let good = proof(&site, &token, &json!({}));
    let (half, _) = good.split_at(good.len() / 2);
    let second = proof(&site, &token, &json!({}));
    assert_eq!(not_refused(&site, &list(&site, "DPoP", &token, &[]), "proof"), None, "no proof");
    assert_eq!(not_refused(&site, &list(&site, "DPoP", &token, &[half]), "proof"), None, "half a proof");
    assert_eq!(not_refused(&site, &list(&site, "DPoP", &token, &[&good, &second]), "proof"), None, "two proofs");
    assert_eq!(list(&site, "DPoP", &token, &[&good]).status(), 200, "the one that was half is fine as a whole");
}

#[test]
fn a12_a_proof_is_good_once() {
    let Some(site) = site("accept") else { return };
    let token = bound(&site);
    let once = proof(&site, &token, &json!({}));
    assert_eq!(list(&site, "DPoP", &token, &[&once]).status(), 200);
    assert_eq!(not_refused(&site, &list(&site, "DPoP", &token, &[&once]), "proof"), None);
    let named = json!({ "claims": { "jti": "the-same" } });
    assert_eq!(list(&site, "DPoP", &token, &[&proof(&site, &token, &named)]).status(), 200);
    let again = list(&site, "DPoP", &token, &[&proof(&site, &token, &json!({ "claims": { "jti": "the-same", "iat": now() - 1 } }))]);
    assert_eq!(not_refused(&site, &again, "proof"), None, "a new proof with a used identifier");
    assert_eq!(list(&site, "DPoP", &token, &[&proof(&site, &token, &json!({}))]).status(), 200);
}

#[test]
fn a12_a_bound_token_is_no_bearer_token() {
    let Some(site) = site("accept") else { return };
    let token = bound(&site);
    for proofs in [vec![], vec![proof(&site, &token, &json!({}))]] {
        let proofs: Vec<_> = proofs.iter().map(String::as_str).collect();
        let response = list(&site, "Bearer", &token, &proofs);
        assert_eq!(response.status(), 401, "{}", response.text());
    }
    let free = site.mint(&json!({}));
    let response = list(&site, "DPoP", &free, &[&proof(&site, &free, &json!({}))]);
    assert_eq!(response.status(), 401, "a token that is bound to nothing proves nothing: {}", response.text());
}

#[test]
fn a12_every_token_can_be_required_to_be_bound() {
    let Some(site) = site("require") else { return };
    let challenge = format!(r#"DPoP {}, algs="{ALGORITHMS}""#, site.parameters("mcp:read"));
    let nothing = site.server.ask(&Request::post("/mcp"));
    assert_eq!((nothing.status(), nothing.header("www-authenticate")), (401, Some(&*challenge)));
    let free = list(&site, "Bearer", &site.mint(&json!({})), &[]);
    let told: Vec<_> = free.head().all("www-authenticate").collect();
    assert_eq!(free.status(), 401);
    assert!(told.len() == 1 && told[0].starts_with("DPoP error="), "{told:?}");
    let token = bound(&site);
    assert_eq!(list(&site, "DPoP", &token, &[&proof(&site, &token, &json!({}))]).status(), 200);
    let document = site.server.ask(&Request::get("/.well-known/oauth-protected-resource")).json();
    assert_eq!(document["dpop_bound_access_tokens_required"], true);
    assert_eq!(document["dpop_signing_alg_values_supported"], json!(ALGORITHMS.split(' ').collect::<Vec<_>>()));
}
