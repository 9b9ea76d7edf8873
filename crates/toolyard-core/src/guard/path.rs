//! Paths before and after the policy said yes.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::{fs::OFlags, io::Errno};
use toolyard_policy::{Access, Effect, PathResource, Resource, WalkFilter};

use crate::{EntryPolicy, ToolError};

use super::{
    dirs::Home,
    errors,
    handles::{GuardedDir, GuardedFile},
    names,
    open::{Facts, Kind, Stat, facts, is_single_name, stat_at},
    resolve, suggest,
};

/// Where a caller's path leads, not judged yet.
#[derive(Clone, Debug)]
pub struct Target {
    home: Home,
    path: Vec<u8>,
    resource: PathResource,
    kind: Option<Kind>,
}

impl Target {
    pub(super) const fn new(home: Home, path: Vec<u8>, resource: PathResource, kind: Option<Kind>) -> Self {
        Self { home, path, resource, kind }
    }

    /// What is there; nothing when the path does not exist yet.
    pub const fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The access to name to the policy.
    pub fn access(&self, effect: Effect) -> Access {
        Access { effect, resource: Resource::Path(self.resource.clone()) }
    }

    /// The path as models see it and may send it back; see [`CheckedPath::display`].
    pub fn display(&self) -> String {
        display(&self.home, &self.path)
    }

    /// Stands in for the policy's yes, which tests of the guard alone don't have.
    #[cfg(test)]
    pub(crate) fn granted(&self, effect: Effect) -> CheckedPath {
        CheckedPath::new(self.home.clone(), self.path.clone(), self.resource.clone(), effect, None)
    }
}

/// A path the policy granted, tied to the handle of its allowed directory.
#[derive(Clone, Debug)]
pub struct CheckedPath {
    home: Home,
    path: Vec<u8>,
    resource: PathResource,
    effect: Effect,
    /// Decides which names an error may mention.
    policy: Option<EntryPolicy>,
}

impl CheckedPath {
    pub(super) const fn new(home: Home, path: Vec<u8>, resource: PathResource, effect: Effect, policy: Option<EntryPolicy>) -> Self {
        Self { home, path, resource, effect, policy }
    }

    /// The path as models see it and may send it back: relative to the first allowed directory,
    /// absolute for the others, `.` for the first directory itself.
    pub fn display(&self) -> String {
        display(&self.home, &self.path)
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
        Ok(self.look()?.stat)
    }

    /// Opens a regular file for reading, without ever blocking.
    ///
    /// # Errors
    /// `InvalidInput` for a directory or a symlink that was itself asked for, `Denied` for FIFOs,
    /// sockets and devices, `Conflict` when something else took its place meanwhile.
    pub fn open_file(&self) -> Result<GuardedFile, ToolError> {
        // Opening a device can already act on it, so its kind is looked at first. The kernel may
        // follow a symlink here; what counts is asked again of the handle.
        let name = if self.path.is_empty() { b"." } else { self.path.as_slice() };
        if stat_at(self.base(), name).map(|facts| facts.stat.kind) != Ok(Kind::File) {
            // Whatever is wrong is told only from beneath the directory.
            let kind = self.look()?.stat.kind;
            if kind != Kind::File {
                return Err(self.no_file(kind));
            }
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = self.home.open(&self.path, flags).map_err(|errno| self.failed("read", errno))?;
        let stat = facts(fd.as_fd()).map_err(|errno| self.failed("read", errno))?.stat;
        // Another file that took its place is fine, as any writer puts one there.
        if stat.kind != Kind::File {
            return Err(errors::changed(&self.display()));
        }
        Ok(GuardedFile::new(fd.into(), stat))
    }

    /// Opens a directory for listing.
    ///
    /// # Errors
    /// `InvalidInput` when it is none.
    pub fn open_dir(&self) -> Result<GuardedDir, ToolError> {
        match self.home.open(&self.path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => Ok(GuardedDir::new(fd, self.home.clone())),
            Err(Errno::NOTDIR) => {
                let kind = self.look()?.stat.kind;
                Err(ToolError::invalid_input(format!("`{}` is {}, not a directory", self.display(), kind.as_str())))
            }
            Err(errno) => Err(self.failed("list", errno)),
        }
    }

    /// The opened parent directory and the last component. A directory that may be searched but
    /// not listed gives a handle that can't list.
    ///
    /// # Errors
    /// `InvalidInput` for the allowed directory itself, `NotFound` when the parent does not exist.
    pub fn parent(&self) -> Result<(GuardedDir, &OsStr), ToolError> {
        let (parent, name) = match self.path.iter().rposition(|b| *b == b'/') {
            Some(at) => (self.path.get(..at).unwrap_or_default(), self.path.get(at + 1..).unwrap_or_default()),
            None => (&[][..], self.path.as_slice()),
        };
        if name.is_empty() {
            return Err(ToolError::invalid_input(format!("`{}` is the allowed directory itself", self.display()))
                .with_hint("name something below it"));
        }
        let opened = match self.home.open(parent, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::ACCESS) => self.home.open(parent, OFlags::PATH | OFlags::DIRECTORY),
            opened => opened,
        };
        let fd = opened.map_err(|errno| self.failed("reach", errno))?;
        Ok((GuardedDir::new(fd, self.home.clone()), OsStr::from_bytes(name)))
    }

