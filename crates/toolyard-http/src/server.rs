//! From a configuration to open listeners, and from there to the end.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use toolyard_core::ToolDefinition;
use toolyard_server::{HttpOptions, Server};
use url::Url;

use crate::{
    HttpConfig, HttpError, HttpLimits, Listen, Metrics, Purpose,
    auth::Authenticator,
    listener::{self, Listener, Stops, descriptors, unix::UnixSocket},
    middleware::{flood::Refusals, hosts::HostRules},
    ops::{self, Health},
    routes::{App, AppParts},
    tls::Tls,
};

/// How often figures are taken and sums of refusals written.
const BEAT: Duration = Duration::from_secs(1);

/// Bounds beyond these overflow something on their way: permits of a semaphore on 32 bits, points
/// in time.
const MOST: usize = (1 << 29) - 1;
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A server whose listeners are open; nothing is answered before [`BoundServer::serve`].
pub struct BoundServer {
    listener: Listener,
    tls: Option<Arc<Tls>>,
    address: Option<SocketAddr>,
    url: Url,
    health: Option<Port>,
    metrics: Option<Port>,
    app: Arc<App>,
    stops: Stops,
}

/// A listener of its own and what it answers.
type Port = (TcpListener, SocketAddr, Router);

/// Checks the configuration, reads the certificate and opens every listener.
///
/// # Errors
/// When the configuration would let anybody in, contradicts itself, or an address can't be had; the
/// message says what to change.
pub async fn bind(server: &Server, mut config: HttpConfig, metrics: Metrics) -> Result<BoundServer, HttpError> {
    check(&mut config)?;
    let tls = config.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
    config.limits.max_connections = descriptors::make_room(config.limits.max_connections);
    let (listener, address) = match &config.listen {
        Listen::Tcp(address) => {
            let (listener, address) = listen(*address, Purpose::Mcp).await?;
            let listener = match &tls {
                Some(tls) => Listener::Tls(listener, Arc::clone(tls)),
                None => Listener::Tcp(listener),
            };
            (listener, Some(address))
        }
        Listen::Unix(path) => {
            let socket = UnixSocket::bind(path).map_err(|problem| HttpError::Socket { path: path.clone(), problem })?;
            (Listener::Unix(socket), None)
        }
    };
    let health_port = match config.health {
        Some(address) => Some(listen(address, Purpose::Health).await?),
        None => None,
    };
    let metrics_port = match config.metrics {
        Some(address) => Some(listen(address, Purpose::Metrics).await?),
        None => None,
    };
    let url = match &config.public_url {
        Some(url) => url.clone(),
        None => own_url(address, tls.is_some())?,
    };
    let stops = Stops::default();
    let service = server.http_service(&options(&config.limits, &metrics), stops.calls.clone());
    let families = server.dispatcher().definitions().map(ToolDefinition::family).collect::<Vec<_>>();
    let health = Health::new(families, metrics.clone(), {
        let service = service.clone();
        move || service.sessions()
    });
    let hosts = || HostRules::operations(&config).map_err(|error| HttpError::Hosts(error.to_string()));
    let health_port = match health_port {
        Some((listener, address)) => Some((listener, address, ops::health_routes(health.clone(), hosts()?))),
        None => None,
    };
    let metrics_port = match metrics_port {
        Some((listener, address)) => Some((listener, address, ops::metrics_routes(metrics.clone(), hosts()?))),
        None => None,
    };
    let parts = AppParts {
        service,
        dispatcher: Arc::clone(server.dispatcher()),
        auth: Authenticator::new(&config.auth, &url)?,
        hosts: HostRules::new(&config, address).map_err(|error| HttpError::Hosts(error.to_string()))?,
        refusals: Refusals::new(Arc::clone(server.dispatcher().audit()), metrics.observer()),
        health,
        limits: config.limits.clone(),
        metrics,
    };
    let app = Arc::new(App::new(parts, server, &config, &url));
    // The app holds the figures, so they must not keep it alive.
    let watched = Arc::downgrade(&app);
    let transport = if address.is_some() { "tcp" } else { "unix" };
    app.metrics().watch(transport, move || watched.upgrade().map(|app| app.watched()).unwrap_or_default());
    Ok(BoundServer { listener, tls, address, url, health: health_port, metrics: metrics_port, app, stops })
}

impl BoundServer {
    /// The address listened at; none on a Unix socket.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The address health is told at.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(|(_, address, _)| *address)
    }

    /// The address metrics are told at.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address, _)| *address)
    }

    /// The address of `/mcp` as clients write it.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    #[cfg(test)]
    pub(crate) fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// Answers until `shutdown`, then lets calls finish within [`HttpLimits::drain`] and returns
    /// when every connection is closed. Health and metrics are told to the very end.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { listener, tls, health, metrics, app, stops, .. } = self;
        let mut beside = JoinSet::new();
        beside.spawn(beat(Arc::clone(&app), stops.accepting.clone()));
        if let Some(tls) = tls {
            beside.spawn(tls.watch(stops.accepting.clone()));
        }
        for (listener, _, routes) in [health, metrics].into_iter().flatten() {
            beside.spawn(ops::serve(listener, routes));
        }
        app.ready();
        listener::run(listener, Arc::clone(&app), stops, shutdown).await;
        beside.shutdown().await;
        app.beat();
    }
}

impl fmt::Debug for BoundServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundServer").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// Takes figures every second; at the end it looks more often, since streams end with their last
/// call.
async fn beat(app: Arc<App>, draining: CancellationToken) {
    loop {
        if draining.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            app.drain();
        } else {
            draining.run_until_cancelled(tokio::time::sleep(BEAT)).await;
        }
        app.beat();
    }
}

