//! File names as text: what can't be shown is escaped, and each escape maps back.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use crate::text;

/// A file name, or a path of them, as text: hidden characters, tabs and line feeds as `<U+200B>`,
/// bytes that are no UTF-8 as `<0xFF>`. Different names give different texts.
pub fn show_name(name: &OsStr) -> Cow<'_, str> {
    let bytes = name.as_bytes();
    // Nearly all names are printable ASCII and stay as they are.
    if bytes.iter().all(|b| matches!(b, b' '..=b'~') && *b != b'<') {
        return name.to_string_lossy();
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        show_valid(chunk.valid(), &mut shown);
        for byte in chunk.invalid() {
            let written = write!(shown, "<0x{byte:02X}>");
            // Writing to a string can't fail.
            debug_assert!(written.is_ok());
        }
    }
    if shown.as_bytes() == bytes { name.to_string_lossy() } else { Cow::Owned(shown) }
}

/// The file name behind a text made by [`show_name`]. The result may hold any byte a caller wrote
/// as an escape, a slash too, so it has to be checked before it is used as a name.
pub fn parse_name(shown: &str) -> OsString {
    let mut bytes = Vec::with_capacity(shown.len());
    let mut rest = shown;
    while let Some((before, after)) = rest.split_once('<') {
        bytes.extend_from_slice(before.as_bytes());
        let from = rest.get(before.len()..).unwrap_or_default();
        let taken = if let Some((c, taken)) = text::parse_escape(from) {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            Some(taken)
        } else if let Some((byte, taken)) = parse_byte(from) {
            bytes.push(byte);
            Some(taken)
        } else {
            None
        };
        rest = match taken.and_then(|taken| from.get(taken..)) {
            Some(rest) => rest,
            None => {
                bytes.push(b'<');
                after
            }
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    OsString::from_vec(bytes)
}

/// The path without the hidden characters of its names, as file systems that ignore them compare
/// it; nothing when it has none. A name of nothing else stays as it is shown.
pub(super) fn without_hidden(path: &OsStr) -> Option<String> {
    let text = path.to_string_lossy();
    text.contains(is_escaped).then(|| {
        let bare = text.split('/').map(|name| {
            let kept = name.replace(is_escaped, "");
            let stands_alone = !matches!(&*kept, "" | "." | "..");
            show_name(OsStr::new(if stands_alone { kept.as_str() } else { name })).into_owned()
        });
        bare.collect::<Vec<_>>().join("/")
    })
}

fn show_valid(valid: &str, shown: &mut String) {
    let mut rest = valid.chars();
    while let Some(c) = rest.next() {
        let imitates_escape = c == '<' && (rest.as_str().starts_with("U+") || rest.as_str().starts_with("0x"));
        if is_escaped(c) || imitates_escape {
            text::push_escape(c, shown);
        } else {
            shown.push(c);
        }
    }
}

const fn is_escaped(c: char) -> bool {
    text::is_hidden(c) || matches!(c, '\t' | '\n')
}

/// Reads `<0xFF>` at the start of `text`: the byte and the bytes it took.
fn parse_byte(text: &str) -> Option<(u8, usize)> {
    let digits = text.strip_prefix("<0x")?.get(..2)?;
    let closed = text.get(5..6)? == ">";
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (closed && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some((byte, 6))
}
