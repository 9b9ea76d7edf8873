//! One file of an answer: a header line that says what it is, then its text.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use toolyard_core::ToolError;

use super::{
    binary,
    bytes::{Bytes, Fault},
    cursor::Place,
    grouped,
    page::{self, Page, Source, Spot, Style},
    range::{Bound, LineRange},
};
use crate::{
    etag, image,
    lines::{Identity, LineIndex, LineIndexes},
    text_file::{Encoding, LineEndings},
};

/// Files up to this size are read whole even for a few lines, so that they have an etag.
pub(super) const WHOLE: u64 = 1 << 20;
/// Largest page, whatever the budget.
pub(super) const MAX_PAGE: usize = 8 << 20;
/// Largest file that is hashed only to compare it with `if_none_match`.
const MAX_COMPARED: u64 = 64 << 20;
/// Largest image file.
const MAX_IMAGE_FILE: u64 = 32 << 20;
/// Bytes that show what a large file is.
const SAMPLE: usize = 16 * 1024;
/// Bytes searched backwards for the last lines; beyond them, lines are counted from the start.
const MAX_TAIL: u64 = 4 << 20;
/// Bytes of a header beside the name.
const HEADER: usize = 160;

/// What is wanted of one file.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The path as the answer names it.
    pub(super) name: String,
    pub(super) range: LineRange,
    pub(super) numbers: bool,
    pub(super) if_none_match: Option<String>,
    pub(super) place: Option<Place>,
    /// Bytes the answer has left, the header included.
    pub(super) room: usize,
    /// Whether the file shares the answer with others.
    pub(super) shared: bool,
}

/// What outlives a call.
#[derive(Debug, Default)]
pub(super) struct Memory {
    indexes: LineIndexes,
    /// Decoding takes much memory, so it is done one image at a time.
    pictures: Mutex<()>,
}

/// One file, ready to be joined with others.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Header and text.
    pub(super) text: String,
    /// An image to put in front.
    pub(super) image: Option<(Vec<u8>, &'static str)>,
    /// Lines shown, and lines wanted where that is known.
    pub(super) lines: Option<(u64, Option<u64>)>,
    /// Lines that were cut.
    pub(super) clipped: u64,
    /// Where the rest begins.
    pub(super) rest: Option<Place>,
}

/// Reads one file. [`Fault::Wait`] means to try again on the blocking pool.
pub(super) fn section(bytes: &Bytes<'_>, identity: Identity, job: &Job, memory: &Memory) -> Result<Section, Fault> {
    let whole = WHOLE.max(job.room.min(MAX_PAGE) as u64);
    if identity.size() <= whole {
        Small { bytes, identity, job, memory }.section()
    } else {
        Large { bytes, identity, job, memory }.section()
    }
}

/// What a header says about the text below it.
struct Heading<'a> {
    etag: &'a str,
    first: u64,
    page: &'a Page,
    total: Option<u64>,
    encoding: Encoding,
    endings: LineEndings,
    inside: bool,
    remarks: Vec<&'static str>,
}

impl Heading<'_> {
    fn render(&self, job: &Job, out: &mut String) {
        name(job, self.etag, out);
        let Self { first, page, .. } = self;
        let last = first + page.lines.saturating_sub(1);
        let written = match (self.total, first) {
            (Some(0), _) => write!(out, " empty"),
            (Some(total), _) => write!(out, " lines {first}-{last}/{total}"),
            (None, 0) => write!(out, " {} lines near the end of ?", page.lines),
            (None, _) => write!(out, " lines {first}-{last}/?"),
        };
        debug_assert!(written.is_ok());
        out.push(' ');
        out.push_str(&self.encoding.name());
        out.push(' ');
        out.push_str(self.endings.name());
        let part = page.next.is_some_and(|next| next.inside) || self.inside;
        let remarks = [(page.open_end, "no newline at the end"), (part, "part of a line")];
        for remark in remarks.iter().filter(|(said, _)| *said).map(|(_, remark)| *remark).chain(self.remarks.iter().copied()) {
            out.push_str(", ");
            out.push_str(remark);
        }
        out.push('\n');
    }
}

fn name(job: &Job, etag: &str, out: &mut String) {
    if job.shared {
        out.push_str("=== ");
    }
    out.push_str(&job.name);
    out.push_str(" etag=");
    out.push_str(etag);
}

