//! Searching one file after the other; one of these per worker.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    mem,
    ops::ControlFlow,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use grep_matcher::{LineTerminator, Matcher as _};
use grep_regex::RegexMatcher;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use toolyard_core::{
    Progress, Stop,
    guard::{
        GuardedFile, Kind,
        walk::{Content, Entry, Visitor},
    },
};

use super::{Mode, line, page::Position, query::Query};

/// How much is searched without a look at the deadline.
struct Sizes {
    /// Files up to this size are searched in one piece.
    buffer: usize,
    /// Memory that one line may take.
    line: usize,
    /// Memory that a whole file may take, which a search over several lines needs.
    file: usize,
}

const SIZES: Sizes = Sizes { buffer: 256 << 10, line: 8 << 20, file: 64 << 20 };
/// With slow patterns.
const SLOW_SIZES: Sizes = Sizes { buffer: 32 << 10, line: 128 << 10, file: 128 << 10 };
/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// From then on workers tell how far they came.
const LONG: Duration = Duration::from_secs(1);
/// How long hits are still counted when the page is full.
const COUNTING_TIME: Duration = Duration::from_millis(300);

/// Hits of neighbouring files of one directory, in path order.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Lines as they are shown, file after file.
    pub(super) text: String,
    /// Where each line ends.
    pub(super) lines: Vec<Line>,
    pub(super) files: Vec<FileHits>,
    /// The last file that was searched, told only when the search takes long.
    pub(super) reached: Option<Box<[u8]>>,
}

/// One shown line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Where it ends in the text of its part.
    pub(super) end: usize,
    pub(super) number: u64,
    pub(super) is_hit: bool,
}

/// The hits of one file.
#[derive(Debug)]
pub(super) struct FileHits {
    /// Path relative to the start, as bytes for comparing and as text.
    pub(super) path: Box<[u8]>,
    pub(super) shown: Box<str>,
    pub(super) hits: u64,
    /// End of its lines in the part's list.
    pub(super) lines_end: usize,
    /// Whether the deadline came before the end of the file.
    pub(super) unfinished: bool,
}

/// What all workers of one search share.
pub(super) struct Shared {
    /// Where the page begins.
    from: Option<Position>,
    progress: Option<(Arc<dyn Progress>, Mutex<Instant>)>,
    stop: Stop,
    searched: AtomicU64,
    binary: AtomicU64,
    special: AtomicU64,
    too_large: AtomicU64,
    unreadable: AtomicU64,
    started: Instant,
    /// Set when the page is full: hits are only counted from then on.
    counting: AtomicBool,
    counting_until: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(from: Option<Position>, progress: Option<Arc<dyn Progress>>, stop: Stop) -> Self {
        Self {
            from,
            progress: progress.map(|progress| (progress, Mutex::new(Instant::now()))),
            stop,
            searched: AtomicU64::new(0),
            binary: AtomicU64::new(0),
            special: AtomicU64::new(0),
            too_large: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            started: Instant::now(),
            counting: AtomicBool::new(false),
            counting_until: Mutex::new(None),
        }
    }

    pub(super) fn searched(&self) -> u64 {
        self.searched.load(Ordering::Relaxed)
    }

    pub(super) fn binary(&self) -> u64 {
        self.binary.load(Ordering::Relaxed)
    }

    pub(super) fn special(&self) -> u64 {
        self.special.load(Ordering::Relaxed)
    }

    pub(super) fn too_large(&self) -> u64 {
        self.too_large.load(Ordering::Relaxed)
    }

    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// From now on hits are only counted, and that not for long.
    pub(super) fn start_counting(&self) {
        if let Ok(mut until) = self.counting_until.lock() {
            until.get_or_insert(Instant::now() + COUNTING_TIME);
        }
        self.counting.store(true, Ordering::Relaxed);
    }

    fn is_counting(&self) -> bool {
        self.counting.load(Ordering::Relaxed)
    }

    pub(super) fn counted_enough(&self) -> bool {
        self.is_counting() && self.counting_until.lock().is_ok_and(|until| until.is_some_and(|until| Instant::now() > until))
    }

    fn note_searched(&self) {
        let searched = self.searched.fetch_add(1, Ordering::Relaxed) + 1;
        if searched.is_multiple_of(64)
            && let Some((progress, last)) = &self.progress
            && let Ok(mut last) = last.try_lock()
            && last.elapsed() >= PROGRESS_EVERY
        {
            *last = Instant::now();
            progress.report(searched, None, &format!("{searched} files searched"));
        }
    }
}

/// Searches the files it is shown.
pub(super) struct Seeker<'q> {
    query: &'q Query,
    shared: &'q Shared,
    matcher: RegexMatcher,
    /// For files that are in the buffer.
    searcher: Searcher,
    /// For the others; made when the first one comes.
    streamer: Option<Searcher>,
    buffer: Vec<u8>,
    sizes: Sizes,
    part: Part,
    /// The last file searched in this stretch.
    last: Vec<u8>,
}

