//! A1, SS1, SS3, SS4: what a server may be told of issuers at all.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    client::{Client, MODERN},
    process::Process,
    sandbox::Sandbox,
};

use super::{SERVER, Site, each};

/// Starting takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

/// What the program says of a section `http.oauth`, or none when it serves.
fn refusal(oauth: &Value) -> Option<String> {
    let sandbox = Sandbox::new();
    let file = sandbox.scratch("mcp-config.json");
    let config = json!({ "http": { "listen": "127.0.0.1:0", "health": "off", "metrics": "off", "oauth": oauth } });
    fs::write(&file, config.to_string()).expect("a written configuration");
    let mut command = sandbox.command(SERVER);
    command.args(["serve", "--config"]).arg(&file).arg("--workspace").arg(sandbox.workspace());
    let mut process = Process::spawn(command);
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = process.wait(Duration::from_millis(5)) {
            // What it said last may still be in the pipe.
            while !process.errors().ends_with('\n') && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(status.code(), Some(2), "{}", process.errors());
            return Some(process.errors());
        }
        if process.errors().contains("listening on") {
            process.kill();
            return None;
        }
        assert!(Instant::now() < deadline, "neither served nor refused: {}", process.errors());
    }
}

/// The key of the configuration that a refusal has to name, as far as the address is the problem.
fn not_refused(oauth: &Value, key: &str) -> Option<String> {
    match refusal(oauth) {
        Some(said) if said.contains(key) => None,
        Some(said) => Some(format!("it does not name {key}: {said}")),
        None => Some("it was taken".to_owned()),
    }
}

const PRIVATE: [(&str, &str); 22] = [
    ("loopback", "https://127.0.0.1"),
    ("loopback, another address", "https://127.8.9.10"),
    ("loopback by name", "https://localhost"),
    ("loopback by name with a dot", "https://localhost."),
    ("loopback below a name", "https://idp.localhost"),
    ("loopback as one number", "https://2130706433"),
    ("loopback in hexadecimal", "https://0x7f000001"),
    ("loopback in octal", "https://0177.0.0.1"),
    ("loopback, short", "https://127.1"),
    ("loopback, version 6", "https://[::1]"),
    ("loopback, mapped", "https://[::ffff:127.0.0.1]"),
    ("this network", "https://0.0.0.0"),
    ("ten", "https://10.0.0.5"),
    ("a hundred seventy-two", "https://172.16.0.1"),
    ("a hundred ninety-two", "https://192.168.1.1"),
    ("carrier", "https://100.64.0.1"),
    ("the metadata service", "https://169.254.169.254"),
    ("the metadata service, mapped", "https://[::ffff:a9fe:a9fe]"),
    ("unique local", "https://[fd00::1]"),
    ("link local", "https://[fe80::1]"),
    ("unspecified", "https://[::]"),
    ("ten, mapped", "https://[::ffff:10.0.0.1]"),
];

#[test]
fn ss1_issuers_at_private_addresses_are_refused_before_anything_listens() {
    each(&PRIVATE, |url| not_refused(&json!({ "issuers": [{ "name": "one", "issuer": url }] }), "issuer"));
}

#[test]
fn ss1_ss4_keys_and_introspection_are_held_to_the_same() {
    let with = |key: &str, value: Value| {
        let mut issuer = json!({ "name": "one", "issuer": "https://idp.example.com" });
        issuer[key] = value;
        json!({ "issuers": [issuer] })
    };
    let introspection = |url: &str| with("introspection", json!({ "endpoint": url, "clientId": "a", "clientSecret": "file:/dev/null" }));
    let cases = [
        ("keys on loopback", (with("jwks", json!("https://127.0.0.1/jwks")), "jwks")),
        ("keys at the metadata service", (with("jwks", json!("https://169.254.169.254/jwks")), "jwks")),
        ("keys without encryption", (with("jwks", json!("http://idp.example.com/jwks")), "jwks")),
        ("keys in a file", (with("jwks", json!("file:///etc/passwd")), "jwks")),
        ("introspection in a private network", (introspection("https://10.0.0.1/introspect"), "introspection")),
        ("introspection without encryption", (introspection("http://idp.example.com/introspect"), "introspection")),
    ];
    each(&cases, |(oauth, key)| not_refused(oauth, key));
}

