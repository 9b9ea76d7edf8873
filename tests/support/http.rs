//! The shipped program over HTTP: a server process on free ports of loopback, and clients that
//! speak HTTP/1.1 by hand.
//!
//! [`HttpServer`] starts and ends the program. [`Connection`] writes [`Request`]s, whole or in
//! pieces, and reads [`Response`]s and event streams. [`Mcp`] talks the protocol over it in either
//! era, and [`SseClient`] that of 2024-11-05. Every JSON-RPC message that comes back is checked
//! against the official schema of its version.

mod connection;
mod mcp;
mod request;
mod response;
mod sse;

use std::{
    fs,
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{process::Process, sandbox::Sandbox};

pub use connection::{Connection, Wire};
pub use mcp::Mcp;
pub use request::Request;
pub use response::{Event, Head, Response};
pub use sse::SseClient;

/// How long anything may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a server listens.
#[derive(Clone, Debug)]
enum Place {
    Tcp(&'static str, SocketAddr),
    Unix(PathBuf),
}

/// A running server; it is killed with this value.
#[derive(Debug)]
pub struct HttpServer {
    process: Process,
    place: Place,
    health: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    token: Option<String>,
}

impl HttpServer {
    /// Starts `PROGRAM serve` for the sandbox's workspace on free ports, with the token that the
    /// program makes for this machine unless the arguments say otherwise.
    #[must_use]
    #[track_caller]
    pub fn start(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> Self {
        let mut command = sandbox.command(program);
        command.args(["serve", "--workspace"]).arg(sandbox.workspace());
        command.args(["--http", "127.0.0.1:0", "--health", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]).args(arguments);
        let mut server = Self::spawn(command);
        server.token = fs::read_to_string(sandbox.state().join("http-token")).ok().map(|token| token.trim().to_owned());
        server
    }

    /// Starts a command as it is and waits until it says where it listens.
    #[must_use]
    #[track_caller]
    pub fn spawn(command: Command) -> Self {
        let mut process = Process::spawn(command);
        let deadline = Instant::now() + PATIENCE;
        let place = loop {
            let said = process.errors();
            if let Some(place) = said_after(&said, "listening on ").and_then(place) {
                break place;
            }
            assert!(process.is_running(), "the server ended: {said}");
            assert!(Instant::now() < deadline, "the server does not listen: {said}");
            thread::sleep(Duration::from_millis(2));
        };
        // The lines about health and metrics follow at once, if there are any.
        thread::sleep(Duration::from_millis(20));
        let said = process.errors();
        let address = |prefix| said_after(&said, prefix).and_then(address);
        let (health, metrics) = (address("health on "), address("metrics on "));
        Self { process, place, health, metrics, token: None }
    }

    /// Lets helpers of this server send a token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The address of the tools; fails the test on a Unix socket.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        match &self.place {
            Place::Tcp(_, address) => *address,
            Place::Unix(path) => panic!("listens at {}", path.display()),
        }
    }

    /// The address of a path: `http://127.0.0.1:1/health`.
    #[must_use]
    #[track_caller]
    pub fn url_of(&self, path: &str) -> String {
        let scheme = match &self.place {
            Place::Tcp(scheme, _) => scheme,
            Place::Unix(_) => "http",
        };
        format!("{scheme}://{}{path}", self.address())
    }

    /// The address of health; fails the test when it is off.
    #[must_use]
    #[track_caller]
    pub fn health(&self) -> SocketAddr {
        self.health.expect("the server tells its health")
    }

    /// The address of metrics; fails the test when they are off.
    #[must_use]
    #[track_caller]
    pub fn metrics(&self) -> SocketAddr {
        self.metrics.expect("the server tells its metrics")
    }

    /// The address of Streamable HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("/mcp")
    }

    /// The address of HTTP+SSE.
    #[must_use]
    pub fn sse_url(&self) -> String {
        self.url_of("/sse")
    }

    /// The token that opens this server, if it needs one.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A new connection to the tools, without TLS.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> Connection {
        match &self.place {
            Place::Tcp(_, address) => Connection::open(*address),
            Place::Unix(path) => Connection::over(UnixStream::connect(path).expect("the socket takes a connection"), "localhost"),
        }
    }

    /// A request with this server's token that any path of it understands.
    #[must_use]
    pub fn get(&self, path: &str) -> Request {
        Request::get(path).maybe_bearer(self.token())
    }

    /// Sends one request on a connection of its own.
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Response {
        self.connect().ask(request)
    }

    /// A client of the stateless era.
    #[must_use]
    pub fn modern(&self) -> Mcp {
        Mcp::modern(self.address(), self.token())
    }

    /// A client that has done the handshake of an older version.
    #[must_use]
    #[track_caller]
    pub fn legacy(&self, version: &str) -> Mcp {
        Mcp::legacy(self.address(), self.token(), version)
    }

    /// A client of HTTP+SSE that has done the handshake of an older version.
    #[must_use]
    #[track_caller]
    pub fn sse(&self, version: &str) -> SseClient {
        SseClient::connect(self.address(), self.token(), version)
    }

    /// What the metrics port says now.
    #[must_use]
    #[track_caller]
    pub fn scrape(&self) -> String {
        Connection::open(self.metrics()).ask(&Request::get("/metrics")).text()
    }

    /// The value of one series, named as it is printed: `name` or `name{label="value"}`; 0 when it
    /// is absent.
    #[must_use]
    #[track_caller]
    pub fn figure(&self, series: &str) -> f64 {
        let text = self.scrape();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0.0, |value| value.parse().expect("a figure is a number"))
    }

    /// Everything said on the error stream so far.
    #[must_use]
    pub fn errors(&self) -> String {
        self.process.errors()
    }

    /// The server process.
    #[must_use]
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Tells the server to stop and waits until it has; returns how long that took.
    #[track_caller]
    pub fn stop(&mut self) -> Duration {
        let start = Instant::now();
        self.process.signal("TERM");
        let status = self.process.wait(PATIENCE);
        let took = start.elapsed();
        let errors = self.process.errors();
        let status = status.unwrap_or_else(|| panic!("still running after {took:?}: {errors}"));
        assert_eq!(status.code(), Some(0), "the server failed while it stopped: {errors}");
        took
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if self.process.is_running() {
            self.process.kill();
        }
    }
}

/// What follows a prefix in a whole line, up to the next space or quote.
fn said_after<'a>(said: &'a str, prefix: &str) -> Option<&'a str> {
    let whole = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let rest = whole.filter_map(|line| line.split_once(prefix)).map(|(_, rest)| rest).next()?;
    rest.split(['"', ' ', '\n']).next()
}

fn place(said: &str) -> Option<Place> {
    if let Some(path) = said.strip_prefix("unix:") {
        return Some(Place::Unix(path.into()));
    }
    let scheme = if said.starts_with("https://") { "https" } else { "http" };
    Some(Place::Tcp(scheme, address(said)?))
}

/// The address in `http://127.0.0.1:1/mcp`.
fn address(said: &str) -> Option<SocketAddr> {
    let (_, authority) = said.split_once("://")?;
    authority.split('/').next()?.parse().ok()
}
