//! Matching one segment of a path: text, `*`, `?` and `[abc]`.

use crate::fold::{Shape, fold_run, fold_segment, scan};
use crate::subject::Segment;

/// Whether aliases count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Only the exact spelling matches: rules that allow.
    Exact,
    /// Any alias matches as well: rules that deny or ask.
    Strict,
}

/// A piece of a segment pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// This text; never empty.
    Text(Box<str>),
    /// Any characters, or none.
    Star,
    /// One character.
    One,
    /// One character of a set.
    Set(Box<CharSet>),
}

/// `[a-z_]` or `[!a-z_]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CharSet {
    /// Whether the set lists what must not stand there.
    pub(crate) negated: bool,
    /// Inclusive ranges.
    pub(crate) ranges: Vec<(char, char)>,
}

/// A compiled segment pattern.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    exact: Vec<Token>,
    /// Nothing when it would be the same and match the same.
    folded: Option<Vec<Token>>,
    unless: Vec<Vec<Token>>,
}

impl Glob {
    /// Compiles tokens; no two stars may follow each other.
    pub(crate) fn new(exact: Vec<Token>) -> Self {
        let plain = exact.iter().all(|token| match token {
            Token::Text(text) => scan(text) == Ok(Shape::Plain),
            Token::Star | Token::One => true,
            // A negated set leaves out more letters when case does not count.
            Token::Set(_) => false,
        });
        let folded = match exact.as_slice() {
            _ if plain => None,
            [Token::Text(text)] => Some(vec![Token::Text(fold_segment(text).into())]),
            tokens => Some(
                tokens
                    .iter()
                    .map(|token| match token {
                        Token::Text(text) => Token::Text(fold_run(text).into()),
                        other => other.clone(),
                    })
                    .collect(),
            ),
        };
        Self { exact, folded, unless: Vec::new() }
    }

    /// Matches any name.
    pub(crate) fn any() -> Self {
        Self::new(vec![Token::Star])
    }

    /// Leaves out names that match one of these patterns, given in folded form.
    pub(crate) fn unless(mut self, unless: Vec<Vec<Token>>) -> Self {
        self.unless = unless;
        self
    }

    /// The tokens that spell this pattern in a mode.
    pub(crate) fn tokens(&self, mode: Mode) -> &[Token] {
        match mode {
            Mode::Exact => &self.exact,
            Mode::Strict => self.folded.as_ref().unwrap_or(&self.exact),
        }
    }

    /// Whether some character of the pattern is spelled out.
    pub(crate) fn has_text(&self) -> bool {
        self.exact.iter().any(|t| matches!(t, Token::Text(_)))
    }

    /// Whether the pattern is text only.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.exact.as_slice(), [Token::Text(_)])
    }

    pub(crate) fn matches(&self, segment: &Segment<'_>, mode: Mode) -> bool {
        match mode {
            Mode::Exact => self.accepts(&self.exact, segment.exact, mode),
            Mode::Strict => {
                let folded = self.tokens(mode);
                self.accepts(folded, segment.folded, mode)
                    || ((self.folded.is_some() || segment.exact != segment.folded) && self.accepts(&self.exact, segment.exact, Mode::Exact))
                    || (segment.bare != segment.folded && self.accepts(folded, segment.bare, mode))
            }
        }
    }

    fn accepts(&self, tokens: &[Token], text: &str, mode: Mode) -> bool {
        matches(tokens, text, mode) && !self.unless.iter().any(|tokens| matches(tokens, text, Mode::Exact))
    }
}

/// Whether tokens match the whole text; at most text × pattern steps.
pub(crate) fn matches(tokens: &[Token], text: &str, mode: Mode) -> bool {
    let (mut tokens, mut text) = (tokens, text);
    // Only the last star ever has to give way, so one place to return to is enough.
    let mut last_star: Option<(&[Token], &str)> = None;
    loop {
        let next = match tokens.split_first() {
            None if text.is_empty() => return true,
            None => None,
            Some((Token::Star, [])) => return true,
            Some((Token::Star, rest)) => {
                last_star = Some((rest, text));
                Some((rest, text))
            }
            Some((Token::Text(literal), rest)) => text.strip_prefix(&**literal).map(|text| (rest, text)),
            Some((Token::One, rest)) => after_first(text, |_| true).map(|text| (rest, text)),
            Some((Token::Set(set), rest)) => after_first(text, |c| set.contains(c, mode)).map(|text| (rest, text)),
        };
        (tokens, text) = match (next, last_star) {
            (Some(next), _) => next,
            (None, None) => return false,
            (None, Some((rest, at))) => {
                let Some(at) = after_first(at, |_| true) else {
                    return false;
                };
                last_star = Some((rest, at));
                (rest, at)
            }
        };
    }
}

fn after_first(text: &str, accept: impl Fn(char) -> bool) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().filter(|c| accept(*c)).map(|_| chars.as_str())
}

impl CharSet {
    fn contains(&self, c: char, mode: Mode) -> bool {
        let lists = |c: char| self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
        let listed = lists(c) || (mode == Mode::Strict && (c.to_uppercase().any(lists) || c.to_lowercase().any(lists)));
        listed != self.negated
    }
}