    /// A child of this directory, or a path of them, still to be judged.
    pub fn join(&self, name: &OsStr) -> UncheckedEntry {
        let mut path = self.path.clone();
        let mut canonical = true;
        for part in name.as_bytes().split(|b| *b == b'/') {
            canonical &= is_single_name(part);
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        let (dir, path) = self.home.shared.innermost(&self.home.dir, path);
        let resource = resolve::resource(dir, &path, None).filter(|_| canonical);
        let home = Home { shared: self.home.shared.clone(), dir: dir.clone() };
        UncheckedEntry { resource, home, path, effect: self.effect, policy: self.policy.clone() }
    }

    /// The handle of the allowed directory.
    pub(super) fn base(&self) -> BorrowedFd<'_> {
        self.home.dir.fd().as_fd()
    }

    pub(super) const fn home(&self) -> &Home {
        &self.home
    }

    /// The canonical path below the allowed directory, empty for that itself.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.path
    }

    /// The policy of this call's reads, where there is one.
    pub(super) const fn policy(&self) -> Option<&EntryPolicy> {
        self.policy.as_ref()
    }

    fn look(&self) -> Result<Facts, ToolError> {
        let opened = self.home.open(&self.path, OFlags::PATH);
        opened.and_then(|fd| facts(fd.as_fd())).map_err(|errno| self.failed("look at", errno))
    }

    fn no_file(&self, kind: Kind) -> ToolError {
        let path = self.display();
        match kind {
            Kind::Directory | Kind::File => {
                ToolError::invalid_input(format!("`{path}` is a directory, not a file")).with_hint("list it instead")
            }
            // Resolving follows symlinks, so this one came after it or was itself asked for.
            Kind::Symlink => errors::changed(&path),
            Kind::Fifo | Kind::Socket | Kind::Device => errors::special(&path, kind),
        }
    }

    fn failed(&self, action: &str, errno: Errno) -> ToolError {
        match errno {
            Errno::NOENT | Errno::NOTDIR if self.home.dir.is_gone() => errors::gone(self.home.dir.path()),
            Errno::NOENT | Errno::NOTDIR => suggest::not_found(self),
            Errno::XDEV => errors::alias(&self.display()),
            // A device without a driver, or a socket, that took the place of a file.
            Errno::NXIO | Errno::NODEV => errors::changed(&self.display()),
            errno => errors::io_failed(&self.display(), action, errno.into()),
        }
    }
}

/// An entry below a granted directory, not judged yet.
#[derive(Clone, Debug)]
pub struct UncheckedEntry {
    home: Home,
    path: Vec<u8>,
    /// Nothing when the name is none of a directory entry.
    resource: Option<PathResource>,
    effect: Effect,
    policy: Option<EntryPolicy>,
}

impl UncheckedEntry {
    /// The path the policy will judge; nothing when the name is not that of a directory entry.
    pub const fn resource(&self) -> Option<&PathResource> {
        self.resource.as_ref()
    }

    /// The path, if the walk may touch it without asking anyone.
    pub fn check(self, filter: &WalkFilter<'_>) -> Option<CheckedPath> {
        let resource = self.resource.filter(|resource| filter.allows(resource))?;
        Some(CheckedPath::new(self.home, self.path, resource, self.effect, self.policy))
    }
}

pub(super) fn display(home: &Home, path: &[u8]) -> String {
    let shown = names::show_name(OsStr::from_bytes(path));
    if !home.dir.is_first() {
        let directory = home.dir.path();
        return match (directory.strip_suffix('/').unwrap_or(directory), &*shown) {
            ("", "") => "/".to_owned(),
            (directory, "") => directory.to_owned(),
            (directory, shown) => format!("{directory}/{shown}"),
        };
    }
    match path.first() {
        None => ".".to_owned(),
        // A leading tilde would be taken for a home directory when the model sends it back.
        Some(b'~') => format!("./{shown}"),
        Some(_) => shown.into_owned(),
    }
}
