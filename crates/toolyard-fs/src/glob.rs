//! `fs_glob`: files by name, newest first.

use std::{
    cmp::Ordering,
    ffi::OsStr,
    mem,
    ops::ControlFlow,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::{Duration, Instant},
};

use globset::GlobMatcher;
use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Budget, Context, Effect, ErrorKind, Granted, Tool, ToolError, Trailer,
    guard::{
        AllowedDirs, CheckedPath, Follow, Kind,
        walk::{Entry, Visitor, WalkCounts, WalkEnd, WalkOptions, Walked, walk},
    },
};

use crate::{deadline, filter};

/// How long it looks among ignored and hidden files when nothing matched.
const SECOND_LOOK: Duration = Duration::from_millis(300);

pub(crate) struct Glob {
    directories: AllowedDirs,
}

/// Finds files by name and lists their paths, those changed last first. Directories and symbolic links are not listed.
/// `*` and `?` stay within a name, `**` spans directories, `{a,b}` and `[a-z]` choose. A pattern without `/` matches names at any depth: `*.rs`; one with `/` begins at `path`: `src/**/*.rs`. Ignored (.gitignore) and hidden files are listed only when asked for, or when the pattern spells out their directory: `.github/**`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Such as `*.ts` or `src/**/test_*.py`.
    pattern: String,
    /// Default: the allowed directory.
    #[serde(default)]
    path: Option<String>,
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

impl Glob {
    pub(crate) fn new(directories: AllowedDirs) -> Self {
        Self { directories }
    }
}

impl Tool for Glob {
    const NAME: &'static str = "fs_glob";
    const TITLE: &'static str = "Find files by name";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        let path = input.path.as_deref().unwrap_or(".");
        // The directories the pattern spells out are where the walk begins.
        let (literal, _) = split_pattern(&input.pattern);
        let start = match literal {
            "" => path.to_owned(),
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            below => format!("{}/{below}", path.trim_end_matches('/')),
        };
        Ok(vec![self.directories.resolve(&start, Follow::Final)?.access(Effect::Read)])
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let start = self.directories.checked(&granted, 0)?;
        let budget = granted.budget(input.max_tokens)?;
        let same = Input { path: None, max_tokens: None, cursor: None, ..input.clone() };
        let digest = *blake3::hash(format!("{same:?} {:?}", start.resource()).as_bytes()).as_bytes();
        let from = match &input.cursor {
            Some(cursor) => Some(Match::decode(&granted.open_cursor(&digest, cursor)?)?),
            None => None,
        };
        let (literal, pattern) = split_pattern(&input.pattern);
        let matcher = filter::compile(pattern, "pattern")?.compile_matcher();
        let options = WalkOptions { hidden: input.hidden, no_ignore: input.no_ignore, ..WalkOptions::default() };
        let policy = granted.entry_policy(Effect::Read);
        let below_literal = !literal.is_empty();
        let found = granted
            .blocking(move |stop| {
                let (until, time) = deadline::for_search(stop);
                let find = |options, stop: &_| -> Result<(Vec<Match>, Walked), ToolError> {
                    let mut found = Vec::new();
                    let make = || Finder { matcher: matcher.clone(), found: Vec::new() };
                    let walked = walk(&start, &policy, options, stop, make, |mut part| {
                        found.append(&mut part);
                        ControlFlow::Continue(())
                    })?;
                    Ok((found, walked))
                };
                let (matches, walked) = match find(options, &until) {
                    // The pattern spells out a directory that does not exist: nothing matches.
                    Err(error) if below_literal && error.kind() == ErrorKind::NotFound => {
                        return Ok(Found { missing: Some(error), ..Found::nothing(start) });
                    }
                    found => found?,
                };
                let mut elsewhere = 0;
                if matches.is_empty() && walked.end == WalkEnd::Whole && !(options.hidden && options.no_ignore) {
                    let until = stop.no_later_than(Instant::now() + SECOND_LOOK);
                    let all = WalkOptions { hidden: true, no_ignore: true, ..options };
                    elsewhere = find(all, &until).map_or(0, |(matches, _)| matches.len());
                }
                Ok(Found { start, matches, end: walked.end, counts: walked.counts, elsewhere, missing: None, time })
            })
            .await?;
        Ok(found.answer(budget, from.as_ref(), |last| granted.seal_cursor(&digest, &last.encode())))
    }
}

/// The directories in front of the first wildcard, and the rest of the pattern.
fn split_pattern(pattern: &str) -> (&str, &str) {
    let special = pattern.find(['*', '?', '[', '{', '\\']).unwrap_or(pattern.len());
    match pattern[..special].rfind('/') {
        Some(0) => ("/", &pattern[1..]),
        // What is left begins with a slash, so that it stays at the start instead of floating.
        Some(at) => (&pattern[..at], &pattern[at..]),
        None => ("", pattern),
    }
}

