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

mod deadline;
mod filter;
mod glob;
mod grep;
mod tree;

mod copy;
mod delete;
mod edit;
mod mkdir;
mod relocate;
mod write;

mod etag;
mod image;
mod lines;
mod text_file;

#[cfg(test)]
mod testing;

use toolyard_core::{
    Toolset,
    guard::{AllowedDirs, replace::Durability},
};

/// Most entries of a directory that is moved, copied or deleted in one call.
const MAX_TREE_ENTRIES: usize = 100_000;

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
    let FsConfig { directories, durable } = config;
    let durability = if durable { Durability::Synced } else { Durability::Unsynced };
    Toolset::new()
        .with(read::Read::new(directories.clone()))
        .with(list::List::new(directories.clone()))
        .with(stat::Stat::new(directories.clone()))
        .with(tree::DirectoryTree::new(directories.clone()))
        .with(glob::Glob::new(directories.clone()))
        .with(grep::Grep::new(directories.clone()))
        .with(write::Write::new(directories.clone(), durability))
        .with(edit::EditFile::new(directories.clone(), durability))
        .with(mkdir::MakeDirectory::new(directories.clone(), durability))
        .with(relocate::Move::new(directories.clone(), durability))
        .with(copy::Copy::new(directories.clone(), durability))
        .with(delete::Delete::new(directories, durability))
}
