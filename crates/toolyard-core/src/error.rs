//! The one error type of tools: what happened, and what to do next.

use std::{error::Error, fmt};

use toolyard_policy::Verdict;

/// What sort of failure it is; closed on purpose, so that hosts and metrics can rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The arguments can't be used as they are.
    InvalidInput,
    /// Nothing is there.
    NotFound,
    /// The thing is not in the state the call expected.
    Conflict,
    /// The policy refused.
    Denied,
    /// A stated limit was reached.
    LimitExceeded,
    /// The deadline passed.
    Timeout,
    /// The caller cancelled.
    Cancelled,
    /// Something the tool needs is missing or not answering.
    Unavailable,
    /// A defect of this server.
    Internal,
}

impl ErrorKind {
    /// The word used in answers, audit and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid input",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::LimitExceeded => "limit exceeded",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// A failed call. `message` and `hint` are for the model; `source` goes only to the log.
#[derive(Debug)]
pub struct ToolError {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ToolError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    /// The arguments can't be used: say which and why.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Nothing is there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The thing is not in the state the call expected.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// A stated limit was reached.
    pub fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::LimitExceeded, message)
    }

    /// The deadline passed.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// The caller cancelled.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the call was cancelled")
    }

    /// Something the tool needs is missing or not answering.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A defect of this server.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// A refusal; only a policy verdict can make one.
    pub(crate) fn denied(verdict: &Verdict) -> Self {
        Self::new(ErrorKind::Denied, format!("{} (rule: {})", verdict.reason, verdict.rule)).with_hint(verdict.remedy.clone())
    }

    /// A refusal of the resource itself: it lies outside every allowed directory, or can't be
    /// touched safely. Only the guard makes these.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause, for the log only.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What sort of failure it is.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl Error for ToolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
