//! The guard against everything a file system and its other users can do to it. Every test runs
//! with both ways of opening.
#![expect(clippy::disallowed_methods, reason = "the tests build the trees that the guard then meets")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test that panics fails")]

mod directories;
mod names;
mod outside;
mod races;
mod special;
mod speed;
mod symlinks;

use std::{
    io::Read as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use toolyard_policy::{Effect, PathResource, Resource};

use super::{AllowedDirs, CheckedPath, Follow, Kind, Target, open::Opener};
use crate::{ErrorKind, ToolError};

/// The layout of every test: an allowed directory `proj`, beside it what must stay out of reach.
struct Bench {
    base: TempDir,
    dirs: AllowedDirs,
}

impl Bench {
    fn new(opener: Opener) -> Self {
        let base = tempfile::tempdir().expect("a temporary directory");
        for (file, content) in
            [("proj/src/main.rs", "fn main() {}"), ("proj/a.txt", "inside"), ("out/secret", "SECRET"), ("proj_evil/x", "EVIL")]
        {
            put(&base.path().join(file), content);
        }
        let dirs = AllowedDirs::open_with(&[base.path().join("proj")], Some(opener)).expect("an allowed directory");
        Self { base, dirs }
    }

    /// A path beside or below the allowed directory.
    fn at(&self, path: &str) -> PathBuf {
        self.base.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        self.at(path).to_str().expect("a plain path").to_owned()
    }

    fn put(&self, path: &str, content: &str) {
        put(&self.at(path), content);
    }

    fn link(&self, target: impl AsRef<Path>, link: &str) {
        symlink(target, self.at(link)).expect("a symlink");
    }

    fn resolve(&self, path: &str) -> Result<Target, ToolError> {
        self.dirs.resolve(path, Follow::Final)
    }

    fn checked(&self, path: &str) -> CheckedPath {
        self.resolve(path).expect("a path inside").granted(Effect::Read)
    }

    fn read(&self, path: &str) -> Result<String, ToolError> {
        read(&self.resolve(path)?.granted(Effect::Read))
    }

    /// Kind, message and hint without the path that was asked for.
    fn refusal(&self, path: &str) -> (ErrorKind, String, String) {
        let error = self.resolve(path).expect_err(path);
        let message = error.message().replace(path, "PATH");
        (error.kind(), message, error.hint().unwrap_or_default().to_owned())
    }

    fn is_outside(&self, path: &str) {
        let hint = format!("give a path below `{}`", self.canonical());
        assert_eq!(self.refusal(path), (ErrorKind::Denied, "`PATH` is outside the allowed directories".to_owned(), hint), "{path}");
    }

    fn canonical(&self) -> String {
        self.dirs.iter().next().expect("one directory").path().to_owned()
    }
}

fn put(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
    std::fs::write(path, content).expect("a file");
}

fn read(path: &CheckedPath) -> Result<String, ToolError> {
    let mut text = String::new();
    path.open_file()?.file().read_to_string(&mut text).expect("readable");
    Ok(text)
}

fn resource(target: &Target) -> PathResource {
    match target.access(Effect::Read).resource {
        Resource::Path(path) => path,
        Resource::Name { .. } => panic!("a path"),
    }
}

/// Path and requested form as the policy sees them.
fn judged(target: &Target) -> (String, Option<String>) {
    let resource = resource(target);
    (resource.path, resource.requested)
}

/// Runs the test with `openat2` and with the walk that stands in for it.
fn both(test: impl Fn(Opener)) {
    test(Opener::OpenAt2);
    test(Opener::Walk);
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A test that could not do its work says so where a person will see it.
#[expect(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
