//! What the program takes from its environment; nothing else in Toolyard looks there.
#![expect(clippy::disallowed_methods, reason = "the program, not a library, decides what to take from the environment")]

use std::{
    env, io,
    path::{Path, PathBuf},
};

/// A variable, when it is set to UTF-8 text.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// A variable that names a file or directory; unset and empty are the same.
pub(super) fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The directory the program was started in.
pub(super) fn current_directory() -> io::Result<PathBuf> {
    env::current_dir()
}

/// The user's home directory.
pub(super) fn home() -> Option<PathBuf> {
    path("HOME").filter(|home| home.is_absolute())
}

/// Where state is kept unless something else is said.
pub(super) fn state_directory() -> Option<PathBuf> {
    let state = path("XDG_STATE_HOME").filter(|state| state.is_absolute());
    Some(state.or_else(|| home().map(|home| home.join(".local/state")))?.join("toolyard"))
}

/// How to start this program again: its bare name when the search path leads here, else its path.
pub(super) fn own_command() -> io::Result<String> {
    let own = env::current_exe()?;
    let name = own.file_name().unwrap_or_default();
    let found = env::var_os("PATH").and_then(|paths| env::split_paths(&paths).map(|folder| folder.join(name)).find(|file| file.is_file()));
    let same = |found: &Path| found.canonicalize().ok().is_some_and(|found| Some(found) == own.canonicalize().ok());
    let command = if found.is_some_and(|found| same(&found)) { Path::new(name) } else { &own };
    command.to_str().map(str::to_owned).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the path of this program is not UTF-8"))
}
