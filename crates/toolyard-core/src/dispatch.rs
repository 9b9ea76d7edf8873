//! The only door to a tool.
//!
//! Look up, parse, name the accesses, ask the policy and then the user, write the intent, run
//! with deadline, cancellation and panic isolation, write the outcome.

mod turns;

use std::{
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use serde_json::{Map, Value};
use toolyard_policy::{Access, Call, Decision, Effect, Outcome, Policy, RolePolicies, Verdict};

use crate::{
    Answer, Approval, ApprovalFallback, ApprovalRequest, Context, Decided, Finished, Granted, Limits, NoObserver, Observer, Principal,
    Sealer, Stop, ToolDefinition, ToolError, Toolset,
    audit::{self, AuditError, AuditSink, Finish, Intent, NoAudit},
    input,
    tool::{DynTool, ParsedCall},
};
pub(crate) use turns::Turn;
use turns::Turns;

/// How long a stopped call may take to notice; what it did is then known for the audit trail.
const STOP_GRACE: Duration = Duration::from_millis(250);

/// How long a stopped call that was already changing something may take to say what it did.
const CLAIM_PATIENCE: Duration = Duration::from_secs(30);

/// Owns all tools and calls them.
pub struct Dispatcher {
    tools: Vec<Arc<dyn DynTool>>,
    by_name: HashMap<&'static str, usize>,
    policies: RolePolicies,
    audit: Arc<dyn AuditSink>,
    observer: Arc<dyn Observer>,
    limits: Arc<Limits>,
    sealer: Arc<Sealer>,
    turns: Turns,
    calls: AtomicU64,
}

/// Puts a [`Dispatcher`] together.
pub struct DispatcherBuilder {
    tools: Toolset,
    policies: RolePolicies,
    audit: Arc<dyn AuditSink>,
    observer: Arc<dyn Observer>,
    limits: Limits,
    sealer: Option<Arc<Sealer>>,
}

/// A call that never reached a tool; a JSON-RPC error, not a result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No such tool, or none this principal may see.
    #[error("unknown tool `{name}`{}", .nearest.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
    UnknownTool {
        /// What was asked for.
        name: String,
        /// The tool that is nearest in spelling.
        nearest: Option<&'static str>,
    },
}

