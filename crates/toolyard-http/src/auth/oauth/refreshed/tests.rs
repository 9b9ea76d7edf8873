use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Semaphore;

use super::{Arc, Clock, Duration, LoadError, Loaded, Refreshed, Source};

/// Counts its loads; each needs a permit of the gate.
struct Counting {
    loads: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
    gate: Arc<Semaphore>,
}

impl Source for Counting {
    type Item = u32;

    async fn load(&self) -> Result<Loaded<u32>, LoadError> {
        let load = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        self.gate.acquire().await.unwrap().forget();
        if self.broken.load(Ordering::SeqCst) {
            return Err(LoadError::NotFound);
        }
        Ok(Loaded { item: load, fresh_for: Duration::from_secs(300) })
    }

    fn label(&self) -> &'static str {
        "test"
    }
}

struct Fixture {
    refreshed: Arc<Refreshed<Counting>>,
    loads: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
    gate: Arc<Semaphore>,
    clock: Clock,
}

fn fixture(permits: usize) -> Fixture {
    let (loads, broken, gate, clock) = (Arc::default(), Arc::default(), Arc::new(Semaphore::new(permits)), Clock::default());
    let source = Counting { loads: Arc::clone(&loads), broken: Arc::clone(&broken), gate: Arc::clone(&gate) };
    Fixture { refreshed: Arc::new(Refreshed::new(source, clock.clone())), loads, broken, gate, clock }
}

impl Fixture {
    async fn get(&self, wanted: impl Fn(&u32) -> bool + Send) -> Option<u32> {
        self.refreshed.get(wanted).await.map(|item| *item)
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }

    async fn until_loads_are(&self, loads: u32) {
        while self.loads() < loads {
            tokio::task::yield_now().await;
        }
        drop(self.refreshed.inner.turn.lock().await);
    }
}

#[tokio::test]
async fn a8_what_is_not_wanted_is_loaded_again_at_most_every_10_seconds() {
    let fixture = fixture(100);
    assert_eq!(fixture.get(|_| true).await, Some(1));
    for _ in 0..50 {
        assert_eq!(fixture.get(|item| *item > 1).await, Some(1), "the caller sees that it is the old one");
    }
    assert_eq!(fixture.loads(), 1);
    fixture.clock.advance(10);
    assert_eq!(fixture.get(|item| *item > 1).await, Some(2));
    assert_eq!(fixture.get(|item| *item > 2).await, Some(2));
    assert_eq!(fixture.loads(), 2);
}

#[tokio::test]
async fn a8_a_stampede_is_one_load_that_all_wait_for() {
    let fixture = fixture(0);
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let refreshed = Arc::clone(&fixture.refreshed);
            tokio::spawn(async move { refreshed.get(|_| true).await.map(|item| *item) })
        })
        .collect();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    fixture.gate.add_permits(100);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Some(1));
    }
    assert_eq!(fixture.loads(), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_stops_no_load() {
    let fixture = fixture(0);
    let refreshed = Arc::clone(&fixture.refreshed);
    let caller = tokio::spawn(async move { refreshed.get(|_| true).await.map(|item| *item) });
    while fixture.loads() == 0 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    fixture.gate.add_permits(1);
    fixture.until_loads_are(1).await;
    assert_eq!(fixture.get(|_| true).await, Some(1));
    assert_eq!(fixture.loads(), 1);
}

#[tokio::test]
async fn a8_an_aged_item_is_used_while_it_is_loaded_again() {
    let fixture = fixture(1);
    assert_eq!(fixture.get(|_| true).await, Some(1));
    fixture.clock.advance(300);
    assert_eq!(fixture.get(|_| true).await, Some(1), "the gate is closed, and nobody waits");
    fixture.gate.add_permits(1);
    fixture.until_loads_are(2).await;
    assert_eq!(fixture.get(|_| true).await, Some(2));
}

#[tokio::test]
async fn what_aged_unseen_for_an_hour_is_loaded_before_it_is_used() {
    let fixture = fixture(100);
    assert_eq!(fixture.get(|_| true).await, Some(1));
    fixture.clock.advance(300 + 60 * 60 - 1);
    assert_eq!(fixture.get(|_| true).await, Some(1));
    fixture.until_loads_are(2).await;
    fixture.clock.advance(300 + 60 * 60);
    assert_eq!(fixture.get(|_| true).await, Some(3));
    fixture.broken.store(true, Ordering::SeqCst);
    fixture.clock.advance(300 + 60 * 60);
    assert_eq!(fixture.get(|_| true).await, Some(3), "its source was tried, and what there is has to do");
    assert_eq!(fixture.loads(), 4);
}

#[tokio::test]
async fn a8_what_can_not_be_loaded_again_is_used_for_a_day() {
    let fixture = fixture(100);
    assert_eq!(fixture.get(|_| true).await, Some(1));
    fixture.broken.store(true, Ordering::SeqCst);
    fixture.clock.advance(24 * 60 * 60 - 1);
    assert_eq!(fixture.get(|_| true).await, Some(1));
    fixture.until_loads_are(2).await;
    fixture.clock.advance(1);
    assert_eq!(fixture.get(|_| true).await, None);
    fixture.broken.store(false, Ordering::SeqCst);
    fixture.clock.advance(10);
    assert_eq!(fixture.get(|_| true).await, Some(3));
}

#[tokio::test]
async fn what_never_could_be_loaded_is_not_there() {
    let fixture = fixture(100);
    fixture.broken.store(true, Ordering::SeqCst);
    assert_eq!(fixture.get(|_| true).await, None);
    assert_eq!(fixture.get(|_| true).await, None);
    assert_eq!(fixture.loads(), 1);
    fixture.clock.advance(10);
    assert_eq!(fixture.get(|_| true).await, None);
    assert_eq!(fixture.loads(), 2);
}
