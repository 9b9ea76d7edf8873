//! Size, depth, time and hostile patterns.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;
use toolyard_core::{ErrorKind, Limits};

use crate::testing::{Ring, allowing};

#[test]
fn hostile_patterns_are_refused_or_done_in_time() {
    let ring = Ring::new();
    ring.put("a", "a".repeat(100_000) + "\n" + &"ab ".repeat(10_000) + "\n");
    let patterns = [
        "(a+)+$".to_owned(),
        "(a{1000}){1000}".to_owned(),
        r"\p{L}{500}".to_owned(),
        (0..10_000).map(|n| format!("w{n}")).collect::<Vec<_>>().join("|"),
        (0..1_500).map(|n| format!("w{n}")).collect::<Vec<_>>().join("|"),
        "(".repeat(5_000) + &")".repeat(5_000),
        "(a*)*(b*)*(a|b|ab)*c".to_owned(),
        r"(?i)\b\w{1,200}\b.*\d".to_owned(),
    ];
    for pattern in patterns {
        let started = Instant::now();
        let reply = ring.call("fs_grep", json!({"pattern": pattern}));
        assert!(reply.kind.is_none_or(|kind| kind == ErrorKind::InvalidInput), "{}", reply.text);
        assert!(started.elapsed() < Duration::from_secs(8), "{:.60} took {:?}", pattern, started.elapsed());
    }
}

#[test]
fn a_long_line_is_clipped_around_its_hit() {
    let ring = Ring::new();
    ring.put("min.js", format!("{}needle{}\n", "x".repeat(100_000), "y".repeat(100_000)));
    let reply = ring.call("fs_grep", json!({"pattern": "needle"}));
    assert!(reply.text.len() < 700, "{} bytes", reply.text.len());
    assert!(
        reply.body().starts_with("min.js\n1:+99875…xxx") && reply.body().contains("needle") && reply.body().ends_with("y…+99631\n"),
        "{}",
        reply.text
    );
}

#[test]
fn a_tiny_budget_still_shows_a_hit_and_goes_on() {
    let ring = Ring::new();
    ring.put("a", ("needle ".repeat(100) + "\n").repeat(9));
    let reply = ring.call("fs_grep", json!({"pattern": "needle", "max_tokens": 100}));
    assert!(reply.text.len() <= 330, "{} bytes: {}", reply.text.len(), reply.text);
    assert!(reply.body().starts_with("a\n1:needle") && reply.cursor().is_some(), "{}", reply.text);
}

#[test]
fn files_larger_than_the_buffer_are_streamed() {
    let ring = Ring::new();
    let mut content = "filler line\n".repeat(200_000);
    content.push_str("needle at the end\n");
    ring.put("big.log", &content);
    ring.put("huge_line.txt", "z".repeat(3 << 20) + "needle\n");
    let reply = ring.call("fs_grep", json!({"pattern": "needle"}));
    assert!(reply.body().starts_with("big.log\n200001:needle at the end\nhuge_line.txt\n1:+"), "{}", reply.body());
    assert_eq!(ring.call("fs_grep", json!({"pattern": "needle", "path": "big.log"})).body(), "big.log\n200001:needle at the end\n");
    // An empty file as large as memory is no problem either.
    let sparse = std::fs::File::create(ring.path("sparse")).expect("a file");
    sparse.set_len(600 << 20).expect("room");
    let started = Instant::now();
    let reply = ring.call("fs_grep", json!({"pattern": "needle", "mode": "count"}));
    assert_eq!(reply.body(), "big.log:1\nhuge_line.txt:1\n");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let reply = ring.call("fs_grep", json!({"pattern": "^x.y", "multiline": true, "path": "sparse"}));
    assert!(reply.trailer().contains("1 too large skipped") || reply.trailer().contains("binary"), "{}", reply.text);
}

#[test]
fn very_deep_directories_are_walked_within_the_limit_of_open_files() {
    let ring = Ring::new();
    let mut path = PathBuf::from("deep");
    let base = rustix::fs::open(ring.path(""), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).expect("the place");
    rustix::fs::mkdirat(&base, "deep", 0o755.into()).expect("a directory");
    let mut at = rustix::fs::openat(&base, "deep", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).expect("a directory");
    for level in 0..1_200 {
        // Two directories on each level keep the handle of their parent waiting.
        for name in ["d", "e"] {
            rustix::fs::mkdirat(&at, name, 0o755.into()).expect("a directory");
        }
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).expect("a directory");
        path.push("d");
        if level == 900 {
            let file = rustix::fs::openat(&at, "needle", rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY, 0o644.into());
            rustix::io::write(file.expect("a file"), b"needle\n").expect("content");
        }
    }
    let reply = ring.call("fs_grep", json!({"pattern": "needle", "mode": "count"}));
    assert!(reply.body().ends_with("d/needle:1\n"), "{}", reply.text);
    assert!(reply.trailer().contains("2 directories beyond the limits"), "{}", reply.trailer());
    assert!(open_files() < 300, "{}", open_files());
    remove_deep(&base);
}

