//! Takes connections and serves each until it ends.

pub(crate) mod descriptors;
mod pace;
pub(crate) mod unix;

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use hyper::{rt::Read, rt::Write, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{HttpLimits, routes::App, tls::Tls};
use pace::{Noted, Pace, Paced};
use unix::UnixSocket;

/// A TLS handshake must be over by then.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A peer that takes nothing for so long is gone. Its silence alone does not matter: listening
/// streams are silent for hours, but their comments have to arrive.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// A silent peer is asked whether it is still there after so long.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// How long nothing is accepted when descriptors are used up; without it the loop would spin.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection on which nothing has happened for so long at the end is closed: half a head, or an
/// answer that nobody reads.
const QUIET: Duration = Duration::from_millis(800);

/// What is cancelled gets so long to tell its client.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where connections come from.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, Arc<Tls>),
    Unix(UnixSocket),
}

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

/// Serves until `shutdown`, then lets what is under way finish within the limit and ends the rest.
pub(crate) async fn run(listener: Listener, app: Arc<App>, stops: Stops, shutdown: CancellationToken) {
    let cap = app.limits().max_connections;
    let permits = Arc::new(Semaphore::new(cap));
    let http = Arc::new(builder(app.limits()));
    loop {
        // A connection is taken only with a permit in hand: what is beyond the cap waits in the
        // kernel's queue and costs no descriptor.
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                listener.accept().await.map(|stream| (stream, permit))
            } => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let connection = serve(stream, Arc::clone(&http), Arc::clone(&app), stops.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    app.drain();
    drop(listener);
    stops.accepting.cancel();
    let all = || permits.acquire_many(u32::try_from(cap).unwrap_or(u32::MAX));
    if timeout(app.limits().drain, all()).await.is_err() {
        tracing::warn!(connections = cap - permits.available_permits(), "cancelling what is still under way");
        stops.calls.cancel();
        app.cut();
        if timeout(FAREWELL, all()).await.is_err() {
            stops.connections.cancel();
            if timeout(FAREWELL, all()).await.is_err() {
                tracing::error!("connections are left behind");
            }
        }
    }
    stops.calls.cancel();
    stops.connections.cancel();
    // Cancelled calls still write what became of them into the trail.
    let over = async {
        while app.metrics().active_calls() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(FAREWELL, over).await.is_err() {
        tracing::warn!(calls = app.metrics().active_calls(), "calls are left behind");
    }
}

enum Stream {
    Tcp(TcpStream),
    Tls(TcpStream, Arc<Tls>),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
            Self::Tls(listener, tls) => Ok(Stream::Tls(listener.accept().await?.0, Arc::clone(tls))),
            Self::Unix(socket) => Ok(Stream::Unix(socket.accept().await?)),
        }
    }
}

/// The connection was gone before it was taken; the next one may be fine.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}

async fn serve(stream: Stream, http: Arc<http1::Builder>, app: Arc<App>, stops: Stops) {
    let _open = app.metrics().connection();
    match stream {
        Stream::Unix(stream) => exchange(TokioIo::new(stream), &http, &app, &stops).await,
        Stream::Tcp(stream) => {
            tune(&stream);
            exchange(TokioIo::new(stream), &http, &app, &stops).await;
        }
        Stream::Tls(stream, tls) => {
            tune(&stream);
            // Boxed, so that connections without TLS need not keep room for it.
            Box::pin(encrypted(stream, &tls, &http, &app, &stops)).await;
        }
    }
}

async fn encrypted(stream: TcpStream, tls: &Tls, http: &http1::Builder, app: &Arc<App>, stops: &Stops) {
    let handshake = tokio::select! {
        handshake = timeout(HANDSHAKE, tls.accept(stream)) => handshake,
        () = stops.accepting.cancelled() => return,
    };
    match handshake {
        Ok(Ok(stream)) => exchange(TokioIo::new(stream), http, app, stops).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}

async fn exchange<I: Read + Write + Unpin>(stream: I, http: &http1::Builder, app: &Arc<App>, stops: &Stops) {
    let pace = Pace::default();
    let service = service_fn(|request| {
        let app = Arc::clone(app);
        let under_way = pace.begin();
        async move { Ok::<_, Infallible>(app.answer(request).await.map(|answer| Paced::new(answer, under_way))) }
    });
    let mut connection = pin!(http.serve_connection(Noted::new(stream, pace.clone()), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stops.accepting.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = pace.quiet(QUIET, || app.metrics().active_calls() == 0) => Ok(()),
                () = stops.connections.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection failed");
    }
}

fn tune(stream: &TcpStream) {
    let millis = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
    let tuned = sockopt::set_tcp_nodelay(stream, true)
        .and_then(|()| sockopt::set_socket_keepalive(stream, true))
        .and_then(|()| sockopt::set_tcp_keepidle(stream, PROBE_AFTER))
        .and_then(|()| sockopt::set_tcp_user_timeout(stream, millis));
    if let Err(error) = tuned {
        tracing::debug!(%error, "connection without its options");
    }
}

fn builder(limits: &HttpLimits) -> http1::Builder {
    const BUFFER: usize = 64 << 10;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(limits.max_head_bytes.max(BUFFER))
        .half_close(false);
    builder
}
