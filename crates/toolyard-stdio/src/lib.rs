//! Serves a [`Server`] over the standard streams of this process, fast when they are pipes or
//! sockets, and takes standard output away from everything else.

mod streams;

use std::{io, time::Duration};

use tokio::runtime;
use tokio_util::sync::CancellationToken;
use toolyard_server::{End, ServeError, Server};

/// Threads for blocking work: one for each call the dispatcher runs at once by default, and a few
/// so that standard streams that are files still move when all of those are busy.
const BLOCKING_THREADS: usize = 72;

/// How long an idle blocking thread is kept, so that a quiet server is a small one.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Why the standard streams could not be served.
#[derive(Debug)]
pub enum StdioError {
    /// The runtime or the streams could not be set up.
    SetUp(io::Error),
    /// Serving failed.
    Serve(ServeError),
}

impl std::fmt::Display for StdioError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SetUp(_) => "standard input and output can't be served",
            Self::Serve(_) => "serving over standard input and output failed",
        })
    }
}

impl std::error::Error for StdioError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::SetUp(error) => Some(error),
            Self::Serve(error) => Some(error),
        }
    }
}

/// Serves the client at the other end of standard input and output until it leaves or `shutdown`
/// is cancelled. From here on, standard output belongs to the protocol: whatever else is printed
/// goes to standard error.
///
/// # Errors
/// When the streams can't be taken over, or serving fails.
pub async fn serve(server: &Server, shutdown: CancellationToken) -> Result<End, StdioError> {
    let (input, output) = streams::take().map_err(StdioError::SetUp)?;
    server.serve_io(input, output, shutdown).await.map_err(StdioError::Serve)
}

/// Serves on a runtime of its own, on this thread, and returns at once when the client leaves,
/// even if blocking work is stuck. The process should end then: such work is left behind.
///
/// # Errors
/// As [`serve`], and when the runtime can't be built.
pub fn run_blocking(server: &Server, shutdown: CancellationToken) -> Result<End, StdioError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(KEEP_ALIVE)
        .build()
        .map_err(StdioError::SetUp)?;
    let end = runtime.block_on(serve(server, shutdown));
    runtime.shutdown_background();
    end
}