/// Deleting by path fails beyond the longest path.
fn remove_deep(base: &rustix::fd::OwnedFd) {
    use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
    let flags = OFlags::DIRECTORY;
    loop {
        let deep = openat(base, "deep", flags, Mode::empty()).expect("a directory");
        unlinkat(&deep, "needle", AtFlags::empty()).or_else(absent).expect("a file");
        unlinkat(&deep, "e", AtFlags::REMOVEDIR).or_else(absent).expect("an empty directory");
        let more = renameat(&deep, "d", base, "next").is_ok();
        unlinkat(base, "deep", AtFlags::REMOVEDIR).expect("an empty directory");
        if !more {
            return;
        }
        renameat(base, "next", base, "deep").expect("a free name");
    }
}

fn absent(error: rustix::io::Errno) -> Result<(), rustix::io::Errno> {
    if error == rustix::io::Errno::NOENT { Ok(()) } else { Err(error) }
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn a_directory_of_many_entries_is_shared_out_and_stays_in_order() {
    let ring = Ring::with(&allowing(&["read"]), Limits { max_tokens: 10_000_000, ..Limits::default() });
    std::fs::create_dir(ring.path("many")).expect("a directory");
    for file in 0..20_000 {
        let content: &[u8] = if file % 100 == 0 { b"needle\n" } else { b"" };
        std::fs::write(ring.path("many").join(format!("f{file:05}")), content).expect("a file");
    }
    let reply = ring.call("fs_grep", json!({"pattern": "needle", "mode": "files", "max_tokens": 1_000_000}));
    let expected: Vec<_> = (0..200).map(|file| format!("many/f{:05}", file * 100)).collect();
    assert_eq!(reply.body().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_cycle_of_a_thousand_links_and_a_call_that_is_cancelled_leave_nothing_open() {
    let ring = Ring::new();
    for link in 0..1_000 {
        std::os::unix::fs::symlink(format!("l{}", (link + 1) % 1_000), ring.path(format!("l{link}"))).expect("a link");
    }
    ring.put("a", "x\n");
    let before = open_files();
    for _ in 0..50 {
        let reply = ring.call("fs_grep", json!({"pattern": "x", "max_hits": 1}));
        assert_eq!(reply.body(), "a\n1:x\n");
    }
    // Other tests of this process open files at the same time.
    assert!(open_files() < before + 60, "{before} then {}", open_files());
}

#[test]
fn when_time_is_up_the_answer_is_partial_says_so_and_can_be_continued() {
    let mut limits = Limits::default();
    limits.tool_timeouts.insert("fs_grep".into(), Duration::from_secs(3));
    let ring = Ring::with(&allowing(&["read"]), limits);
    ring.put("a", "word 1234\n");
    ring.put("b/slow", "word aaab and some more of it, naïve\n".repeat(1 << 20));
    ring.put("c", "word 1234\n");
    // The engine follows every way to take apart what stands before the number.
    let pattern = r"\b([a-zï ]{0,10}){0,8}\d\d\d\d\b";
    let reply = ring.call("fs_grep", json!({"pattern": pattern}));
    assert_eq!(reply.body(), "a\n1:word 1234\nc\n1:word 1234\n", "{}", reply.text);
    assert!(reply.trailer().contains("2 hits in 2 files, more may follow"), "{}", reply.trailer());
    assert!(reply.trailer().contains("complete=false: deadline 2.7 s"), "{}", reply.trailer());
    let cursor = reply.cursor().expect("a cursor");
    let next = ring.call("fs_grep", json!({"pattern": pattern, "cursor": cursor}));
    assert!(next.body().starts_with("no matches so far") && next.trailer().contains("complete=false"), "{}", next.text);
}

#[test]
fn a_search_nobody_waits_for_stops_at_once() {
    let ring = Ring::new();
    ring.put("slow", "word aaab and some more of it, naïve\n".repeat(1 << 20));
    let started = Instant::now();
    let answered = ring.runtime().block_on(async {
        let call = ring.call_async("fs_grep", json!({"pattern": r"\b([a-zï ]{0,10}){0,8}\d\d\d\d\b"}));
        tokio::time::timeout(Duration::from_millis(200), call).await.is_ok()
    });
    assert!(!answered);
    // The runtime waits for the search to end.
    drop(ring);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_swapped_link_never_leads_outside() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let ring = Ring::new();
    ring.put("in/f", "inside\n");
    ring.put("g", "inside\n");
    std::fs::create_dir(ring.beside("out/in")).expect("a directory");
    std::fs::write(ring.beside("out/in/f"), "SECRET\n").expect("a file");
    std::os::unix::fs::symlink(ring.beside("out/in"), ring.path("other")).expect("a link");
    std::os::unix::fs::symlink(ring.beside("out/in/f"), ring.path("link")).expect("a link");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for (a, b) in [("in", "other"), ("g", "link")] {
                    renameat_with(CWD, ring.path(a), CWD, ring.path(b), RenameFlags::EXCHANGE).expect("a swap");
                }
            }
        });
        let _over = Over(&over);
        for _ in 0..300 {
            let reply = ring.call("fs_grep", json!({"pattern": "SECRET", "mode": "files"}));
            assert!(reply.body().starts_with("no matches"), "{}", reply.text);
            for path in ["in/f", "g"] {
                let reply = ring.call("fs_grep", json!({"pattern": "SECRET", "path": path}));
                assert!(!reply.text.contains("1:SECRET"), "{}", reply.text);
            }
        }
    });
}