impl<'q> Seeker<'q> {
    pub(super) fn new(query: &'q Query, shared: &'q Shared) -> Self {
        let sizes = if query.slow { SLOW_SIZES } else { SIZES };
        Self {
            query,
            shared,
            matcher: query.matcher.clone(),
            searcher: builder(query).build(),
            streamer: None,
            buffer: Vec::with_capacity(sizes.buffer),
            sizes,
            part: Part::default(),
            last: Vec::new(),
        }
    }

    /// Searches the one file a call named.
    pub(super) fn search_file(&mut self, file: GuardedFile) -> (ControlFlow<()>, Option<Part>) {
        let mut file = file.into_file();
        self.buffer.clear();
        let read = file.by_ref().take(self.sizes.buffer as u64).read_to_end(&mut self.buffer);
        let content = match read {
            Ok(read) if read < self.sizes.buffer => Ok(Content::Whole),
            Ok(_) => Ok(Content::Beginning(file)),
            Err(error) => Err(error),
        };
        let searched = self.search(b"", "", content);
        (searched, self.take().map(|(part, _)| part))
    }

    fn search(&mut self, path: &[u8], shown: &str, content: io::Result<Content>) -> ControlFlow<()> {
        let shared = self.shared;
        shared.note_searched();
        let after_line = shared.from.as_ref().map_or(0, |from| if *from.path == *path { from.line } else { 0 });
        let keep = (self.part.text.len(), self.part.lines.len());
        let found = match content {
            Ok(Content::Whole) => self.search_buffer(after_line),
            Ok(Content::Beginning(rest)) => self.search_stream(rest, after_line),
            Err(error) => Err(error),
        };
        match found {
            Ok(Outcome::Hits(0)) => {}
            Ok(Outcome::Hits(hits)) => {
                self.keep(path, shown, hits, false);
                return ControlFlow::Continue(());
            }
            Ok(Outcome::Binary) => {
                shared.binary.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Outcome::Interrupted(hits)) => {
                if hits > 0 {
                    self.keep(path, shown, hits, true);
                }
                return ControlFlow::Break(());
            }
            Err(error) if error.kind() == io::ErrorKind::Other => {
                // The searcher reports that its memory is used up this way.
                shared.too_large.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                shared.unreadable.fetch_add(1, Ordering::Relaxed);
            }
        }
        // A file that can't be searched whole shows nothing.
        self.part.text.truncate(keep.0);
        self.part.lines.truncate(keep.1);
        ControlFlow::Continue(())
    }

    fn keep(&mut self, path: &[u8], shown: &str, hits: u64, unfinished: bool) {
        let lines_end = self.part.lines.len();
        self.part.files.push(FileHits { path: path.into(), shown: shown.into(), hits, lines_end, unfinished });
    }

    /// Searches a file that is wholly in the buffer.
    fn search_buffer(&mut self, after_line: u64) -> io::Result<Outcome> {
        let bytes = match self.buffer.as_slice() {
            [0xEF, 0xBB, 0xBF, text @ ..] => text,
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => &self.buffer[..],
            bytes => {
                // Most files hold no hit, and this look costs less than setting out line by line.
                if !self.query.multiline && !matches!(self.matcher.find_candidate_line(bytes), Ok(Some(_))) {
                    return Ok(Outcome::Hits(0));
                }
                if memchr::memchr(0, bytes).is_some() {
                    return Ok(if matches!(self.matcher.is_match(bytes), Ok(true)) { Outcome::Binary } else { Outcome::Hits(0) });
                }
                bytes
            }
        };
        let mut hits = Hits::new(self.query, self.shared, &self.matcher, &mut self.part, after_line);
        self.searcher.search_slice(&self.matcher, bytes, &mut hits)?;
        Ok(hits.outcome())
    }

    /// Searches a file that begins in the buffer.
    fn search_stream(&mut self, rest: File, after_line: u64) -> io::Result<Outcome> {
        let streamer = self.streamer.get_or_insert_with(|| {
            let heap = if self.query.multiline { self.sizes.file } else { self.sizes.line };
            builder(self.query).binary_detection(BinaryDetection::quit(0)).heap_limit(Some(heap)).build()
        });
        let mut hits = Hits::new(self.query, self.shared, &self.matcher, &mut self.part, after_line);
        let stopping = Stopping { stop: &self.shared.stop, raised: false, rest };
        let mut reader = self.buffer.as_slice().chain(stopping);
        let searched = streamer.search_reader(&self.matcher, &mut reader, &mut hits);
        let interrupted = reader.get_ref().1.raised;
        let (outcome, hits_so_far) = (hits.outcome(), hits.hits);
        if interrupted {
            return Ok(Outcome::Interrupted(hits_so_far));
        }
        searched.map(|()| outcome)
    }
}

fn builder(query: &Query) -> SearcherBuilder {
    let mut builder = SearcherBuilder::new();
    builder
        .line_number(query.mode == Mode::Content)
        .before_context(query.before)
        .after_context(query.after)
        .multi_line(query.multiline)
        .max_matches(if query.mode == Mode::Files { Some(1) } else { query.max_per_file });
    if !query.multiline {
        builder.line_terminator(LineTerminator::crlf());
    }
    builder
}

