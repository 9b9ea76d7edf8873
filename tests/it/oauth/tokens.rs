//! A4, A8, TP1, TP2, SM3: which tokens are taken. Each case calls a tool that writes a file, so
//! that a token which is not taken is also shown to have done nothing.

use std::fs;

use serde_json::{Value, json};
use support::idp::now;

use super::{Site, each};

/// The token itself, its parts changed by hand.
fn torn(token: &str, how: impl Fn(&str, &str, &str) -> String) -> String {
    let mut parts = token.split('.');
    let mut next = || parts.next().expect("three parts");
    how(next(), next(), next())
}

fn taken(site: &Site, token: &str) -> Option<String> {
    let before = files(site);
    let response = site.write(token, "taken.txt");
    let text = response.text();
    let done = response.status() == 200 && files(site) == before + 1;
    if done {
        fs::remove_file(site.sandbox.workspace().join("taken.txt")).expect("the file that was written");
    }
    (!done).then(|| format!("{} {:?} {text}", response.status(), response.header("www-authenticate")))
}

fn files(site: &Site) -> usize {
    fs::read_dir(site.sandbox.workspace()).expect("a workspace").count()
}

/// Every token is refused to the letter, nothing is done, and the issuer's own token still works.
#[track_caller]
fn all_refused(site: &Site, cases: &[(&str, String)]) {
    each(cases, |token| site.not_refused(&site.write(token, "refused.txt")));
    assert_eq!(files(site), 0, "a refused token must not run a tool");
    let executed = site.trail().iter().filter(|record| record["event"] == "intent").count();
    assert_eq!(executed, 0, "a refused token must not reach a tool");
    site.recorded("every refusal", |_| refusals(site) == cases.len() as u64);
    assert_eq!(site.idp.trapped(), Vec::<Value>::new(), "nothing a token names is asked");
    assert_eq!(taken(site, &site.forge(&json!({}))), None, "the same token without a fault is taken");
}

/// How many tokens the trail says were refused; a flood of them is summed up.
fn refusals(site: &Site) -> u64 {
    let trail = site.trail();
    trail.iter().filter(|record| record["reason"] == "invalid_token").filter_map(|record| record["count"].as_u64()).sum()
}

/// Forges a token for each order.
#[track_caller]
fn forged<'a>(site: &Site, orders: &[(&'a str, Value)]) -> Vec<(&'a str, String)> {
    orders.iter().map(|(name, order)| (*name, site.forge(order))).collect()
}

#[test]
fn a8_tokens_of_the_provider_are_taken_whatever_algorithm_it_uses() {
    let Some(site) = Site::start() else { return };
    let minted = |order: Value| site.mint(&order);
    let write = "mcp:read mcp:write";
    let cases = [
        ("RS256", minted(json!({ "scope": write }))),
        ("PS256", minted(json!({ "scope": write, "alg": "PS256" }))),
        ("ES256", minted(json!({ "scope": write, "alg": "ES256" }))),
        ("EdDSA", minted(json!({ "scope": write, "alg": "EdDSA" }))),
        ("the write scope alone", minted(json!({ "scope": "mcp:write" }))),
        ("scopes of others beside ours", minted(json!({ "scope": "profile mcp:write" }))),
        ("claims of others beside ours", minted(json!({ "scope": write, "claims": { "x": { "y": [1, 2.5, null] } } }))),
    ];
    each(&cases, |token| taken(&site, token));
    assert_eq!((site.idp.count("one", "discovery"), site.idp.count("one", "jwks")), (1, 1), "keys are fetched once");
}

#[test]
fn a8_unusual_tokens_are_taken_when_nothing_is_wrong_with_them() {
    let Some(site) = Site::start() else { return };
    let resource = site.resource();
    let orders = [
        ("our audience among others", json!({ "claims": { "aud": ["https://other.example", resource] } })),
        ("the long form of the type", json!({ "header": { "typ": "application/at+jwt" } })),
        ("the type in capitals", json!({ "header": { "typ": "AT+JWT" } })),
        ("no key named", json!({ "header": { "kid": null } })),
        ("expired within the leeway", json!({ "claims": { "exp": now() - 10 } })),
        ("valid soon within the leeway", json!({ "claims": { "nbf": now() + 10 } })),
        ("issued soon within the leeway", json!({ "claims": { "iat": now() + 10 } })),
        ("valid for long already", json!({ "claims": { "nbf": now() - 86_400 } })),
        ("a client without a subject", json!({ "claims": { "sub": null } })),
        ("without an identifier", json!({ "claims": { "jti": null } })),
        ("a header parameter that is not critical", json!({ "header": { "x": "y" } })),
    ];
    each(&forged(&site, &orders), |token| taken(&site, token));
}

