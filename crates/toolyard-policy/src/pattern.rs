//! Path patterns: segments of text and wildcards, `**` between them, alternatives in braces.

use crate::fold::is_ignorable;
use crate::segment::{CharSet, Glob, Mode, Token};
use crate::subject::{Segment, Split};

const MAX_ALTERNATIVES: usize = 64;
const MAX_SEGMENTS: usize = 64;
const MAX_WILDCARDS: usize = 32;
const ESCAPABLE: &str = r"\*?[]{}(),!";

/// Where a pattern begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// At any depth.
    Floating,
    /// At the allowed directory.
    Directory,
    /// At the root of the file system.
    Root,
}

/// How much of a path a pattern has to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The path or a directory above it.
    Covered,
    /// The path itself.
    Whole,
}

/// One compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    anchor: Anchor,
    parts: Vec<Part>,
    names_leaf: bool,
}

#[derive(Clone, Debug)]
enum Part {
    /// Any number of segments.
    Deep,
    /// One segment.
    One(Glob),
}

/// What an index can find a pattern by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A whole segment.
    Name(String),
    /// The text after the last dot of a segment.
    Extension(String),
    /// What a segment begins with; never empty.
    Head(String),
}

impl Pattern {
    /// Parses a specifier into its alternatives; `Err` says how to write it instead.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, String> {
        if let Some(c) = text.chars().find(|c| c.is_control() || is_ignorable(*c)) {
            return Err(format!("the specifier holds the invisible character U+{:04X}; remove it", u32::from(c)));
        }
        if text.is_empty() {
            return Err("the specifier is empty; leave out the parentheses to match every call".into());
        }
        if text.trim() != text {
            return Err("the specifier begins or ends with a space; remove it".into());
        }
        if text == "~" || text.starts_with("~/") {
            return Err("`~` is not expanded; write the absolute path with two slashes: `//home/you/x`".into());
        }
        expand_braces(text)?.iter().map(|text| Self::parse_one(text, None)).collect()
    }

    /// Parses a built-in pattern, which begins at any depth even when it has several segments.
    pub(crate) fn parse_built_in(text: &str, unless: &[&str]) -> Result<Vec<Self>, String> {
        let unless = unless.iter().map(|u| parse_segment(u)).collect::<Result<Vec<_>, _>>()?;
        let mut patterns = Vec::new();
        for text in expand_braces(text)? {
            let mut pattern = Self::parse_one(&text, Some(Anchor::Floating))?;
            if let Some(Part::One(glob)) = pattern.parts.last_mut() {
                *glob = glob.clone().unless(unless.clone());
            }
            patterns.push(pattern);
        }
        Ok(patterns)
    }

    fn parse_one(text: &str, anchor: Option<Anchor>) -> Result<Self, String> {
        let (explicit, body) = if let Some(body) = text.strip_prefix("//") {
            (Some(Anchor::Root), body)
        } else if let Some(body) = text.strip_prefix("./").or_else(|| text.strip_prefix('/')) {
            (Some(Anchor::Directory), body)
        } else {
            (None, text)
        };
        let body = body.strip_suffix('/').unwrap_or(body);
        if body.is_empty() {
            return Err(format!("`{text}` names nothing; write `**` for everything below the allowed directory"));
        }
        let anchor = anchor.or(explicit).unwrap_or(if body.contains('/') { Anchor::Directory } else { Anchor::Floating });
        let mut parts: Vec<Part> = Vec::new();
        let mut wildcards = 0;
        for segment in body.split('/') {
            match segment {
                "" => return Err(format!("`{text}` has an empty segment; write one `/` between names")),
                "." | ".." => {
                    return Err(format!("`{text}` has a `{segment}` segment; write the path without it"));
                }
                "**" => {
                    if !matches!(parts.last(), Some(Part::Deep)) {
                        parts.push(Part::Deep);
                        wildcards += 1;
                    }
                }
                _ => {
                    let tokens = parse_segment(segment)?;
                    wildcards += tokens.iter().filter(|t| matches!(t, Token::Star | Token::Set(_))).count();
                    parts.push(Part::One(Glob::new(tokens)));
                }
            }
        }
        if wildcards > MAX_WILDCARDS || parts.len() > MAX_SEGMENTS {
            return Err(format!(
                "the pattern is too complicated; use at most {MAX_WILDCARDS} wildcards and {MAX_SEGMENTS} segments, or several rules"
            ));
        }
        let names_leaf = matches!(parts.last(), Some(Part::One(glob)) if glob.has_text());
        // `docs/**` is everything below `docs`: one more segment, whatever it is called.
        if parts.len() > 1 && matches!(parts.last(), Some(Part::Deep)) {
            parts.pop();
            parts.push(Part::One(Glob::any()));
        }
        Ok(Self { anchor, parts, names_leaf })
    }

    /// Where the pattern begins.
    pub(crate) const fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// Whether the last segment spells out at least one character.
    pub(crate) const fn names_leaf(&self) -> bool {
        self.names_leaf
    }

    /// Whether the pattern is `**`, which matches even the allowed directory itself.
    pub(crate) fn is_everything(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Deep])
    }

    /// Whether the pattern matches; a `Root` pattern has to be given an absolute path.
    pub(crate) fn matches(&self, split: &Split<'_>, mode: Mode, extent: Extent) -> bool {
        let spare = match extent {
            Extent::Covered => split.own,
            Extent::Whole => 0,
        };
        let floats = self.anchor == Anchor::Floating && split.floats;
        suffixes(&split.segments, floats).any(|from| run(&self.parts, from, mode, spare))
    }

    /// Whether the path is a directory that the pattern spells out on its way to something below.
    ///
    /// Removing `secrets` removes what `secrets/**` protects.
    pub(crate) fn leads_below(&self, split: &Split<'_>, mode: Mode) -> bool {
        let floats = self.anchor == Anchor::Floating && split.floats;
        suffixes(&split.segments, floats).any(|from| {
            !from.is_empty()
                && from.len() < self.parts.len()
                && from
                    .iter()
                    .zip(&self.parts)
                    .all(|(segment, part)| matches!(part, Part::One(glob) if glob.is_text() && glob.matches(segment, mode)))
        })
    }

    /// The folded names of the directories for which `leads_below` can hold.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        let above = self.parts.len().saturating_sub(1);
        self.parts.iter().take(above).map_while(|part| match part {
            Part::One(glob) => match glob.tokens(Mode::Strict) {
                [Token::Text(text)] => Some(&**text),
                _ => None,
            },
            Part::Deep => None,
        })
    }

    /// What every path that this pattern matches has in one of its segments.
    pub(crate) fn key(&self, mode: Mode) -> Option<Key> {
        let keys = || {
            self.parts.iter().rev().filter_map(|part| match part {
                Part::Deep => None,
                Part::One(glob) => segment_key(glob, mode),
            })
        };
        keys().find(|key| !matches!(key, Key::Head(_))).or_else(|| keys().next())
    }
}

