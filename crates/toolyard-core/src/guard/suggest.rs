//! Nothing is there: what is nearest to it.

use std::{
    ffi::OsStr,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use rustix::fs::OFlags;

use crate::ToolError;

use super::{
    dirs::Home,
    errors,
    handles::GuardedDir,
    open::{Kind, facts},
    path::{CheckedPath, display},
    resolve,
};

use std::os::fd::AsFd as _;

/// Entries of a directory that are compared.
const COMPARED: usize = 5_000;

/// Names that are suggested.
const SUGGESTED: usize = 3;

/// From this likeness on, of 1 for the same, a name is suggested.
const ALIKE: f64 = 0.7;

/// The error for a path with nothing at it. Names the deepest directory above that is there, and
/// names in it that look alike, as far as the policy lets the call see them.
pub(super) fn not_found(path: &CheckedPath) -> ToolError {
    let shown = path.display();
    let home = path.home();
    let mut missing = path.bytes();
    while !missing.is_empty() {
        let (above, name) = match missing.iter().rposition(|b| *b == b'/') {
            Some(at) => (missing.get(..at).unwrap_or_default(), missing.get(at + 1..).unwrap_or_default()),
            None => (&[][..], missing),
        };
        if let Ok(fd) = home.open(above, OFlags::PATH) {
            let above_shown = display(home, above);
            if facts(fd.as_fd()).is_ok_and(|facts| facts.stat.kind != Kind::Directory) {
                return ToolError::not_found(format!("`{shown}` does not exist, because `{above_shown}` is not a directory"));
            }
            let error = ToolError::not_found(format!("`{shown}` does not exist"));
            let alike = alike(path, above, name);
            return match (alike.is_empty(), above == missing_parent(path.bytes())) {
                (false, _) => error.with_hint(format!("did you mean {}?", alike.join(" or "))),
                (true, true) => error.with_hint(format!("`{above_shown}` is there; list it to see its names")),
                (true, false) => error.with_hint(format!("the deepest directory of it that is there is `{above_shown}`; list that")),
            };
        }
        missing = above;
    }
    errors::gone(home.dir.path())
}

fn missing_parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').and_then(|at| path.get(..at)).unwrap_or_default()
}

/// Paths in the directory `above` whose names look like `name`, best first, in backticks.
fn alike(path: &CheckedPath, above: &[u8], name: &[u8]) -> Vec<String> {
    let home: &Home = path.home();
    let Ok(fd) = home.open(above, OFlags::RDONLY | OFlags::DIRECTORY) else { return Vec::new() };
    let Ok(entries) = GuardedDir::new(fd, home.clone()).entries() else { return Vec::new() };
    let wanted = String::from_utf8_lossy(name).to_lowercase();
    let filter = path.policy().map(crate::EntryPolicy::filter);
    let mut found: Vec<(f64, Vec<u8>)> = Vec::new();
    for entry in entries.take(COMPARED).filter_map(Result::ok) {
        let candidate = entry.name.into_vec();
        // Without being asked for, no name that begins with a dot is given away.
        if candidate.starts_with(b".") && !name.starts_with(b".") {
            continue;
        }
        let shown = String::from_utf8_lossy(&candidate).to_lowercase();
        let typing_error = wanted.len() > 1 && strsim::damerau_levenshtein(&wanted, &shown) <= 1;
        let likeness = strsim::normalized_damerau_levenshtein(&wanted, &shown);
        if likeness < ALIKE && !typing_error {
            continue;
        }
        let mut full = above.to_vec();
        if !full.is_empty() {
            full.push(b'/');
        }
        full.extend_from_slice(&candidate);
        let visible = resolve::resource(&home.dir, &full, None).is_some_and(|resource| match &filter {
            Some(filter) => filter.allows(&resource),
            None => !candidate.starts_with(b"."),
        });
        if visible {
            found.push((likeness, full));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.truncate(SUGGESTED);
    found.iter().map(|(_, full)| format!("`{}`", display(home, OsStr::from_bytes(full).as_bytes()))).collect()
}
