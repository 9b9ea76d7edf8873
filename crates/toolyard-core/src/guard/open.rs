//! Opening beneath a held directory: `openat2` where there is one, else one component at a time.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags},
    io::Errno,
};

/// The kernel asks to try again when a rename elsewhere disturbs a look-up with `..`.
const RETRIES: usize = 32;

/// From this length on the kernel refuses a path in one piece.
const PATH_MAX: usize = 4096;

/// What sort of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A character or block device.
    Device,
}

impl Kind {
    /// With its article, for messages: `a named pipe`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        }
    }

    pub(super) const fn of(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => Self::Device,
            FileType::Unknown => return None,
        })
    }
}

/// What is known about a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits, without the file type.
    pub mode: u32,
    /// Number of hard links.
    pub nlink: u64,
    /// Inode number.
    pub ino: u64,
    /// Device number.
    pub dev: u64,
    /// Last change of the content: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Last change of content or attributes: seconds since 1970 and nanoseconds.
    pub ctime: (i64, u32),
}

impl Stat {
    /// Whether both are of the same file.
    pub const fn same_file(&self, other: &Self) -> bool {
        self.ino == other.ino && self.dev == other.dev
    }
}

/// A [`Stat`], and the mount it was reached through where the kernel tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) stat: Stat,
    pub(super) mount: Option<u64>,
}

/// How the kernel is asked to stay beneath a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// One call that refuses every symlink and every way up.
    OpenAt2,
    /// One component at a time, for kernels and sandboxes without `openat2`.
    Walk,
}

/// Whether an open may cross into another mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mounts {
    /// Crossing fails with `EXDEV`.
    Same,
    /// Crossing is fine.
    Any,
}

impl Opener {
    /// The best one that works here.
    pub(super) fn detect(dir: BorrowedFd<'_>) -> Self {
        // Old container sandboxes answer EPERM to calls they don't know.
        match Self::OpenAt2.open(dir, b"", OFlags::PATH, Mounts::Any) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Self::Walk,
            Ok(_) | Err(_) => Self::OpenAt2,
        }
    }

    /// Opens `path`, which is relative, beneath `dir` and follows no symlink: one in last place is
    /// opened itself with `O_PATH`, any other is `ELOOP`.
    pub(super) fn open(self, dir: BorrowedFd<'_>, path: &[u8], flags: OFlags, mounts: Mounts) -> Result<OwnedFd, Errno> {
        // Elsewhere a symlink in last place has to be ELOOP, and not ENOTDIR as O_NOFOLLOW makes it.
        let flags = flags | OFlags::CLOEXEC | if flags.contains(OFlags::PATH) { OFlags::NOFOLLOW } else { OFlags::empty() };
        if self == Self::Walk || path.len() >= PATH_MAX {
            return walk(dir, path, flags, mounts);
        }
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        if mounts == Mounts::Same {
            resolve |= ResolveFlags::NO_XDEV;
        }
        let path = if path.is_empty() { b"." } else { path };
        for _ in 0..RETRIES {
            match rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// Opens one component after the other; `..` is answered like a symlink, for the caller to resolve.
fn walk(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags, mounts: Mounts) -> Result<OwnedFd, Errno> {
    let crosses = |fd: BorrowedFd<'_>| Ok(mounts == Mounts::Same && facts(fd)?.mount != facts(dir)?.mount);
    let mut parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".").peekable();
    let mut held: Option<OwnedFd> = None;
    while let Some(part) = parts.next() {
        if part == b".." {
            return Err(Errno::LOOP);
        }
        let at = held.as_ref().map_or(dir, |fd| fd.as_fd());
        let last = parts.peek().is_none();
        let wanted = if last { flags } else { OFlags::PATH | OFlags::DIRECTORY };
        held = Some(match rustix::fs::openat(at, part, wanted | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => fd,
            // A mount is noticed where it is entered, even when nothing is found in it.
            Err(Errno::NOENT) if crosses(at)? => return Err(Errno::XDEV),
            // A symlink where a directory is wanted is ELOOP for openat2.
            Err(Errno::NOTDIR) if stat_at(at, part).is_ok_and(|facts| facts.stat.kind == Kind::Symlink) => return Err(Errno::LOOP),
            Err(errno) => return Err(errno),
        });
    }
    let opened = match held {
        Some(fd) => fd,
        None => rustix::fs::openat(dir, ".", flags, Mode::empty())?,
    };
    if crosses(opened.as_fd())? { Err(Errno::XDEV) } else { Ok(opened) }
}

/// What the handle holds.
pub(super) fn facts(fd: BorrowedFd<'_>) -> Result<Facts, Errno> {
    match statx(fd, b"", AtFlags::EMPTY_PATH) {
        Err(Errno::NOSYS | Errno::PERM) => from_stat(&rustix::fs::fstat(fd)?),
        facts => facts,
    }
}

/// What is at one name in a directory; a symlink is not followed.
pub(super) fn stat_at(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Facts, Errno> {
    match statx(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOSYS | Errno::PERM) => from_stat(&rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?),
        facts => facts,
    }
}

fn statx(dir: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> Result<Facts, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let x = rustix::fs::statx(dir, name, flags | AtFlags::NO_AUTOMOUNT, wanted)?;
    let kind = Kind::of(FileType::from_raw_mode(x.stx_mode.into())).ok_or(Errno::IO)?;
    let stat = Stat {
        kind,
        size: x.stx_size,
        mode: u32::from(x.stx_mode) & 0o7777,
        nlink: x.stx_nlink.into(),
        ino: x.stx_ino,
        dev: rustix::fs::makedev(x.stx_dev_major, x.stx_dev_minor),
        mtime: (x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec),
        ctime: (x.stx_ctime.tv_sec, x.stx_ctime.tv_nsec),
    };
    let told = StatxFlags::from_bits_retain(x.stx_mask).contains(StatxFlags::MNT_ID);
    Ok(Facts { stat, mount: told.then_some(x.stx_mnt_id) })
}

fn from_stat(s: &rustix::fs::Stat) -> Result<Facts, Errno> {
    let nanos = |nanos| u32::try_from(nanos).unwrap_or(0);
    let stat = Stat {
        kind: Kind::of(FileType::from_raw_mode(s.st_mode)).ok_or(Errno::IO)?,
        size: u64::try_from(s.st_size).unwrap_or(0),
        mode: s.st_mode & 0o7777,
        #[cfg_attr(target_arch = "x86_64", expect(clippy::useless_conversion, reason = "the width differs by platform"))]
        nlink: u64::from(s.st_nlink),
        ino: s.st_ino,
        dev: s.st_dev,
        mtime: (s.st_mtime, nanos(s.st_mtime_nsec)),
        ctime: (s.st_ctime, nanos(s.st_ctime_nsec)),
    };
    Ok(Facts { stat, mount: None })
}

/// A name that can stand for an entry of a directory and nothing else.
pub(super) fn is_single_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}

/// The error for a name that fails [`is_single_name`].
pub(super) fn not_a_name() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not the name of a directory entry")
}
