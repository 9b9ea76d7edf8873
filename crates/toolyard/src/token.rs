//! Tokens of callers over HTTP: made at random, and the one that hosts on this machine share.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustix::{fs::OFlags, rand::GetRandomFlags};

const TOKEN_BYTES: usize = 32;

/// 32 bytes in base64url.
const TOKEN_LENGTH: usize = 43;

/// The name of the file in the state directory.
const FILE: &str = "http-token";

/// Why the token of this machine can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// Nothing says where state is kept.
    #[error("no state directory to keep a token in; name one with `--state-dir`, or configure `http.tokens`")]
    NoStateDirectory,
    /// It can't be read or made.
    #[error("the token file `{path}` can't be used: {source}; mend that, or name another directory with `--state-dir`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may have read or written it.
    #[error("the token file `{path}` {problem}; remove it, and a new one is made")]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A token nobody can guess.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn fresh() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, GetRandomFlags::empty())?;
    }
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A hash as the configuration has it.
#[cfg(feature = "cli")]
pub(crate) fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the token of this machine is.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

/// The token of this machine; made when there is none.
///
/// # Errors
/// When the file can't be read or made, or others could have read it.
pub(crate) fn kept(state: &Path) -> Result<String, TokenFileError> {
    let path = path(state);
    match read(&path)? {
        Some(token) => Ok(token),
        None => {
            let made = make(state, &path).map_err(|source| TokenFileError::Io { path: path.clone(), source })?;
            // Another server was faster: its token counts.
            made.map_or_else(|| read(&path)?.ok_or(TokenFileError::Unsafe { path, problem: "vanished while it was read" }), Ok)
        }
    }
}

/// Checks and reads the file; none when there is none.
#[expect(clippy::disallowed_methods, reason = "a file of this program in its own state directory, opened without following links")]
pub(crate) fn read(path: &Path) -> Result<Option<String>, TokenFileError> {
    let failed = |source| TokenFileError::Io { path: path.to_owned(), source };
    let refuse = |problem| Err(TokenFileError::Unsafe { path: path.to_owned(), problem });
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => return refuse("is a symlink"),
        Err(error) => return Err(failed(error)),
    };
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return refuse("is no regular file");
    }
    if facts.uid() != rustix::process::geteuid().as_raw() {
        return refuse("belongs to another user");
    }
    if facts.mode() & 0o077 != 0 {
        return refuse("can be read or changed by other users, so its token may be known");
    }
    let mut text = String::new();
    file.take(256).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim_end_matches('\n');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if token.len() != TOKEN_LENGTH || !token.bytes().all(fits) {
        return refuse("holds no token that this program made");
    }
    Ok(Some(token.to_owned()))
}

/// Makes the file at once, whole; none when it is there by now.
#[expect(clippy::disallowed_methods, reason = "a file of this program in its own state directory, made new")]
fn make(state: &Path, path: &Path) -> io::Result<Option<String>> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state)?;
    let token = fresh()?;
    let temporary = state.join(format!("{FILE}.{}", fresh()?));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(format!("{token}\n").as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| std::fs::hard_link(&temporary, path));
    std::fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => Ok(Some(token)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the test looks at the file and spoils it")]

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use toolyard_http::hash_token;

    use super::{TokenFileError, hex, kept, path};

    #[test]
    fn the_token_is_made_once_and_only_this_user_can_read_it() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let state = home.path().join("state/toolyard");
        let token = kept(&state).expect("a token");
        assert_eq!(token.len(), 43);
        assert_eq!(kept(&state).expect("a token"), token);
        assert_eq!(fs::metadata(path(&state)).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&state).expect("a directory").permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(path(&state)).expect("a file"), format!("{token}\n"));
        assert_eq!(fs::read_dir(&state).expect("a directory").count(), 1, "a temporary file was left");
        let other = tempfile::tempdir().expect("a temporary directory");
        assert_ne!(kept(other.path()).expect("a token"), token);
    }

    #[test]
    fn servers_that_start_together_share_one_token() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let servers: Vec<_> = (0..8).map(|_| scope.spawn(|| kept(home.path()).expect("a token"))).collect();
            servers.into_iter().map(|server| server.join().expect("no panic")).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    }

    #[test]
    fn a_file_that_others_may_have_touched_is_refused() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = path(home.path());
        let problem = || match kept(home.path()) {
            Err(TokenFileError::Unsafe { problem, .. }) => problem,
            other => panic!("{other:?}"),
        };
        kept(home.path()).expect("a token");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        assert_eq!(problem(), "can be read or changed by other users, so its token may be known");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
        fs::write(&file, "short\n").expect("a file");
        assert_eq!(problem(), "holds no token that this program made");
        let elsewhere = home.path().join("elsewhere");
        fs::rename(&file, &elsewhere).expect("a file");
        std::os::unix::fs::symlink(&elsewhere, &file).expect("a link");
        assert_eq!(problem(), "is a symlink");
        fs::remove_file(&file).expect("a link");
        fs::create_dir(&file).expect("a directory");
        assert_eq!(problem(), "is no regular file");
    }

    #[test]
    fn a_hash_is_the_sha_256_that_other_programs_compute() {
        assert_eq!(hex(&hash_token("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
