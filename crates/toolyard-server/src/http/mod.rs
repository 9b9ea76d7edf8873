//! The protocol over HTTP: requests in, responses out, for the HTTP transport.
//!
//! Whoever calls this has authenticated the caller, checked `Host` and `Origin`, bounded the body,
//! and put the [`Principal`](toolyard_core::Principal) into the extensions of the request.
//!
//! The SDK tells the eras apart, checks headers against bodies and serves requests. In front of it
//! stand what it leaves open: who owns a session, how much there may be of everything, and errors
//! that clients can read.

mod direct;
mod messages;
mod peek;
mod refusal;
mod service;
mod session;
mod sessions;
mod streams;

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::request::Parts;
use http_body_util::combinators::BoxBody;
use rmcp::{RoleServer, service::RequestContext};
use toolyard_core::Principal;

pub use messages::{MessageSession, MessageStream, PushError};
pub use peek::{Peek, PeekKind, peek};
pub use service::HttpService;

/// The body of a response; it never fails.
pub type HttpBody = BoxBody<Bytes, Infallible>;

/// Told how long a session lasted.
pub type SessionEnd = Arc<dyn Fn(Duration) + Send + Sync>;

/// The transport's id of a request, for the audit trail; it goes into the request's extensions.
#[derive(Clone, Debug)]
pub struct RequestName(pub Arc<str>);

/// Bounds of [`HttpService`].
#[derive(Clone)]
pub struct HttpOptions {
    /// How often a comment is sent on a silent stream; 15 s by default.
    pub keep_alive: Duration,
    /// Sessions of the handshake era at once; for one more, an idle one of the caller with the most
    /// is closed. 1,000 by default.
    pub max_sessions: usize,
    /// Those of one caller; the one idle for longest is closed for a new one. 32 by default.
    pub max_sessions_per_principal: usize,
    /// A session without requests and streams is closed after so long; 30 minutes by default.
    pub session_idle: Duration,
    /// Listening streams one caller may keep open; 16 by default.
    pub max_streams_per_principal: usize,
    /// Told how long each session lasted, when it ends.
    pub on_session_end: Option<SessionEnd>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(15),
            max_sessions: 1_000,
            max_sessions_per_principal: 32,
            session_idle: Duration::from_secs(30 * 60),
            max_streams_per_principal: 16,
            on_session_end: None,
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("keep_alive", &self.keep_alive)
            .field("max_sessions", &self.max_sessions)
            .field("max_sessions_per_principal", &self.max_sessions_per_principal)
            .field("session_idle", &self.session_idle)
            .field("max_streams_per_principal", &self.max_streams_per_principal)
            .finish_non_exhaustive()
    }
}

/// The caller that the transport named for this request.
pub(crate) fn caller(context: &RequestContext<RoleServer>) -> Option<Principal> {
    context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get()).cloned()
}

/// What the transport calls this request, and its client.
pub(crate) fn request_name(context: &RequestContext<RoleServer>) -> String {
    match context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get::<RequestName>()) {
        Some(RequestName(name)) => format!("{name}/{}", context.id),
        None => context.id.to_string(),
    }
}

/// A handle nobody can guess: 128 random bits in 32 hexadecimal digits; `None` when the system
/// gives none.
pub fn fresh_handle() -> Option<String> {
    use fmt::Write as _;
    let mut bytes = [0_u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let more = rustix::rand::getrandom(bytes.get_mut(filled..)?, rustix::rand::GetRandomFlags::empty());
        match more {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "the system gives no random bytes");
                return None;
            }
        }
    }
    let mut handle = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(handle, "{byte:02x}").ok()?;
    }
    Some(handle)
}
