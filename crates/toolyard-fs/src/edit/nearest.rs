//! What to say when the text to replace is not there: the lines it may have meant.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    time::{Duration, Instant},
};

use toolyard_core::text;

use super::source::Source;

/// Longest time spent on looking.
const PATIENCE: Duration = Duration::from_millis(60);

/// Bytes of a file that are searched for similar lines.
const MAX_BYTES: usize = 8 << 20;

/// Lines shown.
const MAX_LINES: usize = 12;

/// Longest line shown, in bytes.
const LINE_BYTES: usize = 200;

/// Explains why `old` was not found and shows the lines that are nearest to it.
pub(super) fn explain(source: &Source<'_>, old: &str, new: &str) -> String {
    let give_up = Instant::now() + PATIENCE;
    if let Some(stripped) = without_line_numbers(old) {
        let places = places_of(source, &stripped);
        if let [at] = places.as_slice() {
            return format!(
                "`old` holds the line numbers of fs_read; without them it matches at line {}, so send only the text behind them",
                source.line_number(*at)
            );
        }
    }
    if !new.trim().is_empty()
        && let [at] = places_of(source, new).as_slice()
    {
        return format!(
            "`old` is not in the file, but `new` is already there at line {}: was the edit made before?",
            source.line_number(*at)
        );
    }
    if source.encoding.encode(old).is_err() {
        return format!("`old` holds characters that {} can't express, so it is not in the file", source.encoding.name());
    }
    let head = &source.bytes[..source.bytes.len().min(MAX_BYTES)];
    let content = source.text(head);
    let lines: Vec<&str> = content.lines().collect();
    let wanted: Vec<&str> = old.lines().collect();
    let Some(start) = by_equal_lines(&lines, &wanted).or_else(|| by_likeness(&lines, &wanted, give_up)) else {
        return "`old` is not in the file, and nothing in it is similar".to_owned();
    };
    let region = &lines[start..lines.len().min(start + wanted.len().max(1))];
    let mut told = format!("`old` is not in the file; nearest {}{}", span(start, region.len()), difference(region, &wanted));
    for (offset, line) in region.iter().take(MAX_LINES).enumerate() {
        let written = write!(told, "\n  {}\t{}", start + offset + 1, visible(line));
        // Writing to a string can't fail.
        debug_assert!(written.is_ok());
    }
    if region.len() > MAX_LINES {
        told.push_str("\n  \u{2026}");
    }
    told
}

fn places_of(source: &Source<'_>, text: &str) -> Vec<usize> {
    source.encoding.encode(text).map(|needle| source.find(&needle, 2)).unwrap_or_default()
}

/// The text without `  12<tab>`, `12: ` or `12|` in front of every line.
pub(super) fn without_line_numbers(old: &str) -> Option<String> {
    let mut stripped = String::with_capacity(old.len());
    for line in old.split_inclusive('\n') {
        let body = line.trim_start_matches(' ');
        let digits = body.len() - body.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 && line.trim().is_empty() {
            stripped.push_str(line);
            continue;
        }
        let rest = &body[digits..];
        let rest = rest.strip_prefix('\t').or_else(|| rest.strip_prefix(": ")).or_else(|| rest.strip_prefix('|'));
        match rest {
            Some(rest) if digits > 0 => stripped.push_str(rest),
            _ => return None,
        }
    }
    Some(stripped)
}

/// The place most lines agree on when white space at both ends is left out.
fn by_equal_lines(lines: &[&str], wanted: &[&str]) -> Option<usize> {
    let mut at: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, line) in wanted.iter().enumerate() {
        if !line.trim().is_empty() {
            at.entry(line.trim()).or_default().push(number);
        }
    }
    let mut votes: HashMap<usize, usize> = HashMap::new();
    for (number, line) in lines.iter().enumerate() {
        let line = line.trim();
        for offset in at.get(line).into_iter().flatten().take(8) {
            if let Some(start) = number.checked_sub(*offset) {
                // A closing brace says less than a long line.
                *votes.entry(start).or_default() += line.len().min(80);
            }
        }
    }
    let best = votes.into_iter().max_by_key(|(start, votes)| (*votes, usize::MAX - start))?;
    (best.1 >= 4).then_some(best.0)
}

/// The line that shares most pairs of letters with the longest wanted line.
fn by_likeness(lines: &[&str], wanted: &[&str], give_up: Instant) -> Option<usize> {
    let (offset, longest) = wanted.iter().enumerate().max_by_key(|(_, line)| line.trim().len())?;
    let pairs = letter_pairs(longest);
    let mut best = (0.0_f32, 0);
    for (number, line) in lines.iter().enumerate() {
        if number % 256 == 0 && Instant::now() >= give_up {
            break;
        }
        let others = letter_pairs(line);
        if others.is_empty() || pairs.is_empty() {
            continue;
        }
        let shared = pairs.intersection(&others).count() as f32;
        let likeness = 2.0 * shared / (pairs.len() + others.len()) as f32;
        if likeness > best.0 {
            best = (likeness, number);
        }
    }
    (best.0 >= 0.5).then(|| best.1.saturating_sub(offset))
}

fn letter_pairs(line: &str) -> HashSet<[u8; 2]> {
    let line = line.trim().as_bytes();
    line[..line.len().min(400)].windows(2).map(|pair| [pair[0].to_ascii_lowercase(), pair[1].to_ascii_lowercase()]).collect()
}

fn difference(region: &[&str], wanted: &[&str]) -> &'static str {
    const SPACES: &str = " (\u{b7} is a space, \u{2192} a tab):";
    let same = |alike: fn(&str, &str) -> bool| region.len() == wanted.len() && region.iter().zip(wanted).all(|(a, b)| alike(a, b));
    if same(|a, b| a == b) {
        ", which has the same lines but does not end where `old` ends:"
    } else if same(|a, b| a.split_whitespace().eq(b.split_whitespace())) {
        ", which differs only in white space (\u{b7} is a space, \u{2192} a tab):"
    } else if same(|a, b| a.eq_ignore_ascii_case(b)) {
        ", which differs only in upper and lower case:"
    } else {
        SPACES
    }
}

fn span(start: usize, count: usize) -> String {
    match count {
        0 | 1 => format!("line {}", start + 1),
        count => format!("lines {}-{}", start + 1, start + count),
    }
}

/// The line with its leading and trailing white space made visible.
fn visible(line: &str) -> String {
    let body = line.trim_matches([' ', '\t']);
    let lead = line.len() - line.trim_start_matches([' ', '\t']).len();
    let mut shown = String::with_capacity(line.len() + 8);
    let space = |c: char| if c == '\t' { '\u{2192}' } else { '\u{b7}' };
    shown.extend(line[..lead].chars().map(space));
    let kept = &body[..body.floor_char_boundary(LINE_BYTES)];
    text::show_into(kept, &mut shown);
    if kept.len() < body.len() {
        shown.push('\u{2026}');
    } else {
        shown.extend(line[(lead + body.len()).min(line.len())..].chars().map(space));
    }
    shown
}
