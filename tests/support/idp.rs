//! Identity providers on loopback: npm `oidc-provider`, told by the tests what to issue, when to
//! change keys and how to fail, and tokens that no provider would issue.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    clients::{driver, host},
    install::{self, Node},
    process::Process,
    sandbox::Sandbox,
};

/// Starting Node on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The secret of every client that the providers know; its name in the server's environment is
/// [`SECRET_VARIABLE`].
pub const SECRET: &str = "a-secret-of-the-test-suite";

/// Where configurations of the tests look for [`SECRET`].
pub const SECRET_VARIABLE: &str = "IDP_CLIENT_SECRET";

/// A process with some issuers, each with its own address, keys and tokens.
#[derive(Debug)]
pub struct Providers {
    // Its end is the end of the process.
    process: Process,
    control: SocketAddr,
    said: Value,
    // Holds the scripts while the process runs.
    _sandbox: Sandbox,
}

impl Providers {
    /// Starts an issuer for each name, or says loudly why that can't be done here.
    #[must_use]
    pub fn start(names: &[&str]) -> Option<Self> {
        install::or_skip("access tokens of an identity provider", install::node()).map(|node| Self::with(&node, None, names))
    }

    /// Starts issuers behind TLS, with a certificate and a key in PEM.
    #[must_use]
    pub fn start_tls(certificate: &Path, key: &Path, names: &[&str]) -> Option<Self> {
        let node = install::or_skip("an identity provider behind TLS", install::node())?;
        Some(Self::with(&node, Some((certificate, key)), names))
    }

    fn with(node: &Node, tls: Option<(&Path, &Path)>, names: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let script = driver(&sandbox, node, "oidc_provider.mjs");
        driver(&sandbox, node, "idp_forge.mjs");
        let mut command = host(&sandbox, node, "node");
        command.arg(script);
        if let Some((certificate, key)) = tls {
            // The process asks its own token endpoint.
            command.arg("--tls").args([certificate, key]).env("NODE_EXTRA_CA_CERTS", certificate);
        }
        command.args(names).stdin(Stdio::piped());
        let process = Process::spawn(command);
        let line = process.receive(PATIENCE).unwrap_or_else(|| panic!("no identity provider: {}", process.errors()));
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let control = said["control"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a control address");
        let control = control.parse().expect("an address and a port");
        Self { process, control, said, _sandbox: sandbox }
    }

    /// The identifier of an issuer, as its tokens carry it.
    #[must_use]
    pub fn issuer(&self, name: &str) -> &str {
        self.said["issuers"][name].as_str().unwrap_or_else(|| panic!("no issuer {name}"))
    }

    /// An address that notes every request; nobody has reason to send one.
    #[must_use]
    pub fn trap(&self) -> &str {
        self.said["trap"].as_str().expect("an address")
    }

    /// A token of the real token endpoint. `order` may hold `scope`, `subject`, `claims`, `alg`,
    /// `opaque`, `audience`, `ttl` and `dpop`, the name of a key.
    #[must_use]
    #[track_caller]
    pub fn mint(&self, issuer: &str, resource: &str, order: &Value) -> String {
        let minted = self.control("mint", &merged(json!({ "issuer": issuer, "resource": resource, "scope": "mcp:read" }), order));
        text(&minted, "token")
    }

    /// A token made with the keys of an issuer; `idp_forge.mjs` says what `order` may hold.
    #[must_use]
    #[track_caller]
    pub fn forge(&self, issuer: &str, resource: &str, order: &Value) -> String {
        text(&self.control("forge", &merged(json!({ "issuer": issuer, "resource": resource }), order)), "token")
    }

    /// A DPoP proof; `idp_forge.mjs` says what `order` may hold.
    #[must_use]
    #[track_caller]
    pub fn proof(&self, order: &Value) -> String {
        text(&self.control("proof", order), "proof")
    }

    /// Calls an opaque token back at the real revocation endpoint.
    #[track_caller]
    pub fn revoke(&self, issuer: &str, token: &str) {
        self.control("revoke", &json!({ "issuer": issuer, "token": token }));
    }

    /// Restarts an issuer with new keys; with `keep` the old ones stay published.
    #[track_caller]
    pub fn rotate(&self, issuer: &str, keep: bool) {
        self.control("rotate", &json!({ "issuer": issuer, "keep": keep }));
    }

    /// The public keys of an issuer.
    #[must_use]
    #[track_caller]
    pub fn keys(&self, issuer: &str) -> Vec<Value> {
        let told = self.control("keys", &json!({ "issuer": issuer }));
        told["keys"].as_array().expect("a list of keys").clone()
    }

    /// Answers requests of a kind (`discovery`, `jwks`, `introspection`) in another way: a fault
    /// holds `status`, `headers`, `body`, `bytes` of padding, `delay` in milliseconds, `hangUp`.
    #[track_caller]
    pub fn fault(&self, issuer: &str, kind: &str, fault: &Value) {
        self.control("fault", &json!({ "issuer": issuer, "on": kind, "fault": fault }));
    }

    /// How many requests of a kind an issuer got.
    #[must_use]
    #[track_caller]
    pub fn count(&self, issuer: &str, kind: &str) -> u64 {
        self.control("counts", &json!({}))["issuers"][issuer][kind].as_u64().unwrap_or(0)
    }

    /// Request lines and headers that an issuer got, but for requests of tokens.
    #[must_use]
    #[track_caller]
    pub fn heads(&self, issuer: &str) -> Vec<String> {
        let told = self.control("heads", &json!({ "issuer": issuer }));
        let heads = told["heads"].as_array().expect("a list of requests").iter();
        heads.map(|head| head.as_str().expect("a text").to_owned()).collect()
    }

    /// Requests to [`Providers::trap`].
    #[must_use]
    #[track_caller]
    pub fn trapped(&self) -> Vec<Value> {
        self.control("counts", &json!({}))["trap"].as_array().expect("a list of requests").clone()
    }

    #[track_caller]
    fn control(&self, command: &str, order: &Value) -> Value {
        let body = order.to_string();
        let head = format!("POST /{command} HTTP/1.1\r\nhost: idp\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut answer = String::new();
        let exchanged = TcpStream::connect(self.control).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(format!("{head}{body}").as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        if let Err(error) = exchanged {
            panic!("the identity provider does not answer {command} ({error}): {}", self.process.errors());
        }
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer with a body");
        // Node sends these short answers in one piece, with their length or as one chunk.
        let body = body.find('{').and_then(|start| body.rfind('}').and_then(|end| body.get(start..=end)));
        let value: Value = serde_json::from_str(body.expect("a JSON object")).expect("JSON");
        assert!(head.starts_with("HTTP/1.1 200 "), "{command} {order}: {value}");
        value
    }
}

/// Now in seconds, as tokens carry it.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a time that fits")
}

fn merged(mut into: Value, order: &Value) -> Value {
    for (key, value) in order.as_object().expect("an object") {
        into[key] = value.clone();
    }
    into
}

#[track_caller]
fn text(told: &Value, key: &str) -> String {
    told[key].as_str().unwrap_or_else(|| panic!("no {key} in {told}")).to_owned()
}
