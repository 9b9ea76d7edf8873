//! What else would have matched, when nothing did; a quick look, not a second search.

use std::{
    ffi::OsStr,
    ops::ControlFlow,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use grep_matcher::Matcher as _;
use grep_regex::RegexMatcher;
use toolyard_core::{
    Stop,
    guard::{
        Kind,
        walk::{Entry, Visitor, WalkEnd, WalkOptions, walk},
    },
};

use super::{
    Case, Search,
    query::{Pattern, Query},
};

/// Time for each of the two looks.
const TIME: Duration = Duration::from_millis(150);
/// Only the beginning of a file is looked at.
const BUFFER: usize = 256 << 10;

/// Another way to ask.
struct Variant {
    matcher: RegexMatcher,
    /// What to change in the call.
    change: &'static str,
    files: AtomicU64,
}

/// One line for each change of the call that would find something.
pub(super) fn explain(search: &Search, stop: &Stop) -> Vec<String> {
    let pattern = &search.query.pattern;
    let mut variants = Vec::new();
    let mut add = |change, pattern: Pattern| {
        if let Ok(matcher) = pattern.compile() {
            variants.push(Variant { matcher, change, files: AtomicU64::new(0) });
        }
    };
    if pattern.case != Case::Insensitive {
        add("`case: insensitive`", Pattern { case: Case::Insensitive, ..pattern.clone() });
    }
    if !pattern.fixed && pattern.text.contains(|c: char| !c.is_alphanumeric() && !c.is_whitespace() && c != '_') {
        add("`fixed: true`", Pattern { fixed: true, ..pattern.clone() });
    }
    if pattern.word {
        add("`word: false`", Pattern { word: false, ..pattern.clone() });
    }
    let mut lines = Vec::new();
    let first = Looker { query: &search.query, variants: &variants, unfiltered: None, buffer: Vec::new() };
    let unfiltered = AtomicU64::new(0);
    let filtered = (!search.query.filter.is_open()).then_some(&unfiltered);
    let complete = look(search, search.options, stop, &first, filtered);
    for variant in &variants {
        describe(&mut lines, variant.change, variant.files.load(Ordering::Relaxed), complete);
    }
    describe(&mut lines, "leaving out `glob` and `type`", unfiltered.load(Ordering::Relaxed), complete);
    if !(search.options.hidden && search.options.no_ignore) {
        let own = [Variant { matcher: search.query.matcher.clone(), change: "", files: AtomicU64::new(0) }];
        let second = Looker { query: &search.query, variants: &own, unfiltered: None, buffer: Vec::new() };
        let options = WalkOptions { hidden: true, no_ignore: true, ..search.options };
        let complete = look(search, options, stop, &second, None);
        for variant in &own {
            describe(&mut lines, "`hidden: true` and `no_ignore: true`", variant.files.load(Ordering::Relaxed), complete);
        }
    }
    lines
}

fn describe(lines: &mut Vec<String>, change: &str, files: u64, complete: bool) {
    if files > 0 {
        let at_least = if complete { "" } else { "at least " };
        let unit = if files == 1 { "file" } else { "files" };
        lines.push(format!("{change} would find hits in {at_least}{files} {unit}"));
    }
}

/// Whether everything was looked at.
fn look(search: &Search, options: WalkOptions, stop: &Stop, looker: &Looker<'_>, unfiltered: Option<&AtomicU64>) -> bool {
    let stop = stop.no_later_than(Instant::now() + TIME);
    let make = || Looker { query: looker.query, variants: looker.variants, unfiltered, buffer: Vec::with_capacity(BUFFER) };
    let walked = walk(&search.start, &search.policy, options, &stop, make, |()| ControlFlow::Continue(()));
    walked.is_ok_and(|walked| walked.end == WalkEnd::Whole)
}

struct Looker<'q> {
    query: &'q Query,
    variants: &'q [Variant],
    /// Counts files that match but for `glob` and `type`.
    unfiltered: Option<&'q AtomicU64>,
    buffer: Vec<u8>,
}

impl Visitor for Looker<'_> {
    type Part = ();

    fn visit(&mut self, entry: &Entry<'_>) -> ControlFlow<()> {
        let wanted = self.query.wants(Path::new(OsStr::from_bytes(entry.path())));
        let looked_at = entry.kind() == Kind::File && (wanted && !self.variants.is_empty() || !wanted && self.unfiltered.is_some());
        if !looked_at || entry.read_into(&mut self.buffer).is_err() || memchr::memchr(0, &self.buffer).is_some() {
            return ControlFlow::Continue(());
        }
        let matches = |matcher: &RegexMatcher| matches!(matcher.is_match(&self.buffer), Ok(true));
        if wanted {
            for variant in self.variants.iter().filter(|variant| matches(&variant.matcher)) {
                variant.files.fetch_add(1, Ordering::Relaxed);
            }
        } else if let Some(unfiltered) = self.unfiltered
            && matches(&self.query.matcher)
        {
            unfiltered.fetch_add(1, Ordering::Relaxed);
        }
        ControlFlow::Continue(())
    }

    fn take(&mut self) -> Option<((), usize)> {
        None
    }
}
