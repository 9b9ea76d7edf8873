//! Rule sets, compiled once and asked often.

use crate::{Call, Decision, Effect, PathResource, Selector};

/// A ready-made rule set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Reads are allowed; every change is denied.
    ReadOnly,
    /// Reads and writes are allowed; destroying and executing asks.
    #[default]
    Standard,
    /// Empty: everything is denied until the operator allows it.
    Locked,
}

/// One rule as the operator wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// `tool` or `tool(specifier)`.
    pub rule: String,
    /// Calls such as `fs_write(docs/a.md)` that the rule must match.
    pub matches: Vec<String>,
    /// Calls that the rule must not match.
    pub not_matches: Vec<String>,
}

/// Everything a policy is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySpec {
    /// The rule set to start from.
    pub profile: Profile,
    /// Refused, whatever else says yes.
    pub deny: Vec<RuleSpec>,
    /// Needs the user's consent.
    pub ask: Vec<RuleSpec>,
    /// Allowed.
    pub allow: Vec<RuleSpec>,
    /// When not empty, a ceiling: what matches none of these is denied, what matches one counts as allowed.
    pub only: Vec<RuleSpec>,
}

/// A rule that can't be used, with the place it stands at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct PolicyError {
    /// Where: `deny[2]`, `allow[0].match[1]`.
    pub place: String,
    /// What is wrong and how to write it instead.
    pub problem: String,
}

/// A compiled rule set.
#[derive(Debug)]
pub struct Policy {}

/// The part of a policy that a directory walk asks for each entry.
#[derive(Debug)]
pub struct WalkFilter<'a> {
    _policy: &'a Policy,
}

impl Policy {
    /// Compiles rules and checks their `match` and `not_match` examples.
    ///
    /// # Errors
    /// The first rule that can't be parsed, or whose examples don't hold.
    pub fn compile(_spec: &PolicySpec) -> Result<Self, PolicyError> {
        Ok(Self {})
    }

    /// Decides one call: the strictest answer over all its accesses.
    pub fn decide(&self, _call: &Call<'_>) -> Decision {
        Decision::Allow("stub".into())
    }

    /// Whether some call of this tool could be allowed or asked for; `tools/list` shows only those.
    pub fn could_permit(&self, _tool: Selector<'_>) -> bool {
        true
    }

    /// Prepares the question that a walk asks for each entry.
    pub fn walk_filter<'a>(&'a self, _tool: Selector<'_>, _effect: Effect) -> WalkFilter<'a> {
        WalkFilter { _policy: self }
    }
}

impl WalkFilter<'_> {
    /// Whether this entry may be touched without asking anyone.
    pub fn allows(&self, _path: &PathResource) -> bool {
        true
    }
}
