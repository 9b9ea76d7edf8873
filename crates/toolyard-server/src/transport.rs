//! The SDK's transport over one connection: our own reading, writing and envelope checks.
//!
//! When too much is under way, requests wait here while cancellations and replies still pass.
//! When even the room to wait is full, the input is only read ahead, to notice its end.

use std::{
    collections::VecDeque,
    future::{Future, ready},
    io,
    sync::Arc,
    time::Duration,
};

use rmcp::{
    RoleServer,
    model::{
        ClientJsonRpcMessage, ClientNotification, GetExtensions as _, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest, RequestId,
        ServerJsonRpcMessage,
    },
    transport::Transport,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    from_mcp::{Incoming, Reader},
    gate::Gate,
    lines::Source,
    outbox::Outbox,
};

/// Requests that may wait ...
const MAX_WAITING: usize = 64;

/// ... and the bytes of their lines; one more may exceed them.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// After the end of the input, requests wait no longer than this for a client that reads nothing.
pub(crate) const STALL: Duration = Duration::from_millis(40);

pub(crate) struct StreamTransport<S> {
    source: S,
    reader: Reader,
    outbox: Arc<Outbox>,
    gate: Arc<Gate>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// What the client had read, and until when it must have read more.
    stalled: Option<(u64, Instant)>,
    input_ended: CancellationToken,
}

struct Waiting {
    incoming: Incoming,
    bytes: usize,
}

impl<S: Source> StreamTransport<S> {
    pub(crate) fn new(source: S, reader: Reader, outbox: Arc<Outbox>, gate: Arc<Gate>, input_ended: CancellationToken) -> Self {
        Self { source, reader, outbox, gate, waiting: VecDeque::new(), waiting_bytes: 0, stalled: None, input_ended }
    }

    /// The next message for the SDK. Cancel safe: all state is in `self`.
    async fn next(&mut self) -> io::Result<Option<ClientJsonRpcMessage>> {
        loop {
            if let Some(message) = self.next_waiting() {
                return Ok(Some(message));
            }
            if !self.is_full() {
                let reader = &mut self.reader;
                let read = self.source.next(|line| reader.read(line).map(|incoming| Waiting { incoming, bytes: line.len() }));
                tokio::select! {
                    biased;
                    read = read => match read? {
                        Some(arrived) => match self.sort(arrived) {
                            Some(message) => return Ok(Some(message)),
                            None => continue,
                        },
                        None if self.waiting.is_empty() => return Ok(None),
                        None => {}
                    },
                    () = self.gate.changed(), if !self.waiting.is_empty() => continue,
                }
            } else if !self.source.has_ended() {
                tokio::select! {
                    read = self.source.read_ahead() => read?,
                    () = self.gate.changed() => {}
                }
                continue;
            }
            if !self.moves_on().await {
                tracing::debug!(requests = self.waiting.len(), "the client left with requests that had no room");
                return Ok(None);
            }
        }
    }

    fn has_room(&self) -> bool {
        self.gate.is_open() && self.outbox.has_room()
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING || self.waiting_bytes >= MAX_WAITING_BYTES
    }

    /// The first request that has found room.
    fn next_waiting(&mut self) -> Option<ClientJsonRpcMessage> {
        while !self.waiting.is_empty() && self.has_room() {
            let waiting = self.waiting.pop_front()?;
            self.waiting_bytes -= waiting.bytes;
            if let Some(message) = self.admit(waiting) {
                return Some(message);
            }
        }
        None
    }

    /// What arrived passes, waits for its turn, or is done with.
    fn sort(&mut self, arrived: Waiting) -> Option<ClientJsonRpcMessage> {
        let Incoming::Message(message) = &arrived.incoming else {
            return self.admit_or_wait(arrived);
        };
        match &**message {
            JsonRpcMessage::Request(_) => self.admit_or_wait(arrived),
            JsonRpcMessage::Notification(JsonRpcNotification {
                notification: ClientNotification::CancelledNotification(cancelled),
                ..
            }) if cancelled.params.request_id.as_ref().is_some_and(|id| self.withdraw(id)) => None,
            _ => pass(arrived.incoming),
        }
    }

    fn admit_or_wait(&mut self, arrived: Waiting) -> Option<ClientJsonRpcMessage> {
        if self.waiting.is_empty() && self.has_room() {
            return self.admit(arrived);
        }
        self.waiting_bytes += arrived.bytes;
        self.waiting.push_back(arrived);
        None
    }

    /// Requests carry their ticket with them; refusals are answered here.
    fn admit(&mut self, waiting: Waiting) -> Option<ClientJsonRpcMessage> {
        let mut message = match waiting.incoming {
            Incoming::Message(message) => message,
            Incoming::Refused(error) => {
                if self.outbox.push(ServerJsonRpcMessage::Error(error)).is_err() {
                    tracing::debug!("nobody takes answers any more");
                }
                return None;
            }
        };
        if let JsonRpcMessage::Request(JsonRpcRequest { request, .. }) = &mut *message {
            request.extensions_mut().insert(self.gate.admit(waiting.bytes));
        }
        Some(*message)
    }

    /// Takes a cancelled request back that was still waiting.
    fn withdraw(&mut self, cancelled: &RequestId) -> bool {
        let is_it = |waiting: &Waiting| match &waiting.incoming {
            Incoming::Message(message) => matches!(&**message, JsonRpcMessage::Request(request) if request.id == *cancelled),
            Incoming::Refused(_) => false,
        };
        let withdrawn = self.waiting.iter().position(is_it).and_then(|at| self.waiting.remove(at));
        self.waiting_bytes -= withdrawn.as_ref().map_or(0, |waiting| waiting.bytes);
        withdrawn.is_some()
    }

    /// Waits for room after the end of the input; says whether there is still hope.
    async fn moves_on(&mut self) -> bool {
        let written = self.gate.written();
        let (seen, until) = *self.stalled.insert(match self.stalled {
            Some(stalled) if stalled.0 == written => stalled,
            _ => (written, Instant::now() + STALL),
        });
        tokio::select! {
            () = self.gate.changed() => true,
            () = sleep_until(until) => self.gate.written() != seen,
        }
    }
}

fn pass(incoming: Incoming) -> Option<ClientJsonRpcMessage> {
    match incoming {
        Incoming::Message(message) => Some(*message),
        Incoming::Refused(_) => None,
    }
}

impl<S: Source> Transport<RoleServer> for StreamTransport<S> {
    type Error = io::Error;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        if let JsonRpcMessage::Error(error) = &message {
            self.reader.note_failure(error.id.as_ref());
        }
        // Queued at once, so messages leave in the order in which the SDK made them.
        ready(self.outbox.push(message))
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        match self.next().await {
            Ok(Some(message)) => return Some(message),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the input can't be read any more"),
        }
        self.input_ended.cancel();
        None
    }

    fn close(&mut self) -> impl Future<Output = Result<(), io::Error>> + Send {
        self.outbox.close();
        ready(Ok(()))
    }
}
