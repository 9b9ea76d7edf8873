//! Showing one line of a file, clipped around what matched.

use std::{fmt::Write as _, ops::Range};

use toolyard_core::text::show_into;

/// Appends a line without its end. A line longer than `width` bytes is cut around the hit, and
/// says how many bytes are missing on each side.
pub(super) fn push(out: &mut String, line: &[u8], width: usize, hit: impl FnOnce(&[u8]) -> Option<Range<usize>>) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() <= width {
        show_bytes(line, out);
        return;
    }
    let start = hit(line).map_or(0, |hit| hit.start);
    // What is before a hit explains it less than what follows.
    let from = if start + width / 4 <= width { 0 } else { (start - width / 4).min(line.len() - width) };
    let from = boundary(line, from);
    let to = boundary(line, from + width);
    if from > 0 {
        push_number(out, "+", from, "…");
    }
    show_bytes(&line[from..to], out);
    if to < line.len() {
        push_number(out, "…+", line.len() - to, "");
    }
}

fn show_bytes(bytes: &[u8], out: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => show_into(text, out),
        Err(_) => show_into(&String::from_utf8_lossy(bytes), out),
    }
}

/// The next place at or behind `at` where a character begins.
fn boundary(line: &[u8], at: usize) -> usize {
    (at..line.len()).find(|at| line[*at] & 0xC0 != 0x80).unwrap_or(line.len())
}

fn push_number(out: &mut String, before: &str, number: usize, after: &str) {
    let written = write!(out, "{before}{number}{after}");
    // Writing to a string can't fail.
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    fn shown(line: &[u8], width: usize, hit: usize) -> String {
        let mut out = String::new();
        super::push(&mut out, line, width, |_| Some(hit..hit + 1));
        out
    }

    #[test]
    fn a_short_line_loses_only_its_end() {
        assert_eq!(shown(b"abc\r\n", 40, 0), "abc");
        assert_eq!(shown(b"a\x1b[31m\xff\n", 40, 0), "a<U+001B>[31m\u{FFFD}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_hit_and_says_what_is_missing() {
        let line: Vec<u8> = (0..100).map(|i| b'0' + i % 10).collect();
        assert_eq!(shown(&line, 40, 3), "0123456789012345678901234567890123456789…+60");
        assert_eq!(shown(&line, 40, 55), "+45…5678901234567890123456789012345678901234…+15");
        assert_eq!(shown(&line, 40, 99), "+60…0123456789012345678901234567890123456789");
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(shown("ä".repeat(40).as_bytes(), 41, 0), format!("{}…+38", "ä".repeat(21)));
    }
}
