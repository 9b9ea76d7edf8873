//! One entry of a walk, and reading it.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstat, fstatfs, openat2, statx},
    io::Errno,
};

use crate::guard::{Kind, dirs::Home, open::Opener};

/// An entry the policy and the ignore rules let through.
#[derive(Debug)]
pub struct Entry<'e> {
    pub(super) home: &'e Home,
    pub(super) directory: BorrowedFd<'e>,
    pub(super) name: &'e [u8],
    pub(super) path: &'e [u8],
    pub(super) shown: &'e str,
    pub(super) kind: Kind,
    pub(super) depth: usize,
    /// Whether a read that fills less than the buffer reached the end of the file.
    pub(super) reads_whole: bool,
}

/// What [`Entry::read_into`] read.
#[derive(Debug)]
pub enum Content {
    /// The buffer holds the whole file.
    Whole,
    /// The buffer is full; the rest comes from this regular file.
    Beginning(File),
}

impl Entry<'_> {
    /// Its name.
    pub fn name(&self) -> &OsStr {
        OsStr::from_bytes(self.name)
    }

    /// Its path relative to the start of the walk.
    pub const fn path(&self) -> &[u8] {
        self.path
    }

    /// The same as text, hidden characters and bytes that are no UTF-8 escaped.
    pub const fn shown(&self) -> &str {
        self.shown
    }

    /// Its name as text.
    pub fn shown_name(&self) -> &str {
        self.shown.rsplit('/').next().unwrap_or_default()
    }

    /// What it was when its directory was listed.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Levels below the start, 1 for its own entries.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// Reads as much of a file as fits the capacity of `buffer`, replacing what it holds. Never
    /// blocks and never follows a symlink.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` when it turns out to be no regular file.
    pub fn read_into(&self, buffer: &mut Vec<u8>) -> io::Result<Content> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let (file, same_mount) = open(self.home, self.directory, self.name, flags)?;
        buffer.clear();
        // The listing said it is a regular file. Should it have been replaced since, non-blocking
        // reads of at most one buffer do no harm, so a file that fits needs no further look.
        loop {
            if buffer.len() == buffer.capacity() {
                if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                return Ok(Content::Beginning(file.into()));
            }
            match rustix::io::read(&file, rustix::buffer::spare_capacity(buffer)) {
                Ok(0) => return Ok(Content::Whole),
                Ok(_) if self.reads_whole && same_mount && buffer.len() < buffer.capacity() => return Ok(Content::Whole),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// When its content last changed: seconds since 1970 and nanoseconds.
    ///
    /// # Errors
    /// What the system says.
    pub fn modified(&self) -> io::Result<(i64, u32)> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        let stat = statx(self.directory, self.name, flags, StatxFlags::MTIME)?;
        Ok((stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec))
    }
}

/// Opens an entry by the name its directory listed, which is a single component: nothing can lead
/// away from the directory but a symlink or a mount, and the kernel is told to refuse both. Asking
/// for more, as for paths, would cost a tenth of the time. Also tells whether the entry is known
/// to lie on the same mount as its directory.
pub(super) fn open(home: &Home, directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<(OwnedFd, bool), Errno> {
    if home.shared.opener == Opener::OpenAt2 {
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        match openat2(directory, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A mount may be fine, which takes a closer look.
            Err(Errno::XDEV | Errno::AGAIN | Errno::INTR) => {}
            opened => return opened.map(|fd| (fd, true)),
        }
    }
    home.open_at(directory, name, flags).map(|fd| (fd, false))
}

/// Whether reads from files of this directory's file system stop short only at the end of a file,
/// as they do where file systems keep their files on this machine.
pub(super) fn reads_whole(directory: BorrowedFd<'_>) -> bool {
    // ext2 to ext4, XFS, Btrfs, tmpfs.
    const LOCAL: [u64; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994];
    fstatfs(directory).is_ok_and(|stat| LOCAL.contains(&u64::try_from(stat.f_type).unwrap_or(0)))
}
