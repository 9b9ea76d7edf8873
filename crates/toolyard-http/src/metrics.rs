//! Figures for Prometheus: what calls come to, how long they take, what was refused, what is open.
//!
//! Every figure is one atomic that is written where the thing happens and read when somebody asks;
//! nothing is counted twice. The hot path takes no lock and does not allocate once a tool has been
//! called for the first time. Values of labels come from closed sets: names of registered tools,
//! known methods, words of this program. Nothing that a client sends becomes a label.

mod audited;
mod cells;
mod process;
mod render;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use toolyard_core::{Decided, Finished, Observer, audit::AuditSink};
use toolyard_policy::{Decision, Effect, Outcome, RuleOrigin};

use audited::Audited;
use cells::{Histogram, Table};

/// The buckets of OpenTelemetry's conventions for MCP.
const OPERATION_BUCKETS: [Duration; 14] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// Deciding takes microseconds; the conventions have nothing so short.
const EVALUATION_BUCKETS: [Duration; 9] = [
    Duration::from_micros(1),
    Duration::from_micros(2),
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
];

/// What calls come to; the last one stands for words that are new.
const RESULTS: [&str; 14] = [
    "ok",
    "pending",
    "unknown tool",
    "invalid input",
    "not found",
    "conflict",
    "denied",
    "limit exceeded",
    "timeout",
    "cancelled",
    "unavailable",
    "internal",
    "abandoned",
    "other",
];

/// How operations other than tool calls fail; the last one stands for all other ways.
const ERRORS: [&str; 5] = ["500", "503", "504", "-32603", "other"];

const EFFECTS: [Effect; 4] = [Effect::Read, Effect::Write, Effect::Destroy, Effect::Execute];
const OUTCOMES: [Outcome; 3] = [Outcome::Allow, Outcome::Ask, Outcome::Deny];
/// None stands for allowing: the decision does not say which list allowed it.
const ORIGINS: [Option<RuleOrigin>; 6] = [
    None,
    Some(RuleOrigin::Profile),
    Some(RuleOrigin::Operator),
    Some(RuleOrigin::BuiltIn),
    Some(RuleOrigin::CommandLine),
    Some(RuleOrigin::Default),
];

/// Names of tools are at most so many; the rest is counted together.
const MAX_TOOLS: usize = 512;
const MAX_NAMES: usize = 64;

/// The figures of one server; clones are cheap and share everything.
///
/// Hand [`Metrics::observer`] to the dispatcher and the metrics themselves to [`bind`](crate::bind).
#[derive(Clone)]
pub struct Metrics {
    figures: Arc<Figures>,
}

struct Figures {
    start: Instant,
    transport: OnceLock<&'static str>,
    tools: Table<[OnceLock<Box<Histogram>>; RESULTS.len()], MAX_TOOLS>,
    /// Calls of tools that don't exist, and of those beyond [`MAX_TOOLS`].
    nameless: [OnceLock<Box<Histogram>>; RESULTS.len()],
    /// By method; the first is success, then come the [`ERRORS`].
    methods: Table<[OnceLock<Box<Histogram>>; ERRORS.len() + 1], MAX_NAMES>,
    sessions_ended: Histogram,
    decisions: [[[AtomicU64; ORIGINS.len()]; OUTCOMES.len()]; EFFECTS.len()],
    evaluations: Histogram,
    rate_allowed: AtomicU64,
    rate_denied: AtomicU64,
    /// Records by class, once somebody has asked for a trail that counts them.
    audited: OnceLock<[AtomicU64; audited::CLASSES.len()]>,
    audit_errors: AtomicU64,
    /// Milliseconds from the start to the last missing record, plus one; 0 for never.
    audit_failed: AtomicU64,
    approvals: AtomicI64,
    approval_waits: Histogram,
    calls: AtomicI64,
    connections: AtomicI64,
    /// By class of status, 1xx to 5xx.
    responses: Table<[AtomicU64; 5], MAX_NAMES>,
    refusals: Table<AtomicU64, MAX_NAMES>,
    watched: OnceLock<Box<dyn Fn() -> Watched + Send + Sync>>,
}

/// What the transport knows itself and is asked for when figures are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Sessions of the handshake era that are open.
    pub(crate) sessions: usize,
    /// Streams that are open to listen.
    pub(crate) streams: usize,
    /// Requests that are worked on.
    pub(crate) requests: usize,
    /// Requests that wait for a place.
    pub(crate) waiting: usize,
}