/// A section of one line.
fn remark(job: &Job, etag: &str, text: &str) -> Section {
    let mut line = String::with_capacity(job.name.len() + text.len() + 64);
    name(job, etag, &mut line);
    line.push(' ');
    line.push_str(text);
    line.push('\n');
    Section { text: line, ..Section::default() }
}

fn room(job: &Job) -> usize {
    job.room.min(MAX_PAGE).saturating_sub(job.name.len() + HEADER.min(job.room / 2)).max(64)
}

/// Puts the header in front of a page.
fn finish(job: &Job, heading: &Heading<'_>, mut text: String, wanted: Option<u64>, identity: &Identity) -> Section {
    let mut header = String::with_capacity(job.name.len() + HEADER);
    heading.render(job, &mut header);
    text.insert_str(0, &header);
    let page = heading.page;
    Section {
        text,
        image: None,
        lines: Some((page.lines, wanted)),
        clipped: page.clipped,
        rest: page.next.map(|spot| Place { fingerprint: identity.fingerprint(), spot }),
    }
}

fn behind_the_end(job: &Job, total: u64) -> Fault {
    Fault::Failed(
        ToolError::invalid_input(format!("`lines` asks for lines that `{}` does not have: it has {total}", job.name))
            .with_hint("ask for lines within the file, or `-100` for the last 100"),
    )
}

fn changed(bytes: &Bytes<'_>, identity: &Identity) -> Result<bool, Fault> {
    Ok(Identity::now(bytes.file()).map_err(Fault::Io)? != *identity)
}

/// A file that is held in memory as a whole.
struct Small<'a> {
    bytes: &'a Bytes<'a>,
    identity: Identity,
    job: &'a Job,
    memory: &'a Memory,
}

impl Small<'_> {
    fn section(&self) -> Result<Section, Fault> {
        let Self { bytes, identity, job, .. } = self;
        let size = usize::try_from(identity.size()).unwrap_or(usize::MAX);
        let content = bytes.read(0, size)?;
        let mut remarks = Vec::new();
        if content.len() != size || changed(bytes, identity)? {
            remarks.push("changed while reading");
        }
        let tag = etag::of(&content);
        if job.if_none_match.as_deref().is_some_and(|wanted| etag::matches(wanted, &tag)) {
            return Ok(remark(job, &tag, "unchanged"));
        }
        if let Some(format) = image::format(&content) {
            bytes.need_pool()?;
            return Ok(picture(content, format, &tag, job, self.memory));
        }
        match Encoding::detect(&content, true) {
            Some(encoding) => self.text(&content, encoding, &tag, remarks),
            None => Ok(remark(job, &tag, &binary::describe(&content, content.len() as u64))),
        }
    }

    fn text(&self, content: &[u8], encoding: Encoding, tag: &str, mut remarks: Vec<&'static str>) -> Result<Section, Fault> {
        let job = self.job;
        let mut text = encoding.decode(content.get(encoding.bom().len()..).unwrap_or_default());
        let endings = LineEndings::of(text.as_bytes());
        if endings == LineEndings::Cr {
            text = text.replace('\r', "\n").into();
        }
        let total = memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64 + u64::from(!text.is_empty() && !text.ends_with('\n'));
        let (mut first, mut count) = job.range.within(total);
        let mut spot = None;
        if let Some(place) = job.place {
            (first, count) = (place.spot.line, place.spot.left.min((total + 1).saturating_sub(place.spot.line)));
            if place.fingerprint == self.identity.fingerprint() {
                spot = Some(place.spot);
            } else {
                remarks.push("changed since the last page");
            }
        }
        if count == 0 && total > 0 {
            return Err(behind_the_end(job, total));
        }
        let spot = spot.unwrap_or_else(|| Spot { offset: start_of(&text, first), line: first, left: count, inside: false });
        let room = room(job);
        let style = Style { room, numbers: job.numbers, single: count == 1 };
        let mut shown = String::with_capacity(room.min(text.len() + text.len() / 8) + job.name.len() + 2 * HEADER + 600);
        let page = page::fill(&Source::Memory(&text), spot, style, &mut shown)?;
        let heading = Heading { etag: tag, first, page: &page, total: Some(total), encoding, endings, inside: spot.inside, remarks };
        Ok(finish(job, &heading, shown, job.place.is_none().then_some(count), &self.identity))
    }
}