/// The segments from the start, and from every later segment as well when the pattern floats.
fn suffixes<'a, 's>(segments: &'a [Segment<'s>], floats: bool) -> impl Iterator<Item = &'a [Segment<'s>]> {
    let count = if floats { segments.len() + 1 } else { 1 };
    (0..count).filter_map(move |start| segments.get(start..))
}

/// Matches from the first segment on; up to `spare` segments may be left over.
fn run(parts: &[Part], segments: &[Segment<'_>], mode: Mode, spare: usize) -> bool {
    let (mut parts, mut rest) = (parts, segments);
    // As for stars: only the last `**` ever has to give way.
    let mut last_deep: Option<(&[Part], &[Segment<'_>])> = None;
    loop {
        let next = match parts.split_first() {
            None if rest.len() <= spare => return true,
            None => None,
            Some((Part::Deep, after)) => {
                last_deep = Some((after, rest));
                Some((after, rest))
            }
            Some((Part::One(glob), after)) => match rest.split_first() {
                Some((segment, rest)) if glob.matches(segment, mode) => Some((after, rest)),
                _ => None,
            },
        };
        (parts, rest) = match (next, last_deep) {
            (Some(next), _) => next,
            (None, None) => return false,
            (None, Some((after, at))) => {
                let Some((_, at)) = at.split_first() else {
                    return false;
                };
                last_deep = Some((after, at));
                (after, at)
            }
        };
    }
}

fn segment_key(glob: &Glob, mode: Mode) -> Option<Key> {
    if let [Token::Text(text)] = glob.tokens(mode) {
        return Some(Key::Name(text.to_string()));
    }
    let tokens = glob.tokens(Mode::Exact);
    let fold = |text: &str| match mode {
        Mode::Exact => text.to_owned(),
        Mode::Strict => text.to_ascii_lowercase(),
    };
    let head = match tokens.first() {
        // A folded name may lack dots and spaces that stood at its end.
        Some(Token::Text(text)) if text.is_ascii() => text.trim_end_matches(['.', ' ']),
        _ => "",
    };
    if head.len() >= 3 {
        return Some(Key::Head(fold(head)));
    }
    if let Some(Token::Text(text)) = tokens.last()
        && let Some((_, extension)) = text.rsplit_once('.')
        && !extension.is_empty()
        && extension.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    {
        return Some(Key::Extension(fold(extension)));
    }
    (!head.is_empty()).then(|| Key::Head(fold(head)))
}

/// Writes out `{a,b}`.
fn expand_braces(text: &str) -> Result<Vec<String>, String> {
    if !text.contains(['{', '}']) {
        return Ok(vec![text.to_owned()]);
    }
    let mut done = vec![String::new()];
    let mut group: Option<Vec<String>> = None;
    let mut in_set = false;
    let mut escape = false;
    for c in text.chars() {
        let escaped = escape;
        escape = c == '\\' && !escaped;
        let literal = escaped || in_set;
        match (c, &mut group) {
            ('{', Some(_)) if !literal => {
                return Err("`{` stands inside `{ }`; write the alternatives out".into());
            }
            ('{', none) if !literal => {
                *none = Some(vec![String::new()]);
                continue;
            }
            ('}', None) if !literal => {
                return Err(r"`}` has no `{`; write `\}` for the character itself".into());
            }
            ('}', Some(alternatives)) if !literal => {
                if done.len() * alternatives.len() > MAX_ALTERNATIVES {
                    return Err(format!("the braces stand for more than {MAX_ALTERNATIVES} patterns; use several rules"));
                }
                done = done.iter().flat_map(|head| alternatives.iter().map(move |tail| format!("{head}{tail}"))).collect();
                group = None;
                continue;
            }
            ('/', Some(_)) => {
                return Err("`/` stands inside `{ }`; write several rules instead".into());
            }
            (',', Some(alternatives)) if !literal => {
                alternatives.push(String::new());
                continue;
            }
            (_, Some(alternatives)) => {
                if let Some(last) = alternatives.last_mut() {
                    last.push(c);
                }
            }
            (_, None) => done.iter_mut().for_each(|head| head.push(c)),
        }
        if !escaped {
            in_set = (in_set || c == '[') && c != ']';
        }
    }
    if group.is_some() {
        return Err(r"`{` is not closed; add `}`, or write `\{` for the character itself".into());
    }
    Ok(done)
}

fn parse_segment(segment: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut text = String::new();
    let mut chars = segment.chars();
    while let Some(c) = chars.next() {
        let token = match c {
            '\\' => {
                let escaped = chars.next().filter(|c| ESCAPABLE.contains(*c)).ok_or_else(|| {
                    format!(r"`\` in `{segment}` escapes nothing; separate names with `/`, and write `\` only before one of {ESCAPABLE}")
                })?;
                text.push(escaped);
                continue;
            }
            '*' => Token::Star,
            '?' => Token::One,
            '[' => Token::Set(Box::new(parse_set(&mut chars, segment)?)),
            ']' => return Err(format!(r"`]` in `{segment}` has no `[`; write `\]` for the character itself")),
            other => {
                text.push(other);
                continue;
            }
        };
        flush(&mut text, &mut tokens);
        if !(token == Token::Star && tokens.last() == Some(&Token::Star)) {
            tokens.push(token);
        }
    }
    flush(&mut text, &mut tokens);
    Ok(tokens)
}

fn flush(text: &mut String, tokens: &mut Vec<Token>) {
    if !text.is_empty() {
        tokens.push(Token::Text(std::mem::take(text).into()));
    }
}

fn parse_set(chars: &mut std::str::Chars<'_>, segment: &str) -> Result<CharSet, String> {
    let open = || format!(r"`[` in `{segment}` is not closed; add `]`, or write `\[` for the character itself");
    let mut members = Vec::new();
    let mut negated = false;
    let mut first = true;
    loop {
        let c = chars.next().ok_or_else(open)?;
        match c {
            ']' => break,
            '!' | '^' if first => negated = true,
            '\\' => members.push((chars.next().ok_or_else(open)?, true)),
            other => members.push((other, false)),
        }
        first = false;
    }
    if members.is_empty() {
        return Err(format!("`[ ]` in `{segment}` is empty; list at least one character"));
    }
    let mut ranges = Vec::new();
    let mut rest = members.as_slice();
    loop {
        rest = match rest {
            [] => break,
            [(low, _), ('-', false), (high, _), after @ ..] => {
                if low > high {
                    return Err(format!("the range `{low}-{high}` in `{segment}` is backwards; write `{high}-{low}`"));
                }
                ranges.push((*low, *high));
                after
            }
            [(c, _), after @ ..] => {
                ranges.push((*c, *c));
                after
            }
        };
    }
    Ok(CharSet { negated, ranges })
}
