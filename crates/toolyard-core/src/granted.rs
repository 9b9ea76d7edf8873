//! What dispatch hands to a tool once the policy said yes.

use std::sync::Arc;

use toolyard_policy::{Access, Effect, Policy, Resource, Selector, WalkFilter};

use crate::{Budget, Context, Limits, SealError, Sealer, Stop, ToolDefinition, ToolError, dispatch::Turn};

/// How long a cursor can be used.
const CURSOR_TTL_MILLIS: u64 = 30 * 60 * 1000;

/// Proof that the accesses of one call were granted, and the services that come with it.
#[derive(Clone, Copy)]
pub struct Granted<'a> {
    pub(crate) context: &'a Context,
    pub(crate) definition: &'a ToolDefinition,
    pub(crate) accesses: &'a [Access],
    pub(crate) policy: &'a Arc<Policy>,
    pub(crate) limits: &'a Arc<Limits>,
    pub(crate) sealer: &'a Arc<Sealer>,
    pub(crate) stop: &'a Stop,
    /// The ask rule the user has consented to.
    pub(crate) consented: Option<&'a Arc<str>>,
    /// The place among the calls that run at once.
    pub(crate) turn: &'a Arc<Turn>,
}

impl Granted<'_> {
    /// Who is calling.
    pub const fn context(&self) -> &Context {
        self.context
    }

    /// The accesses that were granted, in the order the tool named them.
    pub const fn accesses(&self) -> &[Access] {
        self.accesses
    }

    /// The room the answer has.
    ///
    /// # Errors
    /// `InvalidInput` for 0 tokens.
    pub fn budget(&self, max_tokens: Option<u32>) -> Result<Budget, ToolError> {
        Budget::new(max_tokens, self.limits)
    }

    /// Stops blocking work; also carries the deadline.
    pub const fn stop(&self) -> &Stop {
        self.stop
    }

    /// The question a walk asks for each entry it meets below a granted path.
    pub fn entry_policy(&self, effect: Effect) -> EntryPolicy {
        EntryPolicy {
            policy: Arc::clone(self.policy),
            tool: self.definition.name,
            family: self.definition.family(),
            tool_effect: self.definition.effect,
            effect,
            consented: self.consented.cloned(),
        }
    }

    /// Reports progress when the client asked for it.
    pub fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        if let Some(progress) = &self.context.progress {
            progress.report(done, total, message);
        }
    }

    /// An owned reporter for blocking work; `None` when the client did not ask for progress.
    pub fn progress_handle(&self) -> Option<Arc<dyn crate::Progress>> {
        self.context.progress.clone()
    }

    /// Seals the place where the next answer of the same query begins. `query` is a digest of the
    /// arguments that must not change between pages.
    pub fn seal_cursor(&self, query: &[u8; 32], position: &[u8]) -> String {
        let mut payload = Vec::with_capacity(16 + position.len());
        payload.extend_from_slice(&query[..16]);
        payload.extend_from_slice(position);
        self.sealer.seal(&self.cursor_purpose(), &self.context.principal, &payload, CURSOR_TTL_MILLIS)
    }

    /// Opens a cursor this tool gave to this principal for the same query.
    ///
    /// # Errors
    /// `InvalidInput` that says to start again without the cursor.
    pub fn open_cursor(&self, query: &[u8; 32], cursor: &str) -> Result<Vec<u8>, ToolError> {
        let opened = self.sealer.open(&self.cursor_purpose(), &self.context.principal, cursor);
        let mut payload = opened.map_err(|refused| {
            let message = match refused {
                SealError::Invalid => "`cursor` is not one this tool gave you",
                SealError::Expired => "`cursor` has expired",
            };
            ToolError::invalid_input(message).with_hint("repeat the call without `cursor` to start again")
        })?;
        if payload.len() < 16 || payload[..16] != query[..16] {
            return Err(ToolError::invalid_input("`cursor` belongs to a call with other arguments")
                .with_hint("repeat the other arguments unchanged, or leave `cursor` out to start again"));
        }
        Ok(payload.split_off(16))
    }

    /// Runs blocking work on the blocking pool and waits for it; it should look at the [`Stop`]
    /// it is given at least every few milliseconds.
    ///
    /// # Errors
    /// What the work returns; `Internal` when it panicked.
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, ToolError>
    where
        T: Send + 'static,
        F: FnOnce(&Stop) -> Result<T, ToolError> + Send + 'static,
    {
        let stop = self.stop.clone();
        // Work that outlives its call keeps its place, or stuck work would pile up without bound.
        let turn = Arc::clone(self.turn);
        let work = move || {
            let _turn = turn;
            work(&stop)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(failed) => Err(ToolError::internal("the tool failed unexpectedly").with_source(failed)),
        }
    }

    fn cursor_purpose(&self) -> String {
        format!("cursor:{}", self.definition.name)
    }

    /// The path of the access at `index`; only the guard turns it into something usable.
    pub(crate) fn path_access(&self, index: usize) -> Result<(&toolyard_policy::PathResource, Effect), ToolError> {
        match self.accesses.get(index) {
            Some(Access { effect, resource: Resource::Path(path) }) => Ok((path, *effect)),
            _ => Err(ToolError::internal(format!("access {index} was not granted or is no path"))),
        }
    }
}

/// The policy of a walk, owned so that it can move to the blocking pool.
#[derive(Clone, Debug)]
pub struct EntryPolicy {
    policy: Arc<Policy>,
    tool: &'static str,
    family: &'static str,
    tool_effect: Effect,
    effect: Effect,
    consented: Option<Arc<str>>,
}

impl EntryPolicy {
    /// Prepares the question; keep it for the whole walk.
    pub fn filter(&self) -> WalkFilter<'_> {
        let tool = Selector { tool: self.tool, family: self.family, effect: self.tool_effect };
        self.policy.walk_filter(tool, self.effect).consented(self.consented.clone())
    }
}
