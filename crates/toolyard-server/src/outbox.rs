//! Messages on their way out. Whatever is ready when the writer wakes leaves in one write.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::model::{ContentBlock, JsonRpcMessage, ServerJsonRpcMessage, ServerResult};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::Notify,
    time::timeout,
};

use crate::gate::Gate;

/// While more than this waits to be written to a pipe, no further request is read.
pub(crate) const FULL: usize = 8 * 1024 * 1024;

/// A write is not made larger than this by adding messages to it.
const BATCH: usize = 128 * 1024;

/// A buffer that grew beyond this for one message is given back ...
const KEEP: usize = 256 * 1024;

/// ... once nothing was written for so long; earlier, the next message would only grow it again.
const QUIET: Duration = Duration::from_secs(1);

pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    gate: Arc<Gate>,
    /// While more than this waits to be written, no further request is read.
    full: usize,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<ServerJsonRpcMessage>,
    weight: usize,
    closed: bool,
}

impl Outbox {
    /// An empty one, which tells the gate what it writes.
    pub(crate) fn new(gate: Arc<Gate>, full: usize) -> Self {
        Self { queue: Mutex::default(), filled: Notify::new(), gate, full }
    }

    /// Puts one message behind those already waiting; never waits itself.
    pub(crate) fn push(&self, message: ServerJsonRpcMessage) -> io::Result<()> {
        let mut queue = self.queue();
        if queue.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        queue.weight += weight(&message);
        queue.messages.push_back(message);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// Whether the peer has taken enough of what waits for it.
    pub(crate) fn has_room(&self) -> bool {
        let queue = self.queue();
        queue.weight <= self.full || queue.closed
    }

    /// Nothing more is taken in; what waits is still written.
    pub(crate) fn close(&self) {
        self.queue().closed = true;
        self.filled.notify_one();
        self.gate.note_written(0);
    }

    /// The next message as JSON; `None` once the outbox is closed and empty.
    #[cfg(feature = "http")]
    pub(crate) async fn next(&self) -> Option<Vec<u8>> {
        loop {
            let mut message = Vec::new();
            let closed = self.fill(&mut message, 1);
            if message.pop().is_some() {
                self.gate.note_written(message.len());
                return Some(message);
            }
            if closed {
                return None;
            }
            self.filled.notified().await;
        }
    }

    /// Whether nothing waits to be written.
    #[cfg(feature = "http")]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue().messages.is_empty()
    }

    /// Writes until the outbox is closed and empty, or the peer is gone.
    pub(crate) async fn write_to(&self, mut output: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut batch = Vec::new();
        loop {
            let closed = self.fill(&mut batch, BATCH);
            if batch.is_empty() {
                if closed {
                    return Ok(());
                }
                if batch.capacity() <= KEEP {
                    self.filled.notified().await;
                } else if timeout(QUIET, self.filled.notified()).await.is_err() {
                    batch = Vec::new();
                }
                continue;
            }
            if let Err(error) = self.write(&batch, &mut output).await {
                self.close();
                return Err(error);
            }
            batch.clear();
        }
    }

    /// Writes piece by piece, to tell a peer that reads slowly from one that does not read.
    async fn write(&self, mut batch: &[u8], output: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while !batch.is_empty() {
            let written = output.write(batch).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            batch = batch.get(written..).unwrap_or_default();
            self.gate.note_written(written);
        }
        output.flush().await
    }

    /// Serialises what waits until the batch is large enough; says whether the outbox is closed.
    fn fill(&self, batch: &mut Vec<u8>, enough: usize) -> bool {
        while batch.len() < enough {
            let message = {
                let mut queue = self.queue();
                let Some(message) = queue.messages.pop_front() else {
                    return queue.closed;
                };
                queue.weight -= weight(&message);
                message
            };
            let before = batch.len();
            match serde_json::to_writer(&mut *batch, &message) {
                Ok(()) => batch.push(b'\n'),
                Err(error) => {
                    tracing::error!(%error, "a message can't be serialised");
                    batch.truncate(before);
                }
            }
        }
        false
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About as many bytes as the message holds; only tool results can be large.
fn weight(message: &ServerJsonRpcMessage) -> usize {
    let content = match message {
        JsonRpcMessage::Response(response) => match &response.result {
            ServerResult::CallToolResult(result) => result.content.as_slice(),
            _ => &[],
        },
        _ => &[],
    };
    let bytes = |block: &ContentBlock| match block {
        ContentBlock::Text(text) => text.text.len(),
        ContentBlock::Image(image) => image.data.len(),
        _ => 0,
    };
    512 + content.iter().map(bytes).sum::<usize>()
}
