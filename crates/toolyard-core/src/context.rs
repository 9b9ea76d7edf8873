//! Who is calling, how long it may take, and how to stop it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use crate::{ApprovalFallback, Approver, NoApprover, ToolError};

/// Who is calling: the local user on stdio, the token's subject on HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    name: Arc<str>,
    roles: Arc<[Arc<str>]>,
}

impl Principal {
    /// The user who started the process.
    pub fn local() -> Self {
        Self::named("local")
    }

    /// A caller the transport has authenticated.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), roles: Arc::default() }
    }

    /// The same caller with these roles, which rules can name.
    #[must_use]
    pub fn with_roles(mut self, roles: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Its name, as in the audit trail.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its roles; none on stdio.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|role| &**role)
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
///
/// Work that changes something claims the right to finish right before its first effect. Either
/// the claim comes first or the stop, never both, so no effect comes after a reported stop.
#[derive(Clone, Debug)]
pub struct Stop {
    state: Arc<AtomicU8>,
    deadline: Instant,
}

/// Bits of the state of a [`Stop`].
const RAISED: u8 = 1;
const CLAIMED: u8 = 2;

impl Stop {
    /// Never raised before `deadline`.
    pub fn at(deadline: Instant) -> Self {
        Self { state: Arc::default(), deadline }
    }

    /// The same flag with a deadline that is not later than `deadline`.
    #[must_use]
    pub fn no_later_than(&self, deadline: Instant) -> Self {
        Self { state: Arc::clone(&self.state), deadline: self.deadline.min(deadline) }
    }

    /// When the work must be over.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the call was cancelled or timed out.
    pub fn is_raised(&self) -> bool {
        self.state.load(Ordering::Relaxed) & RAISED != 0
    }

    /// Whether the deadline has passed; reads the monotonic clock.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Stops the work at its next check; false when it had claimed the right to finish before, so
    /// that its result tells what was done.
    pub(crate) fn raise(&self) -> bool {
        self.state.fetch_or(RAISED, Ordering::AcqRel) & CLAIMED == 0
    }

    /// Whether the work may have had an effect.
    pub(crate) fn has_claimed(&self) -> bool {
        self.state.load(Ordering::Acquire) & CLAIMED != 0
    }

    /// Call it right before the first effect: from then on a stop waits for the result. Work of
    /// several steps still looks at [`Stop::is_raised`] between them and reports how far it came.
    ///
    /// # Errors
    /// `Cancelled` when it was stopped before; nothing may be changed then.
    pub fn claim(&self) -> Result<(), ToolError> {
        if self.has_claimed() {
            return Ok(());
        }
        let claimed = self.state.compare_exchange(0, CLAIMED, Ordering::AcqRel, Ordering::Acquire);
        match claimed {
            Err(state) if state & CLAIMED == 0 => Err(ToolError::cancelled()),
            Ok(_) | Err(_) => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use std::{
        sync::Barrier,
        time::{Duration, Instant},
    };

    use super::Stop;
    use crate::ErrorKind;

    fn stop() -> Stop {
        Stop::at(Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn a_claim_after_a_stop_is_refused() {
        let stop = stop();
        assert!(stop.raise());
        assert_eq!(stop.claim().err().map(|error| error.kind()), Some(ErrorKind::Cancelled));
        assert!(!stop.has_claimed() && stop.is_raised() && stop.raise());
    }

    #[test]
    fn a_stop_after_a_claim_is_seen_but_does_not_undo_it() {
        let stop = stop();
        let narrowed = stop.no_later_than(Instant::now());
        assert_eq!(narrowed.claim().err().map(|error| error.kind()), None);
        assert!(stop.has_claimed() && !stop.is_raised());
        assert!(!stop.raise());
        assert!(stop.is_raised() && stop.claim().is_ok());
        assert_eq!(stop.check().err().map(|error| error.kind()), Some(ErrorKind::Cancelled));
    }

    #[test]
    fn of_a_claim_and_a_stop_at_once_exactly_one_wins() {
        for _ in 0..2_000 {
            let (stop, start) = (stop(), Barrier::new(2));
            let (claimed, raised) = std::thread::scope(|scope| {
                let claiming = scope.spawn(|| {
                    start.wait();
                    stop.claim().is_ok()
                });
                start.wait();
                let raised = stop.raise();
                (claiming.join().is_ok_and(|claimed| claimed), raised)
            });
            assert_ne!(claimed, raised);
        }
    }
}
