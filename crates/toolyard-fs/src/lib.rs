//! The filesystem tools: reading, listing, searching and changing what lies below the allowed
//! directories.
//!
//! Each tool is a module of its name. All of them reach files only through
//! [`toolyard_core::guard`], with the paths that dispatch granted.
//!
//! Entry points: [`FsConfig`], [`toolset`].

mod list;
mod read;
mod stat;

mod etag;
mod image;
mod lines;
mod text_file;

#[cfg(test)]
mod testing;

use toolyard_core::{Toolset, guard::AllowedDirs};

/// What the filesystem tools work on.
#[derive(Clone, Debug)]
pub struct FsConfig {
    /// The directories they may touch; relative paths start at the first one.
    pub directories: AllowedDirs,
    /// Whether a write reaches the disk before its answer is given; default true. Switched off, a
    /// power failure can lose changes that were reported as made.
    pub durable: bool,
}

/// All tools of the family, in the order hosts list them.
pub fn toolset(config: FsConfig) -> Toolset {
    let FsConfig { directories, durable: _ } = config;
    Toolset::new().with(read::Read::new(directories.clone())).with(list::List::new(directories.clone())).with(stat::Stat::new(directories))
}
