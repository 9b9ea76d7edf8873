//! A8: keys that change, keys nobody has, and issuers that fail.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::http::{Mcp, Response};

use super::{Site, deviation, each, issuer};

const DOWN: &str = "the authorization server can't be reached to check the token; try again in a few seconds";

fn unavailable(response: &Response) -> Option<String> {
    let body = json!({ "error": "temporarily_unavailable", "error_description": DOWN }).to_string();
    let waits = response.header("retry-after") == Some("10");
    deviation(response, 503, &[], &body).or_else(|| (!waits).then(|| "no time to wait".to_owned()))
}

/// Keys are fetched again after so long at the earliest.
const PAUSE: Duration = Duration::from_secs(10);

/// Asks until the answer has this status, or has had time to.
#[track_caller]
fn eventually(status: u16, ask: impl Fn() -> u16) {
    let deadline = Instant::now() + PAUSE + Duration::from_secs(10);
    let mut last = ask();
    while last != status {
        assert!(Instant::now() < deadline, "still {last}");
        thread::sleep(Duration::from_millis(100));
        last = ask();
    }
}

#[test]
fn a8_new_keys_are_taken_and_withdrawn_ones_are_not_without_a_restart() {
    // The first keeps its old keys published, the second withdraws them.
    let Some(site) = Site::configured(&["one", "two"], |_, _| {}) else { return };
    let mint = |name: &str| site.idp.mint(name, &site.resource(), &json!({}));
    let asked = |token: &str| site.list(token).status();
    let (kept, withdrawn) = (mint("one"), mint("two"));
    assert_eq!((asked(&mint("one")), asked(&mint("two"))), (200, 200));
    thread::sleep(PAUSE);
    site.idp.rotate("one", true);
    site.idp.rotate("two", false);
    assert_eq!(asked(&mint("one")), 200, "a key that appeared, at once");
    assert_eq!(asked(&kept), 200, "a key that is still published");
    assert_eq!(asked(&mint("two")), 200);
    site.assert_refused(&site.list(&withdrawn));
    assert_eq!((site.idp.count("one", "jwks"), site.idp.count("two", "jwks")), (2, 2));
}

#[test]
fn a8_a_storm_of_unknown_keys_fetches_keys_once_and_stops_nobody() {
    let Some(site) = Site::start() else { return };
    let good = site.mint(&json!({}));
    assert_eq!(site.list(&good).status(), 200);
    let storm: Vec<_> = (0..200).map(|nth| site.forge(&json!({ "by": "foreign", "header": { "kid": format!("storm-{nth}") } }))).collect();
    let (address, refused, served) = (site.server.address(), &Vec::from([401; 50]), &Vec::from([200; 50]));
    thread::scope(|scope| {
        for part in storm.chunks(50) {
            scope.spawn(move || assert_eq!(&statuses(address, part.iter().map(String::as_str)), refused));
        }
        scope.spawn(|| assert_eq!(&statuses(address, std::iter::repeat_n(&*good, 50)), served, "a good token during the storm"));
    });
    let fetched = site.idp.count("one", "jwks");
    assert!(fetched <= 2, "{fetched} fetches");
    assert_eq!(site.idp.count("one", "discovery"), 1);
    assert_eq!(site.list(&good).status(), 200);
    let figure = site.server.scrape();
    assert!(!figure.contains("storm-"), "what strangers send is no label");
}

/// What each token comes to, one after the other on one connection.
fn statuses<'a>(address: std::net::SocketAddr, tokens: impl Iterator<Item = &'a str>) -> Vec<u16> {
    let mut client = Mcp::modern(address, None);
    let ask = |token| {
        client.set_token(Some(token));
        client.exchange("tools/list", json!({})).status()
    };
    tokens.map(ask).collect()
}

