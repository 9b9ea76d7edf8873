//! `fs_read`: text files, whole or by lines, and images.

mod binary;
mod bytes;
mod cursor;
mod large;
mod page;
mod range;
mod section;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Block, Budget, Context, Effect, ErrorKind, Granted, Tool, ToolError, Trailer,
    guard::{AllowedDirs, CheckedPath, Follow},
};

pub(crate) use self::bytes::{Bytes, Fault, hash};
use self::{
    cursor::Resume,
    range::LineRange,
    section::{Job, Memory, Section},
};
use crate::lines::Identity;

/// Most files of one call.
pub(crate) const MAX_PATHS: usize = 100;
/// Most bytes of images in one answer.
const MAX_IMAGES: usize = 2 * crate::image::MAX_BYTES;

/// Reads text files, whole or by `lines`, and images (png, jpeg, gif, webp; scaled down to fit).
/// Each file starts with a header: path, etag, lines shown/total, encoding, line ends. The text
/// below is exact, except that invisible characters are written `<U+200B>`. A file that does not
/// fit `max_tokens` gives its first page and a `cursor` for the next; prefer `lines` when you know
/// the place. The etag names the content: pass it to fs_write, or as `if_none_match` to
/// learn cheaply that nothing changed. Parts of files above 1 MiB have none; ask fs_stat.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Input {
    /// File to read.
    path: Option<String>,
    /// Several files instead of one.
    paths: Option<Vec<String>>,
    /// `40-60`, `40+21`, `40-`, `40`, or `-100` for the last 100.
    lines: Option<String>,
    /// Put its number before each line.
    numbers: bool,
    /// Etag you have; the answer is `unchanged` if it still holds.
    if_none_match: Option<String>,
    /// Answer size, default 6000.
    max_tokens: Option<u32>,
    /// From the last answer.
    cursor: Option<String>,
}

/// The tool.
pub(crate) struct Read {
    directories: AllowedDirs,
    memory: Arc<Memory>,
}

impl Read {
    /// Over these directories.
    pub(crate) fn new(directories: AllowedDirs) -> Self {
        Self { directories, memory: Arc::default() }
    }

    async fn file(&self, granted: &Granted<'_>, path: &CheckedPath, job: Job) -> Result<Section, ToolError> {
        let file = path.open_file()?;
        let identity = Identity::from(file.stat());
        let name = job.name.clone();
        let read = match section::section(&Bytes::inline(file.file()), identity, &job, &self.memory) {
            Err(Fault::Wait) => {
                let memory = Arc::clone(&self.memory);
                let work =
                    move |stop: &toolyard_core::Stop| Ok(section::section(&Bytes::on_pool(file.file(), stop), identity, &job, &memory));
                granted.blocking(work).await?
            }
            done => done,
        };
        read.map_err(|fault| fault.into_error(&name))
    }
}

impl Tool for Read {
    const NAME: &'static str = "fs_read";
    const TITLE: &'static str = "Read files";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    const MAX_RESULT_CHARS: Option<u32> = Some(100_000);

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        let paths = one_or_many(input.path.as_deref(), input.paths.as_deref())?;
        paths.iter().map(|path| Ok(self.directories.resolve(path, Follow::Final)?.access(Effect::Read))).collect()
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let budget = granted.budget(input.max_tokens)?;
        let range = input.lines.as_deref().map_or(Ok(LineRange::ALL), LineRange::parse)?;
        let query = digest(&input);
        let resume = match &input.cursor {
            None => Resume { file: 0, place: None },
            Some(cursor) => Resume::from_bytes(&granted.open_cursor(&query, cursor)?)
                .ok_or_else(|| ToolError::invalid_input("`cursor` is not one this tool gave you"))?,
        };
        let files = granted.accesses().len();
        let mut report = Report::new(budget, resume.file, files);
        let mut next = None;
        for file in resume.file..files {
            let Some(room) = report.room() else {
                next = Some(Resume { file, place: None });
                break;
            };
            let path = self.directories.checked(&granted, file)?;
            let place = resume.place.filter(|_| file == resume.file);
            let name = path.display();
            let job = Job {
                name: name.clone(),
                range,
                numbers: input.numbers,
                if_none_match: input.if_none_match.clone(),
                place,
                room,
                shared: files > 1,
            };
            match self.file(&granted, &path, job).await {
                Ok(section) => {
                    next = section.rest.map(|place| Resume { file, place: Some(place) });
                    report.add(section);
                }
                Err(error) if files == 1 || matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout) => return Err(error),
                Err(error) => report.fail(&name, &error),
            }
            if next.is_some() {
                break;
            }
        }
        if report.read == 0 && report.failed as usize == files {
            return Err(ToolError::not_found(format!("none of the {files} files can be read\n{}", report.text)));
        }
        Ok(report.answer(next.map(|next| granted.seal_cursor(&query, &next.to_bytes()))))
    }
}

