//! One page of a text: as many lines as fit, each shown whole unless the budget demands otherwise.

use std::{borrow::Cow, fmt::Write as _};

use toolyard_core::text;

use super::bytes::{Bytes, Fault};
use crate::text_file::Encoding;

/// Characters that a line is cut to when the page can't hold all that was asked for.
const CLIP: usize = 2_000;
/// Bytes read beyond the room of a page, so that the line that does not fit is seen whole.
const SLACK: usize = 16 * 1024;
/// Bytes of the first window; later ones are larger.
const FIRST_WINDOW: usize = 64 * 1024;
/// Bytes read at once to find the end of a very long line.
const STRIDE: usize = 256 * 1024;

/// Where the lines come from.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// Decoded text that ends its lines with line feeds.
    Memory(&'a str),
    /// A file too large to be held, in an encoding of single-byte line ends.
    File { bytes: &'a Bytes<'a>, size: u64, encoding: Encoding, terminator: u8 },
}

/// A place between two pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Byte the page starts at.
    pub(super) offset: u64,
    /// Number of the line there; 0 when it was found from the end and nobody counted.
    pub(super) line: u64,
    /// Lines still wanted.
    pub(super) left: u64,
    /// Whether the page starts inside the line.
    pub(super) inside: bool,
}

/// What one page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Lines shown, a part of one included.
    pub(super) lines: u64,
    /// Lines that were cut.
    pub(super) clipped: u64,
    /// Where the next page starts.
    pub(super) next: Option<Spot>,
    /// Whether the last line shown ends the text without a line end.
    pub(super) open_end: bool,
}

/// How lines are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Bytes that fit.
    pub(super) room: usize,
    /// Whether each line starts with its number.
    pub(super) numbers: bool,
    /// Whether only one line is wanted, which then continues on the next page.
    pub(super) single: bool,
}

/// How lines longer than the page are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Long {
    /// The page ends before them.
    Keep,
    /// They are cut to so many characters.
    Clip(usize),
    /// The page ends inside them.
    Split,
}

/// What became of one line.
enum Pushed {
    /// It does not fit.
    Nothing,
    /// Its first so many bytes are shown.
    Part(usize),
    /// Its beginning is shown, and so many characters are not.
    Clipped(u64),
    Whole,
}

/// What lies between a place in a line and the next line.
struct Skipped {
    bytes: u64,
    characters: u64,
    ended: bool,
}

/// Appends the lines from `spot` on to `out`.
pub(super) fn fill(source: &Source<'_>, spot: Spot, style: Style, out: &mut String) -> Result<Page, Fault> {
    let begin = out.len();
    if let Source::Memory(text) = source
        && let Some(page) = fill_whole(text, spot, style, out)
    {
        return Ok(page);
    }
    let single = style.single || spot.inside;
    let mut filler = Filler { source, style, long: if single { Long::Split } else { Long::Keep }, out, begin, longest: 0 };
    let page = filler.fill(spot)?;
    if page.next.is_none() || single || filler.longest <= CLIP.min(style.room / 2) {
        return Ok(page);
    }
    filler.out.truncate(begin);
    filler.long = Long::Clip(CLIP.min(style.room / 4).max(40));
    let clipped = filler.fill(spot)?;
    if clipped.lines == 0 || clipped.lines == 1 && clipped.next.is_none() {
        // Not even a cut line fits, or the text turned out to be one line: then it is shown part
        // by part.
        filler.out.truncate(begin);
        filler.long = Long::Split;
        return filler.fill(spot);
    }
    Ok(clipped)
}

/// The common case: everything from here on fits.
fn fill_whole(text: &str, spot: Spot, style: Style, out: &mut String) -> Option<Page> {
    let rest = text.get(usize::try_from(spot.offset).ok()?..)?;
    if style.numbers || rest.len() > style.room {
        return None;
    }
    let ends = memchr::memchr_iter(b'\n', rest.as_bytes()).count() as u64;
    let open_end = !rest.is_empty() && !rest.ends_with('\n');
    let lines = ends + u64::from(open_end);
    if lines > spot.left {
        return None;
    }
    let begin = out.len();
    text::show_into(rest, out);
    if out.len() - begin > style.room {
        out.truncate(begin);
        return None;
    }
    Some(Page { lines, clipped: 0, next: None, open_end })
}

