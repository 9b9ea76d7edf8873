//! A Unix socket that only its owner can use, from the first moment on.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, RenameFlags, Stat, chmod, lstat, mkdir, rename, renameat_with, rmdir, unlink, unlinkat},
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};
use tokio::net::{UnixListener, UnixStream};

use crate::SocketProblem;

/// A listening socket; dropping it removes its file.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    identity: Identity,
}

/// Device and inode.
type Identity = (u64, u64);

impl UnixSocket {
    /// Listens at `path`. A socket nobody listens at is replaced, anything else is left alone.
    ///
    /// The socket is made in a directory nobody else can enter, gets its mode there, and is moved
    /// to its place then, so that it never stands open, whatever the umask is.
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketProblem> {
        let stale = stale(path)?;
        let private = Private::beside(path)?;
        let made = private.0.join("s");
        let listener = UnixListener::bind(&made)?;
        let socket = chmod(&made, Mode::RUSR | Mode::WUSR).and_then(|()| lstat(&made)).map_err(io::Error::from);
        let installed = socket.and_then(|socket| Ok((identity(&socket), install(&made, path, stale)?)));
        // After an exchange the stale socket is there, after a failure the new one.
        match unlink(&made) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let (identity, installed) = installed?;
        if !installed {
            return Err(SocketProblem::InUse);
        }
        Ok(Self { listener, path: path.to_owned(), identity })
    }

    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Another server may have taken the place in the meantime.
        if lstat(&self.path).is_ok_and(|found| identity(&found) == self.identity)
            && let Err(error) = unlinkat(CWD, &self.path, AtFlags::empty())
        {
            tracing::warn!(%error, "the socket is left behind");
        }
    }
}

/// The socket to replace, if there is one.
fn stale(path: &Path) -> Result<Option<Identity>, SocketProblem> {
    let found = match lstat(path) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(io::Error::from(error).into()),
    };
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        return Err(SocketProblem::NotASocket);
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketProblem::InUse),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Some(identity(&found))),
        Err(error) => Err(error.into()),
    }
}

/// Moves the socket to its place; false when another process was faster.
fn install(made: &Path, path: &Path, stale: Option<Identity>) -> io::Result<bool> {
    let Some(stale) = stale else {
        return match renameat_with(CWD, made, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(rename(made, path).map(|()| true)?),
            Err(error) => Err(error.into()),
        };
    };
    match renameat_with(CWD, made, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) if identity(&lstat(made)?) == stale => Ok(true),
        // What was there is not what was looked at: it goes back.
        Ok(()) => Ok(renameat_with(CWD, made, CWD, path, RenameFlags::EXCHANGE).map(|()| false)?),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(rename(made, path).map(|()| true)?),
        Err(error) => Err(error.into()),
    }
}

fn identity(found: &Stat) -> Identity {
    (found.st_dev, found.st_ino)
}

/// A directory of mode 0700; dropping it removes it.
struct Private(PathBuf);

impl Private {
    fn beside(path: &Path) -> io::Result<Self> {
        let mut random = [0; 4];
        getrandom(&mut random, GetRandomFlags::empty())?;
        // Short, since the path of a socket holds about 107 bytes.
        let name = format!(".ty{:08x}", u32::from_ne_bytes(random));
        let directory = path.with_file_name(name);
        mkdir(&directory, Mode::RWXU)?;
        Ok(Self(directory))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = rmdir(&self.0) {
            tracing::debug!(%error, "a directory is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the test looks at the files itself")]

    use std::{
        fs,
        os::unix::{fs::PermissionsExt as _, net::UnixListener as StdListener},
    };

    use super::UnixSocket;
    use crate::SocketProblem;

    #[tokio::test]
    async fn dr6_the_socket_has_mode_0600_and_is_removed_at_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("http.sock");
        let socket = UnixSocket::bind(&path).expect("a socket");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o7777, 0o600);
        let names: Vec<_> = fs::read_dir(&directory).expect("entries").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(names, ["http.sock"]);
        drop(socket);
        assert_eq!(fs::read_dir(&directory).expect("entries").count(), 0);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_a_live_one_and_a_file_are_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("http.sock");
        drop(StdListener::bind(&path).expect("a socket"));
        let socket = UnixSocket::bind(&path).expect("nobody listens there");
        let second = UnixSocket::bind(&path);
        assert!(matches!(second, Err(SocketProblem::InUse)), "{second:?}");
        drop(socket);
        fs::write(&path, "precious").expect("a file");
        let third = UnixSocket::bind(&path);
        assert!(matches!(third, Err(SocketProblem::NotASocket)), "{third:?}");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
    }

    #[tokio::test]
    async fn a_socket_that_took_the_place_is_not_removed_by_its_predecessor() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("http.sock");
        let first = UnixSocket::bind(&path).expect("a socket");
        fs::remove_file(&path).expect("somebody removes it");
        let second = UnixSocket::bind(&path).expect("the place is free");
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
