//! Guarded filesystem access: one held directory handle per allowed directory, every path
//! resolved beneath it.
//!
//! A caller's path becomes a [`Target`] (canonical, without symlinks), the policy judges its
//! access, and only then [`AllowedDirs::checked`] makes the [`CheckedPath`] that can be opened.
//! Every open goes through the canonical path and follows no symlink, so what is opened is what
//! was judged, whatever others rename in between.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod dirs;
mod handles;
mod path;

pub mod replace;

mod asked;
mod resolve;

mod mounts;
mod open;

mod errors;
pub mod names;
mod suggest;

pub mod walk;

#[cfg(test)]
mod tests;

pub use dirs::{AllowedDir, AllowedDirs, Follow, GuardError};
pub use errors::io_failed;
pub use handles::{GuardedDir, GuardedFile, RawEntry};
pub use open::{Kind, Stat};
pub use path::{CheckedPath, Target, UncheckedEntry};
