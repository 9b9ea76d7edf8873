//! Ignore rules of one directory and, through its parent, of all above it.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    sync::Arc,
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};

use super::{hints::Hints, listing::Special};

/// Largest rule file that is used.
const MAX_BYTES: usize = 1 << 20;
/// Most patterns of one rule file that are used.
const MAX_PATTERNS: usize = 50_000;

/// The rules that hold in one directory.
#[derive(Debug)]
pub(super) struct Rules {
    parent: Option<Arc<Self>>,
    /// Bytes of an entry's path that come before the part below this directory.
    base: usize,
    /// `.ignore`, which outranks all of git's rules.
    ignore: Option<File>,
    /// `.gitignore`.
    git: Option<File>,
    /// `.git/info/exclude`.
    exclude: Option<File>,
    /// Whether git's rules from above end here.
    repository: bool,
}

/// One rule file.
#[derive(Debug)]
struct File {
    rules: Gitignore,
    hints: Hints,
}

/// What the rules say about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// No rule is about it.
    Nothing,
    /// It is left out.
    Ignored,
    /// A rule asks for it, even if its name begins with a dot.
    Wanted,
}

impl Rules {
    /// The rules of a directory whose entries' paths begin with `base` bytes; those of the parent
    /// when it adds none. `skipped` counts rule files that can't be used.
    pub(super) fn below(
        parent: Option<Arc<Self>>,
        directory: BorrowedFd<'_>,
        base: usize,
        holds: Special,
        skipped: &mut u64,
    ) -> Option<Arc<Self>> {
        if !holds.any() {
            return parent;
        }
        let mut read = |directory: BorrowedFd<'_>, name: &str| match compile(directory, name) {
            Ok(rules) => rules,
            Err(_) => {
                *skipped += 1;
                None
            }
        };
        let ignore = if holds.ignore { read(directory, ".ignore") } else { None };
        let git = if holds.gitignore { read(directory, ".gitignore") } else { None };
        let repository = holds.git.then(|| Repository::find(directory)).flatten();
        let exclude = match &repository {
            Some(Repository { info: Some(info) }) => read(info.as_fd(), "exclude"),
            Some(Repository { info: None }) | None => None,
        };
        if ignore.is_none() && git.is_none() && repository.is_none() {
            return parent;
        }
        Some(Arc::new(Self { parent, base, ignore, git, exclude, repository: repository.is_some() }))
    }

    /// Judges an entry by its path; the nearest directory with an opinion decides.
    pub(super) fn judge(&self, path: &[u8], is_directory: bool) -> Ruling {
        let (mut git, mut exclude) = (Ruling::Nothing, Ruling::Nothing);
        let mut in_repository = true;
        let mut level = Some(self);
        while let Some(rules) = level {
            let below = path.get(rules.base..).unwrap_or_default();
            // `.ignore` of any level outranks git's rules of every level.
            match ask(rules.ignore.as_ref(), below, is_directory) {
                Ruling::Nothing => {}
                decided => return decided,
            }
            if in_repository {
                if git == Ruling::Nothing {
                    git = ask(rules.git.as_ref(), below, is_directory);
                }
                if exclude == Ruling::Nothing {
                    exclude = ask(rules.exclude.as_ref(), below, is_directory);
                }
                in_repository = !rules.repository;
            }
            level = rules.parent.as_deref();
        }
        if git == Ruling::Nothing { exclude } else { git }
    }
}

/// A `.git` entry and, where it is a directory that has one, its `info`.
struct Repository {
    info: Option<OwnedFd>,
}

impl Repository {
    fn find(directory: BorrowedFd<'_>) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(directory, c".git", flags, Mode::empty()) {
            Ok(git) => Some(Self { info: openat(git, c"info", flags, Mode::empty()).ok() }),
            // A worktree or submodule has a file of this name.
            Err(rustix::io::Errno::NOTDIR) => Some(Self { info: None }),
            Err(_) => None,
        }
    }
}

fn ask(file: Option<&File>, path: &[u8], is_directory: bool) -> Ruling {
    let Some(File { rules, .. }) = file.filter(|file| file.hints.may_match(path)) else { return Ruling::Nothing };
    match rules.matched(Path::new(OsStr::from_bytes(path)), is_directory) {
        Match::None => Ruling::Nothing,
        Match::Ignore(_) => Ruling::Ignored,
        Match::Whitelist(_) => Ruling::Wanted,
    }
}

/// Reads one rule file; nothing when there is none or it is empty.
fn compile(directory: BorrowedFd<'_>, name: &str) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stat = fstat(&file)?;
    let too_large = u64::try_from(stat.st_size).is_ok_and(|size| size > MAX_BYTES as u64);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || too_large {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::with_capacity(MAX_BYTES.min(stat.st_size.unsigned_abs() as usize + 1));
    while bytes.len() < bytes.capacity() && rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes))? > 0 {}
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let mut builder = GitignoreBuilder::new("");
    let mut hints = Hints::default();
    for line in text.split(|byte| *byte == b'\n').take(MAX_PATTERNS) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // One bad line does not spoil the others, as in git.
        let Ok(line) = std::str::from_utf8(line) else { continue };
        hints.add(line);
        if let Err(error) = builder.add_line(None, line) {
            tracing::debug!(%error, "an ignore pattern is not used");
        }
    }
    let rules = builder.build().map_err(io::Error::other)?;
    Ok((!rules.is_empty()).then_some(File { rules, hints }))
}
