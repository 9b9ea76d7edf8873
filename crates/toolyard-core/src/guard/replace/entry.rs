//! Changes of names: making directories, renaming, removing.

use std::{fs::File, os::fd::BorrowedFd};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat as RawStat, mkdirat, openat, statat, unlinkat},
    io::Errno,
};

use super::{
    Durability, FileChange,
    change::refuse_unchangeable,
    errors::{failed, not_durable},
    gate::Pass,
    parent::Parent,
    require_change,
    system::rename_at,
};
use crate::{Stop, ToolError, guard::CheckedPath};

/// What a rename did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whether something else was under the new name.
    pub replaced: bool,
    /// Whether the file went to another file system, as a copy.
    pub copied: bool,
    /// Directories made for the new name.
    pub directories_made: usize,
}

/// What a removal did.
#[derive(Debug, Default)]
pub struct Removed {
    /// Why it may come back after a power failure.
    pub unsynced: Option<ToolError>,
}

/// Makes a directory and those above it that are missing, or none; says how many were made.
///
/// # Errors
/// `Conflict` when something else has the name; `Cancelled` when stopped before; what the system says.
pub fn make_directory(path: &CheckedPath, durability: Durability, stop: &Stop) -> Result<usize, ToolError> {
    require_change(path)?;
    let shown = path.display();
    let failed = |errno| failed("make the directory", &shown, errno);
    // The allowed directory itself has no parent, and is there.
    if path.resource().path.is_empty() {
        return Ok(0);
    }
    let mut parent = Parent::open_or_make(path)?;
    stop.claim()?;
    match mkdirat(parent.dir.fd(), parent.name.as_os_str(), Mode::from_raw_mode(0o777)) {
        Ok(()) => parent.keep(),
        Err(Errno::EXIST) => {
            let there = look(&parent).map_err(failed)?;
            return match there.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Some(FileType::Directory) => {
                    parent.keep();
                    Ok(parent.made())
                }
                _ => Err(ToolError::conflict(format!("`{shown}` is there and is no directory"))
                    .with_hint("choose another name, or move it away first")),
            };
        }
        Err(errno) => return Err(failed(errno)),
    }
    parent.sync(durability).map_err(|errno| not_durable(&shown, errno))?;
    Ok(parent.made() + 1)
}

/// Gives a file, symlink or directory another name; a symlink itself moves, not what it points to.
/// The entries below a directory must have been judged, see [`super::Tree::judge`].
///
/// # Errors
/// `NotFound` when nothing is at `from`; `Conflict` when something is at `to` and `overwrite` is
/// off, or when either is a directory that can't be replaced or moved there.
pub fn rename(from: &CheckedPath, to: &CheckedPath, overwrite: bool, durability: Durability, stop: &Stop) -> Result<Moved, ToolError> {
    let checked = Checked::new(from, to, overwrite, stop)?;
    let mut target = Parent::open_or_make(to)?;
    let Checked { from_pass, to_pass, source, stat, replaced } = checked;
    let shown = from.display();
    let moved = Moved { replaced, copied: false, directories_made: target.made() };
    stop.claim()?;
    match move_name(&source, &target, replaced) {
        Ok(()) => target.keep(),
        Err(Errno::EXIST) => return Err(failed("move onto", &to.display(), Errno::EXIST)),
        Err(Errno::XDEV) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            let change = FileChange::begin_with(to_pass, to, stop)?;
            if change.size().is_some() && !replaced {
                return Err(failed("move onto", &to.display(), Errno::EXIST));
            }
            copy_then_remove(&source, &stat, change, durability, stop, [&shown, &to.display()])?;
            target.keep();
            target.sync(durability).map_err(|errno| not_durable(&shown, errno))?;
            drop(from_pass);
            return Ok(Moved { copied: true, ..moved });
        }
        Err(errno) => return Err(failed("move", &shown, errno)),
    }
    target.sync(durability).and_then(|()| source.sync(durability)).map_err(|errno| not_durable(&shown, errno))?;
    Ok(moved)
}

/// Whether [`rename`] would be tried; changes nothing.
///
/// # Errors
/// Those of [`rename`] that can be told in advance.
pub fn check_rename(from: &CheckedPath, to: &CheckedPath, overwrite: bool, stop: &Stop) -> Result<(), ToolError> {
    Checked::new(from, to, overwrite, stop).map(|_| ())
}

/// A rename whose two ends were looked at, held against other calls.
struct Checked {
    from_pass: Pass,
    to_pass: Pass,
    source: Parent,
    stat: RawStat,
    replaced: bool,
}

impl Checked {
    fn new(from: &CheckedPath, to: &CheckedPath, overwrite: bool, stop: &Stop) -> Result<Self, ToolError> {
        require_change(from)?;
        require_change(to)?;
        let shown = from.display();
        refuse_nesting(from, to, "move")?;
        let (from_pass, to_pass) = Pass::enter_both(from, to, stop)?;
        let missing = || failed("move", &shown, Errno::NOENT);
        let source = Parent::open(from)?.ok_or_else(missing)?;
        let stat = look(&source).map_err(|errno| failed("move", &shown, errno))?.ok_or_else(missing)?;
        let replaced = match Parent::open(to)? {
            Some(parent) => check_target(&parent, FileType::from_raw_mode(stat.st_mode), overwrite, &to.display())?,
            None => false,
        };
        Ok(Self { from_pass, to_pass, source, stat, replaced })
    }
}

