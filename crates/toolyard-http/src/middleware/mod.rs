//! What every request passes before it is served: who it is addressed to, how often, how many at
//! once, how large.

pub(crate) mod admission;
pub(crate) mod authority;
pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod flood;
pub(crate) mod headers;
pub(crate) mod hosts;
pub(crate) mod origin;
pub(crate) mod rate;
pub(crate) mod request_id;

use std::time::Duration;

/// How long a caller that was turned away should wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RetryAfter(pub(crate) Duration);

impl RetryAfter {
    /// Whole seconds, rounded up and at least one: a client that waits so long is not early.
    pub(crate) fn seconds(self) -> u64 {
        let whole = self.0.as_secs();
        if self.0.subsec_nanos() > 0 { whole.saturating_add(1) } else { whole.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rl2_retry_after_is_rounded_up_to_whole_seconds() {
        for (wait, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            assert_eq!(RetryAfter(Duration::from_millis(wait)).seconds(), seconds);
        }
    }
}
