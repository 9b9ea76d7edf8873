//! The transport of 2024-11-05: messages are posted one by one, everything that goes out leaves on
//! one stream.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use rmcp::{
    RoleServer,
    service::{RunningService, serve_directly_with_ct},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use toolyard_core::Principal;

use super::peek::{PeekKind, peek};
use crate::{
    Server,
    from_mcp::Reader,
    gate::Gate,
    lines::Source,
    outbox::Outbox,
    server::{Callers, Ends},
    transport::StreamTransport,
};

/// Requests of one session that are worked on at once, and their bytes.
const MAX_REQUESTS: usize = 64;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// While more than this waits for the client to read it, no further request is worked on.
const FULL: usize = 1024 * 1024;

/// Messages that may wait to be looked at, and their bytes; one more may exceed them.
const MAX_POSTED: usize = 64;
const MAX_POSTED_BYTES: usize = 4 * 1024 * 1024;

/// The end of a session to which messages are posted; clones are the same session.
#[derive(Clone)]
pub struct MessageSession {
    shared: Arc<Shared>,
}

/// Everything that goes out, message by message as JSON in one line; dropping it ends the session
/// and cancels its calls.
pub struct MessageStream {
    messages: Pin<Box<dyn Stream<Item = Bytes> + Send + Sync>>,
    _running: RunningService<RoleServer, Server>,
}

/// Why a posted message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// It is not one JSON-RPC message.
    #[error("the body is not one JSON-RPC message of this protocol")]
    Malformed,
    /// Too many wait already.
    #[error("too many messages wait; send it again later")]
    Full,
    /// The stream is gone.
    #[error("the session has ended")]
    Closed,
}

struct Shared {
    principal: Principal,
    posts: Arc<Posts>,
    gate: Arc<Gate>,
    outbox: Arc<Outbox>,
    calls: CancellationToken,
}

impl Server {
    /// Begins a session of the versions up to 2025-11-25 for this caller; `name` is what the
    /// transport calls the request that opened it, for the audit trail.
    pub fn message_session(&self, principal: Principal, name: Arc<str>) -> (MessageSession, MessageStream) {
        let calls = CancellationToken::new();
        let gate = Arc::new(Gate::new(MAX_REQUESTS, MAX_BYTES));
        let outbox = Arc::new(Outbox::new(Arc::clone(&gate), FULL));
        let posts = Arc::new(Posts::default());
        let handler = Self { callers: Callers::Named(principal.clone(), Some(name)), ends: Ends::default(), ..self.clone() };
        let source = Arrivals(Arc::clone(&posts));
        let transport =
            StreamTransport::new(source, Reader::handshake_only(), Arc::clone(&outbox), Arc::clone(&gate), CancellationToken::new());
        let running = serve_directly_with_ct(handler, transport, None, calls.clone());
        let shared = Shared { principal, posts, gate, outbox: Arc::clone(&outbox), calls };
        let messages = futures::stream::unfold(outbox, |outbox| async move {
            let message = outbox.next().await?;
            Some((Bytes::from(message), outbox))
        });
        (MessageSession { shared: Arc::new(shared) }, MessageStream { messages: Box::pin(messages), _running: running })
    }
}

impl MessageSession {
    /// Whose session it is.
    pub fn principal(&self) -> &Principal {
        &self.shared.principal
    }

    /// Takes one message in, of any number of lines; never waits.
    ///
    /// # Errors
    /// When the body is no message, too many wait, or the session has ended.
    pub fn push(&self, body: Bytes) -> Result<(), PushError> {
        if self.shared.calls.is_cancelled() {
            return Err(PushError::Closed);
        }
        if peek(&body).kind == PeekKind::Malformed {
            return Err(PushError::Malformed);
        }
        self.shared.posts.push(body)
    }

    /// Whether something is under way, or waits to be read by the client.
    pub fn is_busy(&self) -> bool {
        let Shared { posts, gate, outbox, .. } = &*self.shared;
        gate.under_way() > 0 || !posts.is_empty() || !outbox.is_empty()
    }

    /// Cancels all calls; the stream ends after the answers that are ready.
    pub fn close(&self) {
        self.shared.calls.cancel();
    }
}

impl fmt::Debug for MessageSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageSession").field("principal", &self.shared.principal.name()).finish_non_exhaustive()
    }
}

impl Stream for MessageStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.messages.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream").finish_non_exhaustive()
    }
}

/// Messages that were posted and not looked at.
#[derive(Default)]
struct Posts {
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    bodies: VecDeque<Bytes>,
    bytes: usize,
}

impl Posts {
    fn push(&self, body: Bytes) -> Result<(), PushError> {
        let mut queue = self.queue();
        if queue.bodies.len() >= MAX_POSTED || queue.bytes >= MAX_POSTED_BYTES {
            return Err(PushError::Full);
        }
        queue.bytes += body.len();
        queue.bodies.push_back(body);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    fn take(&self) -> Option<Bytes> {
        let mut queue = self.queue();
        let body = queue.bodies.pop_front()?;
        queue.bytes -= body.len();
        Some(body)
    }

    fn is_empty(&self) -> bool {
        self.queue().bodies.is_empty()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading end of the posts, which has no end of its own: the session is cancelled instead.
struct Arrivals(Arc<Posts>);

impl Source for Arrivals {
    async fn next<T: Send>(&mut self, mut accept: impl FnMut(&[u8]) -> Option<T> + Send) -> io::Result<Option<T>> {
        loop {
            let arrived = self.0.arrived.notified();
            while let Some(body) = self.0.take() {
                if let Some(accepted) = accept(&body) {
                    return Ok(Some(accepted));
                }
            }
            arrived.await;
        }
    }

    async fn read_ahead(&mut self) -> io::Result<()> {
        std::future::pending().await
    }

    fn has_ended(&self) -> bool {
        false
    }
}
