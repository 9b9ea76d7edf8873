//! Access tokens of a real identity provider against the real program.
//!
//! Tokens come from the token endpoint of npm `oidc-provider`, and those that no provider would
//! issue are forged with its keys. Names of tests begin with the id of the statement they prove.

mod challenges;
mod encryption;
mod introspection;
mod keys;
mod possession;
mod principals;
mod secrets;
mod setup;
mod step_up;
mod tokens;

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    http::{HttpServer, Mcp, Response},
    idp::{self, Providers},
    sandbox::Sandbox,
};

use super::SERVER;

/// How long a record may take to reach the trail.
const PATIENCE: Duration = Duration::from_secs(10);

const INVALID: &str = "the token is expired, revoked, malformed or not meant for this server";
const NO_SCOPE: &str = "this operation needs another scope";
const MALFORMED: &str = "send exactly one token, in one Authorization header and nowhere else";

/// Identity providers, and a server that takes their tokens.
struct Site {
    idp: Providers,
    server: HttpServer,
    sandbox: Sandbox,
}

impl Site {
    /// The issuer `one`, taken as the defaults say.
    fn start() -> Option<Self> {
        Self::configured(&["one"], |_, _| {})
    }

    /// Some issuers and a server; `change` alters the section `http.oauth`, or by its second half
    /// the whole configuration.
    fn configured(names: &[&str], change: impl FnOnce(&Providers, &mut Value)) -> Option<Self> {
        Providers::start(names).map(|idp| Self::with(idp, names, change))
    }

    /// A server for these identity providers.
    fn with(idp: Providers, names: &[&str], change: impl FnOnce(&Providers, &mut Value)) -> Self {
        let sandbox = Sandbox::new();
        let mut config = config(&idp, names);
        change(&idp, &mut config);
        let file = sandbox.scratch("mcp-config.json");
        fs::write(&file, config.to_string()).expect("a written configuration");
        let mut command = sandbox.command(SERVER);
        command.args(["serve", "--legacy-sse", "--config"]).arg(&file).arg("--workspace").arg(sandbox.workspace());
        command.env("LOG_LEVEL", "debug").env(idp::SECRET_VARIABLE, idp::SECRET);
        let server = HttpServer::spawn(command);
        Self { idp, server, sandbox }
    }

    /// What tokens have to be issued for.
    fn resource(&self) -> String {
        self.server.url()
    }

    /// A token of the issuer `one` that only reads, changed by `order`.
    #[track_caller]
    fn mint(&self, order: &Value) -> String {
        self.idp.mint("one", &self.resource(), order)
    }

    /// A forged token of the issuer `one` that may write, changed by `order`.
    #[track_caller]
    fn forge(&self, order: &Value) -> String {
        let mut order = order.clone();
        if order["claims"].get("scope").is_none() {
            order["claims"]["scope"] = json!("mcp:read mcp:write");
        }
        self.idp.forge("one", &self.resource(), &order)
    }

    /// A client of the stateless era with this token.
    #[track_caller]
    fn client(&self, token: &str) -> Mcp {
        Mcp::modern(self.server.address(), Some(token))
    }

    /// What `tools/list` comes to with this token.
    #[track_caller]
    fn list(&self, token: &str) -> Response {
        self.client(token).exchange("tools/list", json!({}))
    }

    /// Writes a file through the server with this token.
    #[track_caller]
    fn write(&self, token: &str, path: &str) -> Response {
        let mut client = self.client(token);
        client.exchange("tools/call", json!({ "name": "fs_write", "arguments": { "path": path, "content": "written\n" } }))
    }

    /// The parameters that every challenge for this scope ends with.
    fn parameters(&self, scope: &str) -> String {
        let origin = self.resource().replace("/mcp", "");
        format!(r#"resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp", scope="{scope}""#)
    }

    /// The challenge that names an error.
    fn challenge(&self, error: &str, scope: &str, description: &str) -> String {
        format!(r#"Bearer error="{error}", {}, error_description="{description}""#, self.parameters(scope))
    }

    /// What is not as it must be in the answer to a token that is not taken.
    fn not_refused(&self, response: &Response) -> Option<String> {
        let body = json!({ "error": "invalid_token", "error_description": INVALID }).to_string();
        deviation(response, 401, &[&self.challenge("invalid_token", "mcp:read", INVALID)], &body)
    }

    #[track_caller]
    fn assert_refused(&self, response: &Response) {
        assert_eq!(self.not_refused(response), None);
    }

    /// Every record of the trail so far.
    fn trail(&self) -> Vec<Value> {
        let Ok(folder) = fs::read_dir(self.sandbox.state().join("audit")) else { return Vec::new() };
        let files = folder.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a readable trail"));
        let text: String = files.collect();
        // The last line may still be on its way.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The first record of the trail of which this holds, waited for.
    #[track_caller]
    fn recorded(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let trail = self.trail();
            if let Some(record) = trail.iter().find(|record| is_it(record)) {
                return record.clone();
            }
            assert!(Instant::now() < deadline, "the trail does not tell {what}: {trail:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A configuration that takes tokens of these issuers on a free port.
fn config(idp: &Providers, names: &[&str]) -> Value {
    let issuers: Vec<_> = names.iter().map(|name| json!({ "name": name, "issuer": idp.issuer(name) })).collect();
    json!({
        "http": {
            "listen": "127.0.0.1:0",
            "health": "off",
            "metrics": "127.0.0.1:0",
            "oauth": { "issuers": issuers, "insecureLoopbackIssuers": true },
        },
    })
}

/// The entry of the first issuer.
fn issuer(config: &mut Value) -> &mut Value {
    &mut config["http"]["oauth"]["issuers"][0]
}

/// How a response differs from the one expected, to the letter.
fn deviation(response: &Response, status: u16, challenges: &[&str], body: &str) -> Option<String> {
    let told: Vec<_> = response.head().all("www-authenticate").collect();
    let parsed: Option<Value> = serde_json::from_slice(response.body()).ok();
    let expected: Option<Value> = serde_json::from_str(body).ok();
    let stored = response.header("cache-control");
    let fits = response.status() == status && told == challenges && parsed == expected && stored == Some("no-store");
    (!fits).then(|| format!("{} {told:?} {stored:?} {}", response.status(), response.text()))
}

/// Runs a check for each case and names those that fail, with what came instead.
#[track_caller]
fn each<T>(cases: &[(&str, T)], check: impl Fn(&T) -> Option<String>) {
    let wrong: Vec<_> = cases.iter().filter_map(|(name, case)| check(case).map(|what| format!("{name}: {what}"))).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
