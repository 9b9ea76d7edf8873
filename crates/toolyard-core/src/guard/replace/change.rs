//! The content of one file, changed by nobody else in the meantime.

use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{
        Access, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Stat as RawStat, Uid, accessat, fchmod, fchown, fstat, fsync, openat,
        statat,
    },
    io::Errno,
};

use super::{
    Durability,
    content::{copy_attributes, copy_content, write_pieces},
    errors::{failed, failed_io, not_durable},
    gate::{Pass, lock_file},
    parent::Parent,
    require_change,
    system::rename_at,
    temp::{Temp, kept_name, sweep},
};
use crate::{
    Stop, ToolError,
    guard::{CheckedPath, names::show_name},
};

/// How often a file may be replaced by others while a call tries to lock it.
const LOCK_ATTEMPTS: usize = 64;

/// The exclusive right to change the content of one file, which need not exist yet.
#[derive(Debug)]
pub struct FileChange {
    path: CheckedPath,
    shown: String,
    parent: Option<Parent>,
    current: Option<Current>,
    _pass: Pass,
}

/// The file as it was found, locked.
#[derive(Debug)]
struct Current {
    file: File,
    stat: RawStat,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Whether there was no such file before.
    pub created: bool,
    /// Directories made for it.
    pub directories_made: usize,
    /// Whether the file has the owner it had.
    pub owner_kept: bool,
    /// Its size in bytes.
    pub size: u64,
}

impl FileChange {
    /// Waits until nobody else changes the file, here or in another Toolyard process, and looks at it.
    ///
    /// # Errors
    /// `Denied` for FIFOs, sockets, devices, hard links and files that may not be written;
    /// `Conflict` for directories and symlinks; `Timeout` or `Cancelled` while waiting.
    pub fn begin(path: &CheckedPath, stop: &Stop) -> Result<Self, ToolError> {
        Self::begin_with(Pass::enter(path, stop)?, path, stop)
    }

    /// The same for a call that holds the pass already.
    pub(super) fn begin_with(pass: Pass, path: &CheckedPath, stop: &Stop) -> Result<Self, ToolError> {
        require_change(path)?;
        let shown = path.display();
        let parent = Parent::open(path)?;
        let current = match &parent {
            Some(parent) => Current::lock(parent, &shown, stop)?,
            None => None,
        };
        Ok(Self { path: path.clone(), shown, parent, current, _pass: pass })
    }

    /// Size of the file that is there, in bytes; nothing when there is none.
    pub fn size(&self) -> Option<u64> {
        self.current.as_ref().map(|current| u64::try_from(current.stat.st_size).unwrap_or(0))
    }

    /// The whole content that is there; empty when there is no file.
    ///
    /// # Errors
    /// `LimitExceeded` for more than `limit` bytes.
    pub fn read(&self, limit: u64) -> Result<Vec<u8>, ToolError> {
        let (Some(current), Some(size)) = (&self.current, self.size()) else { return Ok(Vec::new()) };
        let too_large = |size: u64| {
            ToolError::limit_exceeded(format!("`{}` has {size} bytes, the limit for changing one is {limit}", self.shown))
                .with_hint("split the file, or change it with another program")
        };
        if size > limit {
            return Err(too_large(size));
        }
        // One byte more than expected, so that the end is seen without another buffer.
        let mut content = vec![0; usize::try_from(size).unwrap_or(0).saturating_add(1)];
        let mut filled = 0_usize;
        loop {
            let room = content.get_mut(filled..).unwrap_or_default();
            if room.is_empty() {
                if filled as u64 > limit {
                    return Err(too_large(filled as u64));
                }
                content.resize(filled.saturating_mul(2), 0);
                continue;
            }
            match (&current.file).read(room) {
                Ok(0) => break,
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed_io("read", &self.shown, &error)),
            }
        }
        if filled as u64 > limit {
            return Err(too_large(filled as u64));
        }
        content.truncate(filled);
        Ok(content)
    }

    /// The file that is there, locked and at its beginning.
    pub fn file(&self) -> Option<&File> {
        self.current.as_ref().map(|current| &current.file)
    }

    /// Makes these pieces, one after the other, the content of the file: all of it, or nothing is
    /// changed.
    ///
    /// # Errors
    /// `Conflict` when somebody else changed the file since it was looked at; `Cancelled` when
    /// stopped before; what the system says.
    pub fn put(self, pieces: &[&[u8]], stop: &Stop, durability: Durability) -> Result<Written, ToolError> {
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.put_with(stop, durability, size, 0o666, |file, shown| {
            write_pieces(file, pieces).map_err(|error| failed_io("write", shown, &error))
        })
    }

    /// Makes the content of `source` the content of the file; a new file gets the permission bits
    /// of `source` as well.
    ///
    /// # Errors
    /// Like [`FileChange::put`]; `Timeout` or `Cancelled` when stopped half-way, with nothing changed.
    pub fn put_copy(self, source: &File, stop: &Stop, durability: Durability) -> Result<Written, ToolError> {
        let stat = fstat(source).map_err(|errno| failed("read", &self.shown, errno))?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
        let created = self.current.is_none();
        self.put_with(stop, durability, size, 0o600, |file, shown| {
            copy_content(source, file, |errno| failed("copy", shown, errno), stop)?;
            if created { fchmod(file, mode).map_err(|errno| failed("write", shown, errno)) } else { Ok(()) }
        })
    }

    fn put_with(
        self,
        stop: &Stop,
        durability: Durability,
        size: u64,
        mode: u32,
        fill: impl FnOnce(&File, &str) -> Result<(), ToolError>,
    ) -> Result<Written, ToolError> {
        let Self { path, shown, parent, current, _pass } = self;
        let mut parent = match parent {
            Some(parent) => parent,
            None => Parent::open_or_make(&path)?,
        };
        sweep(&parent.dir);
        let failed = |errno| failed("write", &shown, errno);
        // Others can't look into a replacement before it has the mode of the old file.
        let mode = if current.is_some() { 0o600 } else { mode };
        let mut temp = Temp::new(parent.dir.fd(), mode).map_err(failed)?;
        fill(temp.file(), &shown)?;
        let owner_kept = match &current {
            Some(old) => old.hand_down(temp.file()).map_err(failed)?,
            None => true,
        };
        if durability == Durability::Synced {
            fsync(temp.file()).map_err(failed)?;
        }
        match &current {
            Some(old) => old.swap(&mut temp, &parent, &shown, stop)?,
            None => {
                stop.claim()?;
                temp.publish(&parent.name).map_err(|errno| match errno {
                    Errno::EXIST => appeared(&shown),
                    errno => failed(errno),
                })?;
            }
        }
        drop(temp);
        parent.keep();
        parent.sync(durability).map_err(|errno| not_durable(&shown, errno))?;
        Ok(Written { created: current.is_none(), directories_made: parent.made(), owner_kept, size })
    }
}

