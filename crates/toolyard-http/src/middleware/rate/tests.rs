use std::thread;

use proptest::{collection::vec, prelude::*};

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long to wait, in milliseconds; none if the request was let in.
fn wait(limiter: &RateLimiter, who: &str, at: Instant) -> Option<u128> {
    limiter.take(who, at).err().map(|RetryAfter(wait)| wait.as_millis())
}

#[test]
fn rl2_the_window_rolls_and_a_burst_is_not_followed_by_another() {
    let start = Instant::now();
    let limiter = RateLimiter::with_capacity(3, millis(10_000), 10, start);
    for at in [0, 1_000, 9_000] {
        assert_eq!(wait(&limiter, "a", start + millis(at)), None);
    }
    assert_eq!(wait(&limiter, "a", start + millis(9_500)), Some(500));
    assert_eq!(wait(&limiter, "a", start + millis(9_999)), Some(1));
    assert_eq!(wait(&limiter, "a", start + millis(10_000)), None, "the first one is out of the window");
    assert_eq!(wait(&limiter, "a", start + millis(10_001)), Some(999), "the second one is not");
    assert_eq!(wait(&limiter, "b", start + millis(10_001)), None, "others are not concerned");
}

#[test]
fn rl2_requests_within_one_millisecond_are_told_apart_in_favour_of_the_limit() {
    let start = Instant::now();
    let limiter = RateLimiter::with_capacity(1, millis(10), 10, start);
    assert_eq!(wait(&limiter, "a", start + Duration::from_micros(900)), None);
    assert_eq!(wait(&limiter, "a", start + Duration::from_micros(10_899)), Some(1), "less than a window later");
    assert_eq!(wait(&limiter, "a", start + Duration::from_micros(11_000)), None);
}

#[test]
fn rl2_no_limit_lets_everything_in_and_remembers_nobody() {
    let limiter = RateLimiter::new(0, millis(1));
    for _ in 0..1_000 {
        assert_eq!(limiter.take("a", limiter.start), Ok(()));
    }
    assert_eq!(limiter.principals.load(Ordering::Relaxed), 0);
}

#[test]
fn rl2_a_caller_who_comes_back_after_the_clock_wrapped_finds_an_empty_window() {
    let start = Instant::now();
    let limiter = RateLimiter::with_capacity(1, millis(60_000), 10, start);
    let wrap = millis(1 << 32);
    assert_eq!(wait(&limiter, "a", start + millis(5)), None);
    assert_eq!(wait(&limiter, "a", start + wrap + millis(6)), None);
    assert_eq!(wait(&limiter, "a", start + wrap + millis(7)), Some(59_999));
}

#[test]
fn rl2_the_window_holds_across_the_wrap_of_the_clock() {
    let start = Instant::now();
    let limiter = RateLimiter::with_capacity(2, millis(1_000), 10, start);
    let wrap = millis(1 << 32);
    assert_eq!(wait(&limiter, "a", start + wrap - millis(300)), None);
    assert_eq!(wait(&limiter, "a", start + wrap + millis(100)), None);
    assert_eq!(wait(&limiter, "a", start + wrap + millis(200)), Some(500));
    assert_eq!(wait(&limiter, "a", start + wrap + millis(700)), None);
    assert_eq!(wait(&limiter, "a", start + wrap + millis(700)), Some(400));
}

#[test]
fn rl2_idle_callers_are_forgotten_and_a_crowd_does_not_grow_the_memory() {
    let start = Instant::now();
    let limiter = RateLimiter::with_capacity(5, millis(1_000), 100, start);
    let mut refused = 0;
    for number in 0..1_000 {
        match limiter.take(&format!("caller {number}"), start) {
            Ok(()) => {}
            Err(RetryAfter(wait)) => {
                assert!(wait > Duration::ZERO && wait <= millis(1_000), "{wait:?}");
                refused += 1;
            }
        }
    }
    assert_eq!((limiter.principals.load(Ordering::Relaxed), refused), (100, 900));
    assert_eq!(wait(&limiter, "caller 0", start + millis(500)), None, "who is known is served");
    for number in 0..1_000 {
        // Each shard is swept when it is used.
        limiter.take(&format!("later {number}"), start + millis(3_000)).ok();
    }
    let known = limiter.shards.iter().map(|shard| shard.lock().expect("no panic").logs.len()).sum::<usize>();
    assert_eq!((limiter.principals.load(Ordering::Relaxed), known), (100, 100));
    let old = limiter.shards.iter().flat_map(|shard| shard.lock().expect("no panic").logs.keys().cloned().collect::<Vec<_>>());
    assert_eq!(old.filter(|name| name.starts_with("caller")).count(), 0);
}

#[test]
fn rl2_the_memory_of_a_caller_shrinks_when_his_window_empties() {
    let start = Instant::now();
    let limiter = RateLimiter::with_capacity(50_000, millis(1_000), 10, start);
    for _ in 0..50_000 {
        assert_eq!(limiter.take("a", start), Ok(()));
    }
    let held = || limiter.shard("a").logs.get("a").map_or(0, |log| log.times.capacity());
    assert!(held() >= 50_000);
    assert_eq!(limiter.take("a", start + millis(1_000)), Ok(()));
    assert!(held() < 100, "{} times for one request", held());
}

#[test]
fn rl2_threads_share_one_limit_exactly() {
    let start = Instant::now();
    let limiter = RateLimiter::with_capacity(1_000, millis(60_000), 10, start);
    let admitted: usize = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..600).filter(|at| limiter.take("a", start + millis(*at)).is_ok()).count())).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(admitted, 1_000);
}

/// The limit as one would write it down: count the admitted requests of the last window.
#[derive(Default)]
struct Naive(Vec<u64>);

impl Naive {
    fn take(&mut self, now: u64, rate: usize, window: u64) -> Option<u128> {
        let recent: Vec<_> = self.0.iter().copied().filter(|time| time + window > now).collect();
        if recent.len() < rate {
            self.0.push(now);
            return None;
        }
        Some(u128::from(recent[recent.len() - rate] + window - now))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn rl2_it_agrees_with_counting(
        rate in 1..8_usize,
        window in 1..50_u64,
        // From around the wrap of 32 bits as well.
        offset in prop_oneof![Just(0), Just((1_u64 << 32) - 40)],
        steps in vec((0..3_usize, prop_oneof![4 => 0..10_u64, 1 => 0..200_u64]), 1..200),
    ) {
        let start = Instant::now();
        let limiter = RateLimiter::with_capacity(u32::try_from(rate).expect("small"), millis(window), 10, start);
        let mut naive: [Naive; 3] = Default::default();
        let mut now = offset;
        for (who, step) in steps {
            now += step;
            let (found, want) = (wait(&limiter, ["a", "b", "c"][who], start + millis(now)), naive[who].take(now, rate, window));
            prop_assert_eq!(found, want, "{} at {}", who, now);
        }
    }
}
