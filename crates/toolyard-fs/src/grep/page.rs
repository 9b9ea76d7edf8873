//! One answer's worth of hits, in path order, and where the next one begins.

use std::{cmp::Ordering, ops::ControlFlow, sync::Arc};

use toolyard_core::{Budget, ToolError, Trailer, guard::walk::WalkEnd};

use super::{
    Mode,
    hits::{FileHits, Line, Part},
    query::Query,
    shared::Shared,
};

/// The place behind which a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Path of the last file shown, relative to the start.
    pub(super) path: Box<[u8]>,
    /// The last of its lines shown; `u64::MAX` when all are.
    pub(super) line: u64,
    /// Hits and files shown so far.
    before: Totals,
    /// Totals of the whole search, where they are known.
    total: Option<Totals>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    hits: u64,
    files: u64,
}

impl Position {
    /// Whether a file has lines behind this place.
    pub(super) fn includes_file(&self, path: &[u8]) -> bool {
        match order(path, &self.path) {
            Ordering::Less => false,
            Ordering::Equal => self.line < u64::MAX,
            Ordering::Greater => true,
        }
    }

    /// Whether files below a directory can be behind this place.
    pub(super) fn includes_directory(&self, directory: &[u8]) -> bool {
        let (mine, _) = split(&self.path);
        let holds_it = mine.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        holds_it || components(directory).cmp(components(mine)) == Ordering::Greater
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let total = self.total.unwrap_or_default();
        let mut bytes = Vec::with_capacity(24 + self.path.len());
        let known = u64::from(self.total.is_some());
        for number in [self.line.wrapping_add(1), self.before.hits, self.before.files, known, total.hits, total.files] {
            push_varint(&mut bytes, number);
        }
        bytes.extend_from_slice(&self.path);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ToolError> {
        let mut rest = bytes;
        let mut next = || take_varint(&mut rest).ok_or_else(|| ToolError::invalid_input("`cursor` is damaged"));
        let line = next()?.wrapping_sub(1);
        let before = Totals { hits: next()?, files: next()? };
        let known = next()? == 1;
        let total = Totals { hits: next()?, files: next()? };
        Ok(Self { path: rest.into(), line, before, total: known.then_some(total) })
    }
}

/// The order of a walk: a directory's files by name, then each of its directories.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    let ((a_dir, a_name), (b_dir, b_name)) = (split(a), split(b));
    components(a_dir).cmp(components(b_dir)).then_with(|| a_name.cmp(b_name))
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// Takes hits in order until the budget is used up, then counts.
pub(super) struct Page {
    text: String,
    room: usize,
    mode: Mode,
    max_hits: Option<u64>,
    /// In front of each path.
    prefix: String,
    from: Option<Position>,
    shared: Arc<Shared>,
    shown: Totals,
    found: Totals,
    /// The last file and line shown.
    last: Option<(Box<[u8]>, u64)>,
    /// How far the search came, when it takes long.
    reached: Option<Box<[u8]>>,
    full: Option<&'static str>,
}

impl Page {
    pub(super) fn new(budget: Budget, query: &Query, prefix: String, from: Option<Position>, shared: Arc<Shared>) -> Self {
        Self {
            text: String::new(),
            room: budget.bytes(),
            mode: query.mode,
            max_hits: query.max_hits,
            prefix,
            from,
            shared,
            shown: Totals::default(),
            found: Totals::default(),
            last: None,
            reached: None,
            full: None,
        }
    }

    /// Takes the next part in path order.
    pub(super) fn add(&mut self, part: Part) -> ControlFlow<()> {
        let (mut line, mut start) = (0, 0);
        for file in &part.files {
            let lines = &part.lines[line..file.lines_end];
            self.found.hits += file.hits;
            if self.from.as_ref().is_none_or(|from| from.path != file.path) {
                self.found.files += 1;
            }
            if self.full.is_none() {
                self.show(file, lines, &part.text, start);
            }
            start = lines.last().map_or(start, |line| line.end);
            line = file.lines_end;
        }
        if part.reached.is_some() {
            self.reached = part.reached;
        }
        // Who set a limit of hits wants no totals; who ran into the budget does, if they are cheap.
        if self.full == Some(MAX_HITS) || self.full.is_some() && self.shared.counted_enough() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn show(&mut self, file: &FileHits, lines: &[Line], text: &str, start: usize) {
        if self.max_hits.is_some_and(|max| self.shown.hits >= max) {
            return self.fill_up(MAX_HITS);
        }
        let heading = self.prefix.len() + file.shown.len() + 1;
        let (end, hits, cut) = match self.mode {
            Mode::Files => (start, file.hits, None),
            Mode::Count => (start, file.hits, None),
            Mode::Content => self.fitting(lines, start, heading),
        };
        let size = match self.mode {
            Mode::Content => heading + end - start,
            Mode::Files => heading,
            Mode::Count => heading + 8,
        };
        let is_first = self.text.is_empty();
        if !is_first && (size > self.room || self.mode == Mode::Content && hits == 0) {
            return self.fill_up(BUDGET);
        }
        self.room = self.room.saturating_sub(size);
        self.text.push_str(&self.prefix);
        self.text.push_str(&file.shown);
        match self.mode {
            Mode::Files => self.text.push('\n'),
            Mode::Count => {
                self.text.push(':');
                self.text.push_str(&file.hits.to_string());
                self.text.push('\n');
            }
            Mode::Content => {
                // The one file a call named needs no heading when it has no other name than that.
                self.text.push('\n');
                self.text.push_str(&text[start..end]);
            }
        }
        self.shown.hits += hits;
        if self.from.as_ref().is_none_or(|from| from.path != file.path) {
            self.shown.files += 1;
        }
        let stop = cut.or_else(|| lines.last().filter(|_| file.unfinished).map(|line| line.number));
        self.last = Some((file.path.clone(), stop.unwrap_or(u64::MAX)));
        if cut.is_some() {
            let reason = if self.max_hits.is_some_and(|max| self.shown.hits >= max) { MAX_HITS } else { BUDGET };
            self.fill_up(reason);
        }
    }

    /// How far the lines of a file fit: where they end in the text, how many hits they hold, and
    /// the last line when it is not the file's last.
    fn fitting(&self, lines: &[Line], start: usize, heading: usize) -> (usize, u64, Option<u64>) {
        let wanted = self.max_hits.map_or(u64::MAX, |max| max - self.shown.hits);
        let room = start + self.room.saturating_sub(heading);
        let (mut end, mut hits, mut last) = (start, 0, None);
        for (at, line) in lines.iter().enumerate() {
            let next = hits + u64::from(line.is_hit);
            // The first hit of a page is shown even if nothing fits, so that each page goes on.
            let must = self.text.is_empty() && hits == 0;
            if next > wanted || line.end > room && !must {
                return (end, hits, last.or(at.checked_sub(1).map(|before| lines[before].number)).or(Some(0)));
            }
            (end, hits, last) = (line.end, next, Some(line.number));
        }
        (end, hits, None)
    }

    fn fill_up(&mut self, reason: &'static str) {
        self.full = Some(reason);
        self.shared.start_counting();
    }

    /// Whether nothing was found.
    pub(super) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Why hits that were found are not shown.
    pub(super) const fn stopped_by(&self) -> Option<&'static str> {
        self.full
    }