impl Current {
    /// Opens and locks what is under the name now.
    fn lock(parent: &Parent, shown: &str, stop: &Stop) -> Result<Option<Self>, ToolError> {
        let dir = parent.dir.fd();
        let look = || match statat(dir, parent.name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("look at", shown, errno)),
        };
        let mut found = look()?;
        for _ in 0..LOCK_ATTEMPTS {
            let Some(before) = found else { return Ok(None) };
            refuse_unchangeable(&before, shown)?;
            refuse_read_only(dir, parent, &before, shown)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = match openat(dir, parent.name.as_os_str(), flags, Mode::empty()) {
                Ok(fd) => File::from(fd),
                // It was replaced between the two calls.
                Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => {
                    found = look()?;
                    continue;
                }
                Err(errno) => return Err(failed("open", shown, errno)),
            };
            lock_file(file.as_fd(), shown, stop)?;
            let stat = fstat(&file).map_err(|errno| failed("look at", shown, errno))?;
            found = look()?;
            if found.is_some_and(|now| same_inode(&now, &stat)) {
                refuse_unchangeable(&stat, shown)?;
                return Ok(Some(Self { file, stat }));
            }
        }
        Err(ToolError::conflict(format!("`{shown}` is replaced by another program again and again; nothing was changed"))
            .with_hint("find out what else writes it, then try again"))
    }

    /// Gives owner, mode, access list and attributes to the new file; says whether it has the owner.
    fn hand_down(&self, new: &File) -> Result<bool, Errno> {
        let fresh = fstat(new)?;
        let mut owner_kept = true;
        if (fresh.st_uid, fresh.st_gid) != (self.stat.st_uid, self.stat.st_gid) {
            let owner = (fresh.st_uid != self.stat.st_uid).then(|| Uid::from_raw(self.stat.st_uid));
            let group = (fresh.st_gid != self.stat.st_gid).then(|| Gid::from_raw(self.stat.st_gid));
            match fchown(new, owner, group) {
                Ok(()) => {}
                Err(Errno::PERM | Errno::ACCESS | Errno::INVAL) => owner_kept = false,
                Err(errno) => return Err(errno),
            }
        }
        // As with any write, the set-user-id bits go.
        let mut mode = self.stat.st_mode & 0o1777;
        if !owner_kept {
            // The group is another one now, and was not meant to have these rights.
            mode &= !0o070;
        }
        copy_attributes(&self.file, new)?;
        fchmod(new, Mode::from_raw_mode(mode))?;
        Ok(owner_kept)
    }

    /// Changes places with the new file, and back again if it was not this file that came out.
    fn swap(&self, temp: &mut Temp<'_>, parent: &Parent, shown: &str, stop: &Stop) -> Result<(), ToolError> {
        let dir = parent.dir.fd();
        let name = parent.name.as_os_str();
        let failed = |errno| failed("write", shown, errno);
        let new = fstat(temp.file()).map_err(failed)?;
        let temporary = temp.ensure_name().map_err(failed)?.to_owned();
        stop.claim()?;
        let exchanged = match rename_at(dir, temporary.as_ref(), dir, name, RenameFlags::EXCHANGE) {
            Ok(()) => true,
            Err(Errno::NOENT) => return Err(vanished(shown)),
            Err(Errno::INVAL | Errno::NOSYS) => false,
            Err(errno) => return Err(failed(errno)),
        };
        if !exchanged {
            return self.swap_without_exchange(temp, parent, shown);
        }
        let out = statat(dir, temporary.as_str(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if self.is_unchanged(&out) {
            return Ok(());
        }
        let put_back = rename_at(dir, temporary.as_ref(), dir, name, RenameFlags::EXCHANGE)
            .and_then(|()| statat(dir, temporary.as_str(), AtFlags::SYMLINK_NOFOLLOW));
        match put_back {
            Ok(back) if same_inode(&back, &new) => Err(changed(shown)),
            // What lies under the temporary name belongs to somebody else; it must not be lost.
            _ => {
                let kept = keep(temp, dir).unwrap_or_else(|| temporary.clone());
                Err(changed(shown).with_hint(format!(
                    "two programs replaced it at once; the content of one of them is in `{}` beside it",
                    show_name(kept.as_ref())
                )))
            }
        }
    }

    /// The second best way, for file systems that can't exchange two names.
    fn swap_without_exchange(&self, temp: &mut Temp<'_>, parent: &Parent, shown: &str) -> Result<(), ToolError> {
        let dir = parent.dir.fd();
        let name = parent.name.as_os_str();
        let failed = |errno| failed("write", shown, errno);
        let now = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Err(vanished(shown)),
            now => now.map_err(failed)?,
        };
        if !self.is_unchanged(&now) {
            return Err(changed(shown));
        }
        let temporary = temp.ensure_name().map_err(failed)?.to_owned();
        rename_at(dir, temporary.as_ref(), dir, name, RenameFlags::empty()).map_err(failed)?;
        temp.forget_name();
        Ok(())
    }

    fn is_unchanged(&self, now: &RawStat) -> bool {
        same_inode(now, &self.stat)
            && now.st_size == self.stat.st_size
            && (now.st_mtime, now.st_mtime_nsec) == (self.stat.st_mtime, self.stat.st_mtime_nsec)
    }
}

