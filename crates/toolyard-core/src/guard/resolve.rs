//! From a caller's path to the canonical one. The kernel resolves; where it meets a symlink, the
//! guard follows it by hand, one component at a time, and never leaves the allowed directories.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    sync::Arc,
};

use rustix::{fs::OFlags, io::Errno};
use toolyard_policy::PathResource;

use crate::ToolError;

use super::{
    asked::{self, Asked},
    dirs::{AllowedDir, Follow, Home, Shared},
    errors, names,
    open::{Facts, Kind, Mounts, facts},
    path::Target,
};

/// Symlinks followed in one path, as many as the kernel follows.
const MAX_LINKS: u32 = 40;

pub(super) fn resolve(shared: &Arc<Shared>, raw: &str, follow: Follow) -> Result<Target, ToolError> {
    let asked = Asked::parse(raw)?;
    let resolver = Resolver { shared, asked: &asked, follow };
    let parts: Vec<&[u8]> = asked.parts.iter().map(Vec::as_slice).collect();
    if asked.absolute {
        let (dir, rest) = shared.locate(&parts).ok_or_else(|| resolver.outside())?;
        return resolver.resolve_in(dir, rest);
    }
    let mut directories = shared.directories.iter();
    let Some(first) = directories.next() else { return Err(resolver.outside()) };
    let target = resolver.resolve_in(first, parts.clone());
    if target.as_ref().is_ok_and(|target| target.kind().is_some()) {
        return target;
    }
    let elsewhere = directories.filter_map(|dir| resolver.resolve_in(dir, parts.clone()).ok()).find(|target| target.kind().is_some());
    elsewhere.map_or(target, Ok)
}

struct Resolver<'r> {
    shared: &'r Arc<Shared>,
    asked: &'r Asked,
    follow: Follow,
}

/// Where the path leads: a directory, the canonical path in it, and what is there.
struct Found<'r> {
    dir: &'r Arc<AllowedDir>,
    path: Vec<u8>,
    kind: Option<Kind>,
}

impl<'r> Resolver<'r> {
    fn resolve_in(&self, dir: &'r Arc<AllowedDir>, parts: Vec<&[u8]>) -> Result<Target, ToolError> {
        if let Some(cleaned) = asked::clean(parts.iter().copied()) {
            return self.resolve_below(dir, &parts, cleaned.join(&b'/'));
        }
        // It climbs out of this directory, perhaps into another one.
        let absolute: Vec<&[u8]> = dir.parts().iter().map(Vec::as_slice).chain(parts).collect();
        let (dir, rest) = self.shared.locate(&absolute).ok_or_else(|| self.outside())?;
        let cleaned = asked::clean(rest.iter().copied()).ok_or_else(|| self.outside())?;
        self.resolve_below(dir, &rest, cleaned.join(&b'/'))
    }

    fn resolve_below(&self, dir: &'r Arc<AllowedDir>, parts: &[&[u8]], lexical: Vec<u8>) -> Result<Target, ToolError> {
        let found = match self.at_once(dir, parts, &lexical)? {
            Some(found) => found,
            None => self.step_by_step(dir, parts)?,
        };
        if let Some(kind) = found.kind
            && self.asked.directory
            && !matches!(kind, Kind::Directory | Kind::Symlink)
        {
            return Err(ToolError::invalid_input(format!("`{}` ends with a slash but is {}", self.quoted(), kind.as_str()))
                .with_hint("leave the slash out"));
        }
        if found.kind.is_none() && found.dir.is_gone() {
            return Err(errors::gone(found.dir.path()));
        }
        let same = Arc::ptr_eq(found.dir, dir) && found.path == lexical;
        let (dir, path) = self.shared.innermost(found.dir, found.path);
        let home = self.home(dir);
        let resource = resource(dir, &path, (!same).then_some(lexical.as_slice())).ok_or_else(|| {
            ToolError::refused(format!("`{}` is a symlink to a name with invisible characters", self.quoted()))
                .with_hint("give the name it points to")
        })?;
        Ok(Target::new(home, path, resource, found.kind))
    }

