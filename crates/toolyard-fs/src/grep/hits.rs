//! Hits as they are gathered: what leaves a worker, and the sink the engine fills.

use std::{io, mem};

use grep_matcher::Matcher as _;
use grep_regex::RegexMatcher;
use grep_searcher::{Searcher, Sink, SinkContext, SinkMatch};

use super::{Mode, line, query::Query};

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

/// What became of a file.
pub(super) enum Outcome {
    Hits(u64),
    /// It has hits, and NUL bytes as well.
    Binary,
    /// The deadline came before the end of the file, after this many hits.
    Interrupted(u64),
}

/// Takes the hits of one file.
pub(super) struct Hits<'s> {
    query: &'s Query,
    matcher: &'s RegexMatcher,
    part: &'s mut Part,
    /// Lines up to this one were on an earlier page.
    after_line: u64,
    counting: bool,
    pub(super) hits: u64,
    binary: bool,
    gap: bool,
}

impl<'s> Hits<'s> {
    /// With `counting`, hits are not set out.
    pub(super) fn new(query: &'s Query, counting: bool, matcher: &'s RegexMatcher, part: &'s mut Part, after_line: u64) -> Self {
        let counting = counting || query.mode != Mode::Content;
        Self { query, matcher, part, after_line, counting, hits: 0, binary: false, gap: false }
    }

    pub(super) const fn outcome(&self) -> Outcome {
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
