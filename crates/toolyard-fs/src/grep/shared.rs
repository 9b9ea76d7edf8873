//! What all workers of one search share: where it begins, what they met, when they stop.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use toolyard_core::{Progress, Stop};

use super::page::Position;

/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// From then on workers tell how far they came.
const LONG: Duration = Duration::from_secs(1);
/// How long hits are still counted when the page is full.
const COUNTING_TIME: Duration = Duration::from_millis(300);

/// What all workers of one search share.
pub(super) struct Shared {
    /// Where the page begins.
    pub(super) from: Option<Position>,
    progress: Option<(Arc<dyn Progress>, Mutex<Instant>)>,
    pub(super) stop: Stop,
    pub(super) searched: AtomicU64,
    pub(super) binary: AtomicU64,
    pub(super) special: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) unreadable: AtomicU64,
    started: Instant,
    /// Set when the page is full: hits are only counted from then on.
    counting: AtomicBool,
    counting_until: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(from: Option<Position>, progress: Option<Arc<dyn Progress>>, stop: Stop) -> Self {
        Self {
            from,
            progress: progress.map(|progress| (progress, Mutex::new(Instant::now()))),
            stop,
            searched: AtomicU64::new(0),
            binary: AtomicU64::new(0),
            special: AtomicU64::new(0),
            too_large: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            started: Instant::now(),
            counting: AtomicBool::new(false),
            counting_until: Mutex::new(None),
        }
    }

    /// From now on hits are only counted, and that not for long.
    pub(super) fn start_counting(&self) {
        if let Ok(mut until) = self.counting_until.lock() {
            until.get_or_insert(Instant::now() + COUNTING_TIME);
        }
        self.counting.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_counting(&self) -> bool {
        self.counting.load(Ordering::Relaxed)
    }

    pub(super) fn counted_enough(&self) -> bool {
        self.is_counting() && self.counting_until.lock().is_ok_and(|until| until.is_some_and(|until| Instant::now() > until))
    }

    /// Whether the search takes so long that progress is worth keeping.
    pub(super) fn is_long(&self) -> bool {
        self.started.elapsed() > LONG
    }

    pub(super) fn note_searched(&self) {
        let searched = self.searched.fetch_add(1, Ordering::Relaxed) + 1;
        if searched.is_multiple_of(64)
            && let Some((progress, last)) = &self.progress
            && let Ok(mut last) = last.try_lock()
            && last.elapsed() >= PROGRESS_EVERY
        {
            *last = Instant::now();
            progress.report(searched, None, &format!("{searched} files searched"));
        }
    }
}