/// Something that is open; dropping it says that it is no more.
#[derive(Debug)]
pub(crate) struct Open(Metrics);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.figures.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Figures that are all zero.
    pub fn new() -> Self {
        let figures = Figures {
            start: Instant::now(),
            transport: OnceLock::new(),
            tools: Table::new(),
            nameless: Default::default(),
            methods: Table::new(),
            sessions_ended: Histogram::new(&OPERATION_BUCKETS),
            decisions: Default::default(),
            evaluations: Histogram::new(&EVALUATION_BUCKETS),
            rate_allowed: AtomicU64::new(0),
            rate_denied: AtomicU64::new(0),
            audited: OnceLock::new(),
            audit_errors: AtomicU64::new(0),
            audit_failed: AtomicU64::new(0),
            approvals: AtomicI64::new(0),
            approval_waits: Histogram::new(&OPERATION_BUCKETS),
            calls: AtomicI64::new(0),
            connections: AtomicI64::new(0),
            responses: Table::new(),
            refusals: Table::new(),
            watched: OnceLock::new(),
        };
        Self { figures: Arc::new(figures) }
    }

    /// What a dispatcher tells what happens.
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.clone())
    }

    /// The same audit trail; what is written into it is counted.
    pub fn audited(&self, sink: Arc<dyn AuditSink>) -> Arc<dyn AuditSink> {
        self.figures.audited.get_or_init(Default::default);
        Arc::new(Audited::new(sink, self.clone()))
    }

    /// An operation other than a tool call is over; those are told by the dispatcher. `error` is
    /// an HTTP status or a code of JSON-RPC, where the server is at fault.
    pub(crate) fn operation(&self, method: &'static str, took: Duration, error: Option<&str>) {
        if matches!(method, "tools/call" | "none") {
            return;
        }
        let outcome = match error {
            None => 0,
            Some(error) if is_the_clients(error) => 0,
            Some(error) => 1 + ERRORS.iter().position(|known| *known == error).unwrap_or(ERRORS.len() - 1),
        };
        let Some(cells) = self.figures.methods.get_or("other", method) else { return };
        observe(cells.get(outcome), took);
    }

    /// An answer was sent for this route.
    pub(crate) fn response(&self, route: &'static str, status: u16) {
        let Some(classes) = self.figures.responses.get_or("other", route) else { return };
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(count) = classes.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request was turned away.
    pub(crate) fn refused(&self, reason: &'static str) {
        if let Some(count) = self.figures.refusals.get_or("other", reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The rate limit was asked.
    pub(crate) fn rate_limited(&self, allowed: bool) {
        let figures = &self.figures;
        let count = if allowed { &figures.rate_allowed } else { &figures.rate_denied };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A legacy session is over.
    pub(crate) fn session_ended(&self, took: Duration) {
        self.figures.sessions_ended.observe(took);
    }

    /// A connection is open for as long as the value lives.
    pub(crate) fn connection(&self) -> Open {
        self.figures.connections.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    /// Where sessions, streams and requests are counted, and over what the protocol is spoken:
    /// `tcp` or `unix`. Only the first call counts.
    pub(crate) fn watch(&self, transport: &'static str, watched: impl Fn() -> Watched + Send + Sync + 'static) {
        self.figures.transport.get_or_init(|| transport);
        self.figures.watched.get_or_init(|| Box::new(watched));
    }

    pub(crate) fn watched(&self) -> Watched {
        self.figures.watched.get().map_or_else(Watched::default, |watched| watched())
    }

    /// Tool calls that run.
    pub(crate) fn active_calls(&self) -> i64 {
        self.figures.calls.load(Ordering::Relaxed).max(0)
    }

    /// Whether a record went missing from the audit trail within this time.
    pub(crate) fn audit_failed_within(&self, time: Duration) -> bool {
        let failed = self.figures.audit_failed.load(Ordering::Relaxed);
        failed > 0 && millis(self.figures.start.elapsed()).saturating_sub(failed - 1) <= millis(time)
    }

    /// Everything, in the text format of OpenMetrics 1.0.
    pub(crate) fn render(&self) -> String {
        render::text(self)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Observer for Metrics {
    fn started(&self) {
        self.figures.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn decided(&self, decided: &Decided<'_>) {
        let origin = match decided.decision {
            Decision::Allow(_) => None,
            Decision::Ask(verdict) | Decision::Deny(verdict) => Some(verdict.origin),
        };
        let effect = self.figures.decisions.get(decided.tool.effect as usize);
        let outcome = effect.and_then(|outcomes| outcomes.get(decided.decision.outcome() as usize));
        let count = outcome.and_then(|origins| origins.get(origin.map_or(0, |origin| origin as usize + 1)));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.figures.evaluations.observe(decided.took);
    }

    fn asking(&self) {
        self.figures.approvals.fetch_add(1, Ordering::Relaxed);
    }

    fn asked(&self, took: Duration) {
        self.figures.approvals.fetch_sub(1, Ordering::Relaxed);
        self.figures.approval_waits.observe(took);
    }

    fn finished(&self, finished: &Finished<'_>) {
        let figures = &self.figures;
        let cells = match finished.tool {
            Some(tool) => {
                figures.calls.fetch_sub(1, Ordering::Relaxed);
                figures.tools.get(tool.name).unwrap_or(&figures.nameless)
            }
            None => &figures.nameless,
        };
        let result = RESULTS.iter().position(|known| *known == finished.result).unwrap_or(RESULTS.len() - 1);
        observe(cells.get(result), finished.took);
    }

    fn audit_failed(&self) {
        self.figures.audit_errors.fetch_add(1, Ordering::Relaxed);
        let now = millis(self.figures.start.elapsed()).saturating_add(1);
        self.figures.audit_failed.fetch_max(now, Ordering::Relaxed);
    }
}

fn observe(cell: Option<&OnceLock<Box<Histogram>>>, took: Duration) {
    if let Some(cell) = cell {
        cell.get_or_init(|| Box::new(Histogram::new(&OPERATION_BUCKETS))).observe(took);
    }
}

/// Statuses from 400 to 499, and the codes that OpenTelemetry's conventions don't count as errors
/// of a server.
fn is_the_clients(error: &str) -> bool {
    (error.len() == 3 && error.starts_with('4')) || matches!(error, "-32700" | "-32600" | "-32601" | "-32602" | "-32002")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod grammar;
#[cfg(test)]
mod tests;
