//! What a server is told before it starts: checked values, no files read, no environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use url::Url;

use crate::auth::{OauthConfig, StaticToken};

/// Everything about serving over HTTP.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where requests are taken.
    pub listen: Listen,
    /// The address clients use, when a proxy stands in front: `https://tools.example.com/mcp`.
    /// Its host is allowed, and it is the resource that tokens are issued for. Without one the
    /// address listened at stands for it.
    pub public_url: Option<Url>,
    /// Hosts, with or without port, that requests may name beside those of `listen` and `public_url`.
    pub allowed_hosts: Vec<String>,
    /// Origins of browser pages that may send requests: `https://app.example.com`, with a port or
    /// `:*`. Pages on loopback may when the server listens there.
    pub allowed_origins: Vec<String>,
    /// Whether HTTP+SSE of 2024-11-05 is served as well, at `/sse` and `/messages`.
    pub legacy_sse: bool,
    /// Certificate and key; without them the connection is not encrypted.
    pub tls: Option<TlsFiles>,
    /// Who may call.
    pub auth: AuthConfig,
    /// Bounds of requests, connections and sessions.
    pub limits: HttpLimits,
    /// Where health is told in detail; none switches it off.
    pub health: Option<SocketAddr>,
    /// Where metrics are told; none switches them off.
    pub metrics: Option<SocketAddr>,
}

impl HttpConfig {
    /// Listens there with default limits; nobody may call yet, and neither health nor metrics are
    /// told.
    pub fn new(listen: Listen) -> Self {
        Self {
            listen,
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            legacy_sse: false,
            tls: None,
            auth: AuthConfig::default(),
            limits: HttpLimits::default(),
            health: None,
            metrics: None,
        }
    }
}

/// Where requests are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket, made with mode 0600.
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// A certificate chain and its key, in PEM; both are read again when they change.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Who may call.
#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    /// Bearer tokens known by their hash.
    pub tokens: Vec<StaticToken>,
    /// Access tokens of authorization servers.
    pub oauth: Option<OauthConfig>,
    /// Whether nobody has to say who they are; refused unless [`Listen::is_local`].
    pub unauthenticated: bool,
}

/// Bounds of requests, connections and sessions; every one has a default.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Largest body in bytes.
    pub max_body_bytes: usize,
    /// Largest head of a request in bytes, all headers together.
    pub max_head_bytes: usize,
    /// A head must be here after so long; a connection without requests is closed then as well.
    pub head_timeout: Duration,
    /// A body must be here after so long.
    pub body_timeout: Duration,
    /// Connections at once; further ones wait unaccepted.
    pub max_connections: usize,
    /// Requests that are worked on at once, streams that only listen not counted.
    pub max_requests: usize,
    /// Requests that may wait for that; further ones are refused with 503.
    pub max_waiting: usize,
    /// How long a request may wait.
    pub max_wait: Duration,
    /// Requests of one caller that are worked on at once.
    pub max_requests_per_principal: usize,
    /// Requests of one caller in any [`HttpLimits::rate_window`], at most 100,000; 0 for no limit.
    pub rate: u32,
    /// The rolling window.
    pub rate_window: Duration,
    /// Legacy sessions at once, of both transports.
    pub max_sessions: usize,
    /// Legacy sessions of one caller; the one idle for longest is closed for a new one.
    pub max_sessions_per_principal: usize,
    /// Streams one caller may keep open to listen.
    pub max_streams_per_principal: usize,
    /// A legacy session without requests and streams is closed after so long.
    pub session_idle: Duration,
    /// A call that takes longer than this is answered with a stream that is kept alive.
    pub early_headers: Duration,
    /// How often a comment is sent on a silent stream.
    pub keep_alive: Duration,
    /// How long calls may go on once the server is told to stop.
    pub drain: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 4 << 20,
            max_head_bytes: 32 << 10,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            max_connections: 8192,
            max_requests: 256,
            max_waiting: 1024,
            max_wait: Duration::from_secs(10),
            max_requests_per_principal: 128,
            rate: 6_000,
            rate_window: Duration::from_secs(60),
            max_sessions: 4096,
            max_sessions_per_principal: 1024,
            max_streams_per_principal: 1024,
            session_idle: Duration::from_secs(30 * 60),
            early_headers: Duration::from_secs(5),
            keep_alive: Duration::from_secs(15),
            drain: Duration::from_secs(25),
        }
    }
}