async fn listen(address: SocketAddr, purpose: Purpose) -> Result<(TcpListener, SocketAddr), HttpError> {
    let failed = |source| HttpError::Bind { address, purpose, advice: purpose.advice(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn options(limits: &HttpLimits, metrics: &Metrics) -> HttpOptions {
    let metrics = metrics.clone();
    HttpOptions {
        keep_alive: limits.keep_alive,
        max_sessions: limits.max_sessions,
        max_sessions_per_principal: limits.max_sessions_per_principal,
        session_idle: limits.session_idle,
        max_streams_per_principal: limits.max_streams_per_principal,
        on_session_end: Some(Arc::new(move |took| metrics.session_ended(took))),
    }
}

/// Everything that needs no listener to be seen.
fn check(config: &mut HttpConfig) -> Result<(), HttpError> {
    let somebody = !config.auth.tokens.is_empty() || config.auth.oauth.is_some();
    let elsewhere = config.public_url.is_some() || !config.allowed_hosts.is_empty() || !config.allowed_origins.is_empty();
    match (&config.listen, somebody, config.auth.unauthenticated) {
        (_, true, true) => return Err(HttpError::Contradiction),
        (Listen::Tcp(address), false, _) if !config.listen.is_local() => return Err(HttpError::Open(*address)),
        (Listen::Tcp(_), false, false) => return Err(HttpError::NoAuth),
        (_, false, _) if elsewhere => return Err(HttpError::PublicWithoutAuth),
        (Listen::Tcp(address), true, _) if address.ip().is_unspecified() && config.auth.oauth.is_some() && config.public_url.is_none() => {
            return Err(HttpError::NoPublicUrl(*address));
        }
        // Only its owner can open the socket.
        (Listen::Unix(_), false, _) => config.auth.unauthenticated = true,
        (Listen::Unix(_), true, false) | (Listen::Tcp(_), _, _) => {}
    }
    if config.tls.is_some() && matches!(config.listen, Listen::Unix(_)) {
        return Err(HttpError::TlsOnSocket);
    }
    if let Some(url) = &config.public_url {
        check_public_url(url)?;
    }
    let encrypted = config.tls.is_some() || config.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    if !encrypted && !config.listen.is_local() {
        tracing::warn!("tokens travel unencrypted; use `--tls-cert` and `--tls-key`, or put a proxy with TLS in front");
    }
    check_limits(&config.limits)
}

fn check_public_url(url: &Url) -> Result<(), HttpError> {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let problem = match url.scheme() {
        "https" | "http" if url.host().is_none() => "names no host",
        "http" if !loopback => "is not encrypted; clients send tokens only to `https`",
        "https" | "http" if !url.username().is_empty() || url.password().is_some() => "holds a user name or password",
        "https" | "http" if url.query().is_some() || url.fragment().is_some() => "has a query or fragment",
        "https" | "http" if !url.path().ends_with("/mcp") => "does not end in `/mcp`",
        "https" | "http" => return Ok(()),
        _ => "is neither `https` nor, on loopback, `http`",
    };
    Err(HttpError::PublicUrl { url: url.to_string(), problem })
}

fn check_limits(limits: &HttpLimits) -> Result<(), HttpError> {
    let counts = [
        ("maxBodyBytes", limits.max_body_bytes),
        ("maxConnections", limits.max_connections),
        ("maxRequests", limits.max_requests),
        ("maxRequestsPerPrincipal", limits.max_requests_per_principal),
        ("maxSessions", limits.max_sessions),
        ("maxSessionsPerPrincipal", limits.max_sessions_per_principal),
        ("maxStreamsPerPrincipal", limits.max_streams_per_principal),
    ];
    let times = [
        ("headTimeout", limits.head_timeout),
        ("bodyTimeout", limits.body_timeout),
        ("rateWindow", limits.rate_window),
        ("sessionIdle", limits.session_idle),
        ("keepAlive", limits.keep_alive),
    ];
    let zero = counts.iter().find(|(_, value)| *value == 0).map(|(name, _)| *name);
    let zero = zero.or_else(|| times.iter().find(|(_, value)| value.is_zero()).map(|(name, _)| *name));
    if let Some(name) = zero {
        return Err(HttpError::Limit { name, problem: "is zero, so nothing could be served; leave it out for its default" });
    }
    if limits.max_head_bytes < 1024 {
        return Err(HttpError::Limit { name: "maxHeadBytes", problem: "is below 1024; tokens alone need that much" });
    }
    let beside = [("maxWaiting", limits.max_waiting), ("maxHeadBytes", limits.max_head_bytes)];
    if let Some((name, _)) = counts.iter().chain(&beside).find(|(_, value)| *value > MOST) {
        return Err(HttpError::Limit { name, problem: "is above 536870911; choose a smaller number" });
    }
    let long = [("maxWait", limits.max_wait), ("earlyHeaders", limits.early_headers), ("drain", limits.drain)];
    if let Some((name, _)) = times.iter().chain(&long).find(|(_, time)| *time > LONGEST) {
        return Err(HttpError::Limit { name, problem: "is longer than a year; choose a shorter time" });
    }
    Ok(())
}

/// The address clients on this machine use; for a Unix socket any name would do.
fn own_url(address: Option<SocketAddr>, tls: bool) -> Result<Url, HttpError> {
    let text = match address {
        Some(address) if tls => format!("https://{address}/mcp"),
        Some(address) => format!("http://{address}/mcp"),
        None => "http://localhost/mcp".to_owned(),
    };
    Url::parse(&text).map_err(|_| HttpError::PublicUrl { url: text, problem: "is no address" })
}