/// Byte at which line `line` starts; the length of the text when there are fewer.
fn start_of(text: &str, line: u64) -> u64 {
    let nth = match usize::try_from(line.saturating_sub(2)) {
        _ if line <= 1 => return 0,
        Ok(nth) => nth,
        Err(_) => return text.len() as u64,
    };
    memchr::memchr_iter(b'\n', text.as_bytes()).nth(nth).map_or(text.len(), |end| end + 1) as u64
}

/// A file of which only parts are held.
struct Large<'a> {
    bytes: &'a Bytes<'a>,
    identity: Identity,
    job: &'a Job,
    memory: &'a Memory,
}

/// What the beginning of a large file says about all of it.
#[derive(Clone, Copy)]
struct Kind {
    encoding: Encoding,
    endings: LineEndings,
}

impl Large<'_> {
    fn section(&self) -> Result<Section, Fault> {
        let Self { bytes, identity, job, memory } = self;
        let sample = bytes.read(0, SAMPLE)?;
        let tag = match &job.if_none_match {
            Some(wanted) if identity.size() <= MAX_COMPARED => {
                let tag = hash(bytes)?;
                if etag::matches(wanted, &tag) {
                    return Ok(remark(job, &tag, "unchanged"));
                }
                tag
            }
            _ => "-".to_owned(),
        };
        if let Some(format) = image::format(&sample) {
            return self.image(format, &tag);
        }
        let Some(encoding) = Encoding::detect(&sample, false) else {
            return Ok(remark(job, &tag, &binary::describe(&sample, identity.size())));
        };
        if encoding.unit() != 1 {
            let limit = grouped(WHOLE);
            let message = format!("`{}` is {} and holds {} bytes", job.name, encoding.name(), grouped(identity.size()));
            return Err(Fault::Failed(
                ToolError::limit_exceeded(message)
                    .with_hint(format!("text in this encoding is read up to {limit} bytes; convert it to UTF-8")),
            ));
        }
        let kind = Kind { encoding, endings: LineEndings::of(&sample) };
        let mut index = memory.indexes.take(identity, kind.endings.terminator());
        let result = self.text(kind, &tag, &mut index);
        if !changed(bytes, identity)? {
            memory.indexes.keep(*identity, index);
        }
        result
    }

    fn image(&self, format: ::image::ImageFormat, tag: &str) -> Result<Section, Fault> {
        let Self { bytes, identity, job, memory } = self;
        if identity.size() > MAX_IMAGE_FILE {
            let text = format!(
                "{}, {} bytes, not shown: larger than {} bytes",
                format.to_mime_type(),
                grouped(identity.size()),
                grouped(MAX_IMAGE_FILE)
            );
            return Ok(remark(job, tag, &text));
        }
        bytes.need_pool()?;
        let content = bytes.read(0, usize::try_from(identity.size()).unwrap_or(usize::MAX))?;
        let tag = etag::of(&content);
        Ok(picture(content, format, &tag, job, memory))
    }

    fn text(&self, kind: Kind, tag: &str, index: &mut LineIndex) -> Result<Section, Fault> {
        let Self { bytes, identity, job, .. } = self;
        let mut remarks = Vec::new();
        let spot = match job.place {
            Some(place) if place.fingerprint == identity.fingerprint() => place.spot,
            Some(Place { spot, .. }) if spot.line == 0 => {
                return Err(Fault::Failed(
                    ToolError::conflict(format!("`{}` changed since the last page", job.name))
                        .with_hint("repeat the call without `cursor`"),
                ));
            }
            Some(Place { spot, .. }) => {
                remarks.push("changed since the last page");
                let offset = self.start_of(index, spot.line)?;
                Spot { offset: offset.ok_or_else(|| behind_the_end(job, index.total().unwrap_or(0)))?, inside: false, ..spot }
            }
            None => self.find(kind, index)?,
        };
        let mut shown = String::with_capacity(job.room.min(MAX_PAGE) + job.name.len() + HEADER + 600);
        let source = Source::File { bytes, size: identity.size(), encoding: kind.encoding, terminator: kind.endings.terminator() };
        let single = spot.left == 1 && job.place.is_none();
        let page = page::fill(&source, spot, Style { room: room(job), numbers: job.numbers, single }, &mut shown)?;
        if changed(bytes, identity)? {
            remarks.push("changed while reading");
        }
        let heading = Heading {
            etag: tag,
            first: spot.line,
            page: &page,
            total: index.total(),
            encoding: kind.encoding,
            endings: kind.endings,
            inside: spot.inside,
            remarks,
        };
        let wanted = (job.place.is_none() && spot.left < u64::MAX / 4).then_some(spot.left);
        Ok(finish(job, &heading, shown, wanted.or(page.next.is_none().then_some(page.lines)), identity))
    }

    /// Where the range starts, with as little reading as it takes.
    fn find(&self, kind: Kind, index: &mut LineIndex) -> Result<Spot, Fault> {
        let Self { bytes, job, .. } = self;
        let LineRange { start, end } = job.range;
        let from_start = match (start, end) {
            (Bound::FromStart(first), None) => Some((first, u64::MAX / 2)),
            (Bound::FromStart(first), Some(Bound::FromStart(last))) => Some((first, last - first + 1)),
            _ => None,
        };
        if let (None, None, Bound::FromEnd(back), false) = (from_start, index.total(), start, job.numbers)
            && let Some(offset) = self.from_end(kind, back)?
        {
            let left = match end {
                Some(Bound::FromEnd(last)) => back - last + 1,
                _ => back,
            };
            return Ok(Spot { offset, line: 0, left, inside: false });
        }
        let (first, count) = match from_start {
            Some((first, wanted)) => (first, index.total().map_or(wanted, |total| wanted.min((total + 1).saturating_sub(first)))),
            None => {
                let total = index.count(bytes)?;
                job.range.within(total)
            }
        };
        match self.start_of(index, first)? {
            Some(0) if count > 0 => Ok(Spot { offset: kind.encoding.bom().len() as u64, line: first, left: count, inside: false }),
            Some(offset) if count > 0 => Ok(Spot { offset, line: first, left: count, inside: false }),
            _ => {
                let total = index.count(bytes)?;
                Err(behind_the_end(job, total))
            }
        }
    }

    fn start_of(&self, index: &mut LineIndex, line: u64) -> Result<Option<u64>, Fault> {
        Ok(index.start_of(self.bytes, line)?.filter(|offset| *offset < self.identity.size()))
    }

    /// Start of the `back`th line from the end, if it is near.
    fn from_end(&self, kind: Kind, back: u64) -> Result<Option<u64>, Fault> {
        let size = self.identity.size();
        let mut missing = back;
        let mut end = size;
        while end > 0 && size - end < MAX_TAIL {
            let start = end.saturating_sub(SAMPLE as u64 * 4);
            let mut chunk = self.bytes.read(start, usize::try_from(end - start).unwrap_or(usize::MAX))?;
            if end == size && chunk.last() == Some(&kind.endings.terminator()) {
                // The end of the last line starts no further line.
                chunk.pop();
            }
            for at in memchr::memrchr_iter(kind.endings.terminator(), &chunk) {
                missing -= 1;
                if missing == 0 {
                    return Ok(Some(start + at as u64 + 1));
                }
            }
            end = start;
        }
        Ok(None)
    }
}

