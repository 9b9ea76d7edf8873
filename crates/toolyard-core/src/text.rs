//! Showing text that other people wrote: what can't be seen is shown as an escape, and an edit
//! can map it back.

use std::{borrow::Cow, fmt::Write as _};

/// Whether a character is shown as `<U+XXXX>`: controls except tab and line feed, and characters
/// that hide, reorder or tag text (bidirectional controls, zero width, tags, fillers).
pub const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\x08' | '\x0B'..='\x1F' | '\x7F'..='\u{9F}'
        | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Text with every hidden character shown as `<U+XXXX>`. A carriage return before a line feed is
/// left out: line endings are told apart from the text.
pub fn show(text: &str) -> Cow<'_, str> {
    if !may_hide(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    show_into(text, &mut shown);
    Cow::Owned(shown)
}

/// Appends what [`show`] gives.
pub fn show_into(text: &str, out: &mut String) {
    if !may_hide(text.as_bytes()) {
        out.push_str(text);
        return;
    }
    // Everything up to the next hidden character is copied in one piece.
    let bytes = text.as_bytes();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = bytes[at..].iter().position(|b| SUSPICIOUS[usize::from(*b)]) {
        at += found;
        let Some(c) = text[at..].chars().next() else { break };
        let next = at + c.len_utf8();
        if is_hidden(c) {
            out.push_str(&text[copied..at]);
            if c != '\r' || bytes.get(next) != Some(&b'\n') {
                push_escape(c, out);
            }
            copied = next;
        }
        at = next;
    }
    out.push_str(&text[copied..]);
}

/// Maps `<U+XXXX>` escapes of hidden characters back; `None` when there are none.
pub fn unshow(text: &str) -> Option<String> {
    let mut back = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find("<U+") {
        back.push_str(&rest[..at]);
        match parse_escape(&rest[at..]) {
            Some((c, len)) if is_hidden(c) || matches!(c, '[' | '<') => {
                back.push(c);
                rest = &rest[at + len..];
                found = true;
            }
            _ => {
                back.push_str("<U+");
                rest = &rest[at + 3..];
            }
        }
    }
    back.push_str(rest);
    found.then_some(back)
}

pub(crate) fn push_escape(c: char, out: &mut String) {
    let written = write!(out, "<U+{:04X}>", u32::from(c));
    // Writing to a string can't fail.
    debug_assert!(written.is_ok());
}

/// Reads `<U+XXXX>` at the start of `text`: the character and the bytes it took.
pub(crate) fn parse_escape(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix("<U+")?;
    let end = body.bytes().take(7).position(|b| b == b'>').filter(|end| *end >= 4)?;
    let digits = &body[..end];
    // The parser of the standard library also takes a sign.
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    Some((c, end + 4))
}

/// The bytes a hidden character can begin with.
const SUSPICIOUS: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < all.len() {
        all[byte] = begins_hidden(byte as u8);
        byte += 1;
    }
    all
};

/// Whether a hidden character can begin with this byte.
const fn begins_hidden(b: u8) -> bool {
    // 0xC2 leads U+0080..U+00BF, 0xCD U+034F, 0xD8 U+061C, 0xE1..0xE3, 0xEF and 0xF0.. the rest.
    (b < 0x20) & (b != b'\n') & (b != b'\t') | matches!(b, 0x7F | 0xC2 | 0xCD | 0xD8 | 0xE1..=0xE3 | 0xEF..=0xF4)
}

/// Whether any byte can begin a hidden character; plain text is the rule, so this is the only
/// pass most text gets.
fn may_hide(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &b| found | begins_hidden(b))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::{is_hidden, parse_escape, show, unshow};

    #[test]
    fn hidden_characters_are_shown_and_mapped_back() {
        assert_eq!(show("a\u{200B}b\x1b[31mc\r\nd\te"), "a<U+200B>b<U+001B>[31mc\nd\te");
        assert_eq!(unshow("a<U+200B>b").as_deref(), Some("a\u{200B}b"));
        assert_eq!(show("\u{E0041}"), "<U+E0041>");
        assert_eq!(show("naïve – 日本語 🙂"), "naïve – 日本語 🙂");
    }

    #[test]
    fn text_that_only_looks_like_an_escape_is_left_alone() {
        assert_eq!(unshow("see <U+0041> and <U+zz> and <U+"), None);
    }

    #[test]
    fn only_hexadecimal_digits_make_an_escape() {
        assert_eq!(parse_escape("<U++041>"), None);
        assert_eq!(unshow("<U++200B>"), None);
        assert_eq!(parse_escape("<U+0000041>"), None);
        assert_eq!(parse_escape("<U+041>"), None);
        assert_eq!(parse_escape("<U+日本>"), None);
        assert_eq!(parse_escape("<U+10FFFF>rest"), Some(('\u{10FFFF}', 10)));
        assert_eq!(parse_escape("<U+200b>"), Some(('\u{200B}', 8)));
    }

    #[test]
    fn four_mebibytes_of_unfinished_escapes_are_read_once() {
        let text = "<U+".repeat((4 << 20) / 3);
        let started = Instant::now();
        assert_eq!(unshow(&text), None);
        // Looking for the end from each of them would take minutes.
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn nothing_hidden_survives_and_all_of_it_comes_back(text in "\\PC{0,20}[\\x00-\\x1f\u{200b}-\u{200f}\u{e0000}-\u{e007f}]{0,4}\\PC{0,20}") {
            let shown = show(&text).into_owned();
            prop_assert!(!shown.chars().any(is_hidden));
            if !text.contains('\r') && !text.contains("<U+") {
                prop_assert_eq!(unshow(&shown).unwrap_or(shown), text);
            }
        }
    }
}
