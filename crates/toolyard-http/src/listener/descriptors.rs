//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors left to tools, logs and listeners, however few there are.
const RESERVE: u64 = 256;

/// Raises the soft limit to the hard one and says how many of `wanted` connections fit.
pub(crate) fn make_room(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "can't raise the number of open files");
    }
    let fitting = fit(wanted, getrlimit(Resource::Nofile).current);
    if fitting < wanted {
        tracing::warn!(wanted, fitting, "fewer connections than wanted fit into the number of open files (`ulimit -n`)");
    }
    fitting
}

fn fit(wanted: usize, files: Option<u64>) -> usize {
    let Some(files) = files else { return wanted };
    let room = files.saturating_sub(RESERVE.min(files / 2)).max(1);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn connections_leave_descriptors_to_tools() {
        assert_eq!(fit(8192, None), 8192);
        assert_eq!(fit(8192, Some(1 << 20)), 8192);
        assert_eq!(fit(8192, Some(1024)), 768);
        assert_eq!(fit(8192, Some(64)), 32);
        assert_eq!(fit(8192, Some(0)), 1);
    }
}