struct Filler<'a, 'o> {
    source: &'a Source<'a>,
    style: Style,
    long: Long,
    out: &'o mut String,
    begin: usize,
    /// Characters of the longest line met.
    longest: usize,
}

impl Filler<'_, '_> {
    fn fill(&mut self, mut spot: Spot) -> Result<Page, Fault> {
        let mut page = Page::default();
        let most = self.style.room.saturating_add(SLACK);
        // A few lines need no window as large as the whole answer may be.
        let mut size = most.min(FIRST_WINDOW);
        while spot.left > 0 {
            let window = self.source.window(spot.offset, size)?;
            if window.bytes.is_empty() {
                break;
            }
            let unfinished = !window.last && size < most && memchr::memchr(self.source.terminator(), &window.bytes).is_none();
            size = if unfinished { most } else { size.saturating_mul(4).min(most) };
            if unfinished {
                // One line is longer than the window.
                continue;
            }
            let mut at = 0;
            while spot.left > 0 && at < window.bytes.len() {
                let rest = &window.bytes[at..];
                let end = memchr::memchr(self.source.terminator(), rest);
                if end.is_none() && !window.last && at > 0 {
                    // The line goes on behind the window; the next window starts with it.
                    break;
                }
                let whole = end.is_some() || window.last;
                let line = &rest[..end.unwrap_or(rest.len())];
                let pushed = match self.long {
                    Long::Split => self.push_part(line, end.is_some(), whole, spot),
                    Long::Keep | Long::Clip(_) => self.push_line(line, end.is_some(), whole, spot),
                };
                match pushed {
                    Pushed::Nothing => {
                        page.next = Some(spot);
                        return Ok(page);
                    }
                    Pushed::Part(len) => {
                        page.lines += 1;
                        page.next = Some(Spot { offset: spot.offset + len as u64, inside: true, ..spot });
                        return Ok(page);
                    }
                    Pushed::Whole | Pushed::Clipped(_) => {}
                }
                page.lines += 1;
                let skipped = match (end, whole) {
                    (Some(end), _) => Skipped { bytes: end as u64 + 1, characters: 0, ended: true },
                    (None, true) => Skipped { bytes: rest.len() as u64, characters: 0, ended: false },
                    (None, false) => self.skip_line(spot.offset, line.len())?,
                };
                if let Pushed::Clipped(hidden) = pushed {
                    page.clipped += 1;
                    self.out.push_str("…+");
                    self.out.push_str(&super::grouped(hidden + skipped.characters));
                }
                if skipped.ended {
                    self.out.push('\n');
                }
                page.open_end = !skipped.ended;
                let taken = skipped.bytes;
                at = usize::try_from(taken).unwrap_or(usize::MAX).saturating_add(at);
                spot = Spot {
                    offset: spot.offset + taken,
                    line: if spot.line == 0 { 0 } else { spot.line + 1 },
                    left: spot.left - 1,
                    inside: false,
                };
            }
        }
        Ok(page)
    }

    /// Appends one line, clipped if that is how long ones are treated.
    fn push_line(&mut self, line: &[u8], ended: bool, whole: bool, spot: Spot) -> Pushed {
        let before = self.out.len();
        self.push_number(spot);
        let visible = self.visible(line, ended);
        // Longer than any page, so its beginning says enough.
        let head = &visible[..self.source.floor_boundary(visible, visible.len().min(self.style.room + SLACK))];
        let decoded = self.source.decode(head);
        self.longest = self.longest.max(decoded.len());
        let cut = match self.long {
            Long::Clip(clip) => decoded.char_indices().nth(clip).map(|(cut, _)| cut),
            Long::Keep | Long::Split => None,
        };
        text::show_into(&decoded[..cut.unwrap_or(decoded.len())], self.out);
        let unseen = &visible[head.len()..];
        // The line end still has to fit, and the number of characters that are left out.
        let more = if cut.is_some() { 32 } else { 1 };
        if cut.is_none() && (!whole || !unseen.is_empty()) || self.out.len() + more - self.begin > self.style.room {
            self.out.truncate(before);
            return Pushed::Nothing;
        }
        match cut {
            Some(cut) => Pushed::Clipped(decoded[cut..].chars().count() as u64 + self.source.characters(unseen)),
            None => Pushed::Whole,
        }
    }

