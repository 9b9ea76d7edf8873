//! A server in this process, a few tools that misbehave, and a client that speaks HTTP by hand.

mod client;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use toolyard_core::{
    Access, Answer, ApprovalFallback, Context, Dispatcher, Effect, Granted, Tool, ToolError, Toolset, Trailer,
    audit::{AuditError, AuditSink, Finish, Intent, Refusal},
};
use toolyard_policy::{Policy, PolicySpec};
use toolyard_server::{
    Extension, Server,
    mcp::{ServerCapabilities, SubscriptionFilter},
};

use crate::{HttpConfig, Listen, Metrics, StaticToken, bind, hash_token, routes::App};
pub(crate) use client::Client;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a free port of loopback.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) health: Option<SocketAddr>,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) work: Work,
    app: Arc<App>,
    trail: Trail,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl TestServer {
    /// Everybody on this machine may call; `change` alters the rest.
    pub(crate) async fn start(change: impl FnOnce(&mut HttpConfig)) -> Self {
        let mut config = local_config();
        change(&mut config);
        let work = Work::default();
        let trail = Trail::default();
        let figures = Metrics::new();
        let bound = bind(&recorded(&work, &trail, &figures), config, figures).await.expect("the configuration is fine");
        let app = bound.app();
        let address = bound.address().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        let (health, metrics) = (bound.health_address(), bound.metrics_address());
        let stop = CancellationToken::new();
        let served = tokio::spawn(bound.serve(stop.clone()));
        Self { address, health, metrics, work, app, trail, stop, served }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::over(TcpStream::connect(self.address).await.expect("it listens"))
    }

    /// What was refused so far: principal, reason and detail of each in a line.
    pub(crate) fn trail(&self) -> String {
        self.trail.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Streams that are open.
    pub(crate) fn streams(&self) -> usize {
        self.app.watched().streams
    }

    /// Makes it look as if the audit trail could not be written.
    pub(crate) fn fail_audit(&self) {
        self.app.metrics().observer().audit_failed();
    }

    /// Bytes that bodies hold beyond what is free.
    pub(crate) fn held(&self) -> usize {
        self.app.held()
    }

    /// Tells it to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until everything is over.
    pub(crate) async fn ended(self) {
        timeout(PATIENCE, self.served).await.expect("it ends").expect("it does not panic");
    }
}

/// Loopback, a free port, no authentication.
pub(crate) fn local_config() -> HttpConfig {
    let mut config = HttpConfig::new(Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))));
    config.auth.unauthenticated = true;
    config
}

pub(crate) fn token(name: &str, token: &str) -> StaticToken {
    StaticToken { name: name.into(), sha256: hash_token(token), roles: Vec::new() }
}

pub(crate) fn server(work: &Work) -> Server {
    recorded(work, &Trail::default(), &Metrics::new())
}

fn recorded(work: &Work, trail: &Trail, figures: &Metrics) -> Server {
    let policy = Policy::compile(&PolicySpec::default()).map_err(|error| error.problem);
    let tools = Toolset::new().with(Echo).with(Slow { work: work.clone() }).with(Panic).with(Drop_);
    let dispatcher = Dispatcher::builder(tools, Arc::new(policy.expect("the standard profile compiles")));
    let dispatcher = dispatcher.audit(Arc::new(trail.clone())).observer(figures.observer());
    let dispatcher = Arc::new(dispatcher.build().expect("the tools fit together"));
    let builder = Server::builder(dispatcher).name("test").version("1").approval_fallback(ApprovalFallback::Deny);
    builder.extension(Arc::new(Listening)).expect("it has no tools").build()
}

/// Lets clients listen for changes that never happen.
struct Listening;

impl Extension for Listening {
    fn capabilities(&self, _: ServerCapabilities) -> ServerCapabilities {
        ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build()
    }

    fn accepted_subscriptions(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }
}

/// Keeps what was refused.
#[derive(Clone, Debug, Default)]
struct Trail(Arc<Mutex<String>>);