fn same_inode(a: &RawStat, b: &RawStat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Moves a stranger's file out of the way of the next sweep; gives its new name.
fn keep(temp: &mut Temp<'_>, dir: BorrowedFd<'_>) -> Option<String> {
    let temporary = temp.forget_name()?;
    let kept = kept_name().ok()?;
    // Nobody can guess the name, so nothing is lost where a rename can't refuse to replace.
    match rename_at(dir, temporary.as_ref(), dir, kept.as_ref(), RenameFlags::empty()) {
        Ok(()) => Some(kept),
        Err(_) => Some(temporary),
    }
}

/// Only regular files with one name have a content that may be replaced.
pub(super) fn refuse_unchangeable(stat: &RawStat, shown: &str) -> Result<(), ToolError> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_nlink <= 1 => Ok(()),
        FileType::RegularFile => Err(ToolError::refused(format!(
            "`{shown}` has {} hard links, so changing it would change a file under another name, perhaps outside the allowed directories",
            stat.st_nlink
        ))
        .with_hint("copy it to a new name and change the copy, or ask the user to break the link")),
        FileType::Directory => Err(ToolError::conflict(format!("`{shown}` is a directory")).with_hint("name a file in it")),
        FileType::Symlink => {
            Err(ToolError::conflict(format!("`{shown}` became a symlink in the meantime"))
                .with_hint("look at it again, then repeat the call"))
        }
        _ => Err(ToolError::refused(format!("`{shown}` is no regular file (a FIFO, socket or device)")).with_hint("name a regular file")),
    }
}

/// A rename would get round the mode of a read-only file, even for the superuser.
fn refuse_read_only(dir: BorrowedFd<'_>, parent: &Parent, stat: &RawStat, shown: &str) -> Result<(), ToolError> {
    let read_only = || {
        ToolError::refused(format!("`{shown}` is read-only (mode {:04o})", stat.st_mode & 0o7777))
            .with_hint("ask the user to make it writable, or write a new file")
    };
    if stat.st_mode & 0o200 == 0 {
        return Err(read_only());
    }
    match accessat(dir, parent.name.as_os_str(), Access::WRITE_OK, AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::ACCESS) => Err(read_only()),
        Err(errno @ (Errno::ROFS | Errno::PERM)) => Err(failed("write", shown, errno)),
        // Older systems can't ask without following; the mode was checked above.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn appeared(shown: &str) -> ToolError {
    ToolError::conflict(format!("`{shown}` was created by another program in the meantime; nothing was changed"))
        .with_hint("read it, then decide whether to edit or overwrite it")
}

fn vanished(shown: &str) -> ToolError {
    ToolError::conflict(format!("`{shown}` was removed or moved by another program in the meantime; nothing was changed"))
        .with_hint("list its directory, then repeat the call if the file should exist")
}

fn changed(shown: &str) -> ToolError {
    ToolError::conflict(format!("`{shown}` was changed by another program in the meantime; its content was kept and yours was not written"))
        .with_hint("read it again, then repeat the call")
}
