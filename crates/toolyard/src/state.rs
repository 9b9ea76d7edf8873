//! Where the state directory may be: outside every allowed directory, or tools could change the
//! record of their own calls.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

/// The canonical form of a directory that need not exist yet: what exists is resolved, the rest
/// is appended.
///
/// # Errors
/// When the path is relative or an existing part can't be resolved.
pub(crate) fn canonical(path: &Path) -> io::Result<PathBuf> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path holds `..`"));
    }
    for existing in path.ancestors() {
        match resolve(existing) {
            Ok(resolved) => {
                let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
                return Ok(if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the operator's own directory, looked at once before any tool runs")]
fn resolve(path: &Path) -> io::Result<PathBuf> {
    std::fs::canonicalize(path)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn a_path_that_is_not_there_yet_is_resolved_as_far_as_it_is() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let real = home.path().canonicalize().expect("it exists");
        std::os::unix::fs::symlink(&real, real.join("link")).expect("a link");
        assert_eq!(canonical(&real.join("link/state/toolyard")).expect("a path"), real.join("state/toolyard"));
        assert_eq!(canonical(&real.join("link")).expect("a path"), real);
        let relative = canonical("state".as_ref()).expect_err("it is relative");
        assert_eq!(relative.to_string(), "the path is not absolute");
    }
}
