//! Reaches the user through the client: by a request of ours in the handshake era, by a second
//! round of the same call in the stateless one.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use rmcp::{
    RoleServer,
    model::{
        ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, ErrorCode, InputRequest,
        InputRequiredResult, InputResponses, ServerRequest,
    },
    service::{PeerRequestOptions, RequestContext, RequestHandle, ServiceError},
};
use toolyard_core::{Approval, ApprovalRequest, Approver, Principal};

use crate::{
    from_mcp::{self, Era},
    server::Shared,
};

/// How long a question stays open.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Answers of one caller remembered within [`PATIENCE`]; people don't answer faster than this.
const REMEMBERED: usize = 1024;

/// Callers remembered before the first tidying up.
const CALLERS: usize = 256;

/// The purpose states are sealed for.
const PURPOSE: &str = "approval";

/// The key of the one question in `inputRequests`.
const QUESTION: &str = "approval";

/// A digest and a number that is used once.
const STATE: usize = 32 + 16;

/// Asks on behalf of one call.
pub(crate) struct ClientApprover {
    pub(crate) shared: Arc<Shared>,
    pub(crate) principal: Principal,
    pub(crate) context: RequestContext<RoleServer>,
    pub(crate) request_state: Option<String>,
    pub(crate) input_responses: Option<InputResponses>,
}

impl Approver for ClientApprover {
    fn ask<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        Box::pin(async move {
            if !self.can_elicit() {
                return Approval::Unavailable;
            }
            match from_mcp::era(&self.context) {
                Era::Handshake => self.elicit(request).await,
                Era::Stateless => self.judge_reply(request),
            }
        })
    }
}

impl ClientApprover {
    /// Forms need not be named: an empty capability means them.
    fn can_elicit(&self) -> bool {
        let capabilities = self.context.client_capabilities();
        capabilities.and_then(|capabilities| capabilities.elicitation).is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
    }

    async fn elicit(&self, request: &ApprovalRequest) -> Approval {
        let question = ServerRequest::ElicitRequest(form(request));
        let Ok(mut asked) = self.context.peer.send_cancellable_request(question, PeerRequestOptions::no_options()).await else {
            return Approval::Cancelled;
        };
        let reply = tokio::select! {
            // First, so that an answer that comes with the cancellation runs nothing.
            biased;
            () = self.context.ct.cancelled() => return withdraw(asked, "the call was cancelled"),
            reply = &mut asked.rx => reply.unwrap_or(Err(ServiceError::TransportClosed)),
            () = tokio::time::sleep(PATIENCE) => return withdraw(asked, "nobody answered in time"),
        };
        match reply {
            Ok(ClientResult::ElicitResult(reply)) => judge(reply.action),
            Err(ServiceError::TransportClosed) => Approval::Cancelled,
            // The client does not know the request after all, so nobody saw the question.
            Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => Approval::Unavailable,
            Ok(_) | Err(_) => Approval::Declined,
        }
    }

    /// The first round has no state; the second one must bring ours back, unused, for this call.
    fn judge_reply(&self, request: &ApprovalRequest) -> Approval {
        let Some(state) = &self.request_state else {
            return Approval::Pending;
        };
        let reply = self.input_responses.as_ref().and_then(|replies| replies.get(QUESTION));
        let opened = self.shared.dispatcher.sealer().open(PURPOSE, &self.principal, state);
        let Some((digest, number)) = opened.as_ref().ok().and_then(|payload| payload.split_first_chunk::<32>()) else {
            tracing::warn!(tool = request.tool, "a reply to an approval question came with a state that is not valid here");
            return Approval::Declined;
        };
        if *digest != request.digest {
            tracing::warn!(tool = request.tool, "a reply to an approval question came with another call");
            return Approval::Declined;
        }
        let Some(reply) = reply else {
            return Approval::Pending;
        };
        if !self.shared.used_states.take(self.principal.name(), number) {
            tracing::warn!(tool = request.tool, "a reply to an approval question came twice");
            return Approval::Declined;
        }
        match serde_json::from_value(reply.clone()) {
            Ok(ElicitResult { action, .. }) => judge(action),
            Err(_) => Approval::Declined,
        }
    }
}

