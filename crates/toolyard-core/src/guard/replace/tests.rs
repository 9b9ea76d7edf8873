//! What tools can't provoke at will: another program that acts between two steps, and file systems
//! that can do less.
#![expect(clippy::disallowed_methods, clippy::expect_used, clippy::indexing_slicing, reason = "tests lay traps and look at the disk")]

mod lacking;
mod partway;
mod stopping;

use std::{
    io::Write as _,
    os::fd::AsFd as _,
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use toolyard_policy::Effect;

use super::{
    Durability, FileChange, make_directory, remove, rename,
    system::{Capabilities, before_rename},
    temp::{Temp, is_temporary},
};
use crate::{
    ErrorKind, Stop, ToolError,
    guard::{AllowedDirs, CheckedPath, Follow},
};

struct Place {
    dir: TempDir,
    allowed: AllowedDirs,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let allowed = AllowedDirs::open(&[dir.path().to_owned()]).expect("an allowed directory");
        Self { dir, allowed }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("a written file");
    }

    fn get(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a readable file")
    }

    fn granted(&self, name: &str, effect: Effect) -> CheckedPath {
        self.allowed.resolve(name, Follow::NotFinal).expect("a path inside").granted(effect)
    }

    fn begin(&self, name: &str) -> FileChange {
        FileChange::begin(&self.granted(name, Effect::Write), &soon()).expect("a file to change")
    }

    fn names(&self) -> Vec<String> {
        names(self.dir.path())
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn soon() -> Stop {
    Stop::at(Instant::now() + Duration::from_secs(10))
}

fn kind<T>(result: Result<T, ToolError>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn whoever_changes_the_file_in_between_wins() {
    interfering_wins();
}

fn interfering_wins() {
    type Interference = fn(&Place);
    let cases: [(Interference, &str, &[&str]); 4] = [
        (|place| place.put("f", "in place"), "in place", &["f"]),
        (
            |place| {
                place.put("other", "renamed onto");
                std::fs::rename(place.path("other"), place.path("f")).expect("renamed");
            },
            "renamed onto",
            &["f"],
        ),
        (
            |place| {
                std::fs::rename(place.path("f"), place.path("away")).expect("renamed");
                std::os::unix::fs::symlink("away", place.path("f")).expect("a link");
            },
            "old",
            &["away", "f"],
        ),
        (|place| std::fs::rename(place.path("f"), place.path("g")).expect("renamed"), "", &["g"]),
    ];
    for (interfere, kept, left) in cases {
        let place = Place::new();
        place.put("f", "old");
        let change = place.begin("f");
        assert_eq!(change.read(100).ok().as_deref(), Some(b"old".as_slice()));
        interfere(&place);
        assert_eq!(kind(change.put(&[b"new"], &soon(), Durability::Unsynced)), Some(ErrorKind::Conflict), "{left:?}");
        assert_eq!(place.names(), left);
        if !kept.is_empty() {
            assert_eq!(place.get("f"), kept);
        }
    }
}

#[test]
fn a_file_that_appears_in_between_is_kept() {
    appearing_wins();
}

fn appearing_wins() {
    let place = Place::new();
    let change = place.begin("f");
    place.put("f", "theirs");
    assert_eq!(kind(change.put(&[b"ours"], &soon(), Durability::Unsynced)), Some(ErrorKind::Conflict));
    assert_eq!((place.get("f").as_str(), place.names()), ("theirs", vec!["f".to_owned()]));
}

#[test]
fn synced_and_unsynced_changes_write_the_same() {
    for durability in [Durability::Synced, Durability::Unsynced] {
        let place = Place::new();
        let write = |content: &[&[u8]]| {
            FileChange::begin(&place.granted("a/b/f", Effect::Write), &soon()).and_then(|change| change.put(content, &soon(), durability))
        };
        let written = write(&[b"on", b"", b"e"]).expect("written");
        assert_eq!((written.created, written.directories_made, written.size), (true, 2, 3));
        let many: Vec<&[u8]> = std::iter::repeat_n(b"xy".as_slice(), 1_000).collect();
        assert_eq!(write(&many).map(|written| written.created).ok(), Some(false));
        assert_eq!(place.get("a/b/f"), "xy".repeat(1_000));
        assert_eq!(make_directory(&place.granted("a/c", Effect::Write), durability, &soon()).ok(), Some(1));
        let moved = rename(&place.granted("a/b/f", Effect::Write), &place.granted("a/c/g", Effect::Write), false, durability, &soon());
        assert_eq!(moved.map(|moved| moved.replaced).ok(), Some(false));
        assert_eq!(remove(&place.granted("a/c/g", Effect::Destroy), durability, &soon()).err().map(|e| e.kind()), None);
        assert_eq!(names(&place.path("a/c")), [""; 0]);
    }
}

#[test]
fn a_path_granted_for_reading_changes_nothing() {
    let place = Place::new();
    place.put("f", "old");
    let path = place.granted("f", Effect::Read);
    assert_eq!(kind(FileChange::begin(&path, &soon())), Some(ErrorKind::Internal));
    assert_eq!(kind(remove(&path, Durability::Unsynced, &soon())), Some(ErrorKind::Internal));
    assert_eq!(kind(make_directory(&place.granted("d", Effect::Read), Durability::Unsynced, &soon())), Some(ErrorKind::Internal));
    assert_eq!(place.names(), ["f"]);
}

#[test]
fn waiting_for_another_call_or_program_ends_with_the_deadline() {
    let place = Place::new();
    place.put("f", "old");
    let held = place.begin("f");
    let short = || Stop::at(Instant::now() + Duration::from_millis(60));
    let path = place.granted("f", Effect::Write);
    assert_eq!(kind(FileChange::begin(&path, &short())), Some(ErrorKind::Timeout));
    drop(held);
    let other = std::fs::File::open(place.path("f")).expect("the file");
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
    assert_eq!(kind(FileChange::begin(&path, &short())), Some(ErrorKind::Timeout));
    drop(other);
    assert_eq!(kind(FileChange::begin(&path, &short())), None);
}

#[test]
fn a_temporary_file_with_a_name_works_where_nameless_ones_do_not() {
    let place = Place::new();
    let dir = std::fs::File::open(place.dir.path()).expect("the directory");
    let mut temp = Temp::named(dir.as_fd(), 0o600).expect("a temporary file");
    let name = place.names();
    assert!(name.len() == 1 && is_temporary(name[0].as_ref()), "{name:?}");
    temp.file().write_all(b"content").expect("written");
    place.put("taken", "theirs");
    assert_eq!(temp.publish("taken".as_ref()), Err(rustix::io::Errno::EXIST));
    assert_eq!(temp.publish("f".as_ref()), Ok(()));
    drop(temp);
    assert_eq!(
        (place.get("f").as_str(), place.get("taken").as_str(), place.names()),
        ("content", "theirs", vec!["f".into(), "taken".into()])
    );
    drop(Temp::named(dir.as_fd(), 0o600).expect("a temporary file"));
    assert_eq!(place.names().len(), 2);
}

#[test]
fn temporary_names_can_not_be_guessed_and_are_told_from_others() {
    let place = Place::new();
    let dir = std::fs::File::open(place.dir.path()).expect("the directory");
    let mut first = Temp::new(dir.as_fd(), 0o600).expect("a temporary file");
    let mut second = Temp::new(dir.as_fd(), 0o600).expect("a temporary file");
    assert_eq!(place.names(), [""; 0]);
    let names = [first.ensure_name().expect("a name").to_owned(), second.ensure_name().expect("a name").to_owned()];
    assert_ne!(names[0], names[1]);
    assert!(names.iter().all(|name| is_temporary(name.as_ref())));
    for other in [".toolyard-.tmp", ".toolyard-notes.tmp", ".toolyard-ABCDEFGHIJKLMNOPQRST.tmp", "x.toolyard-abcdefghijklmnopqrst.tmp"] {
        assert!(!is_temporary(other.as_ref()), "{other}");
    }
}
