//! Guarded filesystem access: one held directory handle per allowed directory, every path
//! resolved beneath it.
//!
//! A caller's path becomes a [`Target`] (canonical, without symlinks), the policy judges its
//! access, and only then [`AllowedDirs::checked`] makes the [`CheckedPath`] that can be opened.
//! Every open goes through the canonical path and follows no symlink, so what is opened is what
//! was judged, whatever others rename in between.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod dirs;
pub mod names;
mod path;

pub use dirs::{AllowedDir, AllowedDirs, Follow, GuardError};
pub use path::{CheckedPath, GuardedDir, GuardedFile, Kind, RawEntry, Stat, Target, UncheckedEntry};