/// Tools that can't be served.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A name hosts would not take, or one that another tool has.
    #[error("tool name `{0}` is taken, or not snake case of at most 40 characters")]
    Name(&'static str),
    /// A definition that some host refuses, and with it every other tool.
    #[error("the definition of `{tool}` {problem}")]
    Definition {
        /// The tool's name.
        tool: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A limit for a tool that does not exist.
    #[error("there is a time limit for `{0}`, which is no tool")]
    UnknownTool(String),
    /// The kernel gave no random bytes for a key.
    #[error("the kernel gives no random bytes")]
    Random(#[source] std::io::Error),
}

/// What became of a call.
#[derive(Debug)]
pub enum CallOutcome {
    /// An answer, successful or not.
    Done(Answer),
    /// The user has to be asked by the client, which then repeats the call.
    NeedsApproval(Box<ApprovalRequest>),
}

/// A tool as `tools/list` shows it to one principal.
#[derive(Clone, Copy, Debug)]
pub struct ListedTool<'a> {
    /// The definition.
    pub definition: &'a ToolDefinition,
    /// Whether calling it asks the user, judged by the tool alone.
    pub asks: bool,
}

/// What would happen to a call.
#[derive(Debug)]
pub struct Explanation {
    /// What it would touch, one line each.
    pub accesses: Vec<String>,
    /// What the policy says.
    pub decision: Decision,
}

impl DispatcherBuilder {
    /// Writes the audit trail here; the default keeps none.
    #[must_use]
    pub fn audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.audit = sink;
        self
    }

    /// Tells this observer what is decided and what comes of it, for figures.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Seals cursors with this key instead of one that ends with the process.
    #[must_use]
    pub fn sealer(mut self, sealer: Arc<Sealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// # Errors
    /// When a tool's name or definition can't be served, a limit names no tool, or the kernel
    /// gives no random key.
    pub fn build(self) -> Result<Dispatcher, BuildError> {
        let tools = self.tools.tools;
        let mut by_name = HashMap::with_capacity(tools.len());
        for (at, tool) in tools.iter().enumerate() {
            let definition = tool.definition();
            let name = definition.name;
            let well_formed = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !well_formed || by_name.insert(name, at).is_some() {
                return Err(BuildError::Name(name));
            }
            definition.check().map_err(|problem| BuildError::Definition { tool: name, problem })?;
        }
        if let Some(unknown) = self.limits.tool_timeouts.keys().find(|name| !by_name.contains_key(name.as_str())) {
            return Err(BuildError::UnknownTool(unknown.clone()));
        }
        let sealer = match self.sealer {
            Some(sealer) => sealer,
            None => Arc::new(Sealer::random().map_err(BuildError::Random)?),
        };
        Ok(Dispatcher {
            tools,
            by_name,
            policies: self.policies,
            audit: self.audit,
            observer: self.observer,
            turns: Turns::new(&self.limits),
            limits: Arc::new(self.limits),
            sealer,
            calls: AtomicU64::new(1),
        })
    }
}

impl Dispatcher {
    /// Starts from the tools and the policy that guards them.
    pub fn builder(tools: Toolset, policies: impl Into<RolePolicies>) -> DispatcherBuilder {
        DispatcherBuilder {
            tools,
            policies: policies.into(),
            audit: Arc::new(NoAudit),
            observer: Arc::new(NoObserver),
            limits: Limits::default(),
            sealer: None,
        }
    }

    /// The tools that this caller may call at all, in registration order.
    pub fn tools(&self, principal: &Principal) -> impl Iterator<Item = ListedTool<'_>> {
        let policy = self.policies.of(principal.roles());
        self.definitions().filter_map(move |definition| {
            if !policy.could_permit(definition.selector()) {
                return None;
            }
            let call = Call { tool: definition.selector(), accesses: &[] };
            Some(ListedTool { definition, asks: policy.decide(&call).outcome() == Outcome::Ask })
        })
    }

    /// All tools, those that the policy hides included, in registration order.
    pub fn definitions(&self) -> impl Iterator<Item = &ToolDefinition> {
        self.tools.iter().map(|tool| tool.definition())
    }

    /// The definition of a tool, hidden or not.
    pub fn definition(&self, tool: &str) -> Option<&ToolDefinition> {
        self.by_name.get(tool).and_then(|at| self.tools.get(*at)).map(|tool| tool.definition())
    }

    /// Where calls are recorded, for transports that refuse something themselves.
    pub const fn audit(&self) -> &Arc<dyn AuditSink> {
        &self.audit
    }

    /// The bounds every call runs within.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Seals and opens the handles of this dispatcher.
    pub const fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }

    /// Says what a call would touch and which rule would decide it; runs nothing.
    ///
    /// # Errors
    /// [`CallError`] for an unknown tool; a [`ToolError`] inside when the arguments can't be used.
    pub fn explain(&self, tool: &str, arguments: Map<String, Value>, cx: &Context) -> Result<Result<Explanation, ToolError>, CallError> {
        let tool = self.look_up(tool, cx)?;
        let policy = self.policies.of(cx.principal.roles());
        Ok(tool.parse(arguments).and_then(|parsed| parsed.access(cx)).map(|accesses| Explanation {
            decision: policy.decide(&Call { tool: tool.definition().selector(), accesses: &accesses }),
            accesses: accesses.iter().map(described).collect(),
        }))
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// [`CallError`] for an unknown tool; everything else is an answer.
    pub async fn call(&self, tool: &str, arguments: Option<Map<String, Value>>, cx: &Context) -> Result<CallOutcome, CallError> {
        let started = Instant::now();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let tool = match self.look_up(tool, cx) {
            Ok(tool) => tool,
            Err(unknown) => {
                let shown = &tool[..tool.floor_char_boundary(80)];
                let refused = Refused { tool: shown, effect: None, rule: "unknown tool", detail: None };
                self.note_refusal(number, cx, &refused, started, 0);
                return Err(unknown);
            }
        };
        let policy = self.policies.of(cx.principal.roles());
        self.observer.started();
        let call = OneCall { dispatcher: self, definition: tool.definition(), policy: &policy, cx, number, started };
        Ok(call.run(tool.as_ref(), arguments.unwrap_or_default()).await)
    }

    fn look_up(&self, name: &str, cx: &Context) -> Result<&Arc<dyn DynTool>, CallError> {
        self.by_name.get(name).and_then(|at| self.tools.get(*at)).ok_or_else(|| CallError::UnknownTool {
            name: crate::text::show(&name[..name.floor_char_boundary(80)]).into_owned(),
            nearest: input::nearest(name, self.tools(&cx.principal).map(|tool| tool.definition.name))
                .and_then(|near| self.by_name.get_key_value(near).map(|(name, _)| *name)),
        })
    }

    /// Calls that fail before the policy is asked are in the trail as well.
    fn note_refusal(&self, number: u64, cx: &Context, refused: &Refused<'_>, started: Instant, bytes: usize) {
        let intent = Intent {
            call: number,
            principal: cx.principal.name(),
            request: &cx.request,
            tool: refused.tool,
            effect: refused.effect,
            accesses: &[],
            decision: Outcome::Deny,
            rule: refused.rule,
            origin: None,
            detail: refused.detail,
        };
        let took = started.elapsed();
        let definition = self.definition(refused.tool);
        self.observer.finished(&Finished { tool: definition, result: refused.rule, took, bytes });
        let finish = Finish { call: number, result: refused.rule, approval: None, micros: micros_in(took), bytes };
        if let Err(error) = self.audit.intent(&intent).and_then(|()| self.audit.finish(&finish)) {
            self.observer.audit_failed();
            tracing::error!(%error, "a refused call is missing from the audit trail");
        }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("tools", &self.by_name.keys()).finish_non_exhaustive()
    }
}