#[test]
fn ss4_only_https_is_taken_and_addresses_say_nothing_else() {
    let issuer = |url: &str| json!({ "issuers": [{ "name": "one", "issuer": url }] });
    let cases = [
        ("not encrypted", issuer("http://idp.example.com")),
        ("not encrypted, on loopback", issuer("http://127.0.0.1:9")),
        ("a user", issuer("https://user@idp.example.com")),
        ("a user and a password", issuer("https://user:secret@idp.example.com")),
        ("a query", issuer("https://idp.example.com/?tenant=a")),
        ("a fragment", issuer("https://idp.example.com/#a")),
        ("a file", issuer("file:///etc/passwd")),
        ("data", issuer("data:text/plain,x")),
        ("no address", issuer("idp.example.com")),
        ("nothing", issuer("")),
    ];
    each(&cases, |oauth| not_refused(oauth, "issuer"));
}

#[test]
fn ss4_the_switch_for_development_opens_loopback_and_nothing_else() {
    let issuer = |url: &str| json!({ "issuers": [{ "name": "one", "issuer": url }], "insecureLoopbackIssuers": true });
    assert_eq!(refusal(&issuer("http://127.0.0.1:9")), None);
    let cases = [
        ("another machine, not encrypted", issuer("http://idp.example.com")),
        ("the private network, not encrypted", issuer("http://10.0.0.5")),
        ("the private network", issuer("https://192.168.1.1")),
        ("the metadata service", issuer("http://169.254.169.254")),
        ("every address", issuer("http://0.0.0.0")),
        ("a name that begins like loopback", issuer("http://127.0.0.1.example.com")),
        ("a user that looks like loopback", issuer("http://127.0.0.1@example.com")),
    ];
    each(&cases, |oauth| not_refused(oauth, "issuer"));
}

#[test]
fn a8_algorithms_and_scopes_that_open_too_much_are_refused_at_the_start() {
    let with = |key: &str, value: Value| {
        let mut issuer = json!({ "name": "one", "issuer": "https://idp.example.com" });
        issuer[key] = value;
        json!({ "issuers": [issuer] })
    };
    let scopes = |scope: &str| json!({ "issuers": [{ "name": "one", "issuer": "https://idp.example.com" }], "scopes": [{ "scope": scope, "opens": ["*"] }] });
    let cases = [
        ("no signature", (with("algorithms", json!(["none"])), "algorithms")),
        ("a shared secret", (with("algorithms", json!(["RS256", "HS256"])), "algorithms")),
        ("no algorithms", (with("algorithms", json!([])), "algorithms")),
        ("no audiences", (with("audiences", json!([])), "audiences")),
        ("a leeway of more than a minute", (with("leewaySeconds", json!(61)), "leewaySeconds")),
        ("a secret in the file", (with("introspection", json!({ "clientId": "a", "clientSecret": "hunter2" })), "clientSecret")),
        ("sm2: a wildcard", (scopes("mcp:*"), "scope")),
        ("sm2: offline_access", (scopes("offline_access"), "scope")),
        ("nobody", (json!({ "issuers": [] }), "issuers")),
        ("a key that is misspelled", (with("audience", json!(["a"])), "audience")),
    ];
    each(&cases, |(oauth, key)| not_refused(oauth, key));
}

#[test]
fn a1_over_stdio_no_token_is_asked_for_and_no_issuer_is_asked() {
    let Some(site) = Site::start() else { return };
    let mut command = site.sandbox.command(SERVER);
    command.args(["serve", "--stdio", "--config"]).arg(site.sandbox.scratch("mcp-config.json"));
    command.arg("--workspace").arg(site.sandbox.workspace());
    site.sandbox.write("a.txt", "hello\n");
    let mut client = Client::modern(command);
    assert!(client.call("fs_read", json!({ "path": "a.txt" })).text().contains("hello"), "{MODERN}");
    client.hang_up();
    assert_eq!(site.idp.count("one", "discovery"), 0);
}
