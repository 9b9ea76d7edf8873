use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use serde_json::{Value, json};
use toolyard_http::{DpopMode, HttpConfig, Listen, ScopeRule};

use super::{ClientSecret, HttpSettings, SecretRef};
use crate::config::Settings;

const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const OTHER_HASH: &str = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";

fn load(http: &Value) -> Result<HttpSettings, String> {
    let text = json!({ "http": http }).to_string();
    let settings = Settings::from_json(&text, Path::new("/etc/yard"), &|_| None);
    settings.map(|settings| settings.http().clone()).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(http: &Value) -> String {
    load(http).expect_err("a section that can't be used")
}

/// One issuer with these keys more.
fn with_issuer(more: &Value) -> Value {
    let mut issuer = json!({ "name": "corp", "issuer": "https://login.example.com/t" });
    for (key, value) in more.as_object().expect("an object") {
        issuer[key] = value.clone();
    }
    json!({ "oauth": { "issuers": [issuer] } })
}

fn config(http: &Value, listen: &str) -> Result<HttpConfig, String> {
    let listen = super::parse_listen(listen).expect("an address");
    let secret =
        |from: &SecretRef| if *from == SecretRef::Variable("GOOD".into()) { Ok("s3".to_owned()) } else { Err("not there".to_owned()) };
    load(http).expect("valid").config(listen, secret).map_err(|error| error.to_string())
}

fn at(address: &str) -> Option<SocketAddr> {
    Some(address.parse().expect("an address"))
}

#[test]
fn every_key_of_the_section_is_taken_over() {
    let settings = load(&json!({
        "listen": "[::1]:8443",
        "publicUrl": "https://tools.example.com/mcp",
        "allowedHosts": ["tools.example.com", "10.0.0.1:8443", "[::1]:1"],
        "allowedOrigins": ["https://app.example.com", "http://localhost:*"],
        "legacySse": true,
        "tls": { "certificate": "c.pem", "key": "/k.pem" },
        "tokens": [{ "name": "ci", "sha256": HASH.to_uppercase(), "roles": ["reader", "größe"] }],
        "health": "off",
        "metrics": ":9999",
        "limits": { "maxBodyBytes": 2048, "maxHeadBytes": 8192, "headTimeoutSeconds": 1, "bodyTimeoutSeconds": 2, "maxConnections": 3,
                    "maxRequests": 4, "maxWaiting": 0, "maxWaitSeconds": 5, "maxRequestsPerPrincipal": 6, "rate": 0,
                    "rateWindowSeconds": 7, "maxSessions": 8, "maxSessionsPerPrincipal": 9, "maxStreamsPerPrincipal": 10,
                    "sessionIdleSeconds": 11, "earlyHeadersSeconds": 12, "keepAliveSeconds": 13, "drainSeconds": 0 },
    }))
    .expect("valid");
    let config = settings.clone().config(settings.listen.expect("an address"), |_| Err(String::new())).expect("a configuration");
    assert_eq!(config.listen, Listen::Tcp("[::1]:8443".parse().expect("an address")));
    assert_eq!(config.public_url.expect("an address").as_str(), "https://tools.example.com/mcp");
    assert_eq!(config.allowed_hosts, ["tools.example.com", "10.0.0.1:8443", "[::1]:1"]);
    assert_eq!(config.allowed_origins, ["https://app.example.com", "http://localhost:*"]);
    assert!(config.legacy_sse);
    let tls = config.tls.expect("files");
    assert_eq!((tls.certificate.as_path(), tls.key.as_path()), (Path::new("/etc/yard/c.pem"), Path::new("/k.pem")));
    let [token] = config.auth.tokens.as_slice() else { panic!("one token") };
    assert_eq!((&*token.name, token.sha256), ("ci", toolyard_http::hash_token("abc")));
    assert_eq!(token.roles.iter().map(|role| &**role).collect::<Vec<_>>(), ["reader", "größe"]);
    assert_eq!((config.health, config.metrics), (None, at("127.0.0.1:9999")));
    let limits = config.limits;
    assert_eq!((limits.max_body_bytes, limits.max_head_bytes, limits.max_connections), (2048, 8192, 3));
    assert_eq!((limits.max_requests, limits.max_waiting, limits.max_requests_per_principal, limits.rate), (4, 0, 6, 0));
    assert_eq!((limits.max_sessions, limits.max_sessions_per_principal, limits.max_streams_per_principal), (8, 9, 10));
    let seconds = [
        limits.head_timeout,
        limits.body_timeout,
        limits.max_wait,
        limits.rate_window,
        limits.session_idle,
        limits.early_headers,
        limits.keep_alive,
        limits.drain,
    ];
    assert_eq!(seconds.map(|time| time.as_secs()), [1, 2, 5, 7, 11, 12, 13, 0]);
}

#[test]
fn every_key_of_an_issuer_is_taken_over() {
    let section = json!({ "oauth": {
        "issuers": [{
            "name": "corp", "issuer": "https://login.example.com/t", "audiences": ["a"], "algorithms": ["ES256"],
            "jwks": "https://login.example.com/keys",
            "introspection": { "endpoint": "https://login.example.com/ask", "clientId": "yard", "clientSecret": "env:GOOD" },
            "acceptTypJwt": true, "leewaySeconds": 0, "maxTokenAgeSeconds": 60, "roleClaims": ["groups"],
            "roles": { "G1": ["reader", "writer"] }, "deniedTokens": ["j"], "deniedSubjects": ["s"]
        }],
        "scopes": [{ "scope": "z:all", "opens": ["*"] }, { "scope": "a:files", "opens": ["fs_*", "read"] }],
        "acr": [{ "tools": ["destroy"], "values": ["urn:mfa"] }],
        "dpop": "require", "insecureLoopbackIssuers": true, "privateIssuers": true, "caFile": "ca.pem"
    } });
    let oauth = config(&section, ":1").expect("a configuration").auth.oauth.expect("OAuth");
    let [issuer] = oauth.issuers.as_slice() else { panic!("one issuer") };
    assert_eq!((issuer.name.as_str(), issuer.issuer.as_str()), ("corp", "https://login.example.com/t"));
    assert_eq!((issuer.audiences.as_slice(), issuer.algorithms.as_slice()), (["a".to_owned()].as_slice(), ["ES256".to_owned()].as_slice()));
    assert_eq!(issuer.jwks.as_ref().map(url::Url::as_str), Some("https://login.example.com/keys"));
    let asked = issuer.introspection.as_ref().expect("introspection");
    assert_eq!((asked.client_id.as_str(), asked.client_secret.as_str()), ("yard", "s3"));
    assert_eq!(asked.endpoint.as_ref().map(url::Url::as_str), Some("https://login.example.com/ask"));
    assert!(issuer.accept_typ_jwt);
    assert_eq!((issuer.leeway, issuer.max_token_age), (Duration::ZERO, Some(Duration::from_secs(60))));
    assert_eq!(issuer.role_claims, ["groups"]);
    assert_eq!(issuer.roles, BTreeMap::from([("G1".to_owned(), vec!["reader".to_owned(), "writer".to_owned()])]));
    assert_eq!(
        (issuer.denied_tokens.as_slice(), issuer.denied_subjects.as_slice()),
        (["j".to_owned()].as_slice(), ["s".to_owned()].as_slice())
    );
    let scopes: Vec<_> = oauth.scopes.iter().map(|rule| (rule.scope.as_str(), rule.opens.join(" "))).collect();
    assert_eq!(scopes, [("z:all", "*".to_owned()), ("a:files", "fs_* read".to_owned())], "in the order of the file");
    assert_eq!(
        (oauth.acr[0].tools.as_slice(), oauth.acr[0].values.as_slice()),
        (["destroy".to_owned()].as_slice(), ["urn:mfa".to_owned()].as_slice())
    );
    assert_eq!(oauth.dpop, DpopMode::Require);
    assert!(oauth.insecure_loopback_issuers && oauth.private_issuers);
    assert_eq!(oauth.ca_file.as_deref(), Some(Path::new("/etc/yard/ca.pem")));
}

#[test]
fn the_least_that_names_an_issuer_takes_nothing_that_was_not_said() {
    let oauth = config(&with_issuer(&json!({})), ":1").expect("a configuration").auth.oauth.expect("OAuth");
    let issuer = &oauth.issuers[0];
    assert_eq!(issuer.algorithms, ["RS256", "PS256", "ES256", "EdDSA"]);
    assert!(issuer.audiences.is_empty(), "the address of the endpoint counts");
    assert!(!issuer.accept_typ_jwt && issuer.introspection.is_none() && issuer.role_claims.is_empty());
    assert_eq!(issuer.leeway, Duration::from_secs(30));
    assert!(!oauth.insecure_loopback_issuers && !oauth.private_issuers);
    assert_eq!(oauth.dpop, DpopMode::Off);
    let expected = [("mcp:read", "read"), ("mcp:write", "read write destroy"), ("mcp:execute", "execute")];
    let expected = expected.map(|(scope, opens)| ScopeRule { scope: scope.into(), opens: opens.split(' ').map(str::to_owned).collect() });
    assert_eq!(oauth.scopes, expected);
}

#[test]
fn health_and_metrics_are_beside_the_endpoint_unless_they_are_elsewhere() {
    let beside = config(&json!({}), "0.0.0.0:80").expect("a configuration");
    assert_eq!((beside.health, beside.metrics), (at("0.0.0.0:8081"), at("0.0.0.0:9090")));
    let free = config(&json!({}), "127.0.0.1:0").expect("a configuration");
    assert_eq!((free.health, free.metrics), (at("127.0.0.1:0"), at("127.0.0.1:0")));
    let socket = config(&json!({}), "unix:/run/x").expect("a configuration");
    assert_eq!((socket.health, socket.metrics), (at("127.0.0.1:8081"), at("127.0.0.1:9090")));
}

#[test]
fn two_listeners_never_share_an_address() {
    for (http, listen, problem) in [
        (json!({}), ":8081", "http.health: `127.0.0.1:8081` is where requests are taken; choose another address with `--health`"),
        (json!({}), ":9090", "http.metrics: `127.0.0.1:9090` is where requests are taken"),
        (json!({ "health": ":7", "metrics": ":7" }), ":80", "http.metrics: `127.0.0.1:7` is where health is told"),
    ] {
        let refused = config(&http, listen).expect_err("one address");
        assert!(refused.starts_with(problem), "{refused}");
    }
}

#[test]
fn a_secret_that_can_t_be_had_is_named_by_its_key() {
    let asks = |secret: &str| with_issuer(&json!({ "introspection": { "clientId": "yard", "clientSecret": secret } }));
    assert_eq!(config(&asks("file:/none"), ":1").expect_err("no secret"), "http.oauth.issuers[0].introspection.clientSecret: not there");
    let expected = ClientSecret {
        issuer: 0,
        place: "http.oauth.issuers[0].introspection.clientSecret".into(),
        from: SecretRef::File("/run/s".into()),
    };
    assert_eq!(load(&asks("file:/run/s")).expect("valid").secrets, [expected]);
    for secret in ["hunter2-hunter2", "$GOOD", ""] {
        let refused = refused(&asks(secret));
        assert!(
            refused.starts_with("http.oauth.issuers[0].introspection.clientSecret: a secret does not belong into this file"),
            "{refused}"
        );
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    assert!(refused(&asks("env:A-B")).contains("the name of a variable"));
    assert!(refused(&asks("file:secret")).contains("the whole path"));
}

#[test]
fn tokens_that_would_mean_something_else_are_refused_and_never_repeated() {
    let token = |name: &str, hash: &str| json!({ "name": name, "sha256": hash });
    for (tokens, problem) in [
        (json!([token("a", HASH), token("a", OTHER_HASH)]), "http.tokens[1].name: `a` stands here twice"),
        (json!([token("a", HASH), token("b", HASH)]), "http.tokens[1].sha256: this is the token of `http.tokens[0]`"),
        (json!([token("", HASH)]), "http.tokens[0].name: a name has 1 to 64"),
        (json!([token("oauth:x", HASH)]), "http.tokens[0].name: a name has 1 to 64"),
        (
            json!([token("a", "pasted-token-pasted-token")]),
            "http.tokens[0].sha256: the SHA-256 of a token has 64 hexadecimal digits; if this is the token itself",
        ),
        (json!([token("a", &HASH[1..])]), "http.tokens[0].sha256: the SHA-256 of a token has 64"),
        (
            json!([token("a", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")]),
            "http.tokens[0].sha256: this is the hash of an empty text",
        ),
        (json!([{ "name": "a", "sha256": HASH, "roles": ["r", ""] }]), "http.tokens[0].roles[1]: a role has 1 to 128 bytes"),
        (
            json!([{ "name": "a", "sha256": HASH, "roles": ["a\u{7}"] }]),
            "http.tokens[0].roles[0]: the role holds the control character U+0007",
        ),
        (json!([{ "name": "a" }]), "http.tokens[0]: missing field `sha256`"),
    ] {
        let refused = refused(&json!({ "tokens": tokens }));
        assert!(refused.starts_with(problem), "{refused}");
        assert!(!refused.contains("pasted"), "{refused}");
    }
}

#[test]
fn issuers_that_would_let_others_in_are_refused() {
    for (more, problem) in [
        (json!({ "audiences": [] }), "audiences: the list is empty, and a token has to be meant for this server"),
        (json!({ "audiences": [""] }), "audiences[0]: the text is empty"),
        (json!({ "algorithms": ["HS256"] }), "algorithms[0]: `HS256` is not taken; write RS256, PS256, ES256, EdDSA"),
        (json!({ "algorithms": ["none"] }), "algorithms[0]: `none` is not taken"),
        (json!({ "algorithms": [] }), "algorithms: the list is empty"),
        (json!({ "issuer": "http://login.example.com" }), "issuer: `http://login.example.com` does not begin with `https://`"),
        (json!({ "issuer": "http://127.0.0.1:9" }), "issuer: plain HTTP can be read and changed on the way"),
        (json!({ "issuer": "login.example.com" }), "issuer: `login.example.com` is no address"),
        (json!({ "issuer": "https://u:p@login.example.com" }), "issuer: the address must not hold a user"),
        (json!({ "issuer": "https://login.example.com?x" }), "issuer: an issuer has no `?`"),
        (json!({ "jwks": "file:///keys" }), "jwks: `file:///keys` does not begin with `https://`"),
        (json!({ "name": "a:b" }), "name: a name has 1 to 64 lower case letters"),
        (json!({ "leewaySeconds": 61 }), "leewaySeconds: 61 is out of range; write 0 to 60"),
        (json!({ "maxTokenAgeSeconds": 0 }), "maxTokenAgeSeconds: 0 is out of range"),
        (json!({ "roles": { "G": ["\n"] } }), "roles.G[0]: the role holds the control character U+000A"),
        (json!({ "audience": "x" }), "audience: unknown field `audience`, expected one of"),
    ] {
        let refused = refused(&with_issuer(&more));
        let refused = refused.strip_prefix("http.oauth.issuers[0].").expect("the place");
        assert!(refused.starts_with(problem), "{refused}");
    }
}

#[test]
fn two_issuers_never_make_the_same_caller() {
    let issuer = |name: &str, issuer: &str| json!({ "name": name, "issuer": issuer });
    let both = |a, b| refused(&json!({ "oauth": { "issuers": [a, b] } }));
    let twice = both(issuer("a", "https://a.example"), issuer("a", "https://b.example"));
    assert!(twice.starts_with("http.oauth.issuers[1].name: `a` stands here twice"), "{twice}");
    let same = both(issuer("a", "https://a.example"), issuer("b", "https://a.example"));
    assert!(same.starts_with("http.oauth.issuers[1].issuer: this is the issuer `a` already"), "{same}");
    assert!(refused(&json!({ "oauth": { "issuers": [] } })).starts_with("http.oauth.issuers: the list is empty"));
}

#[test]
fn scopes_and_step_ups_that_mean_nothing_are_refused() {
    for (key, value, problem) in [
        ("scopes", json!([]), "scopes: the list is empty, so no token could open anything"),
        ("scopes", json!([{ "scope": "mcp:*", "opens": ["read"] }]), "scopes[0].scope: `mcp:*` holds `*`"),
        ("scopes", json!([{ "scope": "a b", "opens": ["read"] }]), "scopes[0].scope: a scope is a text without spaces"),
        ("scopes", json!([{ "scope": "a", "opens": [] }]), "scopes[0].opens: the list is empty"),
        ("scopes", json!([{ "scope": "a", "opens": ["read(x)"] }]), "scopes[0].opens[0]: `read(x)` is no tool, family, effect or glob"),
        (
            "scopes",
            json!([{ "scope": "a", "opens": ["read"] }, { "scope": "a", "opens": ["fs"] }]),
            "scopes[1].scope: `a` stands here twice",
        ),
        ("acr", json!([{ "tools": ["fs"], "values": [] }]), "acr[0].values: the list is empty"),
        ("acr", json!([{ "tools": ["fs"], "values": ["a\"b"] }]), "acr[0].values[0]: a class is a text without spaces and quotes"),
        ("dpop", json!("maybe"), "dpop: unknown variant `maybe`"),
    ] {
        let mut section = with_issuer(&json!({}));
        section["oauth"][key] = value;
        let refused = refused(&section);
        let refused = refused.strip_prefix("http.oauth.").expect("the place");
        assert!(refused.starts_with(problem), "{refused}");
    }
}

#[test]
fn addresses_hosts_and_origins_are_refused_with_what_to_write() {
    for (http, problem) in [
        (json!({ "listen": "example.com:80" }), "http.listen: `example.com` is no IP address"),
        (json!({ "publicUrl": "https://a.example" }), "http.publicUrl: the address lacks the path of the endpoint"),
        (json!({ "publicUrl": "https://a.example/api" }), "http.publicUrl: the address lacks the path of the endpoint"),
        (json!({ "publicUrl": "http://a.example/mcp" }), "http.publicUrl: the address is not encrypted"),
        (json!({ "publicUrl": "https://a.example/mcp?x" }), "http.publicUrl: the address must not hold `?` or `#`"),
        (json!({ "allowedHosts": ["*"] }), "http.allowedHosts[0]: a host with `*` would let any web page in"),
        (json!({ "allowedHosts": ["https://a.example"] }), "http.allowedHosts[0]: `https://a.example` is an address, not a host"),
        (json!({ "allowedHosts": ["a b"] }), "http.allowedHosts[0]: `a b` is no host"),
        (json!({ "allowedOrigins": ["*"] }), "http.allowedOrigins[0]: `*` would let any web page in"),
        (json!({ "allowedOrigins": ["null"] }), "http.allowedOrigins[0]: `null` would let any web page in"),
        (json!({ "allowedOrigins": ["https://a.example/"] }), "http.allowedOrigins[0]: `https://a.example/` is no origin"),
        (json!({ "allowedOrigins": ["https://*.example"] }), "http.allowedOrigins[0]: `https://*.example` is no origin"),
        (json!({ "health": "on" }), "http.health: `on` is no address"),
        (json!({ "limits": { "maxBodyBytes": 1 } }), "http.limits.maxBodyBytes: 1 is out of range; write 1024 to 67108864"),
        (json!({ "limits": { "rate": 1_000_000_001 } }), "http.limits.rate: 1000000001 is out of range"),
        (json!({ "tls": { "certificate": "c" } }), "http.tls: missing field `key`"),
        (json!({ "tls": { "certificate": "c", "key": "" } }), "http.tls.key: the path is empty"),
        (json!({ "token": [] }), "http.token: unknown field `token`"),
    ] {
        let refused = refused(&http);
        assert!(refused.starts_with(problem), "{refused}");
    }
}
