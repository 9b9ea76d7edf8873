//! Guarded changes: atomic, one at a time per file, below an opened parent directory.
//!
//! A new content is written to a file that has no name yet and appears under its name in one step,
//! so a reader, a crash or a full disk never shows half of it. The handle of the parent directory
//! comes from a [`CheckedPath`]; no name in it is ever followed.
//!
//! Entry points: [`FileChange`] for content, [`make_directory`], [`rename`], [`remove`] for names,
//! [`Tree`] for everything below a directory.

mod change;
mod entry;
mod tree;

mod content;
mod parent;
mod temp;

mod errors;
mod gate;
mod system;

#[cfg(test)]
mod tests;

pub use change::{FileChange, Written};
pub use entry::{Moved, Removed, check_rename, make_directory, remove, rename};
pub use tree::{Tree, TreeEntry, TreeProgress};

use toolyard_policy::Effect;

use super::path::CheckedPath;
use crate::ToolError;

/// Whether a change reaches the disk before it is reported as made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It survives a power failure.
    Synced,
    /// It survives a crash of the process, not of the machine.
    Unsynced,
}

/// A change needs a path that was granted for changing.
fn require_change(path: &CheckedPath) -> Result<(), ToolError> {
    match path.effect() {
        Effect::Write | Effect::Destroy => Ok(()),
        Effect::Read | Effect::Execute => {
            Err(ToolError::internal(format!("`{}` was granted for {}, not for a change", path.display(), path.effect().as_str())))
        }
    }
}
