//! Parent directories: opened, or made one by one from held handles.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, fsync, mkdirat, openat, unlinkat},
    io::Errno,
};

use super::{Durability, errors::failed, system::may_sync};
use crate::{
    ErrorKind, ToolError,
    guard::{CheckedPath, GuardedDir, dirs::split},
};

/// An opened parent directory and the name in it.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) dir: GuardedDir,
    pub(super) name: OsString,
    made: MadeDirs,
}

/// Directories made on the way, outermost first. They go again when the change they were made for
/// fails, unless somebody else has put something into them.
#[derive(Debug, Default)]
struct MadeDirs {
    made: Vec<MadeDir>,
    kept: bool,
}

/// A name that was made in a held directory.
#[derive(Debug)]
struct MadeDir {
    above: OwnedFd,
    name: OsString,
}

impl Drop for MadeDirs {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for MadeDir { above, name } in self.made.iter().rev() {
            if let Err(errno) = unlinkat(above, name.as_os_str(), AtFlags::REMOVEDIR) {
                tracing::debug!(%errno, "a directory made for a change that failed stays behind");
                return;
            }
        }
    }
}

impl Parent {
    /// The parent, if it exists.
    pub(super) fn open(path: &CheckedPath) -> Result<Option<Self>, ToolError> {
        match path.parent() {
            Ok((dir, name)) => Ok(Some(Self { dir, name: name.to_owned(), made: MadeDirs::default() })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The parent, made where it is missing; what was made goes again unless [`Parent::keep`] is called.
    pub(super) fn open_or_make(path: &CheckedPath) -> Result<Self, ToolError> {
        if let Some(parent) = Self::open(path)? {
            return Ok(parent);
        }
        let made = make_above(path)?;
        let (dir, name) = path.parent()?;
        Ok(Self { dir, name: name.to_owned(), made })
    }

    /// How many directories were made.
    pub(super) const fn made(&self) -> usize {
        self.made.made.len()
    }

    /// The change was made, so the directories made for it stay.
    pub(super) const fn keep(&mut self) {
        self.made.kept = true;
    }

    /// Brings the entry, and those of the directories made for it, to the disk.
    pub(super) fn sync(&self, durability: Durability) -> Result<(), Errno> {
        if durability == Durability::Unsynced {
            return Ok(());
        }
        sync_directory(self.dir.fd())?;
        self.made.made.iter().try_for_each(|made| sync_directory(made.above.as_fd()))
    }
}

/// Makes every missing directory above `path`.
fn make_above(path: &CheckedPath) -> Result<MadeDirs, ToolError> {
    let components: Vec<&[u8]> = split(path.bytes()).collect();
    let Some((_, above)) = components.split_last() else {
        return Err(ToolError::internal("the allowed directory itself has no parent"));
    };
    let failed = |errno| failed("make the parent directory of", &path.display(), errno);
    let open = |dir: &OwnedFd, name| path.home().open_at(dir.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY);
    let mut made = MadeDirs::default();
    let mut current = openat(path.base(), c".", directory_flags(), Mode::empty()).map_err(failed)?;
    for name in above.iter().copied() {
        let next = match open(&current, name) {
            Err(Errno::NOENT) => {
                let above = current.try_clone().map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
                match mkdirat(&current, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) => made.made.push(MadeDir { above, name: OsStr::from_bytes(name).to_owned() }),
                    // Another call made it in between; opening it checks what it is.
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(failed(errno)),
                }
                open(&current, name)
            }
            opened => opened,
        };
        current = next.map_err(failed)?;
    }
    Ok(made)
}

const fn directory_flags() -> OFlags {
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC)
}

/// Brings the entries of a directory to the disk.
pub(super) fn sync_directory(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    may_sync()?;
    match fsync(dir) {
        // The handle may only name the directory.
        Err(Errno::BADF) => fsync(openat(dir, c".", directory_flags(), Mode::empty())?),
        // Some file systems can't sync a directory; there is nothing more to do about it.
        Err(Errno::INVAL) => Ok(()),
        synced => synced,
    }
}
