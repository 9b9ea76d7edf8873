//! Takes connections and serves each until it ends.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{HttpLimits, routes::App};

/// What ends a server, step by step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stops {
    /// No more connections and requests; what is under way goes on.
    pub(crate) accepting: CancellationToken,
    /// Calls that are still under way.
    pub(crate) calls: CancellationToken,
    /// Connections that are still open.
    pub(crate) connections: CancellationToken,
}

pub(crate) async fn run(listener: TcpListener, app: Arc<App>, stops: Stops, shutdown: CancellationToken) {
    let limits = app.limits().clone();
    let cap = limits.max_connections;
    let permits = Arc::new(Semaphore::new(cap));
    let http = builder(&limits);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (listener.accept().await, permit)
            } => accepted,
        };
        let (Ok((stream, peer)), Ok(permit)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "connection without TCP_NODELAY");
        }
        let (app, stops, http) = (Arc::clone(&app), stops.clone(), http.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let app = Arc::clone(&app);
                async move { Ok::<_, Infallible>(app.answer(request).await) }
            });
            let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stops.accepting.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection.as_mut() => ended,
                        () = stops.connections.cancelled() => Ok(()),
                    }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "connection failed");
            }
            drop(permit);
        });
    }
    drop(listener);
    stops.accepting.cancel();
    let all = u32::try_from(cap).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.drain, permits.acquire_many(all)).await.is_err() {
        stops.calls.cancel();
        if tokio::time::timeout(Duration::from_millis(500), permits.acquire_many(all)).await.is_err() {
            stops.connections.cancel();
        }
    }
}

fn builder(limits: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(100)
        .max_buf_size(limits.max_head_bytes.max(8192))
        .half_close(false);
    builder
}