    /// One call to the kernel; nothing when a symlink or a mount needs a closer look.
    fn at_once(&self, dir: &'r Arc<AllowedDir>, parts: &[&[u8]], lexical: &[u8]) -> Result<Option<Found<'r>>, ToolError> {
        let climbs = parts.contains(&b"..".as_slice());
        let joined;
        let path = if climbs {
            joined = parts.join(&b'/');
            joined.as_slice()
        } else {
            lexical
        };
        match self.shared.opener.open(dir.fd().as_fd(), path, OFlags::PATH, Mounts::Same) {
            Ok(fd) => {
                let kind = self.facts(&fd)?.stat.kind;
                // No symlink on the way, so `..` means what it says.
                let done = kind != Kind::Symlink || self.follow == Follow::NotFinal;
                Ok(done.then(|| Found { dir, path: lexical.to_vec(), kind: Some(kind) }))
            }
            // A symlink before the missing component would have been met first.
            Err(Errno::NOENT | Errno::NOTDIR) if !climbs => Ok(Some(Found { dir, path: lexical.to_vec(), kind: None })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    fn step_by_step(&self, dir: &'r Arc<AllowedDir>, parts: &[&[u8]]) -> Result<Found<'r>, ToolError> {
        let mut dir = dir;
        let mut pending: VecDeque<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
        let mut stack: Vec<(Vec<u8>, OwnedFd)> = Vec::new();
        let mut links = 0;
        let mut harmless = None;
        while let Some(name) = pending.pop_front() {
            if name == b".." {
                if stack.pop().is_none() {
                    pending.push_front(name);
                    let absolute = dir.parts().iter().cloned().chain(std::mem::take(&mut pending)).collect();
                    dir = self.jump(absolute, &mut pending)?;
                }
                continue;
            }
            let at = stack.last().map_or(dir.fd(), |(_, fd)| fd);
            let fd = match self.shared.opener.open(at.as_fd(), &name, OFlags::PATH, Mounts::Any) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => return self.missing(dir, &stack, name, pending),
                Err(errno) => return Err(self.failed(errno)),
            };
            let facts = self.facts(&fd)?;
            // Reading the mount table is slow, so each mount on the way is looked up once.
            if facts.mount != harmless {
                if self.home(dir).is_alias(&facts) {
                    return Err(errors::alias(&self.quoted()));
                }
                harmless = facts.mount;
            }
            match facts.stat.kind {
                Kind::Directory => stack.push((name, fd)),
                Kind::Symlink if self.follow == Follow::Final || !pending.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ToolError::invalid_input(format!(
                            "`{}` leads through more than {MAX_LINKS} symlinks, or in a circle",
                            self.quoted()
                        )));
                    }
                    let link = rustix::fs::readlinkat(&fd, "", Vec::new()).map_err(|errno| self.failed(errno))?.into_bytes();
                    for part in link.split(|b| *b == b'/').rev().filter(|part| !part.is_empty() && *part != b".") {
                        pending.push_front(part.to_vec());
                    }
                    if link.first() == Some(&b'/') {
                        stack.clear();
                        dir = self.jump(pending.drain(..).collect(), &mut pending)?;
                    }
                }
                _ if pending.is_empty() => {
                    let path = below(&stack, std::iter::once(name));
                    return Ok(Found { dir, path, kind: Some(facts.stat.kind) });
                }
                _ => return self.missing(dir, &stack, name, pending),
            }
        }
        Ok(Found { dir, path: below(&stack, std::iter::empty()), kind: Some(Kind::Directory) })
    }

    /// Goes on at an absolute path, which has to lie in an allowed directory.
    fn jump(&self, absolute: Vec<Vec<u8>>, pending: &mut VecDeque<Vec<u8>>) -> Result<&'r Arc<AllowedDir>, ToolError> {
        let parts: Vec<&[u8]> = absolute.iter().map(Vec::as_slice).collect();
        let (dir, rest) = self.shared.locate(&parts).ok_or_else(|| self.outside())?;
        *pending = rest.into_iter().map(<[u8]>::to_vec).collect();
        Ok(dir)
    }

    /// Nothing is at `name`; what follows it has to be plain names to be a place for something new.
    fn missing(
        &self,
        dir: &'r Arc<AllowedDir>,
        stack: &[(Vec<u8>, OwnedFd)],
        name: Vec<u8>,
        pending: VecDeque<Vec<u8>>,
    ) -> Result<Found<'r>, ToolError> {
        if pending.iter().any(|part| part == b"..") {
            return Err(ToolError::not_found(format!("`{}` goes through a directory that does not exist", self.quoted()))
                .with_hint("write the path without `..`"));
        }
        Ok(Found { dir, path: below(stack, std::iter::once(name).chain(pending)), kind: None })
    }

    fn home(&self, dir: &Arc<AllowedDir>) -> Home {
        Home { shared: Arc::clone(self.shared), dir: Arc::clone(dir) }
    }

    fn facts(&self, fd: &OwnedFd) -> Result<Facts, ToolError> {
        facts(fd.as_fd()).map_err(|errno| self.failed(errno))
    }

    fn failed(&self, errno: Errno) -> ToolError {
        errors::io_failed(&self.quoted(), "look up", errno.into())
    }

    fn outside(&self) -> ToolError {
        errors::outside(&self.asked.bytes, self.shared.directories.iter().map(|dir| dir.path()))
    }

    fn quoted(&self) -> String {
        errors::quoted(&self.asked.bytes)
    }
}

fn below(stack: &[(Vec<u8>, OwnedFd)], rest: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let parts: Vec<_> = stack.iter().map(|(name, _)| name.clone()).chain(rest).collect();
    parts.join(&b'/')
}

/// What the policy judges. A name with invisible characters is judged without them as well, since
/// some file systems take both for the same; `None` when there is no room left to say so.
pub(super) fn resource(dir: &AllowedDir, path: &[u8], lexical: Option<&[u8]>) -> Option<PathResource> {
    let bare = names::without_hidden(OsStr::from_bytes(path));
    let requested = match (lexical, bare) {
        (Some(_), Some(_)) => return None,
        (Some(lexical), None) => {
            let name = OsStr::from_bytes(lexical);
            Some(names::without_hidden(name).unwrap_or_else(|| names::show_name(name).into_owned()))
        }
        (None, bare) => bare,
    };
    let path = names::show_name(OsStr::from_bytes(path)).into_owned();
    Some(PathResource { directory: dir.path_arc(), path, requested })
}
