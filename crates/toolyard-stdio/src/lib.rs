//! Serves a [`Server`] over the standard streams of this process, fast when they are pipes or
//! sockets, and takes standard output away from everything else.

mod streams;

use std::{io, time::Duration};

use tokio::runtime::{self, Runtime};
use tokio_util::sync::CancellationToken;
use toolyard_server::{End, ServeError, Server};

/// Blocking threads beside one for each call the dispatcher runs at once, so that standard streams
/// that are files still move when all of those are busy.
const SPARE_THREADS: usize = 8;

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
    let runtime = runtime_for(server).map_err(StdioError::SetUp)?;
    let end = runtime.block_on(serve(server, shutdown));
    runtime.shutdown_background();
    end
}

fn runtime_for(server: &Server) -> io::Result<Runtime> {
    runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(server.dispatcher().limits().concurrency.saturating_add(SPARE_THREADS))
        .thread_keep_alive(KEEP_ALIVE)
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use toolyard_core::{Dispatcher, Limits, Toolset};
    use toolyard_policy::{Policy, PolicySpec};
    use toolyard_server::Server;

    #[test]
    fn every_call_the_dispatcher_runs_at_once_has_a_thread() -> std::io::Result<()> {
        const CALLS: usize = 100;
        let policy = Policy::compile(&PolicySpec::default()).map_err(std::io::Error::other)?;
        let limits = Limits { concurrency: CALLS, ..Limits::default() };
        let dispatcher = Dispatcher::builder(Toolset::new(), Arc::new(policy)).limits(limits).build().map_err(std::io::Error::other)?;
        let runtime = super::runtime_for(&Server::builder(Arc::new(dispatcher)).build())?;
        let barrier = Arc::new(Barrier::new(CALLS));
        let calls: Vec<_> = (0..CALLS)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                runtime.spawn_blocking(move || barrier.wait())
            })
            .collect();
        let all = async { tokio::time::timeout(std::time::Duration::from_secs(10), futures_of(calls)).await.is_ok() };
        let met = runtime.block_on(all);
        runtime.shutdown_background();
        assert!(met, "some calls found no thread");
        Ok(())
    }

    async fn futures_of<T>(calls: Vec<tokio::task::JoinHandle<T>>) {
        for call in calls {
            assert!(call.await.map(drop).map_err(|failed| failed.to_string()) == Ok(()));
        }
    }
}
