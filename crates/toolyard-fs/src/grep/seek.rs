//! Searching one file after the other; one of these per worker.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    mem,
    ops::ControlFlow,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::atomic::Ordering,
};

use grep_matcher::{LineTerminator, Matcher as _};
use grep_regex::RegexMatcher;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use toolyard_core::{
    Stop,
    guard::{
        GuardedFile, Kind,
        walk::{Content, Entry, Visitor},
    },
};

use super::{
    Mode,
    hits::{FileHits, Hits, Line, Outcome, Part},
    query::Query,
    shared::Shared,
};

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
        let mut hits = Hits::new(self.query, self.shared.is_counting(), &self.matcher, &mut self.part, after_line);
        self.searcher.search_slice(&self.matcher, bytes, &mut hits)?;
        Ok(hits.outcome())
    }

    /// Searches a file that begins in the buffer.
    fn search_stream(&mut self, rest: File, after_line: u64) -> io::Result<Outcome> {
        let streamer = self.streamer.get_or_insert_with(|| {
            let heap = if self.query.multiline { self.sizes.file } else { self.sizes.line };
            builder(self.query).binary_detection(BinaryDetection::quit(0)).heap_limit(Some(heap)).build()
        });
        let mut hits = Hits::new(self.query, self.shared.is_counting(), &self.matcher, &mut self.part, after_line);
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

    fn wants(&mut self, path: &[u8], _kind: Kind) -> bool {
        let is_before_page = self.shared.from.as_ref().is_some_and(|from| !from.includes_file(path));
        !is_before_page && self.query.wants(Path::new(OsStr::from_bytes(path)))
    }

    fn visit(&mut self, entry: &Entry<'_>) -> ControlFlow<()> {
        let shared = self.shared;
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
        if !last.is_empty() && self.shared.is_long() {
            self.part.reached = Some(last.into());
        } else if self.part.files.is_empty() {
            return None;
        }
        let part = mem::take(&mut self.part);
        let size = part.text.len() + part.lines.len() * size_of::<Line>();
        Some((part, size))
    }
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