impl Visitor for Seeker<'_> {
    type Part = Part;

    fn visit(&mut self, entry: &Entry<'_>) -> ControlFlow<()> {
        let shared = self.shared;
        if let Some(from) = &shared.from
            && !from.includes_file(entry.path())
        {
            return ControlFlow::Continue(());
        }
        if !self.query.wants(Path::new(OsStr::from_bytes(entry.path()))) {
            return ControlFlow::Continue(());
        }
        if entry.kind() != Kind::File {
            shared.special.fetch_add(1, Ordering::Relaxed);
            return ControlFlow::Continue(());
        }
        if shared.is_counting() && shared.counted_enough() {
            return ControlFlow::Break(());
        }
        let content = entry.read_into(&mut self.buffer);
        self.search(entry.path(), entry.shown(), content)?;
        self.last.clear();
        self.last.extend_from_slice(entry.path());
        ControlFlow::Continue(())
    }

    fn enters(&mut self, directory: &Entry<'_>) -> bool {
        let before_page = self.shared.from.as_ref().is_some_and(|from| !from.includes_directory(directory.path()));
        !before_page && self.query.filter.enters(Path::new(OsStr::from_bytes(directory.path())))
    }

    fn take(&mut self) -> Option<(Part, usize)> {
        let last = mem::take(&mut self.last);
        if !last.is_empty() && self.shared.started.elapsed() > LONG {
            self.part.reached = Some(last.into());
        } else if self.part.files.is_empty() {
            return None;
        }
        let part = mem::take(&mut self.part);
        let size = part.text.len() + part.lines.len() * size_of::<Line>();
        Some((part, size))
    }
}

enum Outcome {
    Hits(u64),
    /// It has hits, and NUL bytes as well.
    Binary,
    /// The deadline came before the end of the file, after this many hits.
    Interrupted(u64),
}

/// Takes the hits of one file.
struct Hits<'s> {
    query: &'s Query,
    matcher: &'s RegexMatcher,
    part: &'s mut Part,
    /// Lines up to this one were on an earlier page.
    after_line: u64,
    counting: bool,
    hits: u64,
    binary: bool,
    gap: bool,
}

impl<'s> Hits<'s> {
    fn new(query: &'s Query, shared: &Shared, matcher: &'s RegexMatcher, part: &'s mut Part, after_line: u64) -> Self {
        let counting = query.mode != Mode::Content || shared.is_counting();
        Self { query, matcher, part, after_line, counting, hits: 0, binary: false, gap: false }
    }

    const fn outcome(&self) -> Outcome {
        if self.binary { Outcome::Binary } else { Outcome::Hits(self.hits) }
    }

    /// Shows a line; `sign` stands behind its number.
    fn push(&mut self, number: u64, bytes: &[u8], sign: char, is_hit: bool) {
        if number <= self.after_line {
            return;
        }
        let text = &mut self.part.text;
        if mem::take(&mut self.gap) {
            text.push_str("--\n");
        }
        push_number(text, number);
        text.push(sign);
        let matcher = self.matcher;
        line::push(text, bytes, self.query.width, |line| {
            matcher.find(line).ok().flatten().filter(|_| is_hit).map(|hit| hit.start()..hit.end())
        });
        text.push('\n');
        self.part.lines.push(Line { end: text.len(), number, is_hit });
    }
}

impl Sink for Hits<'_> {
    type Error = io::Error;

    fn matched(&mut self, _searcher: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        if self.counting {
            // A page that begins inside this file counts what is left of it.
            self.hits += 1;
            return Ok(self.query.mode != Mode::Files);
        }
        let first = found.line_number().unwrap_or(0);
        let mut last = first;
        for (number, bytes) in (first..).zip(found.lines()) {
            // A hit over several lines is one hit.
            self.push(number, bytes, ':', number == first);
            last = number;
        }
        if last > self.after_line {
            self.hits += 1;
        }
        // One more than wanted tells that there are more.
        Ok(self.query.max_hits.is_none_or(|max| self.hits <= max))
    }

    fn context(&mut self, _searcher: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        if !self.counting {
            self.push(context.line_number().unwrap_or(0), context.bytes(), '-', false);
        }
        Ok(true)
    }

    fn context_break(&mut self, _searcher: &Searcher) -> Result<bool, io::Error> {
        self.gap = true;
        Ok(true)
    }

    fn binary_data(&mut self, _searcher: &Searcher, _offset: u64) -> Result<bool, io::Error> {
        self.binary = self.hits > 0;
        Ok(true)
    }
}

fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// Reads until the call is stopped.
struct Stopping<'s> {
    stop: &'s Stop,
    raised: bool,
    rest: File,
}

impl Read for Stopping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_raised() || self.stop.is_late() {
            self.raised = true;
            // `Interrupted` would be tried again.
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.rest.read(buffer)
    }
}
