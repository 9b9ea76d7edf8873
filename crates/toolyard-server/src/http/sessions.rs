//! All sessions of the handshake era: who owns which, how many there may be, and when idle ones end.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::Stream;
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager},
};
use tokio_util::sync::CancellationToken;
use toolyard_core::{
    Principal,
    audit::{AuditSink, Refusal},
};

use super::{
    HttpOptions,
    session::{Receiver, Session, SessionTransport, Turned},
};

/// Idle sessions are looked for no more often than this ...
const SWEEP_LEAST: Duration = Duration::from_millis(20);

/// ... and no more seldom than this.
const SWEEP_MOST: Duration = Duration::from_secs(30);

tokio::task_local! {
    /// The request that is being answered, which the SDK does not hand to a session manager.
    pub(super) static CALLER: Caller;
}

/// Who sent the request that is being answered, and what became of it.
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// The transport's id of the request.
    pub(super) request: Option<Arc<str>>,
    /// The session it may open.
    pub(super) opening: Option<Arc<Session>>,
    /// Why it was not taken; the SDK only knows that it failed.
    pub(super) turned: Mutex<Option<Turned>>,
}

impl Caller {
    fn turned(why: Turned) -> Turned {
        let noted = CALLER.try_with(|caller| *caller.turned.lock().unwrap_or_else(PoisonError::into_inner) = Some(why));
        if noted.is_err() {
            tracing::debug!(%why, "a message came outside of a request");
        }
        why
    }
}

pub(super) struct Sessions {
    open: Mutex<HashMap<SessionId, Arc<Session>>>,
    options: HttpOptions,
    audit: Arc<dyn AuditSink>,
    /// Ends listening streams in order.
    closing: CancellationToken,
    stop: CancellationToken,
    sweeping: AtomicBool,
    unrecorded: AtomicU64,
}

