//! Words for a decision: which rule, why, and how the operator would change it.

use std::fmt::Write as _;

use crate::fold::is_ignorable;
use crate::judge::Ruling;
use crate::{Effect, Policy, Resource, RuleOrigin, Selector, Verdict};

const MAX_SHOWN: usize = 200;

/// Explains a ruling that is not `Allow`.
pub(crate) fn verdict(policy: &Policy, tool: &Selector<'_>, effect: Effect, resource: Option<&Resource>, ruling: &Ruling<'_>) -> Verdict {
    let action = action(tool, effect, resource);
    let suggestion = suggestion(tool, resource);
    let profile = policy.profile.as_str();
    let (rule, origin, reason, remedy) = match ruling {
        Ruling::Allow(rule) => (rule.text.to_string(), rule.origin, format!("{action} is allowed"), "no change is needed".to_owned()),
        Ruling::Ask(rule) => (
            rule.text.to_string(),
            rule.origin,
            format!("{action} needs the user's consent"),
            match rule.origin {
                RuleOrigin::Profile => format!(
                    "to stop asking, set `policy.profile` to `locked` instead of `{profile}` and list what is allowed in `policy.allow`"
                ),
                _ => "to stop asking, remove this rule from `policy.ask`".to_owned(),
            },
        ),
        Ruling::Deny(rule) => (
            rule.text.to_string(),
            rule.origin,
            format!("{action} is denied by the rule `{}`", rule.text),
            match rule.origin {
                RuleOrigin::Profile => format!("the profile `{profile}` forbids it; the operator can choose another `policy.profile`"),
                _ => "the operator can remove or narrow this rule in `policy.deny`".to_owned(),
            },
        ),
        Ruling::Protected(path) => (
            format!("protected path {}", path.pattern),
            RuleOrigin::BuiltIn,
            format!("{action} is denied because this is {}", path.reason),
            "protected paths can't be opened through any tool; change the file yourself".to_owned(),
        ),
        Ruling::Secret(path) => (
            format!("secret path {}", path.pattern),
            RuleOrigin::BuiltIn,
            format!("{action} is denied because this is {}", path.reason),
            format!("to open it, name it in `policy.allow`: `{suggestion}`"),
        ),
        Ruling::OutsideOnly => (
            "--allowed-tools".to_owned(),
            RuleOrigin::CommandLine,
            format!("{action} is outside what `--allowed-tools` left open"),
            format!("add `{suggestion}` to `--allowed-tools`"),
        ),
        Ruling::Nothing => (
            "no rule matched".to_owned(),
            RuleOrigin::Default,
            format!("{action} is denied because no rule allows it"),
            format!("add a rule such as `{suggestion}` to `policy.allow`"),
        ),
        Ruling::Malformed(problem) => (
            "malformed access".to_owned(),
            RuleOrigin::BuiltIn,
            format!("{action} is denied because the resource {problem}"),
            "this is a defect of the tool, which has to name what it touches in canonical form; no rule can change it".to_owned(),
        ),
    };
    Verdict { rule, origin, reason, remedy }
}

/// `fs_write writing a.txt`, as the subject of a sentence.
fn action(tool: &Selector<'_>, effect: Effect, resource: Option<&Resource>) -> String {
    let tool = shown(tool.tool);
    let verb = match effect {
        Effect::Read => "reading",
        Effect::Write => "changing",
        Effect::Destroy => "destroying",
        Effect::Execute => "executing",
    };
    match resource {
        None => format!("calling `{tool}`"),
        Some(Resource::Path(path)) => {
            let text = match (path.path.as_str(), &path.requested) {
                ("", _) => "the allowed directory itself".to_owned(),
                (path, Some(requested)) => {
                    format!("`{}` (reached as `{}`)", shown(path), shown(requested))
                }
                (path, None) => format!("`{}`", shown(path)),
            };
            format!("{verb} {text} with `{tool}`")
        }
        Some(Resource::Name { kind, text }) => {
            format!("{verb} the {kind} `{}` with `{tool}`", shown(text))
        }
    }
}

/// The narrowest rule about this resource.
fn suggestion(tool: &Selector<'_>, resource: Option<&Resource>) -> String {
    let text = match resource {
        None => "",
        Some(Resource::Path(path)) => path.path.as_str(),
        Some(Resource::Name { text, .. }) => text.as_str(),
    };
    let tool = shown(tool.tool);
    if text.is_empty() {
        return tool;
    }
    let mut escaped = String::with_capacity(text.len() + 1);
    // Without a slash a pattern matches at any depth, which is more than was asked for.
    if matches!(resource, Some(Resource::Path(_))) && !text.contains('/') {
        escaped.push('/');
    }
    for c in text.chars() {
        if r"\*?[]{}()".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    format!("{tool}({})", shown(&escaped))
}

/// Text for one line: invisible characters spelled out, long text cut.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_SHOWN));
    for c in text.chars() {
        if out.len() > MAX_SHOWN {
            out.push('…');
            break;
        }
        let spelled_out = if c.is_control() || is_ignorable(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            write!(out, "<U+{:04X}>", u32::from(c))
        } else {
            out.write_char(c)
        };
        if spelled_out.is_err() {
            break;
        }
    }
    out
}