fn judge(action: ElicitationAction) -> Approval {
    match action {
        ElicitationAction::Accept => Approval::Approved,
        ElicitationAction::Cancel => Approval::Cancelled,
        _ => Approval::Declined,
    }
}

/// Takes a question back that the user may still see. The call does not wait for that: while a
/// connection ends nothing leaves before its calls are over.
fn withdraw(asked: RequestHandle<RoleServer>, why: &'static str) -> Approval {
    tokio::spawn(async move {
        if let Err(error) = asked.cancel(Some(why.to_owned())).await {
            tracing::debug!(%error, "a question can't be withdrawn");
        }
    });
    Approval::Cancelled
}

/// The answer that makes the client ask its user and repeat the call.
pub(crate) fn input_required(shared: &Shared, principal: &Principal, request: &ApprovalRequest) -> InputRequiredResult {
    let mut payload = Vec::with_capacity(STATE);
    payload.extend_from_slice(&request.digest);
    payload.extend_from_slice(&shared.used_states.fresh());
    let ttl = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
    let state = shared.dispatcher.sealer().seal(PURPOSE, principal, &payload, ttl);
    let questions = [(QUESTION.to_owned(), InputRequest::Elicitation(form(request)))];
    InputRequiredResult::new(Some(questions.into()), Some(state)).with_meta(shared.meta.clone())
}

/// A form without fields: all it can be is accepted or declined, and every client can show it.
fn form(request: &ApprovalRequest) -> ElicitRequest {
    ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: request.question(),
        requested_schema: ElicitationSchema::new(Default::default()),
    })
}

/// The states that were answered; each counts once.
pub(crate) struct UsedStates {
    /// Tells the states of one process from those of another that has the same key.
    process: u64,
    next: AtomicU64,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    /// By caller, so that none can use up the room of another.
    by_caller: HashMap<String, HashMap<Vec<u8>, Instant>>,
    /// With so many callers those that have nothing to remember any more are forgotten.
    tidy_at: usize,
}

impl Default for UsedStates {
    fn default() -> Self {
        Self { process: RandomState::new().build_hasher().finish(), next: AtomicU64::new(0), used: Mutex::default() }
    }
}

impl UsedStates {
    /// A number that no other state has. It need not be secret, since states are sealed.
    fn fresh(&self) -> [u8; 16] {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        ((u128::from(self.process) << 64) | u128::from(number)).to_be_bytes()
    }

    /// Whether this is the first use. When too many of this caller are remembered its every use is
    /// refused: to forget one early would let it be used again.
    fn take(&self, caller: &str, number: &[u8]) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.tidy();
        if !used.by_caller.contains_key(caller) {
            used.by_caller.insert(caller.to_owned(), HashMap::new());
        }
        let Some(numbers) = used.by_caller.get_mut(caller) else {
            return false;
        };
        if numbers.len() >= REMEMBERED {
            numbers.retain(|_, at| at.elapsed() < PATIENCE);
        }
        numbers.len() < REMEMBERED && numbers.insert(number.to_vec(), Instant::now()).is_none()
    }
}

impl Used {
    /// Costs each use little: the threshold grows with what has to be kept.
    fn tidy(&mut self) {
        if self.by_caller.len() < self.tidy_at.max(CALLERS) {
            return;
        }
        self.by_caller.retain(|_, numbers| {
            numbers.retain(|_, at| at.elapsed() < PATIENCE);
            !numbers.is_empty()
        });
        self.tidy_at = 2 * self.by_caller.len();
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, UsedStates};

    #[test]
    fn a_state_counts_once_and_a_full_memory_refuses_rather_than_forgets() {
        let states = UsedStates::default();
        let first = states.fresh();
        assert!(states.take("a", &first));
        assert!(!states.take("a", &first));
        for _ in 1..REMEMBERED {
            assert!(states.take("a", &states.fresh()));
        }
        assert!(!states.take("a", &states.fresh()));
        assert!(!states.take("a", &first));
    }

    #[test]
    fn a_caller_who_fills_the_memory_does_not_stand_in_the_way_of_another() {
        let states = UsedStates::default();
        for _ in 0..=REMEMBERED {
            states.take("a", &states.fresh());
        }
        assert!(!states.take("a", &states.fresh()));
        assert!(states.take("b", &states.fresh()));
    }
}
