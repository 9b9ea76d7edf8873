//! A unified diff made from the edits themselves, so that its cost does not grow with the file.

use std::time::{Duration, Instant};

use similar::{Algorithm, ChangeTag, TextDiff};
use toolyard_core::text;

use super::{locate::Splice, source::Source};

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;

/// Longest time spent on making one hunk small.
const PATIENCE: Duration = Duration::from_millis(40);

/// Longest line shown, in bytes.
const LINE_BYTES: usize = 500;

/// What the edits do, for people.
#[derive(Debug, Default)]
pub(super) struct Diff {
    /// Hunks, as far as they fit.
    pub(super) text: String,
    /// Lines added, all counted.
    pub(super) added: u64,
    /// Lines taken away, all counted.
    pub(super) removed: u64,
    /// Lines of the diff that did not fit.
    pub(super) left_out: u64,
}

impl Diff {
    /// `splices` are in order and do not overlap; `room` is in bytes.
    pub(super) fn of(source: &Source<'_>, splices: &[Splice], room: usize) -> Self {
        let mut diff = Self::default();
        let (mut counted_to, mut line, mut shift) = (0, 1_usize, 0_isize);
        for window in windows(source, splices) {
            line += source.count_line_ends(counted_to, window.start);
            counted_to = window.start;
            let old = source.text(&source.bytes[window.start..window.end]);
            let new = window.apply(source);
            let new = source.text(&new);
            shift += diff.add_window(&old, &new, line, shift, room);
        }
        diff
    }

    /// Adds the hunks of one window; gives by how many lines it grew.
    fn add_window(&mut self, old: &str, new: &str, line: usize, shift: isize, room: usize) -> isize {
        let changes = TextDiff::configure().algorithm(Algorithm::Myers).deadline(Instant::now() + PATIENCE).diff_lines(old, new);
        for group in changes.grouped_ops(CONTEXT) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            let old_range = first.old_range().start..last.old_range().end;
            let new_range = first.new_range().start..last.new_range().end;
            let header = format!(
                "@@ -{} +{} @@",
                range(line + old_range.start, old_range.len()),
                range((line + new_range.start).saturating_add_signed(shift), new_range.len())
            );
            self.push(&header, room);
            for change in group.iter().flat_map(|op| changes.iter_changes(op)) {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => {
                        self.removed += 1;
                        '-'
                    }
                    ChangeTag::Insert => {
                        self.added += 1;
                        '+'
                    }
                };
                let value = change.value();
                let content = value.strip_suffix('\n').unwrap_or(value);
                self.push(&format!("{sign}{}", clip(&text::show(content))), room);
                if !value.ends_with('\n') {
                    self.push("\\ no newline at end of file", room);
                }
            }
        }
        isize::try_from(new.lines().count()).unwrap_or(0) - isize::try_from(old.lines().count()).unwrap_or(0)
    }

    fn push(&mut self, line: &str, room: usize) {
        if self.left_out > 0 || self.text.len() + line.len() + 1 > room {
            self.left_out += 1;
            return;
        }
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// A stretch of whole lines that holds changes and their context.
struct Window<'s> {
    start: usize,
    end: usize,
    splices: &'s [Splice],
}

impl Window<'_> {
    fn apply(&self, source: &Source<'_>) -> Vec<u8> {
        let mut new = Vec::with_capacity(self.end - self.start);
        let mut done = self.start;
        for splice in self.splices {
            new.extend_from_slice(&source.bytes[done..splice.start]);
            new.extend_from_slice(&splice.new);
            done = splice.end;
        }
        new.extend_from_slice(&source.bytes[done..self.end]);
        new
    }
}

/// Changes whose context touches share a window.
fn windows<'s>(source: &Source<'_>, splices: &'s [Splice]) -> Vec<Window<'s>> {
    let mut found: Vec<Window<'s>> = Vec::new();
    let mut first = 0;
    for (at, splice) in splices.iter().enumerate() {
        let mut start = source.line_start(splice.start);
        for _ in 0..CONTEXT {
            start = source.line_start(start.saturating_sub(source.unit()));
        }
        let mut end = splice.end;
        for _ in 0..=CONTEXT {
            end = source.line_end_after(end);
        }
        match found.last_mut() {
            Some(window) if start <= window.end => {
                window.end = window.end.max(end);
                window.splices = &splices[first..=at];
            }
            _ => {
                first = at;
                found.push(Window { start, end, splices: &splices[at..=at] });
            }
        }
    }
    found
}

fn range(start: usize, count: usize) -> String {
    match count {
        // A range of no lines stands behind the line before it.
        0 => format!("{},0", start.saturating_sub(1)),
        1 => start.to_string(),
        count => format!("{start},{count}"),
    }
}

fn clip(line: &str) -> std::borrow::Cow<'_, str> {
    if line.len() <= LINE_BYTES {
        return line.into();
    }
    let kept = &line[..line.floor_char_boundary(LINE_BYTES)];
    format!("{kept}\u{2026}+{}", line.len() - kept.len()).into()
}
