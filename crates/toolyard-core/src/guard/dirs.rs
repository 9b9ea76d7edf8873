//! The directories the operator opened to the tools, each held by a handle for life.

use std::path::PathBuf;

use crate::{Granted, ToolError};

use super::path::{CheckedPath, Target};

/// An allowed directory can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the allowed directory `{path}` can't be opened")]
pub struct GuardError {
    path: String,
    #[source]
    source: std::io::Error,
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
    directories: std::sync::Arc<[AllowedDir]>,
}

/// One allowed directory.
#[derive(Debug)]
pub struct AllowedDir {
    path: String,
}

impl AllowedDir {
    /// Its absolute canonical path.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl AllowedDirs {
    /// Opens the directories and holds them.
    ///
    /// # Errors
    /// Names the first that is missing, no directory, or not permitted.
    pub fn open(directories: &[PathBuf]) -> Result<Self, GuardError> {
        Ok(Self { directories: directories.iter().map(|d| AllowedDir { path: d.to_string_lossy().into() }).collect() })
    }

    /// The directories in the operator's order.
    pub fn iter(&self) -> impl Iterator<Item = &AllowedDir> {
        self.directories.iter()
    }

    /// The canonical target of a caller's path, which need not exist. Looks only, and never blocks
    /// on a FIFO.
    ///
    /// # Errors
    /// `Denied` outside the allowed directories, with the same text whether or not something is
    /// there; `InvalidInput` for a malformed path.
    pub fn resolve(&self, _raw: &str, _follow: Follow) -> Result<Target, ToolError> {
        Err(ToolError::internal("not built yet"))
    }

    /// The granted path of access `index`: the only way to a [`CheckedPath`].
    ///
    /// # Errors
    /// `Internal` when that access is no granted path.
    pub fn checked(&self, _granted: &Granted<'_>, _index: usize) -> Result<CheckedPath, ToolError> {
        Err(ToolError::internal("not built yet"))
    }
}
