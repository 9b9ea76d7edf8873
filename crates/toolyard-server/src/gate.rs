//! How much may be under way before further requests wait.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// Requests that are worked on at once; more than the dispatcher runs, so that it never waits.
pub(crate) const MAX_REQUESTS: usize = 256;

/// The same in bytes of their lines.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Counts what is under way on one connection, and tells its reader when that becomes less.
#[derive(Debug)]
pub(crate) struct Gate {
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    written: AtomicU64,
    changed: Notify,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(MAX_REQUESTS, MAX_BYTES)
    }
}

impl Gate {
    /// One that closes at so many requests, or so many bytes of them.
    pub(crate) fn new(max_requests: usize, max_bytes: usize) -> Self {
        let (requests, bytes) = Default::default();
        Self { max_requests, max_bytes, requests, bytes, written: AtomicU64::new(0), changed: Notify::new() }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.requests.load(Ordering::Relaxed) < self.max_requests && self.bytes.load(Ordering::Relaxed) < self.max_bytes
    }

    /// Requests that are worked on.
    pub(crate) fn under_way(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts a request until its ticket is dropped.
    pub(crate) fn admit(self: &Arc<Self>, bytes: usize) -> Arc<Ticket> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Arc::new(Ticket { gate: Arc::clone(self), bytes })
    }

    /// The client has taken so many bytes.
    pub(crate) fn note_written(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Bytes the client has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Resolves once less is under way than before; only one task may wait.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Travels with a request to whatever works on it.
#[derive(Debug)]
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gate.requests.fetch_sub(1, Ordering::Relaxed);
        self.gate.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.gate.changed.notify_one();
    }
}
