//! One session of the handshake era: what goes in and out, and on which stream it leaves.
//!
//! Answers and what belongs to a request leave on the stream of that request, everything else on
//! the stream that the client opened to listen. A client that goes away from a stream loses what
//! would have come there; its calls go on.

use std::{
    collections::{HashMap, VecDeque},
    future::{Future, ready},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rmcp::{
    RoleServer,
    model::{
        ClientJsonRpcMessage, ClientNotification, GetExtensions as _, GetMeta as _, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest,
        ProgressToken, RequestId, ServerJsonRpcMessage, ServerNotification,
    },
    service::OriginatingRequestId,
    transport::{
        Transport,
        streamable_http_server::session::{ServerSseMessage, SessionId},
    },
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Requests of one session that may be under way at once.
const MAX_REQUESTS: usize = 256;

/// Messages that may wait for a client to read them from one stream ...
const STREAM: usize = 64;

/// ... of which so many are kept for more important ones than progress ...
const RESERVED: usize = 8;

/// ... and the last one for the answer, which is never dropped.
const ANSWER: usize = 1;

/// Messages that belong to no request wait for a client that does not listen yet.
const HELD: usize = 16;

/// Streams on which one client listens; only the first one gets messages.
const MAX_LISTENERS: usize = 4;

pub(super) type Receiver = mpsc::Receiver<ServerSseMessage>;

pub(super) struct Session {
    pub(super) id: SessionId,
    /// The name of the caller who opened it.
    pub(super) owner: Arc<str>,
    pub(super) opened: Instant,
    /// Cancelled at its end, whatever brings that about.
    pub(super) ended: CancellationToken,
    arrived: Notify,
    wires: Mutex<Wires>,
}

struct Wires {
    inbox: VecDeque<ClientJsonRpcMessage>,
    /// The streams of the requests that are not answered.
    requests: HashMap<RequestId, mpsc::Sender<ServerSseMessage>>,
    progress: HashMap<ProgressToken, RequestId>,
    /// Requests of ours, and those of the client that they belong to.
    questions: HashMap<RequestId, RequestId>,
    listeners: Vec<mpsc::Sender<ServerSseMessage>>,
    held: VecDeque<ServerJsonRpcMessage>,
    last_used: Instant,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Turned {
    #[error("the session has ended")]
    Gone,
    #[error("another request of the session has the same id")]
    DuplicateId,
    #[error("too many requests of the session are under way")]
    Busy,
    #[error("the caller has as many sessions as one may have, and all are busy")]
    TooMany,
    #[error("there is no room for another session")]
    Full,
}

impl Session {
    pub(super) fn new(id: SessionId, owner: Arc<str>) -> Self {
        let now = Instant::now();
        let wires = Wires {
            inbox: VecDeque::new(),
            requests: HashMap::new(),
            progress: HashMap::new(),
            questions: HashMap::new(),
            listeners: Vec::new(),
            held: VecDeque::new(),
            last_used: now,
        };
        Self { id, owner, opened: now, ended: CancellationToken::new(), arrived: Notify::new(), wires: Mutex::new(wires) }
    }

    /// Takes a request in; what belongs to it comes out of the receiver, its answer last.
    pub(super) fn request(&self, message: ClientJsonRpcMessage) -> Result<Receiver, Turned> {
        let mut wires = self.wires()?;
        if wires.requests.len() >= MAX_REQUESTS {
            return Err(Turned::Busy);
        }
        let (sender, receiver) = mpsc::channel(STREAM);
        if let JsonRpcMessage::Request(JsonRpcRequest { id, request, .. }) = &message {
            if wires.requests.contains_key(id) {
                return Err(Turned::DuplicateId);
            }
            if let Some(token) = request.get_meta().get_progress_token() {
                wires.progress.insert(token, id.clone());
            }
            wires.requests.insert(id.clone(), sender);
        }
        wires.inbox.push_back(message);
        drop(wires);
        self.arrived.notify_one();
        Ok(receiver)
    }

    /// Takes in what is not answered.
    pub(super) fn accept(&self, message: ClientJsonRpcMessage) -> Result<(), Turned> {
        let mut wires = self.wires()?;
        if wires.inbox.len() >= MAX_REQUESTS {
            return Err(Turned::Busy);
        }
        if let JsonRpcMessage::Notification(JsonRpcNotification {
            notification: ClientNotification::CancelledNotification(cancelled), ..
        }) = &message
            && let Some(id) = &cancelled.params.request_id
        {
            // The SDK answers it no more, so its stream ends here.
            wires.forget(id);
        }
        wires.inbox.push_back(message);
        drop(wires);
        self.arrived.notify_one();
        Ok(())
    }

    /// Opens a stream for what belongs to no request.
    pub(super) fn listen(&self) -> Result<Receiver, Turned> {
        let mut wires = self.wires()?;
        wires.listeners.retain(|listener| !listener.is_closed());
        if wires.listeners.len() >= MAX_LISTENERS {
            // The oldest one, whose client may be gone without a word.
            wires.listeners.remove(0);
        }
        let (sender, receiver) = mpsc::channel(STREAM);
        wires.listeners.push(sender);
        while let Some(message) = wires.held.pop_front() {
            wires.broadcast(message);
        }
        Ok(receiver)
    }

    /// Since when nothing has been under way and nobody has listened; `None` while that is so.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let mut wires = self.lock();
        wires.listeners.retain(|listener| !listener.is_closed());
        (wires.requests.is_empty() && wires.listeners.is_empty()).then_some(wires.last_used)
    }

    /// Ends all streams and cancels all calls.
    pub(super) fn end(&self) {
        self.ended.cancel();
        let mut wires = self.lock();
        wires.requests.clear();
        wires.listeners.clear();
        wires.inbox.clear();
        wires.held.clear();
    }

    /// What the SDK sends leaves on the stream it belongs to.
    fn deliver(&self, message: ServerJsonRpcMessage) {
        let mut wires = self.lock();
        wires.last_used = Instant::now();
        match &message {
            JsonRpcMessage::Response(response) => wires.answer(&response.id.clone(), message),
            JsonRpcMessage::Error(error) => match error.id.clone() {
                Some(id) => wires.answer(&id, message),
                None => wires.broadcast(message),
            },
            JsonRpcMessage::Request(request) => match request.request.extensions().get::<OriginatingRequestId>() {
                Some(OriginatingRequestId(origin)) => {
                    let origin = origin.clone();
                    // It goes with its request; for one that is gone already it would stay.
                    if wires.requests.contains_key(&origin) {
                        wires.questions.insert(request.id.clone(), origin.clone());
                    }
                    wires.send_on(&origin, message);
                }
                None => wires.broadcast(message),
            },
            JsonRpcMessage::Notification(JsonRpcNotification { notification, .. }) => {
                let origin = match notification {
                    ServerNotification::ProgressNotification(progress) => wires.progress.get(&progress.params.progress_token),
                    ServerNotification::CancelledNotification(cancelled) => {
                        cancelled.params.request_id.as_ref().and_then(|question| wires.questions.get(question))
                    }
                    _ => None,
                };
                match (origin.cloned(), notification) {
                    (Some(origin), ServerNotification::ProgressNotification(_)) => wires.send_progress(&origin, message),
                    (Some(origin), _) => wires.send_on(&origin, message),
                    (None, ServerNotification::ProgressNotification(_)) => {}
                    (None, _) => wires.broadcast(message),
                }
            }
        }
    }

    fn next(&self) -> Option<ClientJsonRpcMessage> {
        self.lock().inbox.pop_front()
    }

    fn wires(&self) -> Result<MutexGuard<'_, Wires>, Turned> {
        let mut wires = self.lock();
        // Looked at under the lock, so that nothing is taken in after the end.
        if self.ended.is_cancelled() {
            return Err(Turned::Gone);
        }
        wires.last_used = Instant::now();
        Ok(wires)
    }

    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wires {
    /// Sends the answer of a request, which ends its stream.
    fn answer(&mut self, id: &RequestId, message: ServerJsonRpcMessage) {
        let sender = self.requests.get(id).cloned();
        self.forget(id);
        match sender.map(|sender| sender.try_send(ServerSseMessage::from_message(message))) {
            Some(Ok(())) => {}
            Some(Err(mpsc::error::TrySendError::Closed(_))) => tracing::debug!("an answer came after its client was gone"),
            Some(Err(mpsc::error::TrySendError::Full(_))) => tracing::warn!("an answer found no room on its stream"),
            None => tracing::debug!("an answer came to a request that was cancelled"),
        }
    }

    fn forget(&mut self, id: &RequestId) {
        self.requests.remove(id);
        self.progress.retain(|_, request| request != id);
        self.questions.retain(|_, request| request != id);
    }

    fn send_on(&mut self, id: &RequestId, message: ServerJsonRpcMessage) {
        match self.requests.get(id) {
            Some(sender) if !sender.is_closed() => {
                if sender.capacity() <= ANSWER || sender.try_send(ServerSseMessage::from_message(message)).is_err() {
                    tracing::warn!("a message found no room on its stream");
                }
            }
            // Whoever listens may still answer it.
            _ => self.broadcast(message),
        }
    }

    /// Progress that finds no room is dropped; the next report says more anyway.
    fn send_progress(&mut self, id: &RequestId, message: ServerJsonRpcMessage) {
        if let Some(sender) = self.requests.get(id)
            && sender.capacity() > RESERVED
            && sender.try_send(ServerSseMessage::from_message(message)).is_err()
        {
            tracing::trace!("a progress report was dropped");
        }
    }

    /// Sends what belongs to no request to the first stream that listens.
    fn broadcast(&mut self, message: ServerJsonRpcMessage) {
        self.listeners.retain(|listener| !listener.is_closed());
        match self.listeners.first() {
            Some(listener) => {
                if listener.try_send(ServerSseMessage::from_message(message)).is_err() {
                    tracing::warn!("a message found no room on the listening stream");
                }
            }
            None => {
                if self.held.len() >= HELD {
                    self.held.pop_front();
                }
                self.held.push_back(message);
            }
        }
    }
}

/// The SDK's end of a session.
pub(super) struct SessionTransport {
    pub(super) session: Arc<Session>,
}

impl Transport<RoleServer> for SessionTransport {
    type Error = io::Error;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.session.deliver(message);
        ready(Ok(()))
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let arrived = self.session.arrived.notified();
            if let Some(message) = self.session.next() {
                return Some(message);
            }
            tokio::select! {
                () = arrived => {}
                () = self.session.ended.cancelled() => return None,
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), io::Error>> + Send {
        ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::ServerRequest;
    use serde_json::{Value, json};

    use super::*;

    fn session() -> Session {
        Session::new("s".into(), "a".into())
    }

    fn ask(session: &Session) -> Receiver {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"progressToken": "p"}}});
        session.request(serde_json::from_value(request).expect("it is a request")).expect("the session takes it")
    }

    /// A question that belongs to request 1.
    fn question(id: i64) -> ServerJsonRpcMessage {
        let mut request: ServerRequest = serde_json::from_value(json!({"method": "roots/list"})).expect("it is a request");
        request.extensions_mut().insert(OriginatingRequestId(RequestId::Number(1)));
        ServerJsonRpcMessage::request(request, RequestId::Number(id))
    }

    fn message(value: Value) -> ServerJsonRpcMessage {
        serde_json::from_value(value).expect("it is a message of a server")
    }

    fn progress() -> ServerJsonRpcMessage {
        message(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "p", "progress": 1.0}}))
    }

    #[test]
    fn the_answer_finds_room_on_a_stream_that_nobody_reads() {
        let session = session();
        let mut stream = ask(&session);
        for id in 0..200 {
            session.deliver(progress());
            session.deliver(question(id));
        }
        session.deliver(message(json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}})));
        let received: Vec<_> = std::iter::from_fn(|| stream.try_recv().ok()).filter_map(|event| event.message).collect();
        assert_eq!(received.len(), STREAM);
        let last = serde_json::to_value(received.last()).expect("it is JSON");
        assert_eq!((&last["id"], &last["result"]["tools"]), (&json!(1), &json!([])));
    }

    #[test]
    fn questions_are_forgotten_with_their_request_and_not_kept_for_one_that_is_gone() {
        let session = session();
        let _stream = ask(&session);
        session.deliver(question(2));
        assert_eq!(session.lock().questions.len(), 1);
        session.deliver(message(json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}})));
        session.deliver(question(3));
        assert_eq!(session.lock().questions.len(), 0);
    }
}
