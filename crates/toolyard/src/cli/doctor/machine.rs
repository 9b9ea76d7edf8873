//! What this kernel and these file systems can do.

use std::path::Path;

use rustix::{
    fs::{self, Access, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, StatxFlags},
    io::Errno,
};

use super::Finding;

/// The kernel features that the guard uses.
pub(super) fn kernel() -> Vec<Finding> {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let opened = fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|root| fs::openat2(&root, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), beneath));
    let openat2 = match opened {
        Ok(_) => Finding::good("openat2: the kernel itself keeps paths beneath their directory"),
        Err(Errno::NOSYS | Errno::PERM) => {
            Finding::hint("openat2 is missing or filtered; paths are walked one component at a time, which is as safe and slower")
        }
        Err(error) => Finding::problem(format!("openat2 fails on `/`: {error}")),
    };
    // Names that can't exist: only whether the call is known matters.
    let renamed = fs::renameat_with(fs::CWD, "", fs::CWD, "", RenameFlags::EXCHANGE);
    let rename = match renamed {
        Err(Errno::NOSYS) => Finding::hint("renameat2 is missing; replacing a file can't detect a last-moment change by others"),
        _ => Finding::good("renameat2: files are replaced in one step"),
    };
    let mount = fs::statx(fs::CWD, "/", AtFlags::empty(), StatxFlags::MNT_ID);
    let mount = match mount {
        Ok(facts) if facts.stx_mask & StatxFlags::MNT_ID.bits() != 0 => {
            Finding::good("statx: mount points inside allowed directories are recognised")
        }
        _ => Finding::hint("statx gives no mount ids; mount points inside allowed directories are told by device number only"),
    };
    vec![openat2, rename, mount, Finding::good("Landlock is not used; the guard and the policy hold without it")]
}

/// Whether files can be made in a directory, judged without making any.
pub(super) fn writable(directory: &Path) -> rustix::io::Result<()> {
    fs::access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
}

/// What the file system of an allowed directory lacks.
pub(super) fn file_system(directory: &Path) -> Option<Finding> {
    // An unnamed file is gone when its handle is closed; nothing is ever visible.
    let unnamed = fs::open(directory, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    match unnamed {
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Some(Finding::hint(format!(
            "the file system of `{}` has no unnamed files; a crash in the middle of a write can leave a temporary file",
            directory.display()
        ))),
        _ => None,
    }
}
