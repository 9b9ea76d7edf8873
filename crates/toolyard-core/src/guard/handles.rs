//! Open files and directories, and what can be reached from them.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
};

use rustix::{fs::OFlags, io::Errno};

use super::{
    dirs::Home,
    open::{Kind, Stat, facts, is_single_name, not_a_name, stat_at},
};

/// A regular file opened for reading.
#[derive(Debug)]
pub struct GuardedFile {
    file: File,
    stat: Stat,
}

impl GuardedFile {
    pub(super) const fn new(file: File, stat: Stat) -> Self {
        Self { file, stat }
    }

    /// The open file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// What it was when it was opened.
    pub const fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Hands over the open file.
    pub fn into_file(self) -> File {
        self.file
    }
}

/// A directory opened for listing.
#[derive(Debug)]
pub struct GuardedDir {
    fd: OwnedFd,
    home: Home,
}

/// One entry as the directory names it; `.` and `..` are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// Its name.
    pub name: OsString,
    /// Its kind where the file system says so in the listing.
    pub kind: Option<Kind>,
    /// Its inode number.
    pub ino: u64,
}

impl GuardedDir {
    pub(super) const fn new(fd: OwnedFd, home: Home) -> Self {
        Self { fd, home }
    }

    /// The handle, for operations relative to this directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Lists the directory in its own order.
    ///
    /// # Errors
    /// What the system says.
    pub fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<RawEntry>> + use<>> {
        let listing = rustix::fs::Dir::read_from(&self.fd)?;
        Ok(listing.filter_map(|entry| match entry {
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                let raw = || RawEntry { name: OsString::from_vec(name.to_vec()), kind: Kind::of(entry.file_type()), ino: entry.ino() };
                is_single_name(name).then(|| Ok(raw()))
            }
            Err(errno) => Some(Err(errno.into())),
        }))
    }

    /// Opens a directory in this one; a symlink is an error.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` when `name` is not a single name.
    pub fn open_child_dir(&self, name: &OsStr) -> io::Result<Self> {
        let fd = self.open(name, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Self { fd, home: self.home.clone() })
    }

    /// Opens a regular file in this directory for reading, without blocking; a symlink is an error.
    /// Meant for names whose kind is known, because opening a device may already act on it.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` when it is no regular file.
    pub fn open_child(&self, name: &OsStr) -> io::Result<GuardedFile> {
        let fd = self.open(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = facts(fd.as_fd())?.stat;
        if stat.kind != Kind::File {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(GuardedFile::new(fd.into(), stat))
    }

    /// As [`Self::open_child`], without its stat.
    ///
    /// # Errors
    /// The same.
    pub fn open_child_file(&self, name: &OsStr) -> io::Result<File> {
        self.open_child(name).map(GuardedFile::into_file)
    }

    /// Looks at an entry without following it.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` when `name` is not a single name.
    pub fn stat_child(&self, name: &OsStr) -> io::Result<Stat> {
        if !is_single_name(name.as_bytes()) {
            return Err(not_a_name());
        }
        Ok(stat_at(self.fd.as_fd(), name.as_bytes())?.stat)
    }

    fn open(&self, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
        if !is_single_name(name.as_bytes()) {
            return Err(not_a_name());
        }
        self.home.open_at(self.fd.as_fd(), name.as_bytes(), flags).map_err(|errno| match errno {
            Errno::XDEV => io::Error::new(io::ErrorKind::PermissionDenied, "a bind mount of files that are allowed under another path"),
            errno => errno.into(),
        })
    }
}
