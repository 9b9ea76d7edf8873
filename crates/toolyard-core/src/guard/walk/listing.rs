//! The entries of one directory, read into buffers that are used again for the next one.

use std::{io, os::fd::AsFd};

use rustix::fs::{AtFlags, FileType, RawDir, statat};

use crate::guard::Kind;

/// One read of a directory; many small entries fit.
const READ_BYTES: usize = 32 << 10;
/// Entries of one directory that are looked at.
const MAX_ENTRIES: usize = 1 << 20;

/// The names of a directory, sorted by bytes, apart from those of its subdirectories.
#[derive(Debug, Default)]
pub(super) struct Listing {
    read: Vec<u8>,
    names: Vec<u8>,
    /// Everything that is no directory.
    files: Vec<Item>,
    directories: Vec<Item>,
    /// Whether the directory has more entries than are looked at.
    pub(super) cut: bool,
    /// Whether it holds a file or directory of this name.
    pub(super) holds: Special,
}

/// The names that carry ignore rules.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Special {
    pub(super) git: bool,
    pub(super) gitignore: bool,
    pub(super) ignore: bool,
}

impl Special {
    /// Names that have to be tried, because nobody listed the directory.
    pub(super) const UNKNOWN: Self = Self { git: true, gitignore: true, ignore: true };

    pub(super) const fn any(self) -> bool {
        self.git || self.gitignore || self.ignore
    }
}

#[derive(Clone, Copy, Debug)]
struct Item {
    start: u32,
    len: u16,
    kind: Kind,
}

impl Listing {
    /// Reads a directory, replacing what was here.
    pub(super) fn fill(&mut self, directory: impl AsFd) -> io::Result<()> {
        self.names.clear();
        self.files.clear();
        self.directories.clear();
        self.cut = false;
        self.holds = Special::default();
        self.read.clear();
        self.read.reserve(READ_BYTES);
        let directory = directory.as_fd();
        let mut entries = RawDir::new(directory, self.read.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if self.files.len() + self.directories.len() >= MAX_ENTRIES {
                self.cut = true;
                break;
            }
            let kind = match Kind::of(entry.file_type()) {
                Some(kind) => kind,
                // Few file systems leave the kind out of the listing.
                None => match statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => Kind::of(FileType::from_raw_mode(stat.st_mode)).unwrap_or(Kind::Device),
                    Err(_) => continue,
                },
            };
            if name.first() == Some(&b'.') {
                match name {
                    b".git" => self.holds.git = true,
                    b".gitignore" => self.holds.gitignore = true,
                    b".ignore" => self.holds.ignore = true,
                    _ => {}
                }
            }
            let (Ok(start), Ok(len)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) else {
                self.cut = true;
                break;
            };
            self.names.extend_from_slice(name);
            let list = if kind == Kind::Directory { &mut self.directories } else { &mut self.files };
            list.push(Item { start, len, kind });
        }
        let names = &self.names;
        self.files.sort_unstable_by(|a, b| a.name(names).cmp(b.name(names)));
        self.directories.sort_unstable_by(|a, b| a.name(names).cmp(b.name(names)));
        Ok(())
    }

    /// How many entries are no directories.
    pub(super) const fn file_count(&self) -> usize {
        self.files.len()
    }

    /// How many entries there are.
    pub(super) const fn len(&self) -> usize {
        self.files.len() + self.directories.len()
    }

    /// The entry at this place among those that are no directories.
    pub(super) fn file(&self, at: usize) -> Option<(&[u8], Kind)> {
        self.files.get(at).map(|item| (item.name(&self.names), item.kind))
    }

    /// The directory at this place.
    pub(super) fn directory(&self, at: usize) -> Option<&[u8]> {
        self.directories.get(at).map(|item| item.name(&self.names))
    }
}

impl Item {
    fn name<'n>(&self, names: &'n [u8]) -> &'n [u8] {
        let start = self.start as usize;
        names.get(start..start + usize::from(self.len)).unwrap_or_default()
    }
}
