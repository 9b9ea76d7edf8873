//! The directories the operator opened to the tools, each held by a handle for life.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
    sync::Arc,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{Granted, ToolError};

use super::{
    asked, mounts, names,
    open::{Facts, Mounts, Opener, facts, is_single_name},
    path::{CheckedPath, Target},
    resolve,
};

/// An allowed directory can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the allowed directory `{path}` can't be opened")]
pub struct GuardError {
    path: String,
    #[source]
    source: io::Error,
}

/// Whether a symlink in last place is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The path means what the symlink points to.
    Final,
    /// The symlink itself is meant, as for moving and deleting.
    NotFinal,
}

/// All allowed directories; cheap to clone.
#[derive(Clone, Debug)]
pub struct AllowedDirs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) directories: Vec<Arc<AllowedDir>>,
    pub(super) opener: Opener,
}

/// One allowed directory.
#[derive(Debug)]
pub struct AllowedDir {
    path: Arc<str>,
    /// Components of the canonical path, and of the path as the operator spelled it.
    parts: Vec<Vec<u8>>,
    spelled: Vec<Vec<Vec<u8>>>,
    fd: OwnedFd,
    facts: Facts,
    first: bool,
}

/// An allowed directory together with all of them.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) shared: Arc<Shared>,
    pub(super) dir: Arc<AllowedDir>,
}

impl AllowedDirs {
    /// Opens the directories and holds them. A handle stays with its directory when that is
    /// renamed, and does not move to another one that takes its place.
    ///
    /// # Errors
    /// Names the first that is missing, no directory, or not permitted.
    pub fn open(directories: &[PathBuf]) -> Result<Self, GuardError> {
        Self::open_with(directories, None)
    }

    /// As [`Self::open`], with a given way of opening.
    pub(super) fn open_with(directories: &[PathBuf], opener: Option<Opener>) -> Result<Self, GuardError> {
        let mut opened: Vec<AllowedDir> = Vec::with_capacity(directories.len());
        for spelled in directories {
            let failed = |errno: Errno| GuardError { path: names::show_name(spelled.as_os_str()).into_owned(), source: errno.into() };
            let mut dir = AllowedDir::open(spelled.as_os_str()).map_err(failed)?;
            match opened.iter_mut().find(|known| known.parts == dir.parts) {
                Some(known) => known.spelled.append(&mut dir.spelled),
                None => {
                    dir.first = opened.is_empty();
                    opened.push(dir);
                }
            }
        }
        let opener = opener.or_else(|| opened.first().map(|dir| Opener::detect(dir.fd.as_fd()))).unwrap_or(Opener::OpenAt2);
        Ok(Self { shared: Arc::new(Shared { directories: opened.into_iter().map(Arc::new).collect(), opener }) })
    }

    /// The directories in the operator's order, each once.
    pub fn iter(&self) -> impl Iterator<Item = &AllowedDir> {
        self.shared.directories.iter().map(AsRef::as_ref)
    }

    /// The canonical target of a caller's path, which need not exist. Looks only, and never blocks
    /// on a FIFO.
    ///
    /// A path is relative to the first directory, or to the first in which it exists; an absolute
    /// one begins with a directory's canonical path or with the operator's spelling of it. Escapes
    /// as [`names::show_name`] makes them are mapped back.
    ///
    /// # Errors
    /// `Denied` outside the allowed directories, with the same text whether or not something is
    /// there; `InvalidInput` for a malformed path.
    pub fn resolve(&self, raw: &str, follow: Follow) -> Result<Target, ToolError> {
        resolve::resolve(&self.shared, raw, follow)
    }

    /// The granted path of access `index`: the only way to a [`CheckedPath`].
    ///
    /// # Errors
    /// `Internal` when that access is no granted path.
    pub fn checked(&self, granted: &Granted<'_>, index: usize) -> Result<CheckedPath, ToolError> {
        let (resource, effect) = granted.path_access(index)?;
        let dir = self.shared.directories.iter().find(|dir| dir.path == resource.directory);
        let dir = dir.ok_or_else(|| ToolError::internal("the granted path is in no allowed directory"))?;
        let path = decode(&resource.path).ok_or_else(|| ToolError::internal("the granted path is not canonical"))?;
        let home = Home { shared: Arc::clone(&self.shared), dir: Arc::clone(dir) };
        Ok(CheckedPath::new(home, path, resource.clone(), effect, Some(granted.entry_policy(toolyard_policy::Effect::Read))))
    }
}

/// The bytes of a canonical path, unless it is none.
pub(super) fn decode(path: &str) -> Option<Vec<u8>> {
    if path.is_empty() {
        return Some(Vec::new());
    }
    let mut bytes = Vec::with_capacity(path.len());
    for (at, part) in path.split('/').enumerate() {
        if at > 0 {
            bytes.push(b'/');
        }
        if part.contains('<') {
            let name = names::parse_name(part);
            bytes.extend_from_slice(is_single_name(name.as_bytes()).then_some(name.as_bytes())?);
        } else {
            bytes.extend_from_slice(is_single_name(part.as_bytes()).then_some(part.as_bytes())?);
        }
    }
    Some(bytes)
}

