//! `fs_edit`: exact replacements in one file.

mod diff;
mod locate;
mod nearest;
mod source;

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Budget, Context, Effect, Granted, Stop, Tool, ToolError, Trailer,
    guard::{
        AllowedDirs, Follow,
        replace::{Durability, FileChange},
    },
    text,
};

use self::{
    diff::Diff,
    locate::{Miss, Splice, locate},
    source::Source,
};
use crate::{etag, text_file::Encoding};

/// Most edits of one call.
const MAX_EDITS: usize = 200;

/// Largest file that is edited, in bytes.
const MAX_FILE: u64 = 32 << 20;

/// Line numbers listed for text that occurs several times.
const LISTED: usize = 20;

/// Problems told at once.
const TOLD: usize = 10;

/// Replaces exact text in a file. Each `old` must occur exactly once; give enough lines around it to
/// be unique, copied from fs_read without line numbers. All edits are located in the original
/// text, must not overlap, and are applied together in one step or not at all. Line feeds in `old`
/// match the line ends of the file, and `new` takes them over; every other byte, encoding and mode
/// stay as they are. `<U+200B>` stands for the character itself, as fs_read shows it. Answers with
/// a diff and the new etag. With `dry_run` only the diff is made. `etag` is optional: if the file
/// changed but every `old` is still unique, the edits are made and the answer says so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    path: String,
    /// 1 to 200 replacements, in any order.
    edits: Vec<Edit>,
    /// Of the text the edits were made for.
    etag: Option<String>,
    /// Only show what would change.
    #[serde(default)]
    dry_run: bool,
    max_tokens: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    /// Text that is there, exactly once.
    old: String,
    /// Text to put in its place; empty to delete.
    new: String,
}

/// The tool.
pub(crate) struct EditFile {
    directories: AllowedDirs,
    durability: Durability,
}

impl EditFile {
    pub(crate) const fn new(directories: AllowedDirs, durability: Durability) -> Self {
        Self { directories, durability }
    }
}

impl Tool for EditFile {
    const NAME: &'static str = "fs_edit";
    const TITLE: &'static str = "Edit a file";
    const EFFECT: Effect = Effect::Write;
    const IDEMPOTENT: bool = false;

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        check(&input.edits)?;
        let target = self.directories.resolve(&input.path, Follow::Final)?;
        // The answer shows parts of the file, so it has to be readable as well.
        Ok(vec![target.access(Effect::Write), target.access(Effect::Read)])
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let budget = granted.budget(input.max_tokens)?;
        let path = self.directories.checked(&granted, 0)?;
        let durability = self.durability;
        granted
            .blocking(move |stop| {
                let change = FileChange::begin(&path, stop)?;
                apply(change, &path.display(), &input, budget, durability, stop)
            })
            .await
    }
}

/// What can be said without looking at the file.
fn check(edits: &[Edit]) -> Result<(), ToolError> {
    if edits.is_empty() || edits.len() > MAX_EDITS {
        return Err(ToolError::invalid_input(format!("`edits` holds {} edits; 1 to {MAX_EDITS} are possible", edits.len()))
            .with_hint("give each edit as {\"old\": ..., \"new\": ...}"));
    }
    for (at, edit) in edits.iter().enumerate() {
        if edit.old.is_empty() {
            return Err(ToolError::invalid_input(format!("`edits[{at}].old` is empty, so there is no place to edit"))
                .with_hint("give the text that is there now; to fill a new or empty file use fs_write"));
        }
        if edit.old == edit.new {
            return Err(ToolError::invalid_input(format!("`edits[{at}]` changes nothing: `old` and `new` are the same"))
                .with_hint("leave that edit out"));
        }
    }
    Ok(())
}

fn apply(change: FileChange, shown: &str, input: &Input, budget: Budget, durability: Durability, stop: &Stop) -> Result<Answer, ToolError> {
    if change.size().is_none() {
        return Err(
            ToolError::not_found(format!("`{shown}` does not exist")).with_hint("check the path with fs_glob, or create it with fs_write")
        );
    }
    let bytes = change.read(MAX_FILE)?;
    let stale = match &input.etag {
        Some(wanted) => {
            let current = etag::of(&bytes);
            (!etag::matches(wanted, &current)).then_some(current)
        }
        None => None,
    };
    let (source, splices) = understand(&bytes, shown, &input.edits, stale.as_deref(), budget)?;
    let pieces = pieces(&bytes, &splices);
    let size: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut hasher = blake3::Hasher::new();
    for piece in &pieces {
        hasher.update(piece);
    }
    let new_etag = etag::finish(&hasher);
    let mut owner_kept = true;
    if !input.dry_run {
        owner_kept = change.put(&pieces, stop, durability)?.owner_kept;
    }
    let mut answer = format!(
        "{} {shown} etag={new_etag} {size} bytes {} {}\n",
        if input.dry_run { "would edit" } else { "edited" },
        source.encoding.name(),
        source.endings.name()
    );
    let diff = Diff::of(&source, &splices, budget.bytes().saturating_sub(answer.len()));
    answer.push_str(&diff.text);
    let count = splices.len() as u64;
    let mut trailer = Trailer::new()
        .count(count, count, if count == 1 { "edit" } else { "edits" })
        .note(format!("+{} -{} lines", diff.added, diff.removed));
    if input.dry_run {
        trailer = trailer.note("nothing was written");
    }
    if stale.is_some() {
        trailer = trailer.note("the file had changed since that etag; every `old` was still unique");
    }
    let mut ways: Vec<&str> = splices.iter().filter_map(|splice| splice.how).collect();
    ways.sort_unstable();
    ways.dedup();
    for way in ways {
        trailer = trailer.note(way);
    }
    if !owner_kept {
        trailer = trailer.note("the owner of the file is another one now");
    }
    if diff.left_out > 0 {
        trailer = trailer.incomplete(format!("{} more lines of the diff", diff.left_out));
    }
    Ok(Answer::text(answer, &trailer))
}

