//! What a small read costs; printed, not judged, because machines differ.

use std::time::{Duration, Instant};

use super::*;

/// The best of several batches, so that other work on the machine counts little.
fn best_of(mut work: impl FnMut()) -> Duration {
    const BATCH: u32 = 200;
    let batches = (0..50).map(|_| {
        let started = Instant::now();
        (0..BATCH).for_each(|_| work());
        started.elapsed() / BATCH
    });
    batches.min().expect("some batches")
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures belong in the log of the test run")]
fn a_small_read_is_measured() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.put("proj/crates/core/src/guard/file.rs", "content");
        bench.link("crates/core", "proj/link");
        for path in ["a.txt", "crates/core/src/guard/file.rs", "link/src/guard/file.rs"] {
            let resolve = best_of(|| assert_eq!(bench.resolve(path).expect("inside").kind(), Some(Kind::File)));
            let checked = bench.checked(path);
            let open = best_of(|| assert_eq!(checked.open_file().expect("a file").stat().kind, Kind::File));
            let whole = best_of(|| assert_eq!(bench.read(path).expect("readable").len() % 7, if path == "a.txt" { 6 } else { 0 }));
            eprintln!("{opener:?} {path}: resolve {resolve:?}, open and stat {open:?}, resolve to content {whole:?}");
        }
        let missing = best_of(|| assert_eq!(bench.resolve("crates/core/missing.rs").expect("inside").kind(), None));
        eprintln!("{opener:?} missing: resolve {missing:?}");
    });
}
