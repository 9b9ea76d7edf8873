//! What a server tells whoever keeps its figures.

use std::time::Duration;

use toolyard_policy::Decision;

use crate::ToolDefinition;

/// The policy decided about a call.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// The tool.
    pub tool: &'a ToolDefinition,
    /// The answer, with the rule that gave it.
    pub decision: &'a Decision,
    /// How long deciding took.
    pub took: Duration,
}

/// A call is over.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// The tool; none when there is none of that name.
    pub tool: Option<&'a ToolDefinition>,
    /// `ok`, or the kind of failure, of a small closed set.
    pub result: &'a str,
    /// From the call's arrival to its answer.
    pub took: Duration,
    /// Size of the answer in bytes.
    pub bytes: usize,
}

/// Keeps figures. It is told on the protocol's threads, so it has to be quick and must not block.
pub trait Observer: Send + Sync + 'static {
    /// A call of a known tool begins; [`Observer::finished`] follows for each.
    fn started(&self) {}

    /// The policy answered.
    fn decided(&self, _: &Decided<'_>) {}

    /// A question to the user is open; [`Observer::asked`] follows for each.
    fn asking(&self) {}

    /// A question to the user was answered, or given up.
    fn asked(&self, _took: Duration) {}

    /// A call is over. Calls that never named a known tool come here as well.
    fn finished(&self, _: &Finished<'_>) {}

    /// A record is missing from the audit trail.
    fn audit_failed(&self) {}
}

/// Keeps none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
