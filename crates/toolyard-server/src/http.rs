//! The protocol over HTTP: requests in, responses out, for the HTTP transport.
//!
//! Whoever calls this has authenticated the caller, checked `Host` and `Origin`, bounded the body,
//! and put the [`Principal`](toolyard_core::Principal) into the extensions of the request.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{Full, combinators::BoxBody};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager};
use tokio_util::sync::CancellationToken;

use crate::Server;

/// The body of a response; it never fails.
pub type HttpBody = BoxBody<Bytes, Infallible>;

/// Bounds of [`HttpService`].
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How often a comment is sent on a silent stream.
    pub keep_alive: Duration,
    /// Sessions of the handshake era at once.
    pub max_sessions: usize,
    /// Those of one caller; the one idle for longest is closed for a new one.
    pub max_sessions_per_principal: usize,
    /// A session without requests and streams is closed after so long.
    pub session_idle: Duration,
    /// Listening streams one caller may keep open.
    pub max_streams_per_principal: usize,
}

/// Answers requests to the MCP endpoint, of both eras; clones are cheap and share everything.
#[derive(Clone)]
pub struct HttpService {
    inner: StreamableHttpService<Server, LocalSessionManager>,
}

impl Server {
    /// Prepares the endpoint; cancelling `stop` ends its streams and sessions.
    pub fn http_service(&self, options: &HttpOptions, stop: CancellationToken) -> HttpService {
        let server = self.clone();
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_sse_keep_alive(Some(options.keep_alive))
            .with_json_response(true)
            .with_cancellation_token(stop);
        HttpService { inner: StreamableHttpService::new(move || Ok(server.clone()), Arc::new(LocalSessionManager::default()), config) }
    }
}

impl HttpService {
    /// Answers one request.
    pub async fn handle(&self, request: http::Request<Full<Bytes>>) -> http::Response<HttpBody> {
        self.inner.handle(request).await
    }
}

impl std::fmt::Debug for HttpService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpService").finish_non_exhaustive()
    }
}
