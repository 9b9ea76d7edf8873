//! Everything below a directory: listed once, judged entry by entry, then removed or copied.
//!
//! Only what was listed is touched. An entry that appears later keeps its directory from being
//! removed and is not copied; an entry that becomes a symlink is never followed.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, readlinkat, symlinkat, syncfs, unlinkat},
    io::Errno,
};
use toolyard_policy::WalkFilter;

use super::{
    Durability,
    content::copy_content,
    entry::{look, refuse_nesting},
    errors::{failed, failed_io, failed_step, not_durable},
    gate::Pass,
    parent::Parent,
    require_change,
    system::may_sync,
    temp::Temp,
};
use crate::{
    Stop, ToolError,
    guard::{CheckedPath, GuardedDir, Kind, names::show_name},
};

/// Deepest nesting of directories.
const MAX_DEPTH: usize = 200;

/// Refused entries named in an error.
const NAMED: usize = 5;

/// A directory and all entries below it, parents first.
#[derive(Debug)]
pub struct Tree {
    root: CheckedPath,
    entries: Vec<TreeEntry>,
}

/// One entry below the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Directories between it and the root of the tree; 0 for an entry of the root itself.
    pub depth: usize,
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes; 0 for anything but a regular file.
    pub size: u64,
}

/// How far an operation on a whole tree came.
#[derive(Debug, Default)]
pub struct TreeProgress {
    /// Regular files done.
    pub files: u64,
    /// Directories done, the root included.
    pub directories: u64,
    /// Symlinks and special files done.
    pub others: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// FIFOs, sockets and devices that were left out.
    pub skipped: u64,
    /// Symlinks whose text leads out of the tree.
    pub links_outside: u64,
    /// Why it ended early; what is counted above was done nevertheless.
    pub stopped: Option<ToolError>,
    /// Why what was done may not survive a power failure.
    pub unsynced: Option<ToolError>,
}

impl TreeProgress {
    /// Entries that were removed or copied.
    pub const fn done(&self) -> u64 {
        self.files + self.directories + self.others
    }
}

impl Tree {
    /// Lists everything below a directory, following nothing.
    ///
    /// # Errors
    /// `LimitExceeded` for more than `max_entries` entries or too deep a nesting.
    pub fn list(root: &CheckedPath, max_entries: usize, stop: &Stop) -> Result<Self, ToolError> {
        let mut entries = Vec::new();
        let mut open: Vec<(GuardedDir, std::vec::IntoIter<TreeEntry>)> = Vec::new();
        let dir = root.open_dir()?;
        let first = children(&dir, 0, root, max_entries)?;
        open.push((dir, first.into_iter()));
        while let Some((dir, rest)) = open.last_mut() {
            let Some(entry) = rest.next() else {
                open.pop();
                continue;
            };
            stop.check()?;
            if entries.len() >= max_entries {
                return Err(too_many(root, max_entries));
            }
            let below = match entry.kind {
                Kind::Directory => {
                    Some(dir.open_child_dir(&entry.name).map_err(|error| failed_io("list", &show_name(&entry.name), &error))?)
                }
                _ => None,
            };
            entries.push(entry);
            if let Some(below) = below {
                let depth = open.len();
                if depth > MAX_DEPTH {
                    return Err(ToolError::limit_exceeded(format!(
                        "`{}` has directories nested more than {MAX_DEPTH} deep",
                        root.display()
                    ))
                    .with_hint("work on the directories below it one by one"));
                }
                let listed = children(&below, depth, root, max_entries)?;
                open.push((below, listed.into_iter()));
            }
        }
        Ok(Self { root: root.clone(), entries })
    }