struct Refused<'a> {
    tool: &'a str,
    effect: Option<Effect>,
    rule: &'a str,
    detail: Option<&'a str>,
}

/// One call on its way through the pipeline.
struct OneCall<'a> {
    dispatcher: &'a Dispatcher,
    definition: &'a ToolDefinition,
    /// The policy for the roles of the caller.
    policy: &'a Arc<Policy>,
    cx: &'a Context,
    number: u64,
    started: Instant,
}

impl OneCall<'_> {
    async fn run(&self, tool: &dyn DynTool, arguments: Map<String, Value>) -> CallOutcome {
        if self.cx.cancel.is_cancelled() {
            return self.refuse(&ToolError::cancelled(), None);
        }
        if let Err(error) = self.check_size(&arguments) {
            return self.refuse(&error, None);
        }
        // Consent holds for exactly these arguments, which parsing takes apart.
        let digest = self.policy.could_ask(self.definition.selector()).then(|| digest_of(&arguments));
        let parsed = match isolated(|| tool.parse(arguments)) {
            Ok(parsed) => parsed,
            // The message may quote contents, which don't belong into the trail.
            Err(error) => return self.refuse(&error, None),
        };
        let accesses = match isolated(|| parsed.access(self.cx)).and_then(|accesses| self.within_effect(accesses)) {
            Ok(accesses) => accesses,
            Err(error) => return self.refuse(&error, Some(error.message())),
        };
        let decision = self.decide(&accesses);
        if let Decision::Deny(verdict) = &decision {
            // A record that is missing is in the log; refusing needs no trail to be safe.
            self.note_intent(&accesses, &decision).ok();
            return self.deny(verdict, None);
        }
        // Handed over before the user is asked: a question nobody answers is in the trail as well.
        let noted = self.note_intent(&accesses, &decision);
        let mut outcome = OutcomeGuard { call: self, approval: None, noted: false };
        if let (Err(error), true) = (&noted, changes_something(&accesses, self.definition.effect)) {
            outcome.noted = true;
            return self.finish(Err(unaudited(error)), None);
        }
        if let Decision::Ask(verdict) = &decision {
            let consent = match digest {
                Some(digest) => self.ask(self.approval_request(&accesses, verdict, &digest)).await,
                // The policy asked where it had said it never would.
                None => Consent::Refused("unavailable"),
            };
            match consent {
                Consent::Given(how) => outcome.approval = Some(how),
                Consent::Refused(how) => {
                    outcome.noted = true;
                    return self.deny(verdict, Some(how));
                }
                Consent::Pending(request) => {
                    outcome.noted = true;
                    self.note_finish("pending", None, 0);
                    return CallOutcome::NeedsApproval(request);
                }
            }
        }
        let result = self.perform(parsed, &accesses, &decision).await;
        outcome.noted = true;
        self.finish(result, outcome.approval)
    }

    fn decide(&self, accesses: &[Access]) -> Decision {
        let started = Instant::now();
        let decision = self.policy.decide(&Call { tool: self.definition.selector(), accesses });
        self.dispatcher.observer.decided(&Decided { tool: self.definition, decision: &decision, took: started.elapsed() });
        decision
    }

    fn check_size(&self, arguments: &Map<String, Value>) -> Result<(), ToolError> {
        let cap = self.dispatcher.limits.max_input_bytes;
        let size: usize = arguments.iter().map(|(name, value)| name.len() + size_of(value)).sum();
        if size > cap {
            return Err(ToolError::limit_exceeded(format!("the arguments hold {size} bytes, the limit is {cap}"))
                .with_hint("send less in one call"));
        }
        Ok(())
    }

    /// One tool has one effect: its accesses may do less, never more.
    fn within_effect(&self, accesses: Vec<Access>) -> Result<Vec<Access>, ToolError> {
        match accesses.iter().find(|access| access.effect > self.definition.effect) {
            None => Ok(accesses),
            Some(access) => Err(ToolError::internal(format!(
                "`{}` is a tool that can {}, yet it asked to {}",
                self.definition.name,
                self.definition.effect.as_str(),
                access.effect.as_str()
            ))),
        }
    }

    async fn ask(&self, request: ApprovalRequest) -> Consent {
        let _waiting = Waiting::start(self.dispatcher.observer.as_ref());
        match self.cx.approver.ask(&request).await {
            Approval::Approved => Consent::Given("approved"),
            Approval::Declined => Consent::Refused("declined"),
            Approval::Cancelled => Consent::Refused("cancelled"),
            Approval::Pending => Consent::Pending(Box::new(request)),
            Approval::Unavailable => match self.cx.fallback {
                ApprovalFallback::Host => Consent::Given("host"),
                ApprovalFallback::Deny => Consent::Refused("unavailable"),
            },
        }
    }

    fn approval_request(&self, accesses: &[Access], verdict: &Verdict, arguments: &[u8; 32]) -> ApprovalRequest {
        let accesses: Vec<_> = accesses.iter().map(described).collect();
        let mut hasher = blake3::Hasher::new();
        hasher.update(arguments);
        for part in [self.cx.principal.name(), self.definition.name].into_iter().chain(accesses.iter().map(String::as_str)) {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        ApprovalRequest { tool: self.definition.name.to_owned(), accesses, verdict: verdict.clone(), digest: *hasher.finalize().as_bytes() }
    }

    /// Runs the tool; the answer waits until the intent of a change is on stable storage.
    async fn perform(&self, parsed: Box<dyn ParsedCall + '_>, accesses: &[Access], decision: &Decision) -> Result<Answer, ToolError> {
        // The record travels to the disk while the tool works.
        let durable = changes_something(accesses, self.definition.effect).then(|| self.dispatcher.audit.durable());
        let consented = match decision {
            Decision::Ask(verdict) => Some(Arc::from(verdict.rule.as_str())),
            Decision::Allow(_) | Decision::Deny(_) => None,
        };
        let result = self.run_bounded(parsed, accesses, consented.as_ref()).await;
        if let Some(durable) = durable
            && let Err(error) = durable.await
            && result.is_ok()
        {
            return Err(unaudited(&error).with_hint("the change was made; tell the operator to look at the audit trail"));
        }
        result
    }

    async fn run_bounded(
        &self,
        parsed: Box<dyn ParsedCall + '_>,
        accesses: &[Access],
        consented: Option<&Arc<str>>,
    ) -> Result<Answer, ToolError> {
        let Self { dispatcher, definition, policy, cx, .. } = self;
        let timeout = dispatcher.limits.timeout_of(definition.name);
        // The time a user takes to consent is not the tool's.
        let deadline = Instant::now() + timeout;
        let stop = RaiseOnDrop(Stop::at(deadline));
        let work = async {
            let turn = dispatcher.turns.take(cx.principal.name()).await?;
            let granted = Granted {
                context: cx,
                definition,
                accesses,
                policy,
                limits: &dispatcher.limits,
                sealer: &dispatcher.sealer,
                stop: &stop.0,
                consented,
                turn: &Arc::new(turn),
            };
            parsed.run(granted).await
        };
        let work = AssertUnwindSafe(work).catch_unwind().map(|caught| caught.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))));
        let mut work = std::pin::pin!(work);
        // Most calls are over at the first poll; only the others need a timer.
        if let Some(result) = work.as_mut().now_or_never() {
            return result;
        }
        let stopped = tokio::select! {
            biased;
            result = &mut work => return result,
            () = cx.cancel.cancelled() => ToolError::cancelled(),
            () = tokio::time::sleep_until(deadline.into()) => {
                ToolError::timeout(format!("{} ran longer than {} s", definition.name, timeout.as_secs_f32())).with_hint("narrow the call, or ask the operator to raise the limit")
            }
        };
        let unchanged = stop.0.raise();
        let patience = if unchanged { STOP_GRACE } else { CLAIM_PATIENCE };
        match tokio::time::timeout(patience, work).await {
            // It came to its end after all; a change that was made must not be reported as undone.
            Ok(Ok(answer)) => Ok(answer),
            // What a change that had begun says of itself is truer than that it was stopped.
            Ok(Err(error)) if !unchanged => Err(error),
            Err(_) if !unchanged => {
                Err(ToolError::timeout("the call was stopped while it was changing something, and it is not known how far it came")
                    .with_hint("look at what is there before you repeat it"))
            }
            Ok(Err(_)) | Err(_) => Err(stopped),
        }
    }

    fn note_intent(&self, accesses: &[Access], decision: &Decision) -> Result<(), AuditError> {
        let noted = self.dispatcher.audit.intent(&Intent {
            call: self.number,
            principal: self.cx.principal.name(),
            request: &self.cx.request,
            tool: self.definition.name,
            effect: Some(self.definition.effect),
            accesses,
            decision: decision.outcome(),
            rule: decision.rule(),
            origin: match decision {
                Decision::Allow(_) => None,
                Decision::Ask(verdict) | Decision::Deny(verdict) => Some(verdict.origin),
            },
            detail: None,
        });
        if let Err(error) = &noted {
            self.dispatcher.observer.audit_failed();
            tracing::error!(%error, tool = self.definition.name, "an intent is missing from the audit trail");
        }
        noted
    }

    fn finish(&self, result: Result<Answer, ToolError>, approval: Option<&'static str>) -> CallOutcome {
        let answer = result.unwrap_or_else(|error| {
            if let Some(source) = std::error::Error::source(&error) {
                tracing::debug!(tool = self.definition.name, %source, "call failed");
            }
            Answer::error(&error)
        });
        let answer = answer.capped(self.dispatcher.limits.max_answer_bytes());
        self.note_finish(answer.error_kind().map_or("ok", |kind| kind.as_str()), approval, answer.len());
        CallOutcome::Done(answer)
    }

    fn note_finish(&self, result: &str, approval: Option<&'static str>, bytes: usize) {
        let took = self.started.elapsed();
        self.dispatcher.observer.finished(&Finished { tool: Some(self.definition), result, took, bytes });
        let finish = Finish { call: self.number, result, approval, micros: micros_in(took), bytes };
        if let Err(error) = self.dispatcher.audit.finish(&finish) {
            self.dispatcher.observer.audit_failed();
            tracing::error!(%error, tool = self.definition.name, "an outcome is missing from the audit trail");
        }
    }

    fn deny(&self, verdict: &Verdict, approval: Option<&'static str>) -> CallOutcome {
        let error = match approval {
            Some("cancelled") => ToolError::cancelled(),
            Some("declined") => ToolError::denied(verdict).with_hint("the user said no; ask them what to do instead"),
            _ => ToolError::denied(verdict),
        };
        self.finish(Err(error), approval)
    }

    /// Ends a call that never got as far as a decision.
    fn refuse(&self, error: &ToolError, detail: Option<&str>) -> CallOutcome {
        let answer = Answer::error(error).capped(self.dispatcher.limits.max_answer_bytes());
        let refused = Refused { tool: self.definition.name, effect: Some(self.definition.effect), rule: error.kind().as_str(), detail };
        self.dispatcher.note_refusal(self.number, self.cx, &refused, self.started, answer.len());
        CallOutcome::Done(answer)
    }
}

