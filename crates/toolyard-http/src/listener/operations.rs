//! Listeners of health and metrics: few connections, small requests, no credentials.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// Connections at once, so that nobody can use up descriptors here.
const MAX_CONNECTIONS: usize = 64;

/// Probes ask at once; whoever takes longer to ask gives up his connection.
const HEAD: Duration = Duration::from_secs(10);

/// Serves until it is dropped, which closes its connections.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(16 << 10);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !super::is_the_peers(&error) {
                    tracing::warn!(%error, "can't accept a connection of a probe, trying again");
                    tokio::time::sleep(super::PAUSE).await;
                }
                continue;
            }
        };
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection of a probe failed");
            }
            drop(permit);
        });
    }
}