impl AllowedDir {
    fn open(spelled: &OsStr) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(spelled, flags, Mode::empty())?;
        let own = facts(fd.as_fd())?;
        // The kernel knows where the handle is; working it out from the spelling would be a race.
        let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let canonical = rustix::fs::readlinkat(rustix::fs::CWD, link, Vec::new())?.into_bytes();
        let again = rustix::fs::open(canonical.as_slice(), flags | OFlags::NOFOLLOW, Mode::empty())?;
        if !facts(again.as_fd())?.stat.same_file(&own.stat) {
            return Err(Errno::STALE);
        }
        let parts = components(&canonical);
        let mut other = components(spelled.as_bytes());
        // With `..` the spelling means what the kernel makes of it, so it is no prefix to compare.
        let comparable = spelled.as_bytes().first() == Some(&b'/') && !other.iter().any(|part| part == b"..") && other != parts;
        let spelled = if comparable { vec![std::mem::take(&mut other)] } else { Vec::new() };
        Ok(Self { path: names::show_name(OsStr::from_bytes(&canonical)).into(), parts, spelled, fd, facts: own, first: false })
    }

    /// Its absolute canonical path, hidden characters escaped.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn path_arc(&self) -> Arc<str> {
        Arc::clone(&self.path)
    }

    pub(super) const fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(super) const fn is_first(&self) -> bool {
        self.first
    }

    /// Components of the canonical path.
    pub(super) fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }

    /// Whether the directory was deleted behind its handle.
    pub(super) fn is_gone(&self) -> bool {
        facts(self.fd.as_fd()).is_ok_and(|now| now.stat.nlink == 0)
    }

    /// How many leading components of an absolute path are this directory.
    fn covers(&self, parts: &[&[u8]]) -> Option<usize> {
        let forms = std::iter::once(&self.parts).chain(&self.spelled);
        forms.filter(|form| starts_with(parts, form)).map(Vec::len).max()
    }
}

impl Shared {
    /// The directory an absolute path lies in, and the rest of the path: the longest that matches.
    /// A path that climbs out of the directory it begins in is taken as it is written.
    pub(super) fn locate<'p>(&self, parts: &[&'p [u8]]) -> Option<(&Arc<AllowedDir>, Vec<&'p [u8]>)> {
        let plain = parts.iter().position(|part| *part == b"..").unwrap_or(parts.len());
        if let Some((dir, depth)) = self.covering(parts.get(..plain)?) {
            let rest = parts.get(depth..)?;
            if asked::clean(rest.iter().copied()).is_some() {
                return Some((dir, rest.to_vec()));
            }
        }
        let cleaned = asked::clean_absolute(parts.iter().copied());
        let (dir, depth) = self.covering(&cleaned)?;
        Some((dir, cleaned.get(depth..)?.to_vec()))
    }

    fn covering(&self, parts: &[&[u8]]) -> Option<(&Arc<AllowedDir>, usize)> {
        let covering = self.directories.iter().filter_map(|dir| Some((dir, dir.covers(parts)?)));
        // The first of several equally long ones.
        covering.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    /// One file has one name: where directories are nested, its innermost one and the path there.
    pub(super) fn innermost<'s>(&'s self, dir: &'s Arc<AllowedDir>, path: Vec<u8>) -> (&'s Arc<AllowedDir>, Vec<u8>) {
        if self.directories.len() < 2 {
            return (dir, path);
        }
        let parts: Vec<&[u8]> = dir.parts.iter().map(Vec::as_slice).chain(split(&path)).collect();
        let inner = self.directories.iter().filter(|inner| starts_with(&parts, &inner.parts)).max_by_key(|inner| inner.parts.len());
        match inner.and_then(|inner| Some((inner, parts.get(inner.parts.len()..)?.join(&b'/')))) {
            Some(inner) => inner,
            None => (dir, path),
        }
    }
}

impl Home {
    /// Opens a canonical path beneath the directory; `EXDEV` from here is an alias mount.
    pub(super) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        self.open_at(self.dir.fd.as_fd(), path, flags)
    }

    /// The same beneath a directory that was opened from this one.
    pub(super) fn open_at(&self, at: std::os::fd::BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        match self.shared.opener.open(at, path, flags, Mounts::Same) {
            Err(Errno::XDEV) => {
                let opened = self.shared.opener.open(at, path, flags, Mounts::Any)?;
                if self.is_alias(&facts(opened.as_fd())?) { Err(Errno::XDEV) } else { Ok(opened) }
            }
            opened => opened,
        }
    }

    /// Whether this was reached through a mount that shows an allowed directory a second time.
    pub(super) fn is_alias(&self, reached: &Facts) -> bool {
        let Some(mount) = reached.mount else { return false };
        if self.dir.facts.mount == Some(mount) {
            return false;
        }
        self.shared.directories.iter().any(|dir| {
            let Some(own) = dir.facts.mount else { return false };
            own != mount && mounts::is_alias(mount, own, &absolute(&dir.parts))
        })
    }
}

/// The components of a relative canonical path.
pub(super) fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty())
}

/// Components of a path, `.` and empty ones left out.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    split(path).filter(|part| *part != b".").map(<[u8]>::to_vec).collect()
}

fn absolute(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut path = vec![b'/'];
    path.extend_from_slice(&parts.join(&b'/'));
    path
}

fn starts_with(parts: &[&[u8]], start: &[Vec<u8>]) -> bool {
    parts.len() >= start.len() && parts.iter().zip(start).all(|(part, start)| part == start)
}
