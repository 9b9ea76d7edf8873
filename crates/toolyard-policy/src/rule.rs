//! The text of a rule: `tool` or `tool(specifier)`.

use std::sync::Arc;

use crate::index::QuickMap;
use crate::pattern::Pattern;
use crate::segment::{self, Mode, Token};
use crate::{Effect, RuleOrigin, Selector};

const MAX_RULE: usize = 1000;

/// The list a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Deny,
    Ask,
    Allow,
    Only,
}

impl List {
    /// The key of this list in the configuration, used for places.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Allow => "allow",
            Self::Only => "only",
        }
    }

    /// The word in front of a rule in messages.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Allow => "allow",
            Self::Only => "--allowed-tools",
        }
    }

    /// How this list treats aliases.
    pub(crate) const fn mode(self) -> Mode {
        match self {
            Self::Deny | Self::Ask => Mode::Strict,
            Self::Allow | Self::Only => Mode::Exact,
        }
    }
}

/// A rule, without its patterns, which stand in an index.
#[derive(Debug)]
pub(crate) struct Rule {
    /// List and rule as written: `deny fs_write(secrets/**)`.
    pub(crate) text: Arc<str>,
    pub(crate) origin: RuleOrigin,
    pub(crate) target: Target,
}

/// The parts of a rule's text.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) target: Target,
    /// `None` without a specifier.
    pub(crate) patterns: Option<Vec<Pattern>>,
}

/// The tool part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `*`
    Any,
    /// `read`, `write`, `destroy` or `execute`
    Effect(Effect),
    /// A tool or a family.
    Word(Box<str>),
    /// `fs_*`
    Glob(Vec<Token>),
}

impl Target {
    /// Whether a rule with this tool part is about this effect of this tool.
    pub(crate) fn matches(&self, tool: &Selector<'_>, effect: Effect) -> bool {
        match self {
            Self::Any => true,
            Self::Effect(own) => *own == effect,
            Self::Word(word) => **word == *tool.tool || **word == *tool.family,
            Self::Glob(tokens) => segment::matches(tokens, tool.tool, Mode::Exact),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the rule names no tool; write `fs_read`, `fs`, `read` or `*` first".into());
        }
        if let Some(effect) = effect_word(text) {
            return Ok(Self::Effect(effect));
        }
        if let Some(c) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '*')) {
            let lower = text.to_ascii_lowercase();
            return Err(if c.is_ascii_uppercase() {
                format!("tool names are lower case; write `{lower}`")
            } else {
                format!("`{}` can't stand in a tool name; use lower-case letters, digits, `_`, `-` and `*`", c.escape_debug())
            });
        }
        if !text.contains('*') {
            return Ok(Self::Word(text.into()));
        }
        if text.bytes().all(|b| b == b'*') {
            return Ok(Self::Any);
        }
        if text.bytes().filter(|b| *b == b'*').count() > 8 {
            return Err("the tool name has more than 8 `*`; name the tools one by one".into());
        }
        let mut tokens = Vec::new();
        for (nth, piece) in text.split('*').enumerate() {
            if nth > 0 && tokens.last() != Some(&Token::Star) {
                tokens.push(Token::Star);
            }
            if !piece.is_empty() {
                tokens.push(Token::Text(piece.into()));
            }
        }
        Ok(Self::Glob(tokens))
    }
}

/// The tool part of a rule on its own, for what else is told tool by tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPattern(Target);

impl ToolPattern {
    /// Parses a tool, a family, an effect or a glob; `Err` says how to write it instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        match split(text)? {
            (tool, None) => Target::parse(tool).map(Self),
            (tool, Some(_)) => Err(format!("nothing stands in parentheses here; write `{tool}`")),
        }
    }

    /// Whether it is about this tool.
    pub fn matches(&self, tool: &Selector<'_>) -> bool {
        self.0.matches(tool, tool.effect)
    }
}

/// Splits `tool(rest)` at its outermost parentheses.
pub(crate) fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if text.len() > MAX_RULE {
        return Err(format!("the rule is {} bytes long; write at most {MAX_RULE}, or several rules", text.len()));
    }
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(format!("the rule holds the control character U+{:04X}; remove it", u32::from(c)));
    }
    let Some((tool, rest)) = text.split_once('(') else {
        if text.contains(')') {
            return Err("`)` has no `(`; write `tool(specifier)`".into());
        }
        return Ok((text, None));
    };
    let Some(inner) = rest.strip_suffix(')') else {
        return Err("the rule does not end with `)`; write `tool(specifier)`".into());
    };
    let mut depth = 0_i32;
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            break;
        }
    }
    if depth != 0 || escaped {
        return Err(r"the parentheses are not balanced; write `\(` and `\)` for the characters themselves".into());
    }
    Ok((tool, Some(inner)))
}

/// Parses a rule; `Err` says how to write it instead.
pub(crate) fn parse(text: &str) -> Result<Parsed, String> {
    let (tool, specifier) = split(text)?;
    Ok(Parsed { target: Target::parse(tool)?, patterns: specifier.map(Pattern::parse).transpose()? })
}

/// The effect that a word names.
pub(crate) fn effect_word(word: &str) -> Option<Effect> {
    [Effect::Read, Effect::Write, Effect::Destroy, Effect::Execute].into_iter().find(|effect| effect.as_str() == word)
}

/// The rules of one list that have no specifier, filed by their tool part.
#[derive(Debug, Default)]
pub(crate) struct BareRules {
    any: Option<u32>,
    effects: [Option<u32>; 4],
    words: QuickMap<Box<str>, u32>,
    globs: Vec<(Target, u32)>,
}

impl BareRules {
    /// Files a rule; the first of several equal ones counts.
    pub(crate) fn add(&mut self, rule: u32, target: &Target) {
        match target {
            Target::Any => self.any = self.any.or(Some(rule)),
            Target::Effect(effect) => {
                if let Some(slot) = self.effects.get_mut(*effect as usize) {
                    *slot = slot.or(Some(rule));
                }
            }
            Target::Word(word) => {
                self.words.entry(word.clone()).or_insert(rule);
            }
            Target::Glob(_) => self.globs.push((target.clone(), rule)),
        }
    }

    /// The first rule about this effect of this tool.
    pub(crate) fn find(&self, tool: &Selector<'_>, effect: Effect) -> Option<u32> {
        let words = if self.words.is_empty() { [None, None] } else { [self.words.get(tool.tool), self.words.get(tool.family)] };
        let glob = self.globs.iter().find(|(target, _)| target.matches(tool, effect));
        [self.any, self.effects.get(effect as usize).copied().flatten()]
            .into_iter()
            .chain(words.into_iter().map(Option::<&u32>::copied))
            .flatten()
            .chain(glob.map(|(_, rule)| *rule))
            .min()
    }
}
