//! Processes that are killed while they write, and two that write at once.

use std::{
    os::fd::AsRawFd as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;
use toolyard_core::{Limits, guard::AllowedDirs};

use super::{names, overwrite, write};
use crate::testing::{Ring, allowing};

/// Tells a copy of this test program which directory to work on.
const PLACE: &str = "TOOLYARD_TEST_PLACE";
/// Tells it what its part is.
const PART: &str = "TOOLYARD_TEST_PART";

/// Runs one test of this program in another process, which finds its place in the environment.
fn child(test: &str, place: &Path, part: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(PLACE, place)
        .env(PART, part)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a second process")
}

/// The tools over a directory that another process works on as well.
fn ring_in(place: &Path) -> Ring {
    let directories = AllowedDirs::open(&[place.to_owned()]).expect("an allowed directory");
    Ring::over(TempDir::new().expect("a temporary directory"), directories, &allowing(&["read", "write"]), Limits::default())
}

fn part() -> Option<(std::path::PathBuf, String)> {
    Some((std::env::var_os(PLACE)?.into(), std::env::var(PART).ok()?))
}

const SIZE: usize = 300_000;

#[test]
fn a_killed_writer_leaves_the_whole_old_or_the_whole_new_content() {
    if let Some((place, _)) = part() {
        let ring = ring_in(&place);
        for letter in ('a'..='z').cycle() {
            assert!(!overwrite(&ring, "f", &letter.to_string().repeat(SIZE)).is_error);
        }
    }
    let place = TempDir::new().expect("a temporary directory");
    let ring = ring_in(place.path());
    assert!(!write(&ring, "f", &"A".repeat(SIZE)).is_error);
    let mut contents = std::collections::HashSet::new();
    for round in 0..25_u64 {
        let mut writer =
            child("write::tests::crash::a_killed_writer_leaves_the_whole_old_or_the_whole_new_content", place.path(), "writer");
        std::thread::sleep(Duration::from_millis(25) + Duration::from_micros(round * 1_370));
        writer.kill().expect("killed");
        writer.wait().expect("over");
        let content = std::fs::read(place.path().join("f")).expect("the file is there");
        assert_eq!(content.len(), SIZE);
        assert!(content.iter().all(|b| *b == content[0]), "a mixture of two contents");
        contents.insert(content[0]);
        // What the killed process left goes with the first write of the next process.
        let leftovers = names(place.path().to_owned()).len() - 1;
        assert!(leftovers <= 1, "{leftovers} temporary files");
    }
    assert!(contents.len() > 3, "the writers were killed before they wrote: {contents:?}");
    std::fs::write(place.path().join(".toolyard-abcdefghijklmnopqrst.tmp"), "left").expect("a leftover");
    std::fs::write(place.path().join(".toolyard-notes.tmp"), "not ours").expect("another file");
    let mut last = child("write::tests::crash::the_first_write_of_a_process_removes_leftovers", place.path(), "last");
    assert!(last.wait().expect("over").success());
    assert_eq!(names(place.path().to_owned()), [".toolyard-notes.tmp", "f"]);
}

#[test]
fn the_first_write_of_a_process_removes_leftovers() {
    if let Some((place, _)) = part() {
        assert!(!overwrite(&ring_in(&place), "f", "new").is_error);
        return;
    }
    let place = TempDir::new().expect("a temporary directory");
    let left = place.path().join(".toolyard-abcdefghijklmnopqrst.tmp");
    let held = place.path().join(".toolyard-tsrqponmlkjihgfedcba.tmp");
    std::fs::write(&left, "left").expect("a leftover");
    std::fs::write(&held, "in use").expect("a file in use");
    let lock = std::fs::File::open(&held).expect("the file in use");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
    assert!(!write(&ring_in(place.path()), "f", "x").is_error);
    assert_eq!(names(place.path().to_owned()), [".toolyard-tsrqponmlkjihgfedcba.tmp", "f"]);
}

#[test]
fn two_processes_lose_no_edit() {
    const LINES: usize = 60;
    let work = |place: &Path, part: &str| {
        let ring = ring_in(place);
        for n in 0..LINES {
            let edits = json!([{"old": format!("{part} {n:02} old\n"), "new": format!("{part} {n:02} new\n")}]);
            let reply = ring.call("fs_edit", json!({"path": "f", "edits": edits}));
            assert!(!reply.is_error, "{}", reply.text);
        }
    };
    if let Some((place, name)) = part() {
        work(&place, &name);
        return;
    }
    let place = TempDir::new().expect("a temporary directory");
    let lines: String = ["first", "second"].iter().flat_map(|part| (0..LINES).map(move |n| format!("{part} {n:02} old\n"))).collect();
    std::fs::write(place.path().join("f"), &lines).expect("a file");
    let mut other = child("write::tests::crash::two_processes_lose_no_edit", place.path(), "second");
    work(place.path(), "first");
    assert!(other.wait().expect("over").success());
    assert_eq!(std::fs::read_to_string(place.path().join("f")).expect("the file"), lines.replace("old", "new"));
    assert_eq!(names(place.path().to_owned()), ["f"]);
}

#[test]
fn without_free_descriptors_a_write_fails_whole() {
    if let Some((place, _)) = part() {
        let ring = ring_in(&place);
        assert!(!overwrite(&ring, "f", "0").is_error);
        let open = || std::fs::read_dir("/proc/self/fd").expect("descriptors").count() as u64 - 1;
        // The limit is on numbers, not on how many are open, and some numbers may be taken out of turn.
        let first_free = u64::from(std::fs::File::open(place.join("f")).expect("the file").as_raw_fd().cast_unsigned());
        let (before, mut failed) = (open(), 0_u64);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        for room in 0..8 {
            let lowered = rustix::process::Rlimit { current: Some(first_free + room), ..limit };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, lowered).expect("a lower limit");
            let reply = overwrite(&ring, "f", &format!("{}", room + 1));
            rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("the old limit");
            if reply.is_error {
                failed += 1;
                assert!(reply.text.contains("too many files"), "{}", reply.text);
                assert_eq!(std::fs::read(place.join("f")).expect("the file"), b"0");
            }
            assert_eq!(names(place.clone()), ["f"]);
            assert_eq!(open(), before);
        }
        assert!((2..8).contains(&failed), "{failed} writes failed");
        return;
    }
    let place = TempDir::new().expect("a temporary directory");
    let mut limited = child("write::tests::crash::without_free_descriptors_a_write_fails_whole", place.path(), "limited");
    assert!(limited.wait().expect("over").success());
}