    /// What was listed, parents before their children.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// Asks the policy about every entry as if it were below `base`; `doing` is for the message.
    ///
    /// # Errors
    /// `Denied` with the first entries that may not be touched.
    pub fn judge(&self, base: &CheckedPath, filter: &WalkFilter<'_>, doing: &str) -> Result<(), ToolError> {
        let mut above = vec![base.clone()];
        let mut refused = Vec::new();
        let mut count = 0_usize;
        let mut refused_below: Option<usize> = None;
        for entry in &self.entries {
            if let Some(depth) = refused_below {
                if entry.depth > depth {
                    continue;
                }
                refused_below = None;
            }
            above.truncate(entry.depth.saturating_add(1));
            let Some(parent) = above.last() else { continue };
            match parent.join(&entry.name).check(filter) {
                Some(path) if entry.kind == Kind::Directory => above.push(path),
                Some(_) => {}
                None => {
                    count += 1;
                    if refused.len() < NAMED {
                        refused.push(format!("`{}`", join_shown(&parent.display(), &entry.name)));
                    }
                    if entry.kind == Kind::Directory {
                        refused_below = Some(entry.depth);
                    }
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
        let more = if count > refused.len() { format!(" and {} more", count - refused.len()) } else { String::new() };
        Err(ToolError::refused(format!("the policy does not let this call {doing} {}{more}; nothing was changed", refused.join(", ")))
            .with_hint("leave those out by working on the other entries one by one, or ask the operator for a rule that allows them"))
    }

    /// Removes every listed entry and then the directory itself.
    ///
    /// # Errors
    /// When nothing was removed yet; later failures are in [`TreeProgress::stopped`].
    pub fn remove(&self, durability: Durability, stop: &Stop) -> Result<TreeProgress, ToolError> {
        require_change(&self.root)?;
        let shown = self.root.display();
        let failed = |errno| failed("delete", &shown, errno);
        let _pass = Pass::enter(&self.root, stop)?;
        let parent = Parent::open(&self.root)?.ok_or_else(|| failed(Errno::NOENT))?;
        let mut progress = TreeProgress::default();
        match self.remove_all(&parent, &mut progress, stop) {
            Err(error) if progress.done() == 0 => return Err(error),
            removed => progress.stopped = removed.err(),
        }
        progress.unsynced = parent.sync(durability).err().map(|errno| not_durable(&shown, errno));
        Ok(progress)
    }

    fn remove_all(&self, parent: &Parent, progress: &mut TreeProgress, stop: &Stop) -> Result<(), ToolError> {
        let shown = self.root.display();
        let failed = |name: &OsStr, errno| match errno {
            Errno::NOTEMPTY => ToolError::conflict(format!("`{}` got new entries while `{shown}` was deleted", show_name(name)))
                .with_hint("list it, then repeat the call"),
            errno => failed_step("delete", &show_name(name), errno),
        };
        let before_step = || stop.check().and_then(|()| stop.claim());
        let mut open: Vec<(OwnedFd, &OsStr)> = Vec::new();
        let root = open_dir(parent.dir.fd(), &parent.name).map_err(|errno| failed(&parent.name, errno))?;
        open.push((root, &parent.name));
        for entry in &self.entries {
            while open.len() > entry.depth.saturating_add(1) {
                before_step()?;
                remove_last_dir(&mut open, parent, progress).map_err(|(name, errno)| failed(name, errno))?;
            }
            let Some((dir, _)) = open.last() else { continue };
            if entry.kind == Kind::Directory {
                let below = open_dir(dir.as_fd(), &entry.name).map_err(|errno| failed(&entry.name, errno))?;
                open.push((below, &entry.name));
                continue;
            }
            before_step()?;
            unlinkat(dir, entry.name.as_os_str(), AtFlags::empty()).map_err(|errno| failed(&entry.name, errno))?;
            match entry.kind {
                Kind::File => {
                    progress.files += 1;
                    progress.bytes += entry.size;
                }
                _ => progress.others += 1,
            }
        }
        while !open.is_empty() {
            before_step()?;
            remove_last_dir(&mut open, parent, progress).map_err(|(name, errno)| failed(name, errno))?;
        }
        Ok(())
    }

    /// Copies the directory and every listed entry to `to`, where nothing may be. Each file
    /// appears whole; symlinks are copied as they are; special files are left out.
    ///
    /// # Errors
    /// When nothing was copied yet; later failures are in [`TreeProgress::stopped`].
    pub fn copy(&self, to: &CheckedPath, durability: Durability, stop: &Stop) -> Result<TreeProgress, ToolError> {
        require_change(to)?;
        let shown = to.display();
        refuse_nesting(&self.root, to, "copy")?;
        let _pass = Pass::enter(to, stop)?;
        let source = self.root.open_dir()?;
        let mut parent = Parent::open_or_make(to)?;
        let failed = |errno| failed("copy to", &shown, errno);
        stop.check()?;
        stop.claim()?;
        match mkdirat(parent.dir.fd(), parent.name.as_os_str(), Mode::RWXU) {
            Err(Errno::EXIST) => return Err(not_free(&shown)),
            made => made.map_err(failed)?,
        }
        let mut progress = TreeProgress::default();
        match self.copy_all(&source, &parent, &mut progress, stop) {
            Err(error) if progress.done() == 0 => return Err(error),
            copied => progress.stopped = copied.err(),
        }
        parent.keep();
        if durability == Durability::Synced {
            // One flush of the file system costs less than one for each file.
            let synced = may_sync().and_then(|()| syncfs(parent.dir.fd()));
            progress.unsynced = synced.err().map(|errno| not_durable(&shown, errno));
        }
        Ok(progress)
    }

    /// Whether [`Tree::copy`] would be tried; changes nothing.
    ///
    /// # Errors
    /// `Conflict` when something is at `to`, `InvalidInput` when it lies in the tree.
    pub fn check_copy(&self, to: &CheckedPath) -> Result<(), ToolError> {
        require_change(to)?;
        refuse_nesting(&self.root, to, "copy")?;
        match Parent::open(to)? {
            Some(parent) => match look(&parent).map_err(|errno| failed("copy to", &to.display(), errno))? {
                Some(_) => Err(not_free(&to.display())),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Leaves nothing behind when it could not copy a single entry.
    fn copy_all(&self, source: &GuardedDir, parent: &Parent, progress: &mut TreeProgress, stop: &Stop) -> Result<(), ToolError> {
        let mut open = Vec::new();
        let copied = self.copy_into(&mut open, source, parent, progress, stop);
        if copied.is_err() && progress.done() == 0 {
            // Then all that was made are the directories on the way to the entry that failed.
            remove_made(&mut open, parent);
        }
        copied
    }

    fn copy_into<'e>(
        &'e self,
        open: &mut Vec<Copying<'e>>,
        source: &GuardedDir,
        parent: &'e Parent,
        progress: &mut TreeProgress,
        stop: &Stop,
    ) -> Result<(), ToolError> {
        let failed = |name: &OsStr, errno| failed_step("copy", &show_name(name), errno);
        let source = source.fd().try_clone_to_owned().map_err(|error| failed_io("copy", &self.root.display(), &error))?;
        let target = open_dir(parent.dir.fd(), &parent.name).map_err(|errno| failed(&parent.name, errno))?;
        open.push(Copying { from: source, to: target, name: &parent.name });
        for entry in &self.entries {
            while open.len() > entry.depth.saturating_add(1) {
                finish_last_dir(open, progress).map_err(|errno| failed(&entry.name, errno))?;
            }
            stop.check()?;
            let Some(Copying { from, to, .. }) = open.last() else { continue };
            let name = entry.name.as_os_str();
            match entry.kind {
                Kind::Directory => {
                    let below = open_dir(from.as_fd(), name).map_err(|errno| failed(name, errno))?;
                    mkdirat(to, name, Mode::RWXU).map_err(|errno| failed(name, errno))?;
                    let made = open_dir(to.as_fd(), name).map_err(|errno| failed(name, errno))?;
                    open.push(Copying { from: below, to: made, name });
                }
                Kind::File => {
                    progress.bytes += copy_file(from.as_fd(), to.as_fd(), name, stop)?;
                    progress.files += 1;
                }
                Kind::Symlink => {
                    let text = readlinkat(from, name, Vec::new()).map_err(|errno| failed(name, errno))?;
                    symlinkat(text.as_c_str(), to, name).map_err(|errno| failed(name, errno))?;
                    progress.others += 1;
                    if leads_out(OsStr::from_bytes(text.as_bytes()), entry.depth) {
                        progress.links_outside += 1;
                    }
                }
                Kind::Fifo | Kind::Socket | Kind::Device => progress.skipped += 1,
            }
        }
        while !open.is_empty() {
            finish_last_dir(open, progress).map_err(|errno| failed(&parent.name, errno))?;
        }
        Ok(())
    }
}

fn children(dir: &GuardedDir, depth: usize, root: &CheckedPath, max_entries: usize) -> Result<Vec<TreeEntry>, ToolError> {
    let shown = root.display();
    let mut found = Vec::new();
    for raw in dir.entries().map_err(|error| failed_io("list", &shown, &error))? {
        let raw = raw.map_err(|error| failed_io("list", &shown, &error))?;
        if found.len() >= max_entries {
            return Err(too_many(root, max_entries));
        }
        let (kind, size) = match raw.kind {
            Some(kind) if kind != Kind::File => (kind, 0),
            _ => {
                let stat = dir.stat_child(&raw.name).map_err(|error| failed_io("look at", &show_name(&raw.name), &error))?;
                (stat.kind, if stat.kind == Kind::File { stat.size } else { 0 })
            }
        };
        found.push(TreeEntry { depth, name: raw.name, kind, size });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn not_free(shown: &str) -> ToolError {
    ToolError::conflict(format!("`{shown}` is there, and directories are not merged"))
        .with_hint("`to` is the whole new path; choose one that is free")
}

fn too_many(root: &CheckedPath, max_entries: usize) -> ToolError {
    ToolError::limit_exceeded(format!("`{}` holds more than {max_entries} entries; nothing was changed", root.display()))
        .with_hint("work on the directories below it one by one")
}

fn open_dir(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    openat(dir, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn remove_last_dir<'e>(
    open: &mut Vec<(OwnedFd, &'e OsStr)>,
    parent: &Parent,
    progress: &mut TreeProgress,
) -> Result<(), (&'e OsStr, Errno)> {
    let Some((_, name)) = open.pop() else { return Ok(()) };
    let above = open.last().map_or_else(|| parent.dir.fd(), |(dir, _)| dir.as_fd());
    unlinkat(above, name, AtFlags::REMOVEDIR).map_err(|errno| (name, errno))?;
    progress.directories += 1;
    Ok(())
}

/// A directory that is being copied.
struct Copying<'e> {
    from: OwnedFd,
    to: OwnedFd,
    name: &'e OsStr,
}

/// Removes directories that were made and stayed empty, deepest first, as far as it goes.
fn remove_made(open: &mut Vec<Copying<'_>>, parent: &Parent) {
    while let Some(Copying { name, .. }) = open.pop() {
        let above = open.last().map_or_else(|| parent.dir.fd(), |above| above.to.as_fd());
        if let Err(errno) = unlinkat(above, name, AtFlags::REMOVEDIR) {
            tracing::debug!(%errno, "a directory made for a copy that failed stays behind");
            return;
        }
    }
}

/// A directory gets its mode last, since the mode may forbid to fill it.
fn finish_last_dir(open: &mut Vec<Copying<'_>>, progress: &mut TreeProgress) -> Result<(), Errno> {
    let Some(Copying { from, to, .. }) = open.last() else { return Ok(()) };
    fchmod(to, Mode::from_raw_mode(fstat(from)?.st_mode & 0o777))?;
    open.pop();
    progress.directories += 1;
    Ok(())
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &OsStr, stop: &Stop) -> Result<u64, ToolError> {
    let shown = show_name(name);
    let failed = |errno| failed_step("copy", &shown, errno);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let source = std::fs::File::from(openat(from, name, flags, Mode::empty()).map_err(failed)?);
    let stat = fstat(&source).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ToolError::conflict(format!("`{shown}` is no regular file any more")).with_hint("repeat the call"));
    }
    let mut temp = Temp::new(to, 0o600).map_err(failed)?;
    copy_content(&source, temp.file(), failed, stop)?;
    fchmod(temp.file(), Mode::from_raw_mode(stat.st_mode & 0o777)).map_err(failed)?;
    temp.publish(name).map_err(failed)?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// Whether the text of a symlink leads out of the tree it lies in, as far as the text tells.
fn leads_out(text: &OsStr, depth: usize) -> bool {
    let mut level = depth;
    for component in Path::new(text).components() {
        match component {
            Component::RootDir | Component::Prefix(_) => return true,
            Component::ParentDir => match level.checked_sub(1) {
                Some(up) => level = up,
                None => return true,
            },
            Component::Normal(_) => level += 1,
            Component::CurDir => {}
        }
    }
    false
}

fn join_shown(parent: &str, name: &OsStr) -> String {
    match parent {
        "." => show_name(name).into_owned(),
        parent => format!("{}/{}", parent.trim_end_matches('/'), show_name(name)),
    }
}
