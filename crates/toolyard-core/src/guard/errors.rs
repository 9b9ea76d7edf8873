//! What the guard says when it refuses, and when the system does.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;

use crate::ToolError;

use super::{names, open::Kind};

/// Longest path that is quoted whole, in characters.
const QUOTED: usize = 300;

/// Allowed directories that are named in a hint.
const NAMED: usize = 5;

/// The error of a file operation on `path`, in words for the model.
pub fn io_failed(path: &str, action: &str, error: io::Error) -> ToolError {
    let path = clip(path);
    let failed = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => ToolError::not_found(format!("`{path}` does not exist")),
        Some(Errno::NOTDIR) => ToolError::not_found(format!("a part of `{path}` is a file, so nothing is below it")),
        Some(Errno::EXIST) => ToolError::conflict(format!("`{path}` exists already")),
        Some(Errno::NOTEMPTY) => ToolError::conflict(format!("`{path}` is not empty")),
        Some(Errno::ISDIR) => ToolError::invalid_input(format!("`{path}` is a directory")),
        Some(Errno::ACCESS | Errno::PERM) => ToolError::refused(format!("no permission to {action} `{path}`"))
            .with_hint("the operating system refuses it; only the owner of the file can change that"),
        Some(Errno::ROFS) => ToolError::refused(format!("can't {action} `{path}`: it is on a read-only file system")),
        Some(Errno::LOOP | Errno::STALE) => changed(&path),
        Some(Errno::NAMETOOLONG) => ToolError::invalid_input(format!("`{path}` is too long for the file system")),
        Some(Errno::AGAIN) => {
            ToolError::unavailable(format!("can't {action} `{path}`: it keeps changing")).with_hint("try again in a moment")
        }
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
            ToolError::unavailable(format!("can't {action} `{path}`: the server has too many files open"))
                .with_hint("try again in a moment, with fewer calls at once")
        }
        Some(Errno::NOSPC | Errno::DQUOT) => ToolError::unavailable(format!("can't {action} `{path}`: the disk is full"))
            .with_hint("tell the user; nothing can be written until there is room"),
        Some(Errno::XDEV) => ToolError::invalid_input(format!("can't {action} `{path}` across file systems")),
        _ => ToolError::unavailable(format!("can't {action} `{path}`: the file system reports an error"))
            .with_hint("try again; if it stays, tell the user"),
    };
    failed.with_source(error)
}

/// The same for every path outside, whether or not anything is there.
pub(super) fn outside<'d>(asked: &[u8], directories: impl Iterator<Item = &'d str>) -> ToolError {
    let mut named: Vec<_> = directories.take(NAMED + 1).map(|path| format!("`{path}`")).collect();
    let more = if named.len() > NAMED { ", …" } else { "" };
    named.truncate(NAMED);
    let hint = match named.len() {
        0 => "no directory is open to the tools; the operator has to allow one".to_owned(),
        1 => format!("give a path below {}", named.join("")),
        _ => format!("give a path below one of {}{more}", named.join(", ")),
    };
    ToolError::refused(format!("`{}` is outside the allowed directories", quoted(asked))).with_hint(hint)
}

/// What was judged is no longer what is there.
pub(super) fn changed(path: &str) -> ToolError {
    ToolError::conflict(format!("`{path}` changed while the call ran")).with_hint("try again")
}

/// A FIFO, socket or device, which is never opened.
pub(super) fn special(path: &str, kind: Kind) -> ToolError {
    ToolError::refused(format!("`{}` is {}, not a regular file", clip(path), kind.as_str())).with_hint("only regular files can be opened")
}

/// A mount that shows files a second time.
pub(super) fn alias(path: &str) -> ToolError {
    ToolError::refused(format!("`{}` lies in a bind mount that shows files of an allowed directory a second time", clip(path)))
        .with_hint("rules about the original path would not hold there; use the original path")
}

/// The handle is all that is left of the allowed directory.
pub(super) fn gone(directory: &str) -> ToolError {
    ToolError::unavailable(format!("the allowed directory `{directory}` was deleted or replaced"))
        .with_hint("the operator has to restart the server to open the new one")
}

/// A caller's path as text that is safe to show.
pub(super) fn quoted(path: &[u8]) -> String {
    clip(&names::show_name(OsStr::from_bytes(path)))
}

fn clip(path: &str) -> String {
    match path.char_indices().nth(QUOTED) {
        Some((at, _)) => format!("{}…", path.get(..at).unwrap_or_default()),
        None => path.to_owned(),
    }
}
