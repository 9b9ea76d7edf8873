//! The `match` and `not_match` examples of a rule, checked when it is compiled.

use crate::index::{Index, Probe};
use crate::rule::{self, List, Parsed, Target};
use crate::subject::Subject;
use crate::{Effect, PolicyError, RuleSpec, Selector};

/// What a rule makes of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Matches,
    OtherTool,
    OtherResource,
    NoResource,
    /// The example names a tool and the rule an effect, or the other way round.
    CantTell,
}

/// Checks all examples of one rule.
pub(crate) fn check(list: List, spec: &RuleSpec, place: &str) -> Result<(), PolicyError> {
    for (key, examples, wanted) in [("match", &spec.matches, true), ("not_match", &spec.not_matches, false)] {
        for (position, example) in examples.iter().enumerate() {
            check_example(list, &spec.rule, example, wanted)
                .map_err(|problem| PolicyError { place: format!("{place}.{key}[{position}]"), problem })?;
        }
    }
    Ok(())
}

fn check_example(list: List, rule: &str, example: &str, wanted: bool) -> Result<(), String> {
    let answer = ask(list, &rule::parse(rule)?, example)?;
    let did = match (wanted, answer) {
        (true, Answer::Matches) => return Ok(()),
        (false, Answer::OtherTool | Answer::OtherResource | Answer::NoResource) => return Ok(()),
        (false, Answer::Matches) => "matches it",
        (true, Answer::OtherTool) => "is about other tools",
        (true, Answer::OtherResource) => "does not match its resource",
        (true, Answer::NoResource) => "has a specifier, so it needs an example with a resource, such as `fs_read(a.txt)`",
        (_, Answer::CantTell) => {
            "can't be compared with it; use an effect word such as `read(a.txt)` for a rule about an effect, and a tool name for a rule about tools"
        }
    };
    Err(format!("`{example}`: the rule `{rule}` {did}"))
}

fn ask(list: List, rule: &Parsed, example: &str) -> Result<Answer, String> {
    let (tool, resource) = rule::split(example).map_err(|problem| format!("`{example}`: {problem}"))?;
    if tool.is_empty() || tool.contains('*') {
        return Err(format!("`{example}`: an example names one tool, such as `fs_read(a.txt)`"));
    }
    let effect = rule::effect_word(tool);
    let family = tool.split_once('_').map_or(tool, |(family, _)| family);
    let selector = Selector { tool, family, effect: effect.unwrap_or(Effect::Read) };
    let about = match (&rule.target, effect) {
        (Target::Any, _) => Some(true),
        (Target::Effect(_), None) | (Target::Word(_) | Target::Glob(_), Some(_)) => None,
        (target, _) => Some(target.matches(&selector, selector.effect)),
    };
    if about == Some(false) {
        return Ok(Answer::OtherTool);
    }
    if let Some(patterns) = &rule.patterns {
        let Some(resource) = resource else {
            return Ok(Answer::NoResource);
        };
        let (directory, path) = match resource.strip_prefix('/') {
            Some(path) => ("/", path),
            None => ("/allowed-directory", resource),
        };
        let subject = Subject::path(directory, path).map_err(|problem| format!("`{example}`: the resource {problem}"))?;
        let mut index = Index::new(list.mode());
        for pattern in patterns {
            index.add(0, pattern.clone());
        }
        let probe = Probe { subject: &subject, before: None, removed: effect == Some(Effect::Destroy) };
        if index.find(probe, |_| true).is_none() {
            return Ok(Answer::OtherResource);
        }
    }
    Ok(match about {
        Some(_) => Answer::Matches,
        None => Answer::CantTell,
    })
}