    /// Hits and files, of those there are as far as that is known.
    pub(super) fn trailer(&self, whole: bool) -> Trailer {
        let (hits, files) = (self.shown.hits, self.shown.files.max(u64::from(self.shown.hits > 0)));
        if let Some(total) = self.total(whole) {
            if self.mode == Mode::Files {
                // How often they match was not counted.
                return Trailer::new().count(files, total.files, if total.files == 1 { "file" } else { "files" });
            }
            let units = |count: u64, unit: &'static str, units: &'static str| if count == 1 { unit } else { units };
            return Trailer::new().count(hits, total.hits, units(total.hits, "hit", "hits")).within(
                files,
                total.files,
                units(total.files, "file", "files"),
            );
        }
        Trailer::new().note(format!("{hits} hits in {files} files, more may follow"))
    }

    fn total(&self, whole: bool) -> Option<Totals> {
        let before = self.from.as_ref().map_or(Totals::default(), |from| from.before);
        let known = self.from.as_ref().and_then(|from| from.total);
        let counted = Totals { hits: before.hits + self.found.hits, files: before.files + self.found.files };
        known.or_else(|| whole.then_some(counted))
    }

    /// Where the next page begins, if there is one.
    pub(super) fn next_position(&self, end: WalkEnd) -> Option<Position> {
        let (path, line) = match (self.full, end) {
            (Some(_), _) => self.last.clone()?,
            (None, WalkEnd::Late) => match (&self.reached, &self.last) {
                (Some(reached), Some((path, line))) if order(reached, path) != Ordering::Greater => (path.clone(), *line),
                (Some(reached), _) => (reached.clone(), u64::MAX),
                (None, last) => last.clone()?,
            },
            (None, WalkEnd::Whole | WalkEnd::Enough) => return None,
        };
        let before = self.from.as_ref().map_or(Totals::default(), |from| from.before);
        let before = Totals { hits: before.hits + self.shown.hits, files: before.files + self.shown.files };
        Some(Position { path, line, before, total: self.total(end == WalkEnd::Whole) })
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

const BUDGET: &str = "budget";
const MAX_HITS: &str = "max_hits";

fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Position, Totals, order};

    fn at(path: &str) -> Position {
        let before = Totals { hits: 300, files: 2 };
        Position { path: path.as_bytes().into(), line: 7, before, total: Some(Totals { hits: 1 << 40, files: 0 }) }
    }

    #[test]
    fn files_of_a_directory_come_before_those_below_it() {
        let mut paths = ["b/x", "a.rs", "a/b/c", "a/z", "z", "a-b/x", "a/b-c/x"];
        paths.sort_by(|a, b| order(a.as_bytes(), b.as_bytes()));
        assert_eq!(paths, ["a.rs", "z", "a/z", "a/b/c", "a/b-c/x", "a-b/x", "b/x"]);
    }

    #[test]
    fn a_position_survives_its_cursor_and_tells_what_is_behind_it() {
        let position = at("a/b/m.rs");
        assert_eq!(Position::decode(&position.encode()).ok(), Some(position.clone()));
        let included: Vec<_> = ["x", "a/z", "a/b/a.rs", "a/b/m.rs", "a/b/n.rs", "a/b/c/d", "a/a/x", "a/c/x", "b/x"]
            .into_iter()
            .filter(|path| position.includes_file(path.as_bytes()))
            .collect();
        assert_eq!(included, ["a/b/m.rs", "a/b/n.rs", "a/b/c/d", "a/c/x", "b/x"]);
        let entered: Vec<_> = ["a", "a/a", "a/b", "a/b/c", "a/c", "0", "b", "a/bb"]
            .into_iter()
            .filter(|path| position.includes_directory(path.as_bytes()))
            .collect();
        assert_eq!(entered, ["a", "a/b", "a/b/c", "a/c", "b", "a/bb"]);
    }
}
