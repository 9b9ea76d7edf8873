//! Serves one connection over a pair of byte streams, from the first byte to an orderly end.

use std::{io, sync::Arc, time::Duration};

use rmcp::service::serve_directly_with_ct;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Server,
    from_mcp::Reader,
    gate::Gate,
    lines::Lines,
    outbox::{self, Outbox},
    server::Ends,
    transport::{STALL, StreamTransport},
};

/// When the input ends, calls that are about to finish still get their answer out: there must be
/// one within each such time ...
const FINISH: Duration = Duration::from_millis(20);

/// ... and all within this one.
const FINISH_ALL: Duration = Duration::from_millis(500);

/// Then they are cancelled, and this is how long they may take to notice.
const STOP: Duration = Duration::from_millis(20);

/// Why serving came to its end; none of these is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed our input.
    InputClosed,
    /// The client stopped reading.
    OutputClosed,
    /// We were told to stop.
    Shutdown,
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Answers can't be written, for another reason than a closed pipe.
    #[error("answers can't be written")]
    Write(#[source] io::Error),
    /// A task of the connection panicked.
    #[error("the connection failed; this is a defect of the server")]
    Failed(#[source] tokio::task::JoinError),
}

impl Server {
    /// Serves one client until its input ends, it stops reading, or `shutdown` is cancelled.
    ///
    /// Calls that still run then are cancelled; this returns within about 100 ms even if they
    /// don't notice, or later while others finish one after the other (500 ms at most) or the
    /// client goes on reading answers.
    ///
    /// # Errors
    /// When the output fails, or on a defect.
    pub async fn serve_io<R, W>(&self, reader: R, writer: W, shutdown: CancellationToken) -> Result<End, ServeError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let calls = shutdown.child_token();
        let input_ended = CancellationToken::new();
        let abandoned = CancellationToken::new();
        let gate = Arc::new(Gate::default());
        let outbox = Arc::new(Outbox::new(Arc::clone(&gate), outbox::FULL));
        let mut writing = tokio::spawn({
            let outbox = Arc::clone(&outbox);
            async move { outbox.write_to(writer).await }
        });

        let handler = Self { ends: Ends { abandoned: abandoned.clone(), ..Ends::default() }, ..self.clone() };
        let transport =
            StreamTransport::new(Lines::new(reader), Reader::default(), Arc::clone(&outbox), Arc::clone(&gate), input_ended.clone());
        // Both eras are told apart by our handler; the SDK's own start ends the connection when a
        // notification comes first.
        let running = serve_directly_with_ct(handler, transport, None, calls.clone());
        let mut running = std::pin::pin!(running.waiting());

        let end = tokio::select! {
            biased;
            written = &mut writing => {
                calls.cancel();
                abandoned.cancel();
                return written.map_err(ServeError::Failed)?.map_or_else(refused_output, |()| Ok(End::OutputClosed));
            }
            () = shutdown.cancelled() => End::Shutdown,
            () = input_ended.cancelled() => End::InputClosed,
            failed = &mut running => match failed {
                Ok(_) => End::InputClosed,
                Err(panicked) => return Err(ServeError::Failed(panicked)),
            },
        };
        if end == End::Shutdown || !finishes(&mut running, &gate).await {
            calls.cancel();
            if timeout(STOP, &mut running).await.is_err() {
                abandoned.cancel();
                if timeout(STOP, &mut running).await.is_err() {
                    tracing::warn!("a call does not end with its connection");
                }
            }
        }
        outbox.close();
        loop {
            let written = gate.written();
            if let Ok(written) = timeout(STALL, &mut writing).await {
                return written.map_err(ServeError::Failed)?.map_or_else(refused_output, |()| Ok(end));
            }
            if gate.written() == written {
                writing.abort();
                return Ok(end);
            }
        }
    }
}

/// Whether all calls finish, as long as there are some that do.
async fn finishes(mut running: impl Future + Unpin, gate: &Gate) -> bool {
    let most = Instant::now() + FINISH_ALL;
    loop {
        let before = gate.under_way();
        if timeout(FINISH, &mut running).await.is_ok() {
            return true;
        }
        if gate.under_way() >= before || Instant::now() > most {
            return false;
        }
    }
}

fn refused_output(error: io::Error) -> Result<End, ServeError> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(End::OutputClosed) } else { Err(ServeError::Write(error)) }
}
