//! What an operator asks: health and metrics, each on a port of its own that serves nothing else.
//!
//! Nobody authenticates there: what is told are states, counts and names of tools, no contents and
//! no callers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time::timeout};

use crate::{
    Metrics,
    middleware::{
        headers,
        hosts::{Forbidden, HostRules},
    },
};

/// Connections at once, so that nobody can use up descriptors here.
const MAX_CONNECTIONS: usize = 64;

/// Probes ask at once; whoever takes longer gives up his connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection ends after so long whatever it does, even if its peer takes no answers.
const LIFETIME: Duration = Duration::from_secs(300);

/// A trail that failed so lately may fail again.
const AUDIT_MEMORY: Duration = Duration::from_secs(60);

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

/// How a server is doing; clones share it.
#[derive(Clone)]
pub(crate) struct Health(Arc<Vitals>);

struct Vitals {
    began: Instant,
    stage: AtomicU8,
    families: BTreeMap<&'static str, &'static str>,
    metrics: Metrics,
    sessions: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Health {
    /// A server that is starting; `families` are the tools it has, `sessions` counts those open.
    pub(crate) fn new(
        families: impl IntoIterator<Item = &'static str>,
        metrics: Metrics,
        sessions: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        // A family that can't work keeps the server from starting, so those there are do.
        let families = families.into_iter().map(|family| (family, "ok")).collect();
        let sessions = Box::new(sessions);
        Self(Arc::new(Vitals { began: Instant::now(), stage: AtomicU8::new(STARTING), families, metrics, sessions }))
    }

    /// Requests are taken from now on.
    pub(crate) fn ready(&self) {
        self.0.stage.store(READY, Ordering::Release);
    }

    /// No new ones are.
    pub(crate) fn draining(&self) {
        self.0.stage.store(DRAINING, Ordering::Release);
    }

    fn audit_fails(&self) -> bool {
        self.0.metrics.audit_failed_within(AUDIT_MEMORY)
    }

    /// `starting`, `ok`, `degraded` or `draining`.
    pub(crate) fn status(&self) -> &'static str {
        match self.0.stage.load(Ordering::Acquire) {
            STARTING => "starting",
            READY if self.audit_fails() => "degraded",
            READY => "ok",
            _ => "draining",
        }
    }

    /// Without an audit trail nothing that changes something runs, so calls belong elsewhere.
    pub(crate) fn is_ready(&self) -> bool {
        self.status() == "ok"
    }

    fn told(&self) -> Value {
        let vitals = &*self.0;
        json!({
            "status": self.status(),
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": vitals.began.elapsed().as_secs(),
            "active_calls": vitals.metrics.active_calls(),
            "sessions": (vitals.sessions)(),
            "audit": if self.audit_fails() { "failing" } else { "ok" },
            "families": vitals.families,
        })
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// `/health` in detail, `/livez` and `/readyz` for probes.
pub(crate) fn health_routes(health: Health, hosts: HostRules) -> Router {
    let told = |State(health): State<Health>| async move {
        let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(health.told()))
    };
    let ready = |State(health): State<Health>| async move {
        let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(json!({ "status": health.status() })))
    };
    let routes = Router::new()
        .route("/health", get(told))
        .route("/livez", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/readyz", get(ready))
        .with_state(health);
    guarded(routes, hosts)
}

/// `/metrics` for Prometheus.
pub(crate) fn metrics_routes(metrics: Metrics, hosts: HostRules) -> Router {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let render = |State(metrics): State<Metrics>| async move { ([(header::CONTENT_TYPE, KIND)], metrics.render()) };
    guarded(Router::new().route("/metrics", get(render)).with_state(metrics), hosts)
}

/// No page in a browser asks here, under no name.
fn guarded(routes: Router, hosts: HostRules) -> Router {
    let hosts = Arc::new(hosts);
    routes.layer(middleware::from_fn(move |request: Request, next: Next| {
        let hosts = Arc::clone(&hosts);
        async move {
            let (head, body) = request.into_parts();
            let mut response = match hosts.check(&head) {
                Ok(()) => next.run(Request::from_parts(head, body)).await,
                Err(forbidden) => refused(forbidden),
            };
            headers::secure(response.headers_mut());
            response
        }
    }))
}

fn refused(forbidden: Forbidden) -> Response {
    (forbidden.status(), Json(json!({ "error": forbidden.message() }))).into_response()
}

/// Answers until it is dropped, which closes its connections.
pub(crate) async fn serve(listener: TcpListener, routes: Router) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(16 << 10);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection of a probe, trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes.clone()));
        connections.spawn(async move {
            match timeout(LIFETIME, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the connection of a probe failed"),
                Err(_) => tracing::debug!("the connection of a probe was closed"),
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests;
