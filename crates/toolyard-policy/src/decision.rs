//! What was decided, and why.

use std::fmt;

/// The three answers of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Go ahead.
    Allow,
    /// The user has to agree first.
    Ask,
    /// Refused.
    Deny,
}

impl Outcome {
    /// The word used in audit, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the deciding rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleOrigin {
    /// The ready-made rule set.
    Profile,
    /// The operator's own `deny`, `ask` or `allow` list.
    Operator,
    /// Protected and secret paths, which hold under every profile.
    BuiltIn,
    /// `--allowed-tools`: the call is outside what the command line left open.
    CommandLine,
    /// No rule matched.
    Default,
}

impl RuleOrigin {
    /// The word used in audit and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Operator => "operator",
            Self::BuiltIn => "built-in",
            Self::CommandLine => "command line",
            Self::Default => "default",
        }
    }
}

/// Why a call needs consent or is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The deciding rule as written, with its list: `deny fs_write(secrets/**)`.
    pub rule: String,
    /// Where that rule comes from.
    pub origin: RuleOrigin,
    /// One sentence for the model and the operator.
    pub reason: String,
    /// How the operator would change it.
    pub remedy: String,
}

/// The answer of a policy; an `Allow` costs no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed; the text of the allowing rule of the last access judged.
    Allow(std::sync::Arc<str>),
    /// The user has to agree first.
    Ask(Box<Verdict>),
    /// Refused.
    Deny(Box<Verdict>),
}

impl Decision {
    /// Which of the three it is.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Allow(_) => Outcome::Allow,
            Self::Ask(_) => Outcome::Ask,
            Self::Deny(_) => Outcome::Deny,
        }
    }

    /// The deciding rule as written.
    pub fn rule(&self) -> &str {
        match self {
            Self::Allow(rule) => rule,
            Self::Ask(verdict) | Self::Deny(verdict) => &verdict.rule,
        }
    }
}
