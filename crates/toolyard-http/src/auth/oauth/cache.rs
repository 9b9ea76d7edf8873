//! What is known of tokens, for a while.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

const SHARDS: usize = 16;

/// The SHA-256 of a token.
pub(super) type Digest = [u8; 32];

/// A bounded map from tokens, by their hash, to what is known of them. Requests of different
/// tokens rarely meet at one lock, and none is held across a wait.
#[derive(Debug)]
pub(super) struct Cache<V> {
    shards: [Mutex<HashMap<Digest, Entry<V>>>; SHARDS],
    per_shard: usize,
}

/// Until when an entry holds, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    pub(super) instant: Instant,
    /// Seconds since 1970.
    pub(super) unix: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    until: Until,
}

impl Until {
    fn is_after(&self, now: Until) -> bool {
        self.instant > now.instant && self.unix > now.unix
    }
}

impl<V: Clone> Cache<V> {
    /// Room for about `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self { shards: Default::default(), per_shard: capacity.div_ceil(SHARDS) }
    }

    /// What is known of this token now.
    pub(super) fn get(&self, token: &Digest, now: Until) -> Option<V> {
        let shard = self.shard(token).lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(token).filter(|entry| entry.until.is_after(now)).map(|entry| entry.value.clone())
    }

    /// Keeps what is known of this token; makes room by forgetting what has ended, or else anything.
    pub(super) fn put(&self, token: Digest, value: V, until: Until, now: Until) {
        let mut shard = self.shard(&token).lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= self.per_shard && !shard.contains_key(&token) {
            shard.retain(|_, entry| entry.until.is_after(now));
            if shard.len() >= self.per_shard
                && let Some(any) = shard.keys().next().copied()
            {
                shard.remove(&any);
            }
        }
        shard.insert(token, Entry { value, until });
    }

    fn shard(&self, token: &Digest) -> &Mutex<HashMap<Digest, Entry<V>>> {
        let [first, ..] = token;
        &self.shards[usize::from(*first) % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Cache, Digest, Until};

    fn digest(n: u16) -> Digest {
        let mut digest = [0; 32];
        digest[0] = n.to_le_bytes()[0];
        digest[1..3].copy_from_slice(&n.to_le_bytes());
        digest
    }

    fn after(now: Until, seconds: u64) -> Until {
        Until { instant: now.instant + Duration::from_secs(seconds), unix: now.unix + seconds }
    }

    #[test]
    fn an_entry_ends_by_either_clock() {
        let now = Until { instant: Instant::now(), unix: 1000 };
        let cache = Cache::new(64);
        cache.put(digest(1), "a", after(now, 10), now);
        assert_eq!(cache.get(&digest(1), now), Some("a"));
        assert_eq!(cache.get(&digest(2), now), None);
        assert_eq!(cache.get(&digest(1), after(now, 9)), Some("a"));
        assert_eq!(cache.get(&digest(1), Until { unix: 1010, ..now }), None);
        assert_eq!(cache.get(&digest(1), Until { unix: 0, ..after(now, 10) }), None, "a wall clock that is set back keeps nothing alive");
    }

    #[test]
    fn a_full_cache_forgets_what_has_ended_first() {
        let now = Until { instant: Instant::now(), unix: 1000 };
        let cache = Cache::new(32);
        cache.put(digest(0), 0, after(now, 1000), now);
        for n in 1..100 {
            // All in the shard of the first entry, which has room for two.
            cache.put(digest(n * 256), n, after(now, 1), now);
            let later = after(now, 2);
            cache.put(digest(n * 256 + 16), n, after(later, 1), later);
            assert_eq!(cache.get(&digest(n * 256 + 16), later), Some(n));
        }
        let held: usize = cache.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(held, 2);
    }
}
