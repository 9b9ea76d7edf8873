//! Finds the one place each edit means, in the original bytes.

use std::borrow::Cow;

use toolyard_core::text;

use super::source::{Source, find_in};
use crate::text_file::{Encoding, LineEndings};

/// Places counted before giving up on more.
const MAX_PLACES: usize = 1_000;

/// Bytes of the original that become other bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    /// Number of the edit it came from, beginning with 1.
    pub(super) edit: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) new: Vec<u8>,
    /// What was needed to find it, when the bytes did not match as they were given.
    pub(super) how: Option<&'static str>,
}

/// Why an edit has no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// `old` is nowhere.
    Absent,
    /// `old` is at several places, given by their offsets.
    Several(Vec<usize>),
    /// `new` holds a character the encoding of the file lacks.
    Unmappable(char),
    /// The edit changes nothing.
    NoChange,
}

/// Finds the place of one edit.
pub(super) fn locate(source: &Source<'_>, edit: usize, old: &str, new: &str) -> Result<Splice, Miss> {
    let plain = Reading { old: old.into(), new: new.into(), how: None };
    match plain.locate(source, edit) {
        Err(Miss::Absent) => {}
        located => return located,
    }
    // What a reader showed as an escape is meant as the character itself.
    match Reading::unshown(source, old, new) {
        Some(unshown) => unshown.locate(source, edit),
        None => Err(Miss::Absent),
    }
}

/// One way to read what the caller sent.
struct Reading<'t> {
    old: Cow<'t, str>,
    new: Cow<'t, str>,
    how: Option<&'static str>,
}

impl Reading<'_> {
    fn unshown(source: &Source<'_>, old: &str, new: &str) -> Option<Self> {
        let shown_bytes = source.encoding == Encoding::Utf8Damaged && old.contains("<0x");
        let unshown = text::unshow(old);
        if unshown.is_none() && !shown_bytes {
            return None;
        }
        Some(Self {
            old: unshown.unwrap_or_else(|| old.to_owned()).into(),
            new: text::unshow(new).unwrap_or_else(|| new.to_owned()).into(),
            how: Some("escapes read as the characters they stand for"),
        })
    }

    fn locate(&self, source: &Source<'_>, edit: usize) -> Result<Splice, Miss> {
        let (places, how) = self.places(source);
        let (start, end) = match places.as_slice() {
            [] => return Err(Miss::Absent),
            [place] => *place,
            several => return Err(Miss::Several(several.iter().map(|(start, _)| *start).collect())),
        };
        let new = self.new_text(source, start, end);
        let new = self.encode(source, &new).map_err(Miss::Unmappable)?.into_owned();
        if source.bytes.get(start..end) == Some(new.as_slice()) {
            return Err(Miss::NoChange);
        }
        Ok(Splice { edit, start, end, new, how: self.how.or(how) })
    }

    /// Every place that reads the same to somebody who does not see line endings.
    fn places(&self, source: &Source<'_>) -> (Vec<(usize, usize)>, Option<&'static str>) {
        let old = self.old.as_ref();
        let pairs = old.contains("\r\n");
        let feeds = if pairs { Cow::Owned(old.replace("\r\n", "\n")) } else { Cow::Borrowed(old) };
        if !feeds.contains('\n') {
            return (self.exact(source, old), None);
        }
        match source.endings {
            LineEndings::Lf => (self.exact(source, &feeds), pairs.then_some(OTHER_ENDINGS)),
            LineEndings::Crlf => (self.exact(source, &feeds.replace('\n', "\r\n")), None),
            LineEndings::Cr => (self.exact(source, &feeds.replace('\n', "\r")), Some(OTHER_ENDINGS)),
            LineEndings::Mixed => {
                if pairs {
                    let exact = self.exact(source, old);
                    if exact.len() == 1 {
                        return (exact, None);
                    }
                }
                (self.in_normalised(source, &feeds), None)
            }
        }
    }

    fn exact(&self, source: &Source<'_>, old: &str) -> Vec<(usize, usize)> {
        let Ok(needle) = self.encode(source, old) else { return Vec::new() };
        source.find(&needle, MAX_PLACES).into_iter().map(|start| (start, start + needle.len())).collect()
    }

    fn in_normalised(&self, source: &Source<'_>, feeds: &str) -> Vec<(usize, usize)> {
        let Ok(needle) = self.encode(source, feeds) else { return Vec::new() };
        let normalised = Normalised::of(source);
        find_in(&normalised.bytes, &needle, MAX_PLACES, |at| source.is_boundary(normalised.original(at)))
            .into_iter()
            .map(|start| (normalised.original(start), normalised.original(start + needle.len())))
            .collect()
    }

    /// The new text with the line endings of its neighbourhood.
    fn new_text(&self, source: &Source<'_>, start: usize, end: usize) -> Cow<'_, str> {
        let new = self.new.as_ref();
        if !source.has_line_end || !new.contains('\n') {
            return new.into();
        }
        let feeds = new.replace("\r\n", "\n");
        match source.ending_at(start, end) {
            "\n" => feeds.into(),
            ending => feeds.replace('\n', ending).into(),
        }
    }

    fn encode<'b>(&self, source: &Source<'_>, text: &'b str) -> Result<Cow<'b, [u8]>, char> {
        let encoded = source.encoding.encode(text)?;
        if self.how.is_some() && source.encoding == Encoding::Utf8Damaged {
            return Ok(unshow_bytes(&encoded).into());
        }
        Ok(encoded)
    }
}

const OTHER_ENDINGS: &str = "line endings matched as those of the file";

/// A file with both kinds of line ends, as if all were line feeds.
struct Normalised {
    bytes: Vec<u8>,
    /// Where in `bytes` the line feeds are that lost a carriage return.
    shortened: Vec<usize>,
    unit: usize,
}

impl Normalised {
    fn of(source: &Source<'_>) -> Self {
        let unit = source.unit();
        let pair: &[u8] = match source.encoding {
            Encoding::Utf16Le { .. } => b"\r\0\n\0",
            Encoding::Utf16Be { .. } => b"\0\r\0\n",
            _ => b"\r\n",
        };
        let mut bytes = Vec::with_capacity(source.bytes.len());
        let mut shortened = Vec::new();
        let mut done = 0;
        for at in memchr::memmem::find_iter(source.bytes, pair) {
            if !at.is_multiple_of(unit) {
                continue;
            }
            bytes.extend_from_slice(&source.bytes[done..at]);
            shortened.push(bytes.len());
            done = at + unit;
        }
        bytes.extend_from_slice(&source.bytes[done..]);
        Self { bytes, shortened, unit }
    }

    /// Where a place in `bytes` is in the file.
    fn original(&self, at: usize) -> usize {
        at + self.unit * self.shortened.partition_point(|place| *place < at)
    }
}

/// Maps `<0xFF>` back to the byte that is no UTF-8.
fn unshow_bytes(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"<0x") {
        bytes.extend_from_slice(&rest[..at]);
        let escape = rest.get(at + 3..at + 6).filter(|escape| escape[2] == b'>');
        let byte = escape.and_then(|escape| std::str::from_utf8(&escape[..2]).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if byte >= 0x80 => {
                bytes.push(byte);
                rest = &rest[at + 6..];
            }
            _ => {
                bytes.extend_from_slice(b"<0x");
                rest = &rest[at + 3..];
            }
        }
    }
    bytes.extend_from_slice(rest);
    bytes
}
