//! Where figures are kept: histograms of atomics, and tables that only grow.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Counts times by how long they are.
#[derive(Debug)]
pub(super) struct Histogram {
    /// The upper bounds, inclusive and growing.
    bounds: &'static [Duration],
    /// One more than there are bounds.
    counts: Box<[AtomicU64]>,
    /// Nanoseconds; they last for 584 years.
    sum: AtomicU64,
}

/// A histogram at one moment; `counts` are not cumulated, the last bound is infinite.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    pub(super) counts: Vec<(f64, u64)>,
    pub(super) seconds: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [Duration]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, took: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < took);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let bounds = self.bounds.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let seconds = Duration::from_nanos(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        Snapshot { counts: bounds.zip(counts).collect(), seconds }
    }
}

impl Snapshot {
    /// The count and the buckets agree whatever is counted meanwhile, since one is made of the other.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Adds another one with the same bounds.
    pub(super) fn add(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        for ((_, count), (_, more)) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.seconds += other.seconds;
    }
}

/// A table from names to figures that takes no lock: places are taken for good, at most `N`.
#[derive(Debug)]
pub(super) struct Table<T, const N: usize> {
    places: Box<[OnceLock<(&'static str, T)>]>,
}

impl<T: Default, const N: usize> Table<T, N> {
    pub(super) fn new() -> Self {
        Self { places: (0..N).map(|_| OnceLock::new()).collect() }
    }

    /// The figures of a name, made at the first use; none when the table is full.
    pub(super) fn get(&self, name: &'static str) -> Option<&T> {
        let (after, before) = self.places.split_at_checked(hash(name) % N)?;
        before.iter().chain(after).find_map(|place| {
            let (found, figures) = place.get_or_init(|| (name, T::default()));
            (*found == name).then_some(figures)
        })
    }

    /// The same, or those of another name when the table is full.
    pub(super) fn get_or(&self, other: &'static str, name: &'static str) -> Option<&T> {
        self.get(name).or_else(|| self.get(other))
    }

    /// All names in use, sorted, so that every answer has the same order.
    pub(super) fn sorted(&self) -> Vec<&(&'static str, T)> {
        let mut all: Vec<_> = self.places.iter().filter_map(OnceLock::get).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}

/// Names come from this program, so nobody chooses them to collide.
fn hash(name: &str) -> usize {
    let mixed = name.as_bytes().chunks(8).fold(name.len() as u64, |hash, chunk| {
        let word = chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    usize::try_from(mixed >> 33).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const BOUNDS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

    #[test]
    fn bounds_are_inclusive_and_the_rest_is_in_the_last_bucket() {
        let histogram = Histogram::new(&BOUNDS);
        for micros in [0, 9_999, 10_000, 10_001, 1_000_000, 1_000_001, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.counts, [(0.01, 3), (1.0, 2), (f64::INFINITY, 2)]);
        assert_eq!((snapshot.count(), snapshot.seconds), (7, 62.030_001));
    }

    #[test]
    fn snapshots_add_up() {
        let histogram = Histogram::new(&BOUNDS);
        histogram.observe(Duration::from_millis(500));
        let mut sum = Snapshot::default();
        sum.add(&histogram.snapshot());
        histogram.observe(Duration::from_secs(2));
        sum.add(&histogram.snapshot());
        assert_eq!((sum.counts.as_slice(), sum.seconds), (&[(0.01, 0), (1.0, 2), (f64::INFINITY, 1)][..], 3.0));
    }

    #[test]
    fn a_table_has_one_place_for_each_name_and_an_end() {
        let table: Table<AtomicU64, 4> = Table::new();
        for name in ["a", "b", "a", "c", "d", "b", "e"] {
            if let Some(count) = table.get(name) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        let counted: Vec<_> = table.sorted().into_iter().map(|(name, count)| (*name, count.load(Ordering::Relaxed))).collect();
        assert_eq!(counted, [("a", 2), ("b", 2), ("c", 1), ("d", 1)], "the fifth has none");
        table.get_or("a", "e").expect("that of another").fetch_add(1, Ordering::Relaxed);
        assert_eq!(table.get("a").map(|count| count.load(Ordering::Relaxed)), Some(3));
    }

    #[test]
    fn threads_that_race_for_a_place_share_it() {
        const NAMES: [&str; 8] = ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"];
        let table: Table<AtomicU64, 8> = Table::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..800 {
                        table.get(NAMES[round % 8]).expect("a place").fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let counted: Vec<_> = table.sorted().into_iter().map(|(name, count)| (*name, count.load(Ordering::Relaxed))).collect();
        assert_eq!(counted, NAMES.map(|name| (name, 400)));
    }
}