/// A file that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Match {
    /// Seconds and nanoseconds.
    modified: (i64, u32),
    /// As it is shown, relative to the start.
    path: Box<str>,
}

impl Match {
    /// Newest first, then by path.
    fn order(&self, other: &Self) -> Ordering {
        other.modified.cmp(&self.modified).then_with(|| self.path.cmp(&other.path))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + self.path.len());
        bytes.extend_from_slice(&self.modified.0.to_be_bytes());
        bytes.extend_from_slice(&self.modified.1.to_be_bytes());
        bytes.extend_from_slice(self.path.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, ToolError> {
        let decoded = || {
            let (seconds, rest) = bytes.split_first_chunk()?;
            let (nanos, path) = rest.split_first_chunk()?;
            let modified = (i64::from_be_bytes(*seconds), u32::from_be_bytes(*nanos));
            Some(Self { modified, path: std::str::from_utf8(path).ok()?.into() })
        };
        decoded().ok_or_else(|| ToolError::invalid_input("`cursor` is damaged"))
    }
}

struct Finder {
    matcher: GlobMatcher,
    found: Vec<Match>,
}

impl Visitor for Finder {
    type Part = Vec<Match>;

    fn wants(&mut self, path: &[u8], kind: Kind) -> bool {
        kind == Kind::File && self.matcher.is_match(Path::new(OsStr::from_bytes(path)))
    }

    fn visit(&mut self, entry: &Entry<'_>) -> ControlFlow<()> {
        // A file that vanished since the directory was read is not listed.
        if let Ok(modified) = entry.modified() {
            self.found.push(Match { modified, path: entry.shown().into() });
        }
        ControlFlow::Continue(())
    }

    fn take(&mut self) -> Option<(Vec<Match>, usize)> {
        let found = mem::take(&mut self.found);
        let size = found.iter().map(|found| size_of::<Match>() + found.path.len()).sum();
        (!found.is_empty()).then_some((found, size))
    }
}

struct Found {
    start: CheckedPath,
    matches: Vec<Match>,
    end: WalkEnd,
    counts: WalkCounts,
    /// Matches among ignored and hidden files, when there are no others.
    elsewhere: usize,
    /// Why the walk could not begin.
    missing: Option<ToolError>,
    /// How long the walk could run.
    time: Duration,
}

impl Found {
    fn nothing(start: CheckedPath) -> Self {
        Self {
            start,
            matches: Vec::new(),
            end: WalkEnd::Whole,
            counts: WalkCounts::default(),
            elsewhere: 0,
            missing: None,
            time: Duration::ZERO,
        }
    }

    fn answer(mut self, budget: Budget, from: Option<&Match>, seal: impl FnOnce(&Match) -> String) -> Answer {
        self.matches.sort_unstable_by(Match::order);
        let prefix = match self.start.display().as_str() {
            "." => String::new(),
            path => format!("{}/", path.trim_end_matches('/')),
        };
        let first = from.map_or(0, |from| self.matches.partition_point(|found| found.order(from) != Ordering::Greater));
        let mut body = String::new();
        let mut shown = 0;
        for found in &self.matches[first..] {
            let size = prefix.len() + found.path.len() + 1;
            if shown > 0 && body.len() + size > budget.bytes() {
                break;
            }
            body.push_str(&prefix);
            body.push_str(&found.path);
            body.push('\n');
            shown += 1;
        }
        let total = self.matches.len();
        let unit = if total == 1 { "file" } else { "files" };
        let mut trailer = Trailer::new().count(shown as u64, total as u64, unit);
        if total == 0 {
            body.push_str(if self.end == WalkEnd::Whole { "no file matches" } else { "no file matches so far" });
            if let Some(missing) = &self.missing {
                body.push_str("; ");
                body.push_str(missing.message());
                if let Some(hint) = missing.hint() {
                    body.push_str("; ");
                    body.push_str(hint);
                }
            }
            if self.elsewhere > 0 {
                body.push_str(&format!("; {} hidden or ignored files do: set `hidden` and `no_ignore`", self.elsewhere));
            }
        }
        let counts = self.counts;
        for (count, what) in [
            (counts.ignored, "ignored"),
            (counts.hidden, "hidden"),
            (counts.withheld, "withheld by policy"),
            (counts.unreadable, "unreadable directories"),
            (counts.beyond, "directories beyond the limits"),
            (counts.bad_rules, "ignore files not usable"),
        ] {
            if count > 0 {
                trailer = trailer.note(format!("{count} {what}"));
            }
        }
        if first + shown < total
            && let Some(last) = self.matches.get((first + shown).saturating_sub(1))
        {
            trailer = trailer.next(seal(last));
        }
        if self.end == WalkEnd::Late {
            trailer = trailer.note("there may be more").incomplete(deadline::reason(self.time));
        }
        Answer::text(body, &trailer)
    }
}

#[cfg(test)]
mod tests;
