//! Who is calling, how long it may take, and how to stop it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use crate::{ApprovalFallback, Approver, NoApprover, ToolError};

/// Who is calling: the local user on stdio, the token's subject on HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    name: Arc<str>,
}

impl Principal {
    /// The user who started the process.
    pub fn local() -> Self {
        Self::named("local")
    }

    /// A caller the transport has authenticated.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into() }
    }

    /// Its name, as in the audit trail.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Takes progress of a running call; reports that can't be delivered are dropped.
pub trait Progress: Send + Sync {
    /// `done` grows; `total` is given when it is known.
    fn report(&self, done: u64, total: Option<u64>, message: &str);
}

/// Everything about a call but its arguments.
#[derive(Clone)]
pub struct Context {
    pub(crate) principal: Principal,
    pub(crate) request: Arc<str>,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: Option<Arc<dyn Progress>>,
    pub(crate) approver: Arc<dyn Approver>,
    pub(crate) fallback: ApprovalFallback,
}

impl Context {
    /// A call of this principal that nobody can cancel, watch or approve.
    pub fn new(principal: Principal) -> Self {
        Self {
            principal,
            request: "".into(),
            cancel: CancellationToken::new(),
            progress: None,
            approver: Arc::new(NoApprover),
            fallback: ApprovalFallback::Deny,
        }
    }

    /// Names the call in the audit trail.
    #[must_use]
    pub fn with_request(mut self, id: impl Into<Arc<str>>) -> Self {
        self.request = id.into();
        self
    }

    /// Lets the transport cancel the call.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sends progress to the transport.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Asks this approver when the policy says ask, and does `fallback` when it can't be asked.
    #[must_use]
    pub fn with_approver(mut self, approver: Arc<dyn Approver>, fallback: ApprovalFallback) -> Self {
        self.approver = approver;
        self.fallback = fallback;
        self
    }

    /// Who is calling.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }
}

/// Tells blocking work that nobody waits for it any more; cheap enough to ask for every file.
#[derive(Clone, Debug)]
pub struct Stop {
    raised: Arc<AtomicBool>,
    deadline: Instant,
}

impl Stop {
    /// Never raised before `deadline`.
    pub fn at(deadline: Instant) -> Self {
        Self { raised: Arc::default(), deadline }
    }

    /// The same flag with a deadline that is not later than `deadline`.
    #[must_use]
    pub fn no_later_than(&self, deadline: Instant) -> Self {
        Self { raised: Arc::clone(&self.raised), deadline: self.deadline.min(deadline) }
    }

    /// When the work must be over.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the call was cancelled or timed out.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    /// Whether the deadline has passed; reads the monotonic clock.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Stops the work at its next check.
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// `Cancelled` once raised, `Timeout` once late.
    pub fn check(&self) -> Result<(), ToolError> {
        if self.is_raised() {
            return Err(ToolError::cancelled());
        }
        if self.is_late() {
            return Err(ToolError::timeout("the deadline passed").with_hint("narrow the call"));
        }
        Ok(())
    }
}
