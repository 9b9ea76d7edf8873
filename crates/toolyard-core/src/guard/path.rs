//! Paths before and after the policy said yes, and the handles they open.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use toolyard_policy::{Access, Effect, PathResource, Resource, WalkFilter};

use crate::ToolError;

/// What sort of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A character or block device.
    Device,
}

/// Where a caller's path leads, not judged yet.
#[derive(Clone, Debug)]
pub struct Target {
    resource: PathResource,
    kind: Option<Kind>,
}

impl Target {
    /// What is there; nothing when the path does not exist yet.
    pub const fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The access to name to the policy.
    pub fn access(&self, effect: Effect) -> Access {
        Access { effect, resource: Resource::Path(self.resource.clone()) }
    }

    /// The path as models see it and may send it back.
    pub fn display(&self) -> String {
        self.resource.path.clone()
    }
}

/// A path the policy granted, tied to the handle of its allowed directory.
#[derive(Clone, Debug)]
pub struct CheckedPath {
    resource: PathResource,
    effect: Effect,
}

impl CheckedPath {
    /// The path as models see it and may send it back: relative to the first allowed directory,
    /// absolute for the others, `.` for the first directory itself.
    pub fn display(&self) -> String {
        self.resource.path.clone()
    }

    /// The path as the policy judged it.
    pub fn resource(&self) -> PathResource {
        self.resource.clone()
    }

    /// What was granted.
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// Looks at the thing itself; a symlink is not followed.
    ///
    /// # Errors
    /// `NotFound` when nothing is there, `Conflict` when a symlink came in between.
    pub fn stat(&self) -> Result<Stat, ToolError> {
        Err(ToolError::internal("not built yet"))
    }

    /// Opens a regular file for reading, without ever blocking.
    ///
    /// # Errors
    /// `InvalidInput` for a directory, `Denied` for FIFOs, sockets and devices.
    pub fn open_file(&self) -> Result<GuardedFile, ToolError> {
        Err(ToolError::internal("not built yet"))
    }

    /// Opens a directory for listing.
    ///
    /// # Errors
    /// `InvalidInput` when it is none.
    pub fn open_dir(&self) -> Result<GuardedDir, ToolError> {
        Err(ToolError::internal("not built yet"))
    }

    /// The opened parent directory and the last component.
    ///
    /// # Errors
    /// `InvalidInput` for the allowed directory itself, `NotFound` when the parent does not exist.
    pub fn parent(&self) -> Result<(GuardedDir, &OsStr), ToolError> {
        Err(ToolError::internal("not built yet"))
    }

    /// A child of this directory, still to be judged.
    pub fn join(&self, name: &OsStr) -> UncheckedEntry {
        let mut path = self.clone();
        path.resource.path = name.to_string_lossy().into_owned();
        UncheckedEntry { path }
    }
}

/// An entry below a granted directory, not judged yet.
#[derive(Clone, Debug)]
pub struct UncheckedEntry {
    path: CheckedPath,
}

impl UncheckedEntry {
    /// The path the policy will judge.
    pub const fn resource(&self) -> &PathResource {
        &self.path.resource
    }

    /// The path, if the walk may touch it without asking anyone.
    pub fn check(self, filter: &WalkFilter<'_>) -> Option<CheckedPath> {
        filter.allows(&self.path.resource).then_some(self.path)
    }
}

/// What is known about a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits, without the file type.
    pub mode: u32,
    /// Number of hard links.
    pub nlink: u64,
    /// Inode number.
    pub ino: u64,
    /// Device number.
    pub dev: u64,
    /// Last change of the content: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Last change of content or attributes: seconds since 1970 and nanoseconds.
    pub ctime: (i64, u32),
}

/// A regular file opened for reading.
#[derive(Debug)]
pub struct GuardedFile {
    file: File,
    stat: Stat,
}

impl GuardedFile {
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
    /// The handle, for operations relative to this directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Lists the directory in its own order.
    ///
    /// # Errors
    /// What the system says.
    pub fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<RawEntry>> + use<>> {
        Ok(std::iter::empty())
    }

    /// Opens a directory in this one; a symlink is an error.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_child_dir(&self, _name: &OsStr) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Opens a regular file in this directory for reading, without blocking; a symlink is an error.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` when it is no regular file.
    pub fn open_child_file(&self, _name: &OsStr) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Looks at an entry without following it.
    ///
    /// # Errors
    /// What the system says.
    pub fn stat_child(&self, _name: &OsStr) -> io::Result<Stat> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
