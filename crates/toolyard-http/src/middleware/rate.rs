//! At most so many requests of one caller in any window of time.
//!
//! The window really rolls: whichever moment it begins at, it never holds more than the limit.
//! Schemes that refill over time let nearly twice as many through, first the burst and then what
//! is refilled. The price is a time of four bytes per admitted request, for as long as the window.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::RetryAfter;

/// The largest limit; it bounds what one caller's times take to 400 KB.
pub(crate) const MAX_RATE: u32 = 100_000;

/// The longest window. Times are kept as 32-bit milliseconds, which a window must not overflow.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

const MAX_PRINCIPALS: usize = 100_000;

/// A power of two, so that a shard is chosen by a few bits.
const SHARDS: usize = 16;

/// Keeps count of the requests of every caller.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    rate: usize,
    window: u64,
    start: Instant,
    keys: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    principals: AtomicUsize,
    max_principals: usize,
}

#[derive(Debug, Default)]
struct Shard {
    logs: HashMap<Box<str>, Log>,
    swept: u64,
    /// When the next caller can be forgotten, as of the last sweep.
    frees: u64,
}

/// When one caller's requests were let in, oldest first.
#[derive(Debug, Default)]
struct Log {
    /// The low bits of milliseconds; all lie within two windows of `last`.
    times: VecDeque<u32>,
    last: u64,
}

impl RateLimiter {
    /// `rate` requests per `window`; 0 for no limit. Larger values than [`MAX_RATE`] and
    /// [`MAX_WINDOW`] are lowered to them.
    pub(crate) fn new(rate: u32, window: Duration) -> Self {
        Self::with_capacity(rate, window, MAX_PRINCIPALS, Instant::now())
    }

    fn with_capacity(rate: u32, window: Duration, max_principals: usize, start: Instant) -> Self {
        Self {
            rate: rate.min(MAX_RATE) as usize,
            window: ceil_millis(window.min(MAX_WINDOW)).max(1),
            start,
            keys: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            principals: AtomicUsize::new(0),
            max_principals,
        }
    }

    /// Counts a request, or says how long the caller has to wait. Requests that are turned away
    /// do not count.
    pub(crate) fn take(&self, principal: &str, now: Instant) -> Result<(), RetryAfter> {
        if self.rate == 0 {
            return Ok(());
        }
        // A request is noted late and judged early by less than a millisecond each, so that
        // rounding never lets one too many into a window.
        let since = now.saturating_duration_since(self.start);
        let (judged, noted) = (floor_millis(since), ceil_millis(since));
        let mut shard = self.shard(principal);
        let shard = &mut *shard;
        if judged.saturating_sub(shard.swept) >= self.window {
            self.sweep(shard, judged);
        }
        let log = match shard.logs.get_mut(principal) {
            Some(log) => log,
            None => {
                if !self.reserve() {
                    // Forgetting looks at every caller of the shard, so a crowd must not cause it each time.
                    if judged >= shard.frees {
                        self.sweep(shard, judged);
                    }
                    if !self.reserve() {
                        let wait = shard.frees.saturating_sub(judged).clamp(1, self.window);
                        return Err(RetryAfter(Duration::from_millis(wait)));
                    }
                }
                shard.logs.entry(principal.into()).or_default()
            }
        };
        log.forget(judged, self.window);
        if log.times.len() < self.rate {
            log.note(noted);
            return Ok(());
        }
        Err(RetryAfter(Duration::from_millis(log.wait(judged, self.window))))
    }

    fn shard(&self, principal: &str) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(self.keys.hash_one(principal) >> 56).unwrap_or_default() % SHARDS;
        let [first, ..] = &self.shards;
        self.shards.get(at).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self) -> bool {
        let more = |count| (count < self.max_principals).then_some(count + 1);
        self.principals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn sweep(&self, shard: &mut Shard, now: u64) {
        let before = shard.logs.len();
        let mut frees = now.saturating_add(self.window);
        shard.logs.retain(|_, log| {
            let ends = log.last.saturating_add(self.window);
            if ends > now {
                frees = frees.min(ends);
            }
            ends > now
        });
        if shard.logs.len() < shard.logs.capacity() / 4 {
            shard.logs.shrink_to_fit();
        }
        self.principals.fetch_sub(before - shard.logs.len(), Ordering::Relaxed);
        (shard.swept, shard.frees) = (now, frees);
    }
}

impl Log {
    /// Drops what is out of the window.
    fn forget(&mut self, now: u64, window: u64) {
        if now >= self.last.saturating_add(window) {
            // Also what is so old that its low bits look new.
            self.times = VecDeque::new();
            return;
        }
        while self.times.front().is_some_and(|time| self.whole(*time).saturating_add(window) <= now) {
            self.times.pop_front();
        }
        if self.times.len() < self.times.capacity() / 8 {
            self.times.shrink_to(self.times.len() * 2);
        }
    }

    fn note(&mut self, now: u64) {
        // Two threads may come in another order than they looked at the clock.
        self.last = self.last.max(now);
        self.times.push_back(low_bits(self.last));
    }

    /// Until the oldest request leaves the window, in milliseconds.
    fn wait(&self, now: u64, window: u64) -> u64 {
        self.times.front().map_or(0, |oldest| self.whole(*oldest).saturating_add(window).saturating_sub(now))
    }

    fn whole(&self, time: u32) -> u64 {
        self.last.saturating_sub(u64::from(low_bits(self.last).wrapping_sub(time)))
    }
}

fn low_bits(millis: u64) -> u32 {
    const MASK: u64 = u32::MAX as u64;
    u32::try_from(millis & MASK).unwrap_or_default()
}

fn floor_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn ceil_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