/// Reads the file in its encoding and finds every edit.
fn understand<'b>(
    bytes: &'b [u8],
    shown: &str,
    edits: &[Edit],
    stale: Option<&str>,
    budget: Budget,
) -> Result<(Source<'b>, Vec<Splice>), ToolError> {
    let source = Source::new(bytes);
    let placed = place_all(&source, shown, edits, stale, budget);
    // Without a mark UTF-16 is a guess, which short texts with zero bytes can mislead.
    if placed.is_err() && matches!(source.encoding, Encoding::Utf16Le { bom: false } | Encoding::Utf16Be { bom: false }) {
        let source = Source::of(bytes, Encoding::Utf8Damaged);
        if let Ok(splices) = place_all(&source, shown, edits, stale, budget) {
            return Ok((source, splices));
        }
    }
    placed.map(|splices| (source, splices))
}

/// Finds every edit, or tells everything that is wrong.
fn place_all(source: &Source<'_>, shown: &str, edits: &[Edit], stale: Option<&str>, budget: Budget) -> Result<Vec<Splice>, ToolError> {
    let mut splices = Vec::with_capacity(edits.len());
    let mut problems = Vec::new();
    for (at, edit) in edits.iter().enumerate() {
        match locate(source, at, &edit.old, &edit.new) {
            Ok(splice) => splices.push(splice),
            Err(miss) if problems.len() < TOLD => problems.push(format!("edits[{at}]: {}", problem(source, edit, miss))),
            Err(_) => problems.push(String::new()),
        }
    }
    splices.sort_by_key(|splice| (splice.start, splice.end));
    for pair in splices.windows(2) {
        if let [first, second] = pair
            && second.start < first.end
            && problems.len() < TOLD
        {
            problems.push(format!(
                "edits[{}] and edits[{}] overlap at line {}: make them one edit",
                first.edit.min(second.edit),
                first.edit.max(second.edit),
                source.line_number(second.start)
            ));
        }
    }
    if problems.is_empty() {
        return Ok(splices);
    }
    let failed = problems.len();
    let mut message = format!("{failed} of {} edits can't be made in `{shown}`; nothing was changed", edits.len());
    for problem in problems.iter().filter(|problem| !problem.is_empty()) {
        if message.len() + problem.len() + 1 > budget.bytes() {
            let room = budget.bytes().saturating_sub(message.len() + 4);
            message.push('\n');
            message.push_str(&problem[..problem.floor_char_boundary(room)]);
            message.push('\u{2026}');
            break;
        }
        message.push('\n');
        message.push_str(problem);
    }
    let error = ToolError::conflict(message);
    Err(match stale {
        Some(current) => error.with_hint(format!("the file has changed since your etag (it is {current} now): read it again and repeat")),
        None => error.with_hint("read those lines again and copy `old` from there; more lines around it make it unique"),
    })
}

fn problem(source: &Source<'_>, edit: &Edit, miss: Miss) -> String {
    match miss {
        Miss::Absent => nearest::explain(source, &edit.old, &edit.new),
        Miss::Several(places) => several(source, &places),
        Miss::Unmappable(lost) => {
            let shown = text::show(lost.encode_utf8(&mut [0; 4])).into_owned();
            format!(
                "`new` holds `{shown}` (U+{:04X}), which {} can't express; write it another way",
                u32::from(lost),
                source.encoding.name()
            )
        }
        Miss::NoChange => "`new` puts back what is there; line ends stay those of the file".to_owned(),
    }
}

/// The line numbers of every place, each with its line.
fn several(source: &Source<'_>, places: &[usize]) -> String {
    let mut told = format!("`old` occurs {} times, so it is not clear which is meant:", places.len());
    let (mut counted_to, mut line) = (0, 1);
    for place in places.iter().take(LISTED) {
        line += source.count_line_ends(counted_to, *place);
        counted_to = *place;
        let content = source.text(&source.bytes[source.line_start(*place)..source.line_end_after(*place)]).trim().to_owned();
        let content = text::show(&content);
        told.push_str(&format!("\n  {line}\t{}", &content[..content.floor_char_boundary(120)]));
    }
    if places.len() > LISTED {
        told.push_str(&format!("\n  and {} more", places.len() - LISTED));
    }
    told
}

/// The new content, as pieces of the old one and the new texts between them.
fn pieces<'b>(bytes: &'b [u8], splices: &'b [Splice]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::with_capacity(splices.len() * 2 + 1);
    let mut done = 0;
    for splice in splices {
        pieces.push(&bytes[done..splice.start]);
        pieces.push(&splice.new);
        done = splice.end;
    }
    pieces.push(&bytes[done..]);
    pieces
}

#[cfg(test)]
mod tests;
