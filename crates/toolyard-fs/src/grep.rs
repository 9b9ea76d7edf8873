//! `fs_grep`: the content of files, searched in process.

mod query;

mod hits;
mod line;
mod page;
mod seek;
mod shared;
mod why;

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Budget, Context, Effect, EntryPolicy, Granted, Progress, Stop, Tool, ToolError,
    guard::{
        AllowedDirs, CheckedPath, Follow, Kind,
        walk::{WalkCounts, WalkEnd, WalkOptions, Walked, walk},
    },
};

use crate::deadline;

use page::{Page, Position};
use query::Query;
use seek::Seeker;
use shared::Shared;

pub(crate) struct Grep {
    directories: AllowedDirs,
}

/// Searches file contents with a regular expression (Rust syntax: no look-around, no back-references) in all files below `path`, or in one file. Ignored (.gitignore) and hidden files are searched only when asked for, binary files never.
/// The answer names each file once, above its hits: `12:text` for a hit, `13-text` for context. Files come in path order. The last line tells the totals, what was left out, and a `cursor` when more follows. When nothing matches it says what else would.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pattern: String,
    /// Directory or file; default: the allowed directory.
    #[serde(default)]
    path: Option<String>,
    /// Only files matching one of these, such as `src/**/*.rs`; `!x` leaves files out.
    #[serde(default)]
    glob: Vec<String>,
    /// Only files of this type: `rust`, `py`, `ts`, `go`, `md`, …
    #[serde(default, rename = "type")]
    file_type: Option<String>,
    #[serde(default)]
    mode: Mode,
    /// Context lines around each hit.
    #[serde(default)]
    context: Option<u32>,
    #[serde(default)]
    before: Option<u32>,
    #[serde(default)]
    after: Option<u32>,
    /// Hits may span lines; `.` matches line ends.
    #[serde(default)]
    multiline: bool,
    /// The pattern is plain text.
    #[serde(default)]
    fixed: bool,
    #[serde(default)]
    case: Case,
    /// Only whole words.
    #[serde(default)]
    word: bool,
    #[serde(default)]
    max_per_file: Option<u32>,
    #[serde(default)]
    max_hits: Option<u32>,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    no_ignore: bool,
    #[serde(default)]
    max_tokens: Option<u32>,
    /// From the last answer.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// matching lines
    #[default]
    Content,
    /// paths of files that match
    Files,
    /// hits per file
    Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Case {
    /// insensitive unless the pattern has a capital letter
    #[default]
    Smart,
    /// as written
    Sensitive,
    /// any case
    Insensitive,
}

impl Grep {
    pub(crate) fn new(directories: AllowedDirs) -> Self {
        Self { directories }
    }
}

impl Tool for Grep {
    const NAME: &'static str = "fs_grep";
    const TITLE: &'static str = "Search file contents";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        let target = self.directories.resolve(input.path.as_deref().unwrap_or("."), Follow::Final)?;
        Ok(vec![target.access(Effect::Read)])
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let start = self.directories.checked(&granted, 0)?;
        let budget = granted.budget(input.max_tokens)?;
        let digest = digest(&input, &start);
        let position = match &input.cursor {
            Some(cursor) => Some(Position::decode(&granted.open_cursor(&digest, cursor)?)?),
            None => None,
        };
        let query = Query::new(&input, budget)?;
        let search = Search {
            start,
            policy: granted.entry_policy(Effect::Read),
            options: WalkOptions { hidden: input.hidden, no_ignore: input.no_ignore, ..WalkOptions::default() },
            query,
            progress: granted.progress_handle(),
        };
        let found = granted.blocking(move |stop| search.run(budget, position, stop)).await?;
        Ok(found.answer(|position| granted.seal_cursor(&digest, &position.encode())))
    }
}

/// What must stay the same from page to page.
fn digest(input: &Input, start: &CheckedPath) -> [u8; 32] {
    let same = Input { path: None, max_tokens: None, cursor: None, ..input.clone() };
    *blake3::hash(format!("{same:?} {:?}", start.resource()).as_bytes()).as_bytes()
}

