//! A search as the caller asked for it, checked and compiled.

use std::{path::Path, time::Instant};

use grep_matcher::Matcher as _;
use grep_regex::{ErrorKind, RegexMatcher, RegexMatcherBuilder};
use toolyard_core::{Budget, ToolError};

use crate::filter::FileFilter;

use super::{Case, Input, Mode};

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 10 * 1024;
/// Compiled size of a pattern, in bytes.
const MAX_COMPILED: usize = 10 << 20;
/// Memory of the lazily built automaton of one thread, in bytes.
const MAX_CACHE: usize = 32 << 20;
/// Nesting of groups.
const MAX_NEST: u32 = 100;
/// Lines of context on each side.
const MAX_CONTEXT: u32 = 1_000;
/// Text a pattern is tried on, and the speed below which it counts as slow, in bytes per second.
const TRIAL: &str = "fn walk_to(a: &Path, 1234) -> Vec<u8> { // the quick brown fox, naïve\n\tif x == \"word\" return 0;\n";
const TRIAL_REPEATS: usize = 40;
const SLOW: u128 = 4_000_000;
/// Longest line that is shown whole, in bytes.
const LINE_WIDTH: usize = 500;

/// What is searched for, and how hits are shown.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) matcher: RegexMatcher,
    pub(super) mode: Mode,
    pub(super) before: usize,
    pub(super) after: usize,
    pub(super) multiline: bool,
    pub(super) max_per_file: Option<u64>,
    pub(super) max_hits: Option<u64>,
    /// Longest line that is shown whole, in bytes.
    pub(super) width: usize,
    pub(super) filter: FileFilter,
    pub(super) pattern: Pattern,
    /// Whether the engine is so slow with this pattern that it must come up for air often.
    pub(super) slow: bool,
}

/// The pattern and what it depends on, for trying variants.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) fixed: bool,
    pub(super) case: Case,
    pub(super) word: bool,
    pub(super) multiline: bool,
}

impl Query {
    pub(super) fn new(input: &Input, budget: Budget) -> Result<Self, ToolError> {
        let pattern =
            Pattern { text: input.pattern.clone(), fixed: input.fixed, case: input.case, word: input.word, multiline: input.multiline };
        for (name, value) in [("max_per_file", input.max_per_file), ("max_hits", input.max_hits)] {
            if value == Some(0) {
                return Err(ToolError::invalid_input(format!("`{name}` is 0, so nothing could be found"))
                    .with_hint("give at least 1, or leave it out"));
            }
        }
        let context = |own: Option<u32>| own.or(input.context).unwrap_or(0).min(MAX_CONTEXT) as usize;
        let shows_lines = input.mode == Mode::Content;
        let matcher = pattern.compile()?;
        Ok(Self {
            slow: is_slow(&matcher),
            matcher,
            mode: input.mode,
            before: if shows_lines { context(input.before) } else { 0 },
            after: if shows_lines { context(input.after) } else { 0 },
            multiline: input.multiline,
            max_per_file: input.max_per_file.map(u64::from),
            max_hits: input.max_hits.map(u64::from),
            width: (budget.bytes() / 4).clamp(40, LINE_WIDTH),
            filter: FileFilter::new(&input.glob, input.file_type.as_deref())?,
            pattern,
        })
    }

    /// Whether a file of this path is searched.
    pub(super) fn wants(&self, path: &Path) -> bool {
        self.filter.wants(path)
    }
}

/// The engine takes linear time, but the time per byte depends on the pattern and can be ten
/// thousand times the usual. Inside one line it can't be stopped.
fn is_slow(matcher: &RegexMatcher) -> bool {
    let text = TRIAL.repeat(TRIAL_REPEATS);
    let started = Instant::now();
    let mut looked_at = 0;
    while let Ok(Some(hit)) = matcher.find_at(text.as_bytes(), looked_at) {
        looked_at = hit.end().max(looked_at + 64);
        if looked_at >= text.len() {
            break;
        }
    }
    started.elapsed().as_nanos() * SLOW > text.len() as u128 * 1_000_000_000
}

impl Pattern {
    pub(super) fn compile(&self) -> Result<RegexMatcher, ToolError> {
        if self.text.is_empty() {
            return Err(ToolError::invalid_input("`pattern` is empty and would match every line").with_hint("give the text to look for"));
        }
        if self.text.len() > MAX_PATTERN {
            return Err(ToolError::invalid_input(format!("`pattern` has {} bytes, the limit is {MAX_PATTERN}", self.text.len()))
                .with_hint("search for a shorter part of it"));
        }
        let mut builder = RegexMatcherBuilder::new();
        builder
            .fixed_strings(self.fixed)
            .word(self.word)
            .case_smart(self.case == Case::Smart)
            .case_insensitive(self.case == Case::Insensitive)
            .multi_line(true)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_CACHE)
            .nest_limit(MAX_NEST);
        if self.multiline {
            builder.dot_matches_new_line(true);
        } else {
            builder.crlf(true);
        }
        builder.build(&self.text).map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &grep_regex::Error) -> ToolError {
        let problem = toolyard_core::text::show(&error.to_string()).into_owned();
        let explained = ToolError::invalid_input(format!("`pattern` can't be used: {problem}"));
        match error.kind() {
            ErrorKind::NotAllowed(_) => explained.with_hint("it holds a line break: set `multiline: true`"),
            _ if self.fixed => explained.with_hint("search for a shorter part of it"),
            _ => explained.with_hint(
                "for plain text set `fixed: true`; look-around and back-references are not supported, and large repetitions have to be made smaller",
            ),
        }
    }
}
