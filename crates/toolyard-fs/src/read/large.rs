//! Files too large to be held: only the part that is wanted is read.

use toolyard_core::ToolError;

use super::{
    binary,
    bytes::{Bytes, Fault, hash},
    cursor::Place,
    grouped,
    page::{self, Source, Spot, Style},
    range::{Bound, LineRange},
    section::{HEADER, Heading, Job, Memory, Section, WHOLE, behind_the_end, changed, finish, picture, remark, room},
};
use crate::{
    etag, image,
    lines::{Identity, LineIndex},
    text_file::{Encoding, LineEndings},
};

/// Room for text that is set aside before any is read.
const FIRST_TEXT: usize = 64 * 1024;
/// Largest file that is hashed only to compare it with `if_none_match`.
const MAX_COMPARED: u64 = 64 << 20;
/// Largest image file.
const MAX_IMAGE_FILE: u64 = 32 << 20;
/// Bytes that show what a large file is.
const SAMPLE: usize = 16 * 1024;
/// Bytes searched backwards for the last lines; beyond them, lines are counted from the start.
const MAX_TAIL: u64 = 4 << 20;

/// A file of which only parts are held.
pub(super) struct Large<'a> {
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

impl<'a> Large<'a> {
    pub(super) const fn new(bytes: &'a Bytes<'a>, identity: Identity, job: &'a Job, memory: &'a Memory) -> Self {
        Self { bytes, identity, job, memory }
    }

    /// Shows the part that is wanted.
    pub(super) fn section(&self) -> Result<Section, Fault> {
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
        let mut shown = String::with_capacity(job.room.min(FIRST_TEXT) + job.name.len() + HEADER + 600);
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
            && let Some(offset) = self.near_the_end(kind, back)?
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
    fn near_the_end(&self, kind: Kind, back: u64) -> Result<Option<u64>, Fault> {
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