/// One search, owned so that it can move to the blocking pool.
struct Search {
    start: CheckedPath,
    policy: EntryPolicy,
    options: WalkOptions,
    query: Query,
    progress: Option<Arc<dyn Progress>>,
}

/// What a search found.
struct Found {
    page: Page,
    end: WalkEnd,
    counts: WalkCounts,
    shared: Arc<Shared>,
    /// What else would match, when nothing did.
    why: Vec<String>,
    single_file: bool,
    /// How long the search could run.
    time: Duration,
}

impl Search {
    fn run(self, budget: Budget, position: Option<Position>, stop: &Stop) -> Result<Found, ToolError> {
        let (stop, time) = deadline::for_search(stop);
        let single_file = self.start.stat()?.kind != Kind::Directory;
        let display = self.start.display();
        let prefix = match display.as_str() {
            "." => String::new(),
            path if single_file => path.to_owned(),
            path => format!("{}/", path.trim_end_matches('/')),
        };
        let shared = Arc::new(Shared::new(position.clone(), self.progress.clone(), stop.clone()));
        let mut page = Page::new(budget, &self.query, prefix, position, Arc::clone(&shared));
        let walked = if single_file {
            let end = self.search_one(&shared, &mut page)?;
            if stop.is_raised() {
                return Err(ToolError::cancelled());
            }
            Walked { counts: WalkCounts::default(), end }
        } else {
            walk(&self.start, &self.policy, self.options, &stop, || Seeker::new(&self.query, &shared), |part| page.add(part))?
        };
        let why = if page.is_empty() && walked.end == WalkEnd::Whole && !single_file { why::explain(&self, &stop) } else { Vec::new() };
        Ok(Found { page, end: walked.end, counts: walked.counts, shared, why, single_file, time })
    }

    /// Searches the one file the call named.
    fn search_one(&self, shared: &Shared, page: &mut Page) -> Result<WalkEnd, ToolError> {
        let (searched, part) = Seeker::new(&self.query, shared).search_file(self.start.open_file()?);
        let added = part.map_or(ControlFlow::Continue(()), |part| page.add(part));
        Ok(match (searched, added) {
            (ControlFlow::Break(()), _) => WalkEnd::Late,
            (_, ControlFlow::Break(())) => WalkEnd::Enough,
            _ => WalkEnd::Whole,
        })
    }
}

impl Found {
    fn answer(self, seal: impl FnOnce(&Position) -> String) -> Answer {
        let Self { page, end, counts, shared, why, single_file, time } = self;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let searched = count(&shared.searched);
        let mut trailer = page.trailer(end == WalkEnd::Whole);
        let mut body = String::new();
        if page.is_empty() {
            body.push_str(match end {
                WalkEnd::Whole => "no matches",
                WalkEnd::Enough | WalkEnd::Late => "no matches so far",
            });
            if searched == 0 && !single_file {
                body.push_str("; no file was searched, so check `path`, `glob` and `type`");
            }
            for line in &why {
                body.push('\n');
                body.push_str(line);
            }
            trailer = trailer.note(format!("{searched} files searched"));
        }
        for (number, what) in [
            (counts.ignored, "ignored"),
            (counts.hidden, "hidden"),
            (counts.withheld, "withheld by policy"),
            (count(&shared.binary), "binary skipped"),
            (count(&shared.special), "links or special files skipped"),
            (count(&shared.too_large), "too large skipped"),
            (count(&shared.unreadable) + counts.unreadable, "unreadable"),
            (counts.beyond, "directories beyond the limits"),
            (counts.bad_rules, "ignore files not usable"),
        ] {
            if number > 0 {
                trailer = trailer.note(format!("{number} {what}"));
            }
        }
        let position = page.next_position(end);
        if let Some(position) = &position {
            trailer = trailer.next(seal(position));
        }
        trailer = match (end, page.stopped_by()) {
            (WalkEnd::Late, _) => trailer.incomplete(deadline::reason(time)),
            (_, Some(reason)) => trailer.incomplete(reason),
            _ => trailer,
        };
        body.push_str(&page.into_text());
        Answer::text(body, &trailer)
    }
}

#[cfg(test)]
mod tests;
