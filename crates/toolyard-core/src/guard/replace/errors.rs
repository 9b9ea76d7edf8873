//! What the system refused, in words a model can act on.

use rustix::io::Errno;

use crate::ToolError;

/// Why `doing` (`write`, `move`, …) to the shown path failed; nothing was changed.
pub(super) fn failed(doing: &str, shown: &str, errno: Errno) -> ToolError {
    explain(doing, shown, errno, "; nothing was changed")
}

/// The same for one of several steps, when earlier ones may have changed something.
pub(super) fn failed_step(doing: &str, shown: &str, errno: Errno) -> ToolError {
    explain(doing, shown, errno, "")
}

fn explain(doing: &str, shown: &str, errno: Errno, unchanged: &str) -> ToolError {
    let what = format!("can't {doing} `{shown}`");
    let error = match errno {
        Errno::NOSPC => {
            ToolError::unavailable(format!("{what}: the disk is full{unchanged}")).with_hint("free some space, or ask the user to")
        }
        Errno::DQUOT => {
            ToolError::unavailable(format!("{what}: the disk quota is used up{unchanged}")).with_hint("free some space, or ask the user to")
        }
        Errno::ROFS => ToolError::unavailable(format!("{what}: the file system is mounted read-only"))
            .with_hint("change something elsewhere, or ask the user"),
        Errno::ACCESS | Errno::PERM => ToolError::refused(format!("{what}: the operating system does not permit it"))
            .with_hint("the owner or mode of the file or its directory forbids it; ask the user to change that"),
        Errno::MFILE | Errno::NFILE => ToolError::unavailable(format!("{what}: too many files are open{unchanged}"))
            .with_hint("wait for other calls to end and try again"),
        Errno::NOENT => ToolError::not_found(format!("can't {doing} `{shown}`: it is not there"))
            .with_hint("list its directory; it may have been moved or removed"),
        Errno::EXIST => ToolError::conflict(format!("{what}: something of that name is there"))
            .with_hint("look at it first, then pass `overwrite: true` to replace it"),
        Errno::NOTEMPTY => ToolError::conflict(format!("{what}: the directory is not empty")).with_hint("list it first"),
        Errno::LOOP | Errno::NOTDIR => {
            ToolError::conflict(format!("{what}: a part of the path is no directory, or was replaced by a symlink"))
                .with_hint("list the parent directory and try again")
        }
        Errno::ISDIR => ToolError::conflict(format!("{what}: it is a directory")).with_hint("name a file"),
        Errno::NAMETOOLONG => ToolError::invalid_input(format!("{what}: the name is too long")).with_hint("a name has at most 255 bytes"),
        Errno::XDEV => ToolError::conflict(format!("{what}: the two places are on different file systems"))
            .with_hint("copy it, then delete the original"),
        Errno::BUSY | Errno::TXTBSY => {
            ToolError::conflict(format!("{what}: the system is using it")).with_hint("stop the program that uses it, then try again")
        }
        _ => ToolError::unavailable(format!("{what}: {}", describe(errno))).with_hint("try again; tell the user if it fails again"),
    };
    error.with_source(std::io::Error::from(errno))
}

/// The same for an error of the standard library.
pub(super) fn failed_io(doing: &str, shown: &str, error: &std::io::Error) -> ToolError {
    failed(doing, shown, Errno::from_io_error(error).unwrap_or(Errno::IO))
}

/// The change was made, but may be lost again.
pub(super) fn not_durable(shown: &str, errno: Errno) -> ToolError {
    ToolError::unavailable(format!("`{shown}` was changed, but the change may not survive a power failure"))
        .with_hint("don't repeat the call; tell the user that the disk reports errors")
        .with_source(std::io::Error::from(errno))
}

fn describe(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_lowercase(),
        None => text,
    }
}