#[test]
fn a8_callers_who_come_at_once_share_one_fetch() {
    let Some(site) = Site::configured(&["one"], |idp, _| idp.fault("one", "jwks", &json!({ "delay": 300 }))) else { return };
    let tokens: Vec<_> = (0..12).map(|nth| site.mint(&json!({ "subject": format!("caller-{nth}") }))).collect();
    let address = site.server.address();
    thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(move || assert_eq!(statuses(address, std::iter::once(&**token)), [200]));
        }
    });
    assert_eq!((site.idp.count("one", "discovery"), site.idp.count("one", "jwks")), (1, 1));
}

#[test]
fn a8_keys_that_are_known_outlive_an_outage() {
    let Some(site) = Site::configured(&["one", "two"], |_, _| {}) else { return };
    assert_eq!(site.list(&site.mint(&json!({}))).status(), 200);
    for (name, kind) in [("one", "jwks"), ("one", "discovery"), ("two", "discovery")] {
        site.idp.fault(name, kind, &json!({ "hangUp": true }));
    }
    assert_eq!(site.list(&site.mint(&json!({ "subject": "bob" }))).status(), 200, "the keys are known");
    let storm = site.forge(&json!({ "by": "foreign", "header": { "kid": "unknown" } }));
    site.assert_refused(&site.list(&storm));
    assert_eq!(site.list(&site.mint(&json!({ "subject": "carol" }))).status(), 200, "a failed fetch takes nothing away");
    let of_two = site.idp.mint("two", &site.resource(), &json!({}));
    assert_eq!(unavailable(&site.list(&of_two)), None, "nothing is known of this issuer yet");
    site.recorded("the outage", |record| record["reason"] == "issuer_unavailable");
}

#[test]
fn a8_ss5_an_issuer_that_answers_nonsense_vouches_for_nobody() {
    let names = [
        "discovery-500",
        "discovery-text",
        "discovery-other-issuer",
        "discovery-no-keys",
        "discovery-file",
        "discovery-huge",
        "discovery-redirect",
        "keys-404",
        "keys-text",
        "keys-list",
        "keys-huge",
        "keys-redirect",
        "keys-at-another-host",
        "keys-private",
        "keys-metadata-service",
        "hangs-up",
    ];
    let faulty = |idp: &support::idp::Providers, _: &mut Value| {
        let trap = idp.trap();
        let redirect = json!({ "status": 302, "headers": { "location": format!("{trap}/keys") } });
        let discovery = |name: &str, jwks: &str| json!({ "body": { "issuer": idp.issuer(name), "jwks_uri": jwks } });
        let own_keys = format!("{}/jwks", idp.issuer("discovery-other-issuer"));
        for (name, kind, fault) in [
            (names[0], "discovery", json!({ "status": 500 })),
            (names[1], "discovery", json!({ "body": "<html>" })),
            (names[2], "discovery", json!({ "body": { "issuer": trap, "jwks_uri": own_keys } })),
            (names[3], "discovery", json!({ "body": { "issuer": idp.issuer(names[3]) } })),
            (names[4], "discovery", discovery(names[4], "file:///etc/passwd")),
            (names[5], "discovery", json!({ "bytes": 2 << 20, "body": {} })),
            (names[6], "discovery", redirect.clone()),
            (names[7], "jwks", json!({ "status": 404 })),
            (names[8], "jwks", json!({ "body": "no keys" })),
            (names[9], "jwks", json!({ "body": [] })),
            (names[10], "jwks", json!({ "bytes": 2 << 20, "body": { "keys": idp.keys(names[10]) } })),
            (names[11], "jwks", redirect),
            (names[12], "discovery", discovery(names[12], &trap.replace("http://", "http://127.0.0.1@"))),
            (names[13], "discovery", discovery(names[13], "https://10.255.255.1/jwks")),
            (names[14], "discovery", discovery(names[14], "http://169.254.169.254/latest")),
            (names[15], "jwks", json!({ "hangUp": true })),
        ] {
            idp.fault(name, kind, &fault);
        }
    };
    let Some(site) = Site::configured(&names, faulty) else { return };
    let cases: Vec<_> = names.iter().map(|name| (*name, site.idp.mint(name, &site.resource(), &json!({})))).collect();
    each(&cases, |token| unavailable(&site.list(token)));
    assert_eq!(site.idp.trapped(), Vec::<Value>::new(), "redirects are not followed");
}