/// A call whose connection went away is dropped in the middle; the trail says so.
struct OutcomeGuard<'c, 'd> {
    call: &'c OneCall<'d>,
    approval: Option<&'static str>,
    noted: bool,
}

impl Drop for OutcomeGuard<'_, '_> {
    fn drop(&mut self) {
        if !self.noted {
            self.call.note_finish("abandoned", self.approval, 0);
        }
    }
}

/// A question to the user that is open.
struct Waiting<'o> {
    observer: &'o dyn Observer,
    since: Instant,
}

impl<'o> Waiting<'o> {
    fn start(observer: &'o dyn Observer) -> Self {
        observer.asking();
        Self { observer, since: Instant::now() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.observer.asked(self.since.elapsed());
    }
}

enum Consent {
    Given(&'static str),
    Refused(&'static str),
    Pending(Box<ApprovalRequest>),
}

/// Blocking work of a call that is dropped, for whatever reason, is told to stop.
struct RaiseOnDrop(Stop);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

fn isolated<T>(work: impl FnOnce() -> Result<T, ToolError>) -> Result<T, ToolError> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// The payload may quote file contents, so it goes to the log and never into the answer.
fn panicked(payload: &(dyn std::any::Any + Send)) -> ToolError {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("no message"), "a tool panicked");
    ToolError::internal("the tool failed unexpectedly; this is a defect of the server")
        .with_hint("try another way, and report it to the operator")
}

fn unaudited(error: &AuditError) -> ToolError {
    ToolError::unavailable("the audit trail can't be written, so nothing that changes something runs")
        .with_hint("tell the operator: the state directory is full or not writable")
        .with_source(error.clone())
}

fn changes_something(accesses: &[Access], effect: Effect) -> bool {
    effect != Effect::Read || accesses.iter().any(|access| access.effect != Effect::Read)
}

fn digest_of(arguments: &Map<String, Value>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    // Hashing can't fail, and neither can writing a map of JSON values.
    let written = serde_json::to_writer(&mut hasher, arguments);
    debug_assert!(written.is_ok());
    *hasher.finalize().as_bytes()
}

fn described(access: &Access) -> String {
    let mut line = String::new();
    audit::describe(access, &mut line);
    line
}

fn micros_in(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| 8 + size_of(item)).sum(),
        Value::Object(object) => object.iter().map(|(name, value)| name.len() + size_of(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

#[cfg(test)]
mod tests;
