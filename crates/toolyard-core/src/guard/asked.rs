//! A caller's path as it was written, checked before anything is looked up.

use std::{borrow::Cow, os::unix::ffi::OsStringExt as _};

use crate::ToolError;

use super::{errors, names};

/// Longest path, in bytes of the names it stands for.
const MAX_PATH: usize = 4096;

/// Longest name of a directory entry, in bytes.
const MAX_NAME: usize = 255;

/// Longest text: every byte of the longest path written as an escape.
const MAX_TEXT: usize = 6 * MAX_PATH;

/// A path cut into components, `.` and empty ones left out.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) absolute: bool,
    pub(super) parts: Vec<Vec<u8>>,
    /// It ends with a slash, so it can only mean a directory.
    pub(super) directory: bool,
    /// As the caller meant it, for messages.
    pub(super) bytes: Vec<u8>,
}

impl Asked {
    pub(super) fn parse(raw: &str) -> Result<Self, ToolError> {
        if raw.is_empty() {
            return Err(ToolError::invalid_input("the path is empty").with_hint("give `.` for the allowed directory itself"));
        }
        if raw.len() > MAX_TEXT {
            return Err(too_long());
        }
        if raw.starts_with('~') {
            return Err(ToolError::invalid_input(format!("`{}` begins with `~`, which is not expanded", errors::quoted(raw.as_bytes())))
                .with_hint("give the whole path, or `./~name` for a name that begins with `~`"));
        }
        if raw.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://")) {
            return Err(ToolError::invalid_input(format!("`{}` is a URL", errors::quoted(raw.as_bytes())))
                .with_hint("give a plain path, without `file://` and without percent signs"));
        }
        let bytes = decode(raw)?;
        if bytes.contains(&0) {
            return Err(ToolError::invalid_input(format!("`{}` holds a NUL character, which no path can", errors::quoted(&bytes))));
        }
        if bytes.len() > MAX_PATH {
            return Err(too_long());
        }
        let parts: Vec<_> = bytes.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect();
        if let Some(long) = parts.iter().find(|part| part.len() > MAX_NAME) {
            return Err(ToolError::invalid_input(format!(
                "a name in the path has {} bytes, no name can have more than {MAX_NAME}: `{}`",
                long.len(),
                errors::quoted(long)
            )));
        }
        Ok(Self { absolute: bytes.first() == Some(&b'/'), directory: bytes.last() == Some(&b'/'), parts, bytes: bytes.into_owned() })
    }
}

/// Maps escapes back, name by name, so that none can bring in a slash.
fn decode(raw: &str) -> Result<Cow<'_, [u8]>, ToolError> {
    if !raw.contains('<') {
        return Ok(Cow::Borrowed(raw.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    for (at, part) in raw.split('/').enumerate() {
        if at > 0 {
            bytes.push(b'/');
        }
        let name = names::parse_name(part).into_vec();
        if name.contains(&b'/') {
            return Err(ToolError::invalid_input(format!(
                "`{}` holds an escaped slash, which no name can",
                errors::quoted(raw.as_bytes())
            )));
        }
        bytes.extend_from_slice(&name);
    }
    Ok(Cow::Owned(bytes))
}

/// Removes each `..` with the component before it; nothing when one leads above the start.
pub(super) fn clean<'p>(parts: impl Iterator<Item = &'p [u8]>) -> Option<Vec<&'p [u8]>> {
    let mut kept = Vec::new();
    for part in parts {
        if part == b".." {
            kept.pop()?;
        } else {
            kept.push(part);
        }
    }
    Some(kept)
}

/// The same for an absolute path, where `..` at the top stays at the top.
pub(super) fn clean_absolute<'p>(parts: impl Iterator<Item = &'p [u8]>) -> Vec<&'p [u8]> {
    let mut kept = Vec::new();
    for part in parts {
        if part == b".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    kept
}

fn too_long() -> ToolError {
    ToolError::invalid_input(format!("the path is longer than {MAX_PATH} bytes"))
}
