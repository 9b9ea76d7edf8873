//! Files that are not finished yet, and what a crashed process left of them.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::File,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    sync::{LazyLock, Mutex, PoisonError},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, linkat, openat, statat, unlinkat},
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

use super::system::{open_nameless, rename_at};
use crate::guard::GuardedDir;

const PREFIX: &str = ".toolyard-";
const SUFFIX: &str = ".tmp";
const RANDOM_CHARS: usize = 20;

/// Entries looked at when a directory is searched for leftovers.
const SWEEP_ENTRIES: usize = 100_000;

/// Directories remembered as swept; beyond it they are swept again.
const SWEPT_MAX: usize = 4_096;

/// An unfinished file in a directory. Without a name where the file system can do that, otherwise
/// under an unpredictable one. It is locked while it is in use, and its name goes with it.
#[derive(Debug)]
pub(super) struct Temp<'d> {
    dir: BorrowedFd<'d>,
    file: File,
    name: Option<String>,
}

impl<'d> Temp<'d> {
    /// Makes one with these permission bits, less those the umask takes.
    pub(super) fn new(dir: BorrowedFd<'d>, mode: u32) -> Result<Self, Errno> {
        match open_nameless(dir, Mode::from_raw_mode(mode)) {
            Ok(fd) => Ok(Self { dir, file: File::from(fd), name: None }),
            // File systems without nameless files say so in different ways.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT | Errno::NOSYS) => Self::named(dir, mode),
            Err(errno) => Err(errno),
        }
    }

    /// Makes one that has a name from the start.
    pub(super) fn named(dir: BorrowedFd<'d>, mode: u32) -> Result<Self, Errno> {
        for _ in 0..16 {
            let name = random_name()?;
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = match openat(dir, name.as_str(), flags, Mode::from_raw_mode(mode)) {
                Ok(fd) => fd,
                Err(Errno::EXIST) => continue,
                Err(errno) => return Err(errno),
            };
            let temp = Self { dir, file: File::from(fd), name: Some(name) };
            // Between creating and locking, another process may take it for a leftover.
            match lock_own(&temp.file) {
                Ok(()) if fstat(&temp.file)?.st_nlink > 0 => return Ok(temp),
                Ok(()) | Err(Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EXIST)
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Gives it an unpredictable name, so that it can change places with another file.
    pub(super) fn ensure_name(&mut self) -> Result<&str, Errno> {
        if self.name.is_none() {
            // Locked before anybody can see it, so that no sweep takes it for a leftover.
            lock_own(&self.file)?;
            let name = random_name()?;
            link_open_file(&self.file, self.dir, OsStr::new(&name))?;
            self.name = Some(name);
        }
        self.name.as_deref().ok_or(Errno::NOENT)
    }

    /// Puts it under its name, where nothing may be.
    pub(super) fn publish(&mut self, name: &OsStr) -> Result<(), Errno> {
        let Some(temporary) = self.name.take() else {
            return link_open_file(&self.file, self.dir, name);
        };
        let moved = match rename_at(self.dir, temporary.as_ref(), self.dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            // Without that flag a link is the other way that never replaces.
            Err(Errno::INVAL | Errno::NOSYS) => linkat(self.dir, temporary.as_str(), self.dir, name, AtFlags::empty()),
            moved => moved,
        };
        // Linked or not, the temporary name has to go.
        self.name = Some(temporary);
        moved
    }

    /// Forgets the name, because something else lies under it now that must stay.
    pub(super) fn forget_name(&mut self) -> Option<String> {
        self.name.take()
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name
            && let Err(errno) = unlinkat(self.dir, name.as_str(), AtFlags::empty())
        {
            tracing::warn!(%errno, "a temporary file stays behind until the next write into its directory");
        }
    }
}

/// Names a nameless file; fails when the name is taken.
fn link_open_file(file: &File, dir: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, path, dir, name, AtFlags::SYMLINK_FOLLOW) {
        // Where /proc is not mounted, newer kernels link the descriptor itself.
        Err(Errno::NOENT) => linkat(file, c"", dir, name, AtFlags::EMPTY_PATH),
        linked => linked,
    }
}

/// A lock nobody else can want yet.
fn lock_own(file: &File) -> Result<(), Errno> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Errno::WOULDBLOCK),
        // File systems without locks are swept by nobody.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Letters and digits that are the same on file systems that ignore case.
fn random_text() -> Result<String, Errno> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0_u8; RANDOM_CHARS];
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    if filled < RANDOM_CHARS {
        return Err(Errno::AGAIN);
    }
    Ok(bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31))).map(|c| char::from(*c)).collect())
}

fn random_name() -> Result<String, Errno> {
    Ok(format!("{PREFIX}{}{SUFFIX}", random_text()?))
}

/// A name for something that must not be swept away.
pub(super) fn kept_name() -> Result<String, Errno> {
    Ok(format!("{PREFIX}{}.kept", random_text()?))
}

/// Whether a name is one that [`Temp`] makes.
pub(super) fn is_temporary(name: &OsStr) -> bool {
    let Some(random) = name.as_bytes().strip_prefix(PREFIX.as_bytes()).and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes())) else {
        return false;
    };
    random.len() == RANDOM_CHARS && random.iter().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(b))
}

/// Removes what crashed processes left in this directory; done once per directory and process.
/// Files that are in use are locked and stay.
pub(super) fn sweep(dir: &GuardedDir) {
    static SWEPT: LazyLock<Mutex<HashSet<(u64, u64)>>> = LazyLock::new(Mutex::default);
    let Ok(stat) = fstat(dir.fd()) else { return };
    {
        let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.len() >= SWEPT_MAX {
            swept.clear();
        }
        if !swept.insert((stat.st_dev, stat.st_ino)) {
            return;
        }
    }
    let Ok(entries) = dir.entries() else { return };
    for entry in entries.take(SWEEP_ENTRIES).flatten() {
        if is_temporary(&entry.name)
            && let Err(errno) = remove_leftover(dir.fd(), &entry.name)
        {
            tracing::debug!(%errno, "a leftover temporary file can't be removed");
        }
    }
}

fn remove_leftover(dir: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let fd: OwnedFd = openat(dir, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&fd)?;
    let ours = stat.st_uid == rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !ours {
        return Ok(());
    }
    match flock(fd.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    let now = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino) { unlinkat(dir, name, AtFlags::empty()) } else { Ok(()) }
}
