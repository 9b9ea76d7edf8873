//! How long searches run before they answer with what they have.

use std::time::{Duration, Instant};

use toolyard_core::Stop;

/// Longest search.
const LONGEST: Duration = Duration::from_secs(10);

/// A stop that comes early enough for a partial answer, and the time until then. Once the call's
/// own deadline has passed, no answer would be taken any more.
pub(crate) fn for_search(stop: &Stop) -> (Stop, Duration) {
    let left = stop.deadline().saturating_duration_since(Instant::now());
    let time = LONGEST.min(left * 9 / 10);
    (stop.no_later_than(Instant::now() + time), time)
}

/// Why an answer is partial: `deadline 10 s`.
pub(crate) fn reason(time: Duration) -> String {
    format!("deadline {:.1} s", time.as_secs_f32())
}