fn picture(content: Vec<u8>, format: ::image::ImageFormat, tag: &str, job: &Job, memory: &Memory) -> Section {
    let size = grouped(content.len() as u64);
    let prepared = {
        let _alone = memory.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        image::prepare(content, format)
    };
    match prepared {
        Ok(picture) => {
            let (width, height) = picture.original;
            let mut text = format!("{} {width}x{height}, {size} bytes", format.to_mime_type());
            if let Some((width, height)) = picture.scaled {
                let written = write!(text, ", shown as {} {width}x{height}", picture.mime);
                debug_assert!(written.is_ok());
            }
            Section { image: Some((picture.data, picture.mime)), ..remark(job, tag, &text) }
        }
        Err(refusal) => remark(job, tag, &format!("{}, {size} bytes, not shown: {refusal}", format.to_mime_type())),
    }
}

/// The etag of a whole file, read in steps.
pub(crate) fn hash(bytes: &Bytes<'_>) -> Result<String, Fault> {
    bytes.need_pool()?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut offset = 0;
    loop {
        let read = bytes.read_at(&mut buffer, offset)?;
        hasher.update(buffer.get(..read).unwrap_or_default());
        offset += read as u64;
        if read < buffer.len() {
            return Ok(etag::finish(&hasher));
        }
    }
}