    /// Appends as much of the only line as fits.
    fn push_part(&mut self, line: &[u8], ended: bool, whole: bool, spot: Spot) -> Pushed {
        self.push_number(spot);
        let visible = self.visible(line, ended);
        let start = self.out.len();
        let room = self.style.room.saturating_sub(start - self.begin + 1).max(1);
        let mut len = self.source.floor_boundary(visible, visible.len().min(room));
        loop {
            text::show_into(&self.source.decode(&visible[..len]), self.out);
            // Hidden characters are shown with up to nine bytes, so the cut is tried until it fits.
            if self.out.len() - start <= room || len <= 8 {
                break;
            }
            self.out.truncate(start);
            len = self.source.floor_boundary(visible, len / 2);
        }
        if len < visible.len() || !whole {
            return Pushed::Part(len);
        }
        Pushed::Whole
    }

    fn push_number(&mut self, spot: Spot) {
        if self.style.numbers && spot.line > 0 && !spot.inside {
            let written = write!(self.out, "{}\t", spot.line);
            // Writing to a string can't fail.
            debug_assert!(written.is_ok());
        }
    }

    /// The line without the carriage return that belongs to its end.
    fn visible<'l>(&self, line: &'l [u8], ended: bool) -> &'l [u8] {
        if ended && self.source.terminator() == b'\n' { line.strip_suffix(b"\r").unwrap_or(line) } else { line }
    }

    /// Goes on to the end of the line at `offset`, of which `known` bytes were seen.
    fn skip_line(&self, offset: u64, known: usize) -> Result<Skipped, Fault> {
        let mut skipped = Skipped { bytes: known as u64, characters: 0, ended: false };
        loop {
            let window = self.source.window(offset + skipped.bytes, STRIDE)?;
            let end = memchr::memchr(self.source.terminator(), &window.bytes);
            let rest = &window.bytes[..end.unwrap_or(window.bytes.len())];
            skipped.characters += self.source.characters(rest);
            skipped.bytes += rest.len() as u64;
            if end.is_some() {
                return Ok(Skipped { bytes: skipped.bytes + 1, ended: true, ..skipped });
            }
            if window.last || window.bytes.is_empty() {
                return Ok(skipped);
            }
        }
    }
}

struct Window<'a> {
    bytes: Cow<'a, [u8]>,
    /// Whether nothing follows.
    last: bool,
}

impl<'a> Source<'a> {
    fn window(&self, offset: u64, want: usize) -> Result<Window<'a>, Fault> {
        match self {
            Self::Memory(text) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| text.as_bytes().get(offset..)).unwrap_or_default();
                Ok(Window { bytes: rest.into(), last: true })
            }
            Self::File { bytes, size, .. } => {
                let there = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
                let read = bytes.read(offset, want.min(there))?;
                // Fewer bytes than the file had mean that it was cut off meanwhile.
                let last = read.len() == there || read.len() < want.min(there);
                Ok(Window { bytes: read.into(), last })
            }
        }
    }

    const fn terminator(&self) -> u8 {
        match self {
            Self::Memory(_) => b'\n',
            Self::File { terminator, .. } => *terminator,
        }
    }

    fn decode<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        match self {
            Self::Memory(_) => Encoding::Utf8.decode(bytes),
            Self::File { encoding, .. } => encoding.decode(bytes),
        }
    }

    /// Characters in these bytes, as far as that can be told without decoding them.
    fn characters(&self, bytes: &[u8]) -> u64 {
        match self {
            Self::File { encoding: Encoding::Guessed(_), .. } => bytes.len() as u64,
            Self::Memory(_) | Self::File { .. } => bytes.iter().filter(|b| **b & 0xC0 != 0x80).count() as u64,
        }
    }

    /// The last place at or before `len` that does not cut a UTF-8 character.
    fn floor_boundary(&self, bytes: &[u8], len: usize) -> usize {
        if len >= bytes.len() || matches!(self, Self::File { encoding: Encoding::Guessed(_), .. }) {
            return len;
        }
        let continues = |at: usize| bytes.get(at).is_some_and(|b| b & 0xC0 == 0x80);
        (len.saturating_sub(3)..=len).rev().find(|at| !continues(*at) && *at > 0).unwrap_or(len)
    }
}
