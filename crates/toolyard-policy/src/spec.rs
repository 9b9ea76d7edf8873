//! What a policy is made of, as the operator states it.

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

impl Profile {
    /// The word for this profile in the configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Standard => "standard",
            Self::Locked => "locked",
        }
    }

    /// The rules of this profile: what it denies, asks for and allows.
    pub const fn rules(self) -> ProfileRules {
        match self {
            Self::ReadOnly => ProfileRules { deny: &["write", "destroy", "execute"], ask: &[], allow: &["read"] },
            Self::Standard => ProfileRules { deny: &[], ask: &["destroy", "execute"], allow: &["read", "write"] },
            Self::Locked => ProfileRules { deny: &[], ask: &[], allow: &[] },
        }
    }
}

/// The three lists of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileRules {
    /// Refused.
    pub deny: &'static [&'static str],
    /// Needs the user's consent.
    pub ask: &'static [&'static str],
    /// Allowed.
    pub allow: &'static [&'static str],
}

/// One rule as the operator wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// `tool` or `tool(specifier)`, at most 1000 bytes.
    pub rule: String,
    /// Calls such as `fs_write(docs/a.md)` that the rule must match.
    pub matches: Vec<String>,
    /// Calls that the rule must not match.
    pub not_matches: Vec<String>,
    /// Whom the rule is about: callers who have one of these roles; everyone when empty.
    pub roles: Vec<String>,
}

impl From<&str> for RuleSpec {
    fn from(rule: &str) -> Self {
        Self { rule: rule.to_owned(), ..Self::default() }
    }
}

/// Everything a policy is made of; at most 10,000 rules.
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
