//! Messages on their way out. Whatever is ready when the writer wakes leaves in one write.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::Notify,
};

/// While more than this waits to be written, no further request is read.
const FULL: usize = 8 * 1024 * 1024;

/// A buffer that grew beyond this for one message is given back after it.
const KEEP: usize = 1024 * 1024;

#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    drained: Notify,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    closed: bool,
}

impl Outbox {
    /// Puts one message behind those already waiting; never waits itself.
    pub(crate) fn push(&self, message: &impl Serialize) -> io::Result<()> {
        let mut queue = self.queue();
        if queue.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let before = queue.bytes.len();
        if let Err(error) = serde_json::to_writer(&mut queue.bytes, message) {
            queue.bytes.truncate(before);
            return Err(error.into());
        }
        queue.bytes.push(b'\n');
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits until the peer has taken enough of what waits for it.
    pub(crate) async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            {
                let queue = self.queue();
                if queue.bytes.len() <= FULL || queue.closed {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Nothing more is taken in; what waits is still written.
    pub(crate) fn close(&self) {
        self.queue().closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Writes until the outbox is closed and empty, or the peer is gone.
    pub(crate) async fn write_to(&self, mut output: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut batch = Vec::new();
        loop {
            let closed = {
                let mut queue = self.queue();
                std::mem::swap(&mut queue.bytes, &mut batch);
                queue.closed
            };
            if batch.is_empty() {
                if closed {
                    return Ok(());
                }
                self.filled.notified().await;
                continue;
            }
            let written = match output.write_all(&batch).await {
                Ok(()) => output.flush().await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                self.close();
                return Err(error);
            }
            batch.clear();
            if batch.capacity() > KEEP {
                batch = Vec::new();
            }
            self.drained.notify_waiters();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