#[test]
fn ss5_an_issuer_that_takes_its_time_is_not_waited_for() {
    let Some(site) = Site::configured(&["one"], |idp, _| idp.fault("one", "discovery", &json!({ "delay": 60_000 }))) else { return };
    let start = Instant::now();
    assert_eq!(unavailable(&site.list(&site.mint(&json!({})))), None);
    assert!(start.elapsed() < Duration::from_secs(14), "{:?}", start.elapsed());
}

#[test]
fn a8_an_issuer_that_recovers_is_asked_again() {
    let Some(site) = Site::configured(&["one"], |idp, _| idp.fault("one", "jwks", &json!({ "status": 503 }))) else { return };
    let token = site.mint(&json!({}));
    assert_eq!(unavailable(&site.list(&token)), None);
    site.idp.fault("one", "jwks", &Value::Null);
    assert_eq!(unavailable(&site.list(&token)), None, "it is not asked for every token");
    assert_eq!(site.idp.count("one", "jwks"), 1);
    eventually(200, || site.list(&token).status());
    assert_eq!(site.idp.count("one", "jwks"), 2);
}

#[test]
fn a8_keys_that_are_no_signing_keys_check_no_signature() {
    let Some(site) = Site::configured(&["one"], |idp, _| {
        let mut keys = idp.keys("one");
        for key in &mut keys {
            match key["kty"].as_str() {
                Some("RSA") => key["use"] = json!("enc"),
                Some("EC") => {
                    key.as_object_mut().expect("a key").remove("use");
                    key["key_ops"] = json!(["encrypt"]);
                }
                _ => key["alg"] = json!("ES256"),
            }
        }
        let secret = json!({ "kty": "oct", "kid": "shared", "use": "sig", "alg": "HS256", "k": "c2VjcmV0" });
        keys.extend([secret, json!({ "kty": "new", "kid": "x" }), json!("no key")]);
        idp.fault("one", "jwks", &json!({ "body": { "keys": keys } }));
    }) else {
        return;
    };
    let cases = [
        ("a key for encryption", site.forge(&json!({}))),
        ("a key for other operations", site.forge(&json!({ "alg": "ES256" }))),
        ("a key for another algorithm", site.forge(&json!({ "alg": "EdDSA" }))),
        ("a secret", site.forge(&json!({ "alg": "HS256", "by": "secret", "header": { "kid": "shared" } }))),
        ("a secret said to be RS256", site.forge(&json!({ "by": "secret", "header": { "kid": "shared" } }))),
    ];
    each(&cases, |token| site.not_refused(&site.list(token)));
}

#[test]
fn a8_keys_with_the_same_identifier_are_told_apart_by_their_kind() {
    let Some(site) = Site::configured(&["one"], |idp, _| {
        let mut keys = idp.keys("one");
        for key in &mut keys {
            key["kid"] = json!("same");
        }
        idp.fault("one", "jwks", &json!({ "body": { "keys": keys } }));
    }) else {
        return;
    };
    let same = |order: Value| {
        let mut order = order;
        order["header"]["kid"] = json!("same");
        site.forge(&order)
    };
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        assert_eq!(site.list(&same(json!({ "alg": alg }))).status(), 200, "{alg}");
    }
    let cases = [
        ("a foreign key", same(json!({ "by": "foreign" }))),
        ("another kind of key", same(json!({ "alg": "ES256", "header": { "alg": "RS256" } }))),
    ];
    each(&cases, |token| site.not_refused(&site.list(token)));
}

#[test]
fn a8_configured_keys_need_no_discovery() {
    let Some(site) = Site::configured(&["one"], |idp, config| {
        issuer(config)["jwks"] = json!(format!("{}/jwks", idp.issuer("one")));
        idp.fault("one", "discovery", &json!({ "status": 500 }));
    }) else {
        return;
    };
    assert_eq!(site.list(&site.mint(&json!({}))).status(), 200);
    assert_eq!((site.idp.count("one", "discovery"), site.idp.count("one", "jwks")), (0, 1));
}
