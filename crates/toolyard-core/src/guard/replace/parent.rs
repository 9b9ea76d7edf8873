//! Parent directories: opened, or made one by one from held handles.

use std::{
    ffi::OsString,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, fsync, mkdirat, openat},
    io::Errno,
};

use super::{Durability, errors::failed};
use crate::{
    ErrorKind, ToolError,
    guard::{CheckedPath, GuardedDir, dirs::split},
};

/// An opened parent directory and the name in it.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) dir: GuardedDir,
    pub(super) name: OsString,
    /// Directories that got a new entry on the way.
    made: Vec<OwnedFd>,
}

impl Parent {
    /// The parent, if it exists.
    pub(super) fn open(path: &CheckedPath) -> Result<Option<Self>, ToolError> {
        match path.parent() {
            Ok((dir, name)) => Ok(Some(Self { dir, name: name.to_owned(), made: Vec::new() })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The parent, made where it is missing.
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
        self.made.len()
    }

    /// Brings the entry, and those of the directories made for it, to the disk.
    pub(super) fn sync(&self, durability: Durability) -> Result<(), Errno> {
        if durability == Durability::Unsynced {
            return Ok(());
        }
        sync_directory(self.dir.fd())?;
        self.made.iter().try_for_each(|above| sync_directory(above.as_fd()))
    }
}

/// Makes every missing directory above `path`; gives the directories that got a new entry.
fn make_above(path: &CheckedPath) -> Result<Vec<OwnedFd>, ToolError> {
    let components: Vec<&[u8]> = split(path.bytes()).collect();
    let Some((_, above)) = components.split_last() else {
        return Err(ToolError::internal("the allowed directory itself has no parent"));
    };
    let failed = |errno| failed("make the parent directory of", &path.display(), errno);
    let open = |dir: &OwnedFd, name| path.home().open_at(dir.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY);
    let mut changed = Vec::new();
    let mut current = openat(path.base(), c".", directory_flags(), Mode::empty()).map_err(failed)?;
    for name in above.iter().copied() {
        let next = match open(&current, name) {
            Err(Errno::NOENT) => {
                match mkdirat(&current, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) => changed.push(current.try_clone().map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?),
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
    Ok(changed)
}

const fn directory_flags() -> OFlags {
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC)
}

/// Brings the entries of a directory to the disk.
pub(super) fn sync_directory(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    match fsync(dir) {
        // The handle may only name the directory.
        Err(Errno::BADF) => fsync(openat(dir, c".", directory_flags(), Mode::empty())?),
        // Some file systems can't sync a directory; there is nothing more to do about it.
        Err(Errno::INVAL) => Ok(()),
        synced => synced,
    }
}
