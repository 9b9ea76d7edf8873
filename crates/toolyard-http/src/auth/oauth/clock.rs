//! The time, which tests can move.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Wall clock for what tokens say, monotonic clock for how long things are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    #[cfg(test)]
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// Seconds since 1970-01-01T00:00:00Z; 0 when the clock stands before it.
    #[expect(clippy::disallowed_methods, reason = "tokens expire by the wall clock")]
    pub(super) fn unix(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) + self.ahead().as_secs()
    }

    /// Now, for differences.
    pub(super) fn instant(&self) -> Instant {
        Instant::now() + self.ahead()
    }

    #[cfg(not(test))]
    const fn ahead(&self) -> Duration {
        Duration::ZERO
    }

    #[cfg(test)]
    fn ahead(&self) -> Duration {
        Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    /// Moves this clock and all its clones.
    #[cfg(test)]
    pub(super) fn advance(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
    }
}