#[test]
fn a4_a8_claims_that_do_not_fit_are_refused() {
    let Some(site) = Site::configured(&["one", "two"], |_, _| {}) else { return };
    let (one, two, trap) = (site.idp.issuer("one").to_owned(), site.idp.issuer("two").to_owned(), site.idp.trap().to_owned());
    let claims = |claims: Value| json!({ "claims": claims });
    let orders = [
        ("an issuer nobody configured", claims(json!({ "iss": trap }))),
        ("an issuer with a slash more", claims(json!({ "iss": format!("{one}/") }))),
        ("an issuer with a path", claims(json!({ "iss": format!("{one}/.well-known") }))),
        ("an issuer in capitals", claims(json!({ "iss": one.to_uppercase() }))),
        ("an issuer with a space", claims(json!({ "iss": format!("{one} ") }))),
        ("the name of an issuer", claims(json!({ "iss": "one" }))),
        ("the other issuer with this one's key", claims(json!({ "iss": two }))),
        ("this issuer with the other one's key", json!({ "by": "other" })),
        ("no issuer", claims(json!({ "iss": null }))),
        ("a list of issuers", claims(json!({ "iss": [one] }))),
        ("an empty issuer", claims(json!({ "iss": "" }))),
        ("expired", claims(json!({ "exp": now() - 40 }))),
        ("expired long ago", claims(json!({ "exp": 1 }))),
        ("no expiry", claims(json!({ "exp": null }))),
        ("an expiry as text", claims(json!({ "exp": (now() + 300).to_string() }))),
        ("a negative expiry", claims(json!({ "exp": -1 }))),
        ("a boolean expiry", claims(json!({ "exp": true }))),
        ("not valid yet", claims(json!({ "nbf": now() + 120 }))),
        ("a beginning as text", claims(json!({ "nbf": "soon" }))),
        ("issued in the future", claims(json!({ "iat": now() + 120 }))),
        ("a time of issue as text", claims(json!({ "iat": "now" }))),
        ("neither subject nor client", claims(json!({ "sub": null, "client_id": null }))),
        ("an empty subject", claims(json!({ "sub": "", "client_id": null }))),
        ("a subject that is a number", claims(json!({ "sub": 7 }))),
        ("a subject with a line break", claims(json!({ "sub": "alice\nroot" }))),
        ("a subject longer than anybody's", claims(json!({ "sub": "a".repeat(5000) }))),
        ("bound to a key, which is off here", claims(json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }))),
        ("bound to a certificate", claims(json!({ "cnf": { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" } }))),
    ];
    all_refused(&site, &forged(&site, &orders));
}

#[test]
fn tp1_tp2_a_token_for_somebody_else_runs_nothing() {
    let Some(site) = Site::start() else { return };
    let resource = site.resource();
    let aud = |aud: Value| json!({ "claims": { "aud": aud } });
    let orders = [
        ("another server", aud(json!("https://other.example/mcp"))),
        ("a list of other servers", aud(json!(["https://other.example/mcp", "https://third.example"]))),
        ("none", aud(Value::Null)),
        ("an empty list", aud(json!([]))),
        ("an empty text", aud(json!(""))),
        ("a path below ours", aud(json!(format!("{resource}/more")))),
        ("a beginning of ours", aud(json!(resource.strip_suffix("cp")))),
        ("our origin", aud(json!(resource.strip_suffix("/mcp")))),
        ("ours in capitals", aud(json!(resource.to_uppercase()))),
        ("ours with a space", aud(json!(format!("{resource} ")))),
        ("ours in a list in a list", aud(json!([[resource]]))),
        ("ours as the key of an object", aud(json!({ resource: true }))),
        ("a number", aud(json!(1))),
        ("the issuer itself", aud(json!(site.idp.issuer("one")))),
        ("the client", aud(json!("minter"))),
    ];
    let mut cases = forged(&site, &orders);
    cases.push(("another server, from the provider", site.mint(&json!({ "resource": "https://other.example/mcp", "scope": "mcp:write" }))));
    all_refused(&site, &cases);
}

#[test]
fn a8_signatures_that_do_not_fit_are_refused() {
    let Some(site) = Site::start() else { return };
    let kid = |kid: &str| json!({ "kid": kid });
    let orders = [
        ("a key that nobody published", json!({ "by": "foreign" })),
        ("unsigned", json!({ "alg": "none", "by": "none" })),
        ("unsigned, in odd letters", json!({ "alg": "nOnE", "by": "none" })),
        ("unsigned, with a key named", json!({ "alg": "none", "by": "none", "header": kid("one-1-rsa") })),
        ("unsigned, said to be RS256", json!({ "by": "none" })),
        ("HS256 with the public key as secret", json!({ "alg": "HS256", "by": "public", "header": kid("one-1-rsa") })),
        ("HS256 with a secret", json!({ "alg": "HS256", "by": "secret" })),
        ("RS384, which is not allowed", json!({ "alg": "RS384" })),
        ("ES256 said of an RSA signature", json!({ "header": { "alg": "ES256" } })),
        ("PS256 said of an RS256 signature", json!({ "header": { "alg": "PS256" } })),
        ("RS256 said of a PS256 signature", json!({ "alg": "PS256", "header": { "alg": "RS256" } })),
        ("the identifier of a key of another kind", json!({ "header": kid("one-1-ec") })),
        ("the identifier of another key", json!({ "alg": "ES256", "by": "foreign", "header": kid("one-1-ec") })),
        ("no algorithm", json!({ "header": { "alg": null } })),
        ("a list of algorithms", json!({ "header": { "alg": ["RS256"] } })),
        ("an algorithm in small letters", json!({ "header": { "alg": "rs256" } })),
    ];
    let mut cases = forged(&site, &orders);
    let good = site.forge(&json!({}));
    let other = site.forge(&json!({ "claims": { "sub": "root" } }));
    let claims_of = |token: &str| token.split('.').nth(1).expect("claims").to_owned();
    cases.extend([
        ("a part of the signature", torn(&good, |head, claims, sign| format!("{head}.{claims}.{}", &sign[..sign.len() - 8]))),
        ("a signature with more behind it", torn(&good, |head, claims, sign| format!("{head}.{claims}.{sign}AAAA"))),
        ("a changed signature", torn(&good, |head, claims, sign| format!("{head}.{claims}.AAAA{}", &sign[4..]))),
        ("the claims of another token", torn(&good, |head, _, sign| format!("{head}.{}.{sign}", claims_of(&other)))),
        ("no signature", torn(&good, |head, claims, _| format!("{head}.{claims}."))),
    ]);
    all_refused(&site, &cases);
}

#[test]
fn a8_headers_that_do_not_fit_are_refused() {
    let Some(site) = Site::start() else { return };
    let trap = site.idp.trap().to_owned();
    let own_key = site.idp.keys("one").into_iter().next().expect("a key");
    let header = |header: Value| json!({ "header": header });
    let orders = [
        ("the address of keys", header(json!({ "jku": format!("{trap}/jwks") }))),
        ("the address of a certificate", header(json!({ "x5u": format!("{trap}/cert.pem") }))),
        ("a key in the token itself", json!({ "by": "foreign", "header": { "jwk": own_key } })),
        ("a key in the token, its identifier removed", json!({ "by": "foreign", "header": { "jwk": own_key, "kid": null } })),
        ("something critical that nobody knows", header(json!({ "crit": ["x"], "x": 1 }))),
        ("an empty list of what is critical", header(json!({ "crit": [] }))),
        ("a payload that is not encoded", header(json!({ "crit": ["b64"], "b64": false }))),
        ("an ID token's type", header(json!({ "typ": "JWT" }))),
        ("no type", header(json!({ "typ": null }))),
        ("a proof's type", header(json!({ "typ": "dpop+jwt" }))),
        ("a type that is a number", header(json!({ "typ": 1 }))),
        ("a key nobody has", header(json!({ "kid": "two-1-rsa" }))),
        ("a key identifier that is a path", header(json!({ "kid": "../../../../etc/passwd" }))),
        ("a key identifier that is a query", header(json!({ "kid": "' OR 1=1 --" }))),
        ("a key identifier that is a number", header(json!({ "kid": 1 }))),
        ("a key identifier that is too long", header(json!({ "kid": "k".repeat(2000) }))),
        ("a zipped payload", header(json!({ "zip": "DEF" }))),
    ];
    all_refused(&site, &forged(&site, &orders));
}

#[test]
fn a8_what_is_no_token_is_refused() {
    let Some(site) = Site::start() else { return };
    let good = site.forge(&json!({}));
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let orders = [
        ("claims that are a list", json!({ "claimsText": "[]" })),
        ("claims that are a text", json!({ "claimsText": "\"alice\"" })),
        ("claims that are cut off", json!({ "claimsText": "{\"sub\":" })),
        ("no claims", json!({ "claimsText": "" })),
        ("claims that are deep", json!({ "claimsText": deep })),
        ("a header that is no JSON", json!({ "headerText": "RS256" })),
        ("a header that is a list", json!({ "headerText": "[\"RS256\"]" })),
        ("a header that says something twice", json!({ "headerText": r#"{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"one-1-rsa"}"# })),
    ];
    let mut cases = forged(&site, &orders);
    cases.extend([
        ("one part", "abc".to_owned()),
        ("two parts", torn(&good, |head, claims, _| format!("{head}.{claims}"))),
        ("four parts", torn(&good, |head, claims, sign| format!("{head}.{claims}.{sign}.{sign}"))),
        ("an encrypted token", torn(&good, |head, claims, sign| format!("{head}.{sign}.{claims}.{sign}.{sign}"))),
        ("padding", torn(&good, |head, claims, sign| format!("{head}=.{claims}.{sign}="))),
        ("another alphabet", torn(&good, |head, claims, sign| format!("{head}.{claims}.{sign}+/"))),
        ("only dots", "..".to_owned()),
        ("only one dot", ".".to_owned()),
        ("longer than tokens are", format!("{good}{}", "A".repeat(16 << 10))),
        ("the identifier of a session", "8f14e45f-ceea-467f-a34e-1b5c9e2d7f10".to_owned()),
    ]);
    all_refused(&site, &cases);
}

#[test]
fn a8_what_the_operator_configured_is_what_counts() {
    let Some(site) = Site::configured(&["one"], |_, config| {
        let issuer = super::issuer(config);
        issuer["audiences"] = json!(["urn:tools", "urn:tools:old"]);
        issuer["algorithms"] = json!(["ES256"]);
        issuer["acceptTypJwt"] = json!(true);
        issuer["leewaySeconds"] = json!(0);
    }) else {
        return;
    };
    let to = |order: Value| {
        let mut order = order;
        let claims = &mut order["claims"];
        claims["aud"] = if claims["aud"].is_null() { json!("urn:tools") } else { claims["aud"].clone() };
        order["alg"] = order.get("alg").cloned().unwrap_or_else(|| json!("ES256"));
        site.forge(&order)
    };
    let good = [
        ("the first audience", to(json!({}))),
        ("the second audience", to(json!({ "claims": { "aud": "urn:tools:old" } }))),
        ("the type JWT", to(json!({ "header": { "typ": "JWT" } }))),
    ];
    each(&good, |token| taken(&site, token));
    let bad = [
        ("the address, which is no audience now", to(json!({ "claims": { "aud": site.resource() } }))),
        ("an algorithm that was taken away", to(json!({ "alg": "RS256" }))),
        ("EdDSA, taken away as well", to(json!({ "alg": "EdDSA" }))),
        ("expired without leeway", to(json!({ "claims": { "exp": now() - 2 } }))),
        ("another type", to(json!({ "header": { "typ": "logout+jwt" } }))),
    ];
    each(&bad, |token| site.not_refused(&site.write(token, "refused.txt")));
    assert_eq!(files(&site), 0);
}

#[test]
fn a11_old_tokens_and_denied_ones_are_refused_before_they_expire() {
    let Some(site) = Site::configured(&["one"], |_, config| {
        let issuer = super::issuer(config);
        issuer["maxTokenAgeSeconds"] = json!(600);
        issuer["deniedTokens"] = json!(["lost", "stolen"]);
        issuer["deniedSubjects"] = json!(["mallory", "minter"]);
    }) else {
        return;
    };
    let orders = [
        ("too old", json!({ "claims": { "iat": now() - 700 } })),
        ("of no age", json!({ "claims": { "iat": null } })),
        ("a lost one", json!({ "claims": { "jti": "lost" } })),
        ("a stolen one", json!({ "claims": { "jti": "stolen" } })),
        ("of somebody who is not let in", json!({ "claims": { "sub": "mallory" } })),
        ("of a client that is not let in", json!({ "claims": { "sub": null } })),
    ];
    all_refused(&site, &forged(&site, &orders));
    assert_eq!(taken(&site, &site.forge(&json!({ "claims": { "iat": now() - 500 } }))), None, "young enough");
    site.assert_refused(&site.list(&site.mint(&json!({ "subject": "mallory" }))));
}