/// Removes a file, a symlink or an empty directory.
///
/// # Errors
/// `NotFound` when nothing is there; `Conflict` for a directory that is not empty; `Cancelled` when
/// stopped before.
pub fn remove(path: &CheckedPath, durability: Durability, stop: &Stop) -> Result<Removed, ToolError> {
    require_change(path)?;
    let shown = path.display();
    let _pass = Pass::enter(path, stop)?;
    let failed = |errno| failed("delete", &shown, errno);
    let parent = Parent::open(path)?.ok_or_else(|| failed(Errno::NOENT))?;
    let stat = look(&parent).map_err(failed)?.ok_or_else(|| failed(Errno::NOENT))?;
    let flags = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    stop.claim()?;
    unlinkat(parent.dir.fd(), parent.name.as_os_str(), flags).map_err(failed)?;
    Ok(Removed { unsynced: parent.sync(durability).err().map(|errno| not_durable(&shown, errno)) })
}

/// A directory can't go into itself, and nothing can go where it is.
pub(super) fn refuse_nesting(from: &CheckedPath, to: &CheckedPath, doing: &str) -> Result<(), ToolError> {
    let (a, b) = (absolute(from), absolute(to));
    if a == b {
        return Err(
            ToolError::invalid_input(format!("`from` and `to` are the same path, `{}`", to.display())).with_hint("give another `to`")
        );
    }
    if b.strip_prefix(&a).is_some_and(|rest| rest.starts_with('/')) {
        return Err(ToolError::invalid_input(format!("can't {doing} `{}` into itself", from.display()))
            .with_hint("give a `to` that is not below `from`"));
    }
    Ok(())
}

fn absolute(path: &CheckedPath) -> String {
    let resource = path.resource();
    format!("{}/{}", resource.directory.trim_end_matches('/'), resource.path)
}

/// Whether something is there that will be replaced.
fn check_target(parent: &Parent, moved: FileType, overwrite: bool, shown: &str) -> Result<bool, ToolError> {
    let Some(there) = look(parent).map_err(|errno| failed("look at", shown, errno))? else { return Ok(false) };
    let kind = FileType::from_raw_mode(there.st_mode);
    if kind == FileType::Directory {
        return Err(ToolError::conflict(format!("`{shown}` is a directory, which is never replaced"))
            .with_hint("`to` is the whole new path, so name the entry in it, or delete the directory first"));
    }
    if !overwrite {
        return Err(failed("move onto", shown, Errno::EXIST));
    }
    if moved == FileType::Directory {
        return Err(ToolError::conflict(format!("`{shown}` is there, and a directory does not replace it")).with_hint("delete it first"));
    }
    if kind != FileType::Symlink {
        refuse_unchangeable(&there, shown)?;
    }
    Ok(true)
}

fn move_name(source: &Parent, target: &Parent, replace: bool) -> Result<(), Errno> {
    let (from, to) = (source.dir.fd(), target.dir.fd());
    let (from_name, to_name) = (source.name.as_os_str(), target.name.as_os_str());
    let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    match rename_at(from, from_name, to, to_name, flags) {
        // File systems without that flag; the name was free a moment ago.
        Err(Errno::INVAL | Errno::NOSYS) if !replace => match statat(to, to_name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => rename_at(from, from_name, to, to_name, RenameFlags::empty()),
            Ok(_) => Err(Errno::EXIST),
            Err(errno) => Err(errno),
        },
        moved => moved,
    }
}

/// Moves a file to another file system: it appears there at once, then goes here.
fn copy_then_remove(
    source: &Parent,
    stat: &RawStat,
    change: FileChange,
    durability: Durability,
    stop: &Stop,
    [shown, to_shown]: [&str; 2],
) -> Result<(), ToolError> {
    let failed = |errno| failed("move", shown, errno);
    let dir: BorrowedFd<'_> = source.dir.fd();
    let name = source.name.as_os_str();
    refuse_unchangeable(stat, shown)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(dir, name, flags, Mode::empty()).map_err(failed)?);
    change.put_copy(&file, stop, durability)?;
    let stays = |errno: Errno| {
        ToolError::unavailable(format!("`{shown}` was copied to `{to_shown}`, but can't be removed, so both are there now"))
            .with_hint("delete one of them, or tell the user")
            .with_source(std::io::Error::from(errno))
    };
    let now = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(stays)?;
    let same = (now.st_dev, now.st_ino, now.st_size, now.st_mtime, now.st_mtime_nsec)
        == (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    if !same {
        return Err(ToolError::conflict(format!(
            "`{shown}` was changed while it was copied to another file system, so both are there now"
        ))
        .with_hint("compare the two and delete one"));
    }
    unlinkat(dir, name, AtFlags::empty()).map_err(stays)?;
    source.sync(durability).map_err(|errno| not_durable(shown, errno))
}

pub(super) fn look(parent: &Parent) -> Result<Option<RawStat>, Errno> {
    match statat(parent.dir.fd(), parent.name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