impl Sessions {
    pub(super) fn new(options: HttpOptions, audit: Arc<dyn AuditSink>, closing: CancellationToken, stop: CancellationToken) -> Self {
        let open = Mutex::default();
        Self { open, options, audit, closing, stop, sweeping: AtomicBool::new(false), unrecorded: AtomicU64::new(0) }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// A session of this caller that has no place yet; `None` when the system gives no random bytes.
    pub(super) fn prepare(&self, principal: &Principal) -> Option<Arc<Session>> {
        Some(Arc::new(Session::new(super::fresh_handle()?.into(), principal.name().into())))
    }

    /// Makes room for a session and gives it its place.
    fn open(&self, session: &Arc<Session>) -> Result<(), Turned> {
        let evicted = {
            let mut open = self.lock();
            let evicted = self.in_the_way(&open, &session.owner)?.and_then(|id| open.remove(&id));
            open.insert(Arc::clone(&session.id), Arc::clone(session));
            evicted
        };
        if let Some(evicted) = evicted {
            tracing::debug!("an idle session was closed for a new one");
            self.finish(&evicted);
        }
        Ok(())
    }

    /// The session that has to go for another one of this caller: his own that was idle for
    /// longest, or else that of the caller with the most, so that a few can't keep all others out.
    fn in_the_way(&self, open: &HashMap<SessionId, Arc<Session>>, owner: &str) -> Result<Option<SessionId>, Turned> {
        let owned = open.values().filter(|session| *session.owner == *owner).count();
        let has_his_share = owned >= self.options.max_sessions_per_principal;
        if !has_his_share && open.len() < self.options.max_sessions {
            return Ok(None);
        }
        let mut holders: HashMap<&str, Holder<'_>> = HashMap::new();
        for session in open.values() {
            let holder = holders.entry(&session.owner).or_default();
            holder.sessions += 1;
            if let Some(since) = session.idle_since()
                && holder.idle.is_none_or(|(longest, _)| since < longest)
            {
                holder.idle = Some((since, &session.id));
            }
        }
        if let Some((_, id)) = holders.get(owner).and_then(|own| own.idle) {
            return Ok(Some(Arc::clone(id)));
        }
        if has_his_share {
            return Err(Turned::TooMany);
        }
        // Whoever has no more than this caller keeps what he has.
        let others = holders.values().filter(|holder| holder.sessions > owned);
        let idle = others.filter_map(|holder| holder.idle.map(|(since, id)| (holder.sessions, Reverse(since), id)));
        let (_, _, id) = idle.max_by_key(|(sessions, since, _)| (*sessions, *since)).ok_or(Turned::Full)?;
        Ok(Some(Arc::clone(id)))
    }

    /// Forgets a session that nobody has heard of.
    pub(super) fn give_up(&self, session: &Session) {
        self.lock().remove(&session.id);
        session.end();
    }

    /// Ends a session of this caller; false when there is none of that id, or it is another's.
    pub(super) fn end(&self, id: &str, principal: &Principal, request: Option<&str>) -> bool {
        self.of(id, principal, request).is_some_and(|session| self.remove(&session.id))
    }

    /// The session, if it belongs to this caller. To name another's is recorded.
    fn of(&self, id: &str, principal: &Principal, request: Option<&str>) -> Option<Arc<Session>> {
        let session = self.lock().get(id).cloned()?;
        if *session.owner == *principal.name() {
            return Some(session);
        }
        let refusal = Refusal {
            principal: Some(principal.name()),
            request: request.unwrap_or_default(),
            reason: "foreign_handle",
            detail: "session",
            count: 1 + self.unrecorded.swap(0, Ordering::Relaxed),
        };
        if let Err(error) = self.audit.refused(&refusal) {
            self.unrecorded.fetch_add(refusal.count, Ordering::Relaxed);
            tracing::error!(%error, "a refused session id is missing from the audit trail");
        }
        None
    }

    fn of_caller(&self, id: &str) -> Option<Arc<Session>> {
        CALLER.try_with(|caller| self.of(id, &caller.principal, caller.request.as_deref())).ok().flatten()
    }

    /// The session that a message of the current request goes to.
    fn addressed(&self, id: &str) -> Result<Arc<Session>, Turned> {
        self.lock().get(id).cloned().ok_or(Turned::Gone)
    }

    fn remove(&self, id: &str) -> bool {
        let removed = self.lock().remove(id);
        if let Some(session) = &removed {
            self.finish(session);
        }
        removed.is_some()
    }

    fn finish(&self, session: &Session) {
        session.end();
        if let Some(told) = &self.options.on_session_end {
            told(session.opened.elapsed());
        }
    }

    /// Idle sessions are ended by one task, which lives as long as there are sessions.
    pub(super) fn sweep_from_now_on(self: &Arc<Self>) {
        if self.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let (sessions, stop) = (Arc::downgrade(self), self.stop.clone());
        let pause = (self.options.session_idle / 4).clamp(SWEEP_LEAST, SWEEP_MOST);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => return,
                }
                if !sweep(&sessions) {
                    return;
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one caller has.
#[derive(Default)]
struct Holder<'a> {
    sessions: usize,
    /// The session that was idle for longest, and since when.
    idle: Option<(Instant, &'a SessionId)>,
}

/// Ends what has been idle for too long; says whether to look again.
fn sweep(sessions: &Weak<Sessions>) -> bool {
    let Some(sessions) = sessions.upgrade() else {
        return false;
    };
    let all: Vec<_> = sessions.lock().values().cloned().collect();
    for session in all {
        if session.idle_since().is_some_and(|since| since.elapsed() >= sessions.options.session_idle) {
            sessions.remove(&session.id);
        }
    }
    let open = sessions.lock();
    if open.is_empty() {
        // Under the lock, so that the next session that opens starts another task.
        sessions.sweeping.store(false, Ordering::Release);
    }
    !open.is_empty()
}

impl SessionManager for Sessions {
    type Error = Turned;
    type Transport = SessionTransport;

    /// Called by the SDK when it has read an `initialize` and checked its headers; nobody's session
    /// goes for one that is malformed.
    async fn create_session(&self) -> Result<(SessionId, SessionTransport), Turned> {
        let opening = CALLER.try_with(|caller| caller.opening.clone()).ok().flatten();
        let session = opening.ok_or_else(|| Caller::turned(Turned::Gone))?;
        self.open(&session).map_err(Caller::turned)?;
        Ok((Arc::clone(&session.id), SessionTransport { session }))
    }

    async fn initialize_session(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<ServerJsonRpcMessage, Turned> {
        let mut answers = self.addressed(id).and_then(|session| session.request(message)).map_err(Caller::turned)?;
        let answer = answers.recv().await.and_then(|answer| answer.message);
        let answer = answer.ok_or_else(|| Caller::turned(Turned::Gone))?;
        Ok(Arc::unwrap_or_clone(answer))
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Turned> {
        Ok(self.of_caller(id).is_some())
    }

    /// Called by the SDK when it has served a session to its end.
    async fn close_session(&self, id: &SessionId) -> Result<(), Turned> {
        self.remove(id);
        Ok(())
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Turned> {
        self.addressed(id).and_then(|session| session.request(message)).map(stream).map_err(Caller::turned)
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Turned> {
        self.addressed(id).and_then(|session| session.accept(message)).map_err(Caller::turned)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Turned> {
        use futures::StreamExt as _;
        let heard = self.addressed(id).and_then(|session| session.listen()).map_err(Caller::turned)?;
        Ok(stream(heard).take_until(self.closing.clone().cancelled_owned()))
    }

    /// Streams are not resumed: no event has an id.
    async fn resume(&self, _: &SessionId, _: String) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Turned> {
        Err::<futures::stream::Empty<ServerSseMessage>, _>(Turned::Gone)
    }
}

fn stream(mut receiver: Receiver) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static {
    futures::stream::poll_fn(move |cx| receiver.poll_recv(cx))
}
