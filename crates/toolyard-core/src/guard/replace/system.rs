//! The calls that not every file system has, so that tests can take them away.

use std::{
    ffi::OsStr,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, RenameFlags, openat, renameat_with},
    io::Errno,
};

/// What the file system can do. A test takes something away, on its own thread, with
/// [`Capabilities::limited`]; otherwise the system decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, whatever the others are")]
pub(super) struct Capabilities {
    /// Two names change places in one step.
    pub(super) exchange: bool,
    /// A rename can refuse to replace.
    pub(super) no_replace: bool,
    /// Files can have no name.
    pub(super) nameless: bool,
    /// All directories are on one file system.
    pub(super) one_device: bool,
    /// Directories reach the disk.
    pub(super) sync: bool,
    /// The disk has room for another file.
    pub(super) room: bool,
}

impl Capabilities {
    /// Everything there is.
    pub(super) const ALL: Self = Self { exchange: true, no_replace: true, nameless: true, one_device: true, sync: true, room: true };

    #[cfg(not(test))]
    const fn current() -> Self {
        Self::ALL
    }

    #[cfg(test)]
    fn current() -> Self {
        LIMITED.get()
    }

    /// Runs `work` on a system that can only do this.
    #[cfg(test)]
    pub(super) fn limited<T>(self, work: impl FnOnce() -> T) -> T {
        let before = LIMITED.replace(self);
        let result = work();
        LIMITED.set(before);
        result
    }
}

#[cfg(test)]
std::thread_local! {
    static LIMITED: std::cell::Cell<Capabilities> = const { std::cell::Cell::new(Capabilities::ALL) };
    static BEFORE_RENAME: std::cell::RefCell<Option<Box<dyn FnOnce()>>> = const { std::cell::RefCell::new(None) };
}

/// Lets a test act as another program right before the next rename of this thread.
#[cfg(test)]
pub(super) fn before_rename(act: impl FnOnce() + 'static) {
    BEFORE_RENAME.with_borrow_mut(|waiting| *waiting = Some(Box::new(act)));
}

/// `renameat2`.
pub(super) fn rename_at(
    from: BorrowedFd<'_>,
    from_name: &OsStr,
    to: BorrowedFd<'_>,
    to_name: &OsStr,
    flags: RenameFlags,
) -> Result<(), Errno> {
    #[cfg(test)]
    if let Some(act) = BEFORE_RENAME.with_borrow_mut(Option::take) {
        act();
    }
    let can = Capabilities::current();
    if flags.contains(RenameFlags::EXCHANGE) && !can.exchange || flags.contains(RenameFlags::NOREPLACE) && !can.no_replace {
        return Err(Errno::INVAL);
    }
    if from.as_raw_fd() != to.as_raw_fd() && !can.one_device {
        return Err(Errno::XDEV);
    }
    renameat_with(from, from_name, to, to_name, flags)
}

/// Opens a file without a name in this directory.
pub(super) fn open_nameless(dir: BorrowedFd<'_>, mode: Mode) -> Result<OwnedFd, Errno> {
    let can = Capabilities::current();
    if !can.room {
        return Err(Errno::NOSPC);
    }
    if !can.nameless {
        return Err(Errno::OPNOTSUPP);
    }
    openat(dir, c".", OFlags::RDWR | OFlags::CLOEXEC | OFlags::TMPFILE, mode)
}

/// Fails where entries of directories can't be brought to the disk.
pub(super) fn may_sync() -> Result<(), Errno> {
    if Capabilities::current().sync { Ok(()) } else { Err(Errno::IO) }
}