/// The paths of a call that takes `path` or `paths`.
pub(crate) fn one_or_many<'a>(path: Option<&'a str>, paths: Option<&'a [String]>) -> Result<Vec<&'a str>, ToolError> {
    match (path, paths) {
        (Some(path), None) => Ok(vec![path]),
        (None, Some(paths)) if paths.len() > MAX_PATHS => {
            Err(ToolError::limit_exceeded(format!("`paths` names {} files, the limit is {MAX_PATHS}", paths.len()))
                .with_hint("ask in several calls"))
        }
        (None, Some(paths)) if !paths.is_empty() => Ok(paths.iter().map(String::as_str).collect()),
        (Some(_), Some(_)) => Err(ToolError::invalid_input("both `path` and `paths` are given").with_hint("give one of them")),
        (None, _) => Err(ToolError::invalid_input("neither `path` nor `paths` is given").with_hint("name the file in `path`")),
    }
}

/// What the pages of one reading have in common.
fn digest(input: &Input) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let paths = input.paths.iter().flatten().map(String::as_str);
    let numbers = if input.numbers { "numbers" } else { "" };
    for part in input.path.as_deref().into_iter().chain(paths).chain([input.lines.as_deref().unwrap_or("1-"), numbers]) {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The answer as it grows.
struct Report {
    budget: Budget,
    text: String,
    images: Vec<Block>,
    image_bytes: usize,
    first: usize,
    files: usize,
    read: u64,
    failed: u64,
    clipped: u64,
    lines: Option<(u64, Option<u64>)>,
}

impl Report {
    fn new(budget: Budget, first: usize, files: usize) -> Self {
        Self { budget, text: String::new(), images: Vec::new(), image_bytes: 0, first, files, read: 0, failed: 0, clipped: 0, lines: None }
    }

    /// Bytes left; nothing when another file would only show its header.
    fn room(&self) -> Option<usize> {
        let left = self.budget.bytes().saturating_sub(self.text.len());
        (self.text.is_empty() || left >= (self.budget.bytes() / 10).min(1_000)).then_some(left)
    }

    fn add(&mut self, section: Section) {
        self.read += 1;
        self.clipped += section.clipped;
        self.lines = section.lines;
        if self.text.is_empty() {
            self.text = section.text;
        } else {
            self.separate();
            self.text.push_str(&section.text);
        }
        if let Some((data, mime)) = section.image {
            self.image_bytes += data.len();
            if self.image_bytes > MAX_IMAGES {
                self.text.push_str("(not shown: the images of one answer are limited; read it alone)\n");
            } else {
                self.images.push(Block::Image { data, mime });
            }
        }
    }

    fn fail(&mut self, name: &str, error: &ToolError) {
        self.failed += 1;
        self.separate();
        self.text.push_str("=== ");
        self.text.push_str(name);
        self.text.push('\n');
        self.text.push_str(&error.to_string());
        self.text.push('\n');
    }

    fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push_str(if self.text.ends_with('\n') { "\n" } else { "\n\n" });
        }
    }

    fn answer(self, cursor: Option<String>) -> Answer {
        let mut trailer = Trailer::new();
        if self.files > 1 {
            let total = self.files as u64;
            // Later pages count from the first file.
            let done = self.first as u64 + self.read + self.failed;
            trailer = trailer.count(if cursor.is_some() { done.min(total) } else { total }, total, "files");
            if self.failed > 0 {
                trailer = trailer.note(format!("{} not readable", self.failed));
            }
        } else if let Some((shown, wanted)) = self.lines {
            let wanted = wanted.unwrap_or(shown);
            trailer = trailer.count(shown.min(wanted), wanted, if wanted == 1 { "line" } else { "lines" });
        }
        if self.clipped > 0 {
            let lines = if self.clipped == 1 { "1 long line cut".to_owned() } else { format!("{} long lines cut", self.clipped) };
            trailer = trailer.note(format!("{lines}, give `lines` one number to read a whole one"));
        }
        trailer = match (cursor, self.clipped) {
            (Some(cursor), _) => trailer.next(cursor),
            (None, 0) => trailer,
            (None, _) => trailer.incomplete("lines cut"),
        };
        self.images.into_iter().fold(Answer::text(self.text, &trailer), Answer::with_block)
    }
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