impl AuditSink for Trail {
    fn intent(&self, _: &Intent<'_>) -> Result<(), AuditError> {
        Ok(())
    }

    fn finish(&self, _: &Finish<'_>) -> Result<(), AuditError> {
        Ok(())
    }

    fn refused(&self, refusal: &Refusal<'_>) -> Result<(), AuditError> {
        let line = format!("{} {} {}\n", refusal.principal.unwrap_or("-"), refusal.reason, refusal.detail);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
        Ok(())
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What slow calls came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    counts: Arc<[AtomicUsize; 3]>,
}

impl Work {
    pub(crate) fn started(&self) -> usize {
        self.counts[0].load(Ordering::SeqCst)
    }

    pub(crate) fn finished(&self) -> usize {
        self.counts[1].load(Ordering::SeqCst)
    }

    /// Calls that ended before their time.
    pub(crate) fn dropped(&self) -> usize {
        self.counts[2].load(Ordering::SeqCst)
    }
}

/// Why nobody can connect there; none if somebody can.
pub(crate) async fn refusal_of(address: SocketAddr) -> Option<std::io::ErrorKind> {
    TcpStream::connect(address).await.err().map(|error| error.kind())
}

/// Waits until it holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what} never happened"));
}

/// Echoes a text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    /// Any text.
    text: String,
}

/// Waits.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Millis {
    /// How long, in milliseconds.
    millis: u64,
}

macro_rules! tool {
    ($type:ty, $name:literal, $effect:ident, $input:ty, |$self:ident, $given:ident| $body:expr) => {
        impl Tool for $type {
            const NAME: &'static str = $name;
            const TITLE: &'static str = $name;
            const EFFECT: Effect = Effect::$effect;
            const IDEMPOTENT: bool = true;
            type Input = $input;

            fn access(&self, _: &$input, _: &Context) -> Result<Vec<Access>, ToolError> {
                Ok(Vec::new())
            }

            async fn call(&$self, $given: $input, _: Granted<'_>) -> Result<Answer, ToolError> {
                $body
            }
        }
    };
}

struct Echo;
struct Panic;
struct Drop_;
struct Slow {
    work: Work,
}

tool!(Echo, "demo_echo", Read, Text, |self, input| Ok(Answer::text(&input.text, &Trailer::new())));
tool!(Panic, "demo_panic", Read, Text, |self, input| panic!("secret {}", input.text));
tool!(Drop_, "demo_drop", Destroy, Text, |self, input| Ok(Answer::text(&input.text, &Trailer::new())));
tool!(Slow, "demo_slow", Read, Millis, |self, input| {
    let counting = Counting { work: self.work.clone(), finished: false };
    self.work.counts[0].fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(input.millis)).await;
    counting.finish();
    Ok(Answer::text("slept", &Trailer::new()))
});

struct Counting {
    work: Work,
    finished: bool,
}

impl Counting {
    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.work.counts[if self.finished { 1 } else { 2 }].fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// Headers and body of a request of the stateless era.
pub(crate) fn stateless(method: &str, name: Option<&str>, mut params: Value) -> (Vec<(String, String)>, String) {
    const PREFIX: &str = "io.modelcontextprotocol";
    params["_meta"] = json!({format!("{PREFIX}/protocolVersion"): "2026-07-28", format!("{PREFIX}/clientCapabilities"): {}});
    let mut headers = post_headers();
    headers.push(("MCP-Protocol-Version".to_owned(), "2026-07-28".to_owned()));
    headers.push(("Mcp-Method".to_owned(), method.to_owned()));
    headers.extend(name.map(|name| ("Mcp-Name".to_owned(), name.to_owned())));
    (headers, json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
}

pub(crate) fn stateless_call(tool: &str, arguments: Value) -> (Vec<(String, String)>, String) {
    stateless("tools/call", Some(tool), json!({"name": tool, "arguments": arguments}))
}

pub(crate) fn post_headers() -> Vec<(String, String)> {
    let pairs = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// The first message of the handshake era.
pub(crate) fn initialize(version: &str) -> String {
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string()
}
