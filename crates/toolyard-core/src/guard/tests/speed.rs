//! What a small read costs; printed, not judged, because machines differ.

use std::time::Instant;

use super::*;

const ROUNDS: u32 = 20_000;

#[test]
#[expect(clippy::print_stderr, reason = "the figures belong in the log of the test run")]
fn a_small_read_is_measured() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.put("proj/crates/core/src/guard/file.rs", "content");
        bench.link("crates/core", "proj/link");
        for path in ["a.txt", "crates/core/src/guard/file.rs", "link/src/guard/file.rs", "crates/core/src/guard/missing.rs"] {
            let started = Instant::now();
            let mut kinds = 0;
            for _ in 0..ROUNDS {
                kinds += u32::from(bench.resolve(path).expect("inside").kind().is_some());
            }
            let resolve = started.elapsed() / ROUNDS;
            assert_eq!(kinds, if path.ends_with("missing.rs") { 0 } else { ROUNDS });
            let checked = bench.checked(path);
            let started = Instant::now();
            for _ in 0..ROUNDS {
                if let Ok(file) = checked.open_file() {
                    assert!(file.stat().size > 0);
                } else if kinds > 0 {
                    panic!("not opened");
                }
            }
            eprintln!("{opener:?} {path}: resolve {resolve:?}, open_file with stat and close {:?}", started.elapsed() / ROUNDS);
        }
    });
}
