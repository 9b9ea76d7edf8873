//! From a configuration to open listeners, and from there to the end.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use toolyard_server::{HttpOptions, Server};
use url::Url;

use crate::{
    HttpConfig, HttpError, Listen, Purpose,
    listener::{self, Stops},
    routes::App,
};

/// A server whose listeners are open; nothing is answered yet.
pub struct BoundServer {
    listener: TcpListener,
    address: Option<SocketAddr>,
    url: Url,
    app: Arc<App>,
    stops: Stops,
}

/// Checks the configuration and opens every listener.
///
/// # Errors
/// When the configuration would let anybody in, contradicts itself, or an address can't be had.
pub async fn bind(server: &Server, config: HttpConfig) -> Result<BoundServer, HttpError> {
    let Listen::Tcp(wanted) = &config.listen else { return Err(HttpError::NoAuth) };
    let purpose = Purpose::Mcp;
    let bind_error = |source| HttpError::Bind { address: *wanted, purpose, advice: purpose.advice(), source };
    let listener = TcpListener::bind(wanted).await.map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    let url = Url::parse(&format!("http://{address}/mcp")).map_err(|_| HttpError::NoAuth)?;
    let stops = Stops::default();
    let limits = &config.limits;
    let options = HttpOptions {
        keep_alive: limits.keep_alive,
        max_sessions: limits.max_sessions,
        max_sessions_per_principal: limits.max_sessions_per_principal,
        session_idle: limits.session_idle,
        max_streams_per_principal: limits.max_streams_per_principal,
    };
    let service = server.http_service(&options, stops.calls.clone());
    Ok(BoundServer { listener, address: Some(address), url, app: Arc::new(App::new(service, config)), stops })
}

impl BoundServer {
    /// The address listened at; none on a Unix socket.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The address clients use for `/mcp`.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Answers until `shutdown`, then lets calls finish within the limit and returns when all is over.
    pub async fn serve(self, shutdown: CancellationToken) {
        listener::run(self.listener, self.app, self.stops, shutdown).await;
    }
}
