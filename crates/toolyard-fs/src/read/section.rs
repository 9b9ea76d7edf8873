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
    large::Large,
    page::{self, Page, Source, Spot, Style},
    range::LineRange,
};
use crate::{
    etag, image,
    lines::{Identity, LineIndexes},
    text_file::{Encoding, LineEndings},
};

/// Files up to this size are read whole even for a few lines, so that they have an etag.
pub(super) const WHOLE: u64 = 1 << 20;
/// Largest page, whatever the budget.
pub(super) const MAX_PAGE: usize = 8 << 20;
/// Bytes read of files that claim to be empty, as those of the kernel do.
const UNSIZED: usize = 64 * 1024;
/// Bytes of a header beside the name.
pub(super) const HEADER: usize = 160;

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
    pub(super) indexes: LineIndexes,
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
        Large::new(bytes, identity, job, memory).section()
    }
}

/// What a header says about the text below it.
pub(super) struct Heading<'a> {
    pub(super) etag: &'a str,
    pub(super) first: u64,
    pub(super) page: &'a Page,
    pub(super) total: Option<u64>,
    pub(super) encoding: Encoding,
    pub(super) endings: LineEndings,
    pub(super) inside: bool,
    pub(super) remarks: Vec<&'static str>,
}

impl Heading<'_> {
    fn render(&self, job: &Job, out: &mut String) {
        name(job, self.etag, out);
        let Self { first, page, .. } = self;
        let last = first + page.lines.saturating_sub(1);
        let written = match (self.total, first) {
            (Some(0), _) => write!(out, " empty"),
            (Some(total), _) => write!(out, " lines {first}-{last}/{total}"),
            (None, 0) if page.lines == 1 => write!(out, " 1 line near the end of ?"),
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
pub(super) fn remark(job: &Job, etag: &str, text: &str) -> Section {
    let mut line = String::with_capacity(job.name.len() + text.len() + 64);
    name(job, etag, &mut line);
    line.push(' ');
    line.push_str(text);
    line.push('\n');
    Section { text: line, ..Section::default() }
}

pub(super) fn room(job: &Job) -> usize {
    job.room.min(MAX_PAGE).saturating_sub(job.name.len() + HEADER.min(job.room / 2)).max(64)
}

/// Puts the header in front of a page.
pub(super) fn finish(job: &Job, heading: &Heading<'_>, mut text: String, wanted: Option<u64>, identity: &Identity) -> Section {
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

pub(super) fn behind_the_end(job: &Job, total: u64) -> Fault {
    Fault::Failed(
        ToolError::invalid_input(format!("`lines` asks for lines that `{}` does not have: it has {total}", job.name))
            .with_hint("ask for lines within the file, or `-100` for the last 100"),
    )
}

pub(super) fn changed(bytes: &Bytes<'_>, identity: &Identity) -> Result<bool, Fault> {
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
        let content = bytes.read(0, if size == 0 { UNSIZED } else { size })?;
        let mut remarks = Vec::new();
        if changed(bytes, identity)? {
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

pub(super) fn picture(content: Vec<u8>, format: ::image::ImageFormat, tag: &str, job: &Job, memory: &Memory) -> Section {
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
