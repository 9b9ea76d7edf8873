//! The bytes of a file, and where its lines begin, in any encoding.

use std::borrow::Cow;

use memchr::memmem;

use crate::text_file::{Encoding, LineEndings};

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// Everything, the byte order mark included.
    pub(super) bytes: &'a [u8],
    pub(super) encoding: Encoding,
    pub(super) endings: LineEndings,
    /// Whether there is a line end at all.
    pub(super) has_line_end: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        // Bytes that are no text are searched and spliced as they are.
        Self::of(bytes, Encoding::detect(bytes, true).unwrap_or(Encoding::Utf8Damaged))
    }

    /// The same bytes read in this encoding.
    pub(super) fn of(bytes: &'a [u8], encoding: Encoding) -> Self {
        let endings = match encoding.unit() {
            1 => LineEndings::of(bytes),
            _ => LineEndings::of(encoding.decode(bytes).as_bytes()),
        };
        let mut source = Self { bytes, encoding, endings, has_line_end: true };
        source.has_line_end = source.line_end_after(0) < bytes.len() || bytes.ends_with(source.terminator());
        source
    }

    /// Bytes of the smallest unit of text.
    pub(super) const fn unit(&self) -> usize {
        self.encoding.unit()
    }

    /// The bytes that end a line; in a file with both, the line feed.
    fn terminator(&self) -> &'static [u8] {
        match (self.endings, self.encoding) {
            (LineEndings::Cr, Encoding::Utf16Le { .. }) => b"\r\0",
            (LineEndings::Cr, Encoding::Utf16Be { .. }) => b"\0\r",
            (LineEndings::Cr, _) => b"\r",
            (_, Encoding::Utf16Le { .. }) => b"\n\0",
            (_, Encoding::Utf16Be { .. }) => b"\0\n",
            _ => b"\n",
        }
    }

    /// Where the line that holds `at` begins; the byte order mark belongs to the first line.
    pub(super) fn line_start(&self, at: usize) -> usize {
        let terminator = self.terminator();
        let mut end = at.min(self.bytes.len());
        while let Some(found) = memmem::rfind(&self.bytes[..end], terminator) {
            if found.is_multiple_of(self.unit()) {
                return found + terminator.len();
            }
            end = found + terminator.len() - 1;
        }
        0
    }

    /// Where the line that holds `at` ends, behind its line end.
    pub(super) fn line_end_after(&self, at: usize) -> usize {
        let terminator = self.terminator();
        let mut from = at.min(self.bytes.len());
        while let Some(found) = memmem::find(&self.bytes[from..], terminator) {
            let found = from + found;
            if found.is_multiple_of(self.unit()) {
                return found + terminator.len();
            }
            from = found + 1;
        }
        self.bytes.len()
    }

    /// Line ends between two places.
    pub(super) fn count_line_ends(&self, from: usize, to: usize) -> usize {
        let (from, to) = (from.min(to), to.min(self.bytes.len()));
        match self.terminator() {
            [byte] => memchr::memchr_iter(*byte, &self.bytes[from..to]).count(),
            terminator => self.bytes[from..to].chunks_exact(2).filter(|pair| *pair == terminator).count(),
        }
    }

    /// The number of the line at `at`, beginning with 1.
    pub(super) fn line_number(&self, at: usize) -> usize {
        self.count_line_ends(0, at) + 1
    }

    /// The text of some bytes, with line feeds only.
    pub(super) fn text<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        let bytes = bytes.strip_prefix(self.encoding.bom()).unwrap_or(bytes);
        let text = self.encoding.decode(bytes);
        match self.endings {
            LineEndings::Lf => text,
            LineEndings::Crlf | LineEndings::Mixed if !text.contains("\r\n") => text,
            LineEndings::Crlf | LineEndings::Mixed => text.replace("\r\n", "\n").into(),
            LineEndings::Cr => text.replace('\r', "\n").into(),
        }
    }

    /// The line end that text inserted at `start..end` takes: that of the replaced text, else of
    /// the same line, else of the line before.
    pub(super) fn ending_at(&self, start: usize, end: usize) -> &'static str {
        match self.endings {
            LineEndings::Lf => "\n",
            LineEndings::Crlf => "\r\n",
            LineEndings::Cr => "\r",
            LineEndings::Mixed => {
                let first = self.line_end_after(start);
                let line_end =
                    if first <= end || first > start && self.ends_with_terminator(first) { first } else { self.line_start(start) };
                let line_end = if self.ends_with_terminator(line_end) { line_end } else { self.line_start(start) };
                let carriage_return: &[u8] = match self.encoding {
                    Encoding::Utf16Le { .. } => b"\r\0",
                    Encoding::Utf16Be { .. } => b"\0\r",
                    _ => b"\r",
                };
                let before = self.bytes.get(..line_end.saturating_sub(self.unit())).unwrap_or_default();
                if before.ends_with(carriage_return) { "\r\n" } else { "\n" }
            }
        }
    }

    fn ends_with_terminator(&self, at: usize) -> bool {
        self.bytes.get(..at).is_some_and(|before| before.ends_with(self.terminator()))
    }

    /// All places of `needle`, overlapping ones too, that begin at a character; at most `limit`.
    pub(super) fn find(&self, needle: &[u8], limit: usize) -> Vec<usize> {
        find_in(self.bytes, needle, limit, |at| self.is_boundary(at))
    }

    /// Whether a character begins here. In older multi-byte encodings the second byte of one can
    /// look like another character.
    pub(super) fn is_boundary(&self, at: usize) -> bool {
        match self.encoding {
            Encoding::Utf8 | Encoding::Utf8Bom | Encoding::Utf8Damaged => true,
            Encoding::Utf16Le { .. } | Encoding::Utf16Be { .. } => at.is_multiple_of(2),
            Encoding::Guessed(encoding) if encoding.is_single_byte() => true,
            Encoding::Guessed(encoding) => {
                // No such encoding uses a line feed as a second byte, so a line can be read alone.
                let line = &self.bytes[self.line_start(at)..at];
                line.is_ascii() || !encoding.decode_without_bom_handling(line).0.ends_with('\u{FFFD}')
            }
        }
    }
}

/// All places of `needle` that `accept` takes, overlapping ones too.
pub(super) fn find_in(hay: &[u8], needle: &[u8], limit: usize, accept: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut places = Vec::new();
    if needle.is_empty() {
        return places;
    }
    let finder = memmem::Finder::new(needle);
    let mut from = 0;
    while let Some(found) = hay.get(from..).and_then(|rest| finder.find(rest)) {
        let at = from + found;
        if accept(at) {
            places.push(at);
            if places.len() >= limit {
                break;
            }
        }
        from = at + 1;
    }
    places
}
