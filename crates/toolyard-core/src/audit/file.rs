//! The trail as JSON lines, one file a day, shared by all processes of a user.
//!
//! Reads are buffered and reach the file at most 50 ms late; a thread writes them, so no call
//! waits for the disk. The intent of anything else is written at once, and synced by the same
//! thread for all calls that wait (group commit), while the tool already works;
//! [`AuditSink::durable`] tells when it is safe.

#![expect(clippy::disallowed_methods, reason = "the trail lies in the state directory, outside every allowed directory")]

mod disk;
mod record;
#[cfg(test)]
mod tests;
mod trail;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::sync::watch;
use toolyard_policy::Effect;

use self::{
    disk::{Directory, Disk},
    record::Header,
    trail::Trail,
};
use super::{AuditError, AuditSink, Finish, Intent, Refusal};

/// Records wait about so long for others.
const GATHER: Duration = Duration::from_millis(25);
/// After a failure nothing is tried for so long, unless an intent has to be written.
const PAUSE: Duration = Duration::from_secs(1);
/// A buffer of this size is written without waiting.
const BUFFER_BYTES: usize = 64 << 10;
/// A buffer of this size is written by the call that fills it: the disk does not keep up.
const BUFFER_LIMIT: usize = 4 << 20;
/// Failed syncs that are remembered; their waiters wake long before there are more.
const FAILURES: usize = 16;

/// Where and how the trail is kept.
#[derive(Clone, Debug)]
pub struct FileSinkConfig {
    /// Directory of the daily files; made with mode 0700 at the first record.
    pub directory: PathBuf,
    /// Whether a write's intent is on stable storage before its answer; default true. Without it
    /// a power cut can lose the last moments of the trail.
    pub sync: bool,
}

/// The trail in files named `2026-11-21.jsonl`.
#[derive(Debug)]
pub struct FileSink {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: Box<dyn Disk>,
    sync: bool,
    process: String,
    /// Locked before `state` where both are needed; held while the disk works.
    trail: Mutex<Trail>,
    /// Held for moments only.
    state: Mutex<State>,
    wake: Condvar,
    synced: watch::Sender<Synced>,
}

#[derive(Debug, Default)]
struct State {
    header: Header,
    buffer: Vec<u8>,
    /// Number of the last intent that wants to be durable.
    wanted: u64,
    started: bool,
    /// The thread sleeps until it is woken.
    idle: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Synced {
    upto: u64,
    /// The intents whose sync failed, from (exclusive) and to.
    failures: Vec<(u64, u64, AuditError)>,
}

impl FileSink {
    /// Prepares a trail; nothing is made on disk before the first record.
    pub fn new(config: FileSinkConfig) -> Self {
        Self::on(Box::new(Directory(config.directory)), config.sync)
    }

    fn on(disk: Box<dyn Disk>, sync: bool) -> Self {
        let (synced, _) = watch::channel(Synced::default());
        let (trail, state) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { disk, sync, process: record::process(), trail, state, wake: Condvar::new(), synced }) }
    }

    /// Writes what is buffered; call it before the process ends.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn flush(&self) -> Result<(), AuditError> {
        self.shared.write_out().map_err(failed)
    }

    /// Leaves a record to the thread.
    fn buffer(&self, event: &str, call: u64, rest: impl FnOnce(&mut Vec<u8>)) -> Result<(), AuditError> {
        let shared = &*self.shared;
        let mut guard = shared.state();
        self.start_thread(&mut guard)?;
        let State { header, buffer, .. } = &mut *guard;
        let before = buffer.len();
        header.begin(buffer, event, &shared.process, call);
        rest(buffer);
        let after = buffer.len();
        if guard.idle || (before < BUFFER_BYTES && after >= BUFFER_BYTES) {
            guard.idle = false;
            shared.wake.notify_one();
        }
        drop(guard);
        if after >= BUFFER_LIMIT { shared.write_out().map_err(failed) } else { Ok(()) }
    }

    /// Writes a record, and before it all that were buffered.
    fn write(&self, event: &str, call: u64, rest: impl FnOnce(&mut Vec<u8>)) -> Result<(), AuditError> {
        let shared = &*self.shared;
        let mut trail = shared.trail();
        {
            let mut state = shared.state();
            self.start_thread(&mut state)?;
            trail.take(&mut state.buffer);
        }
        let mut header = std::mem::take(&mut trail.header);
        header.begin(trail.pending(), event, &shared.process, call);
        rest(trail.pending());
        trail.header = header;
        if let Err(error) = trail.write(shared.disk.as_ref()) {
            trail.forget_last();
            return Err(failed(error));
        }
        if shared.sync {
            trail.mark_unsynced();
            shared.state().wanted += 1;
            shared.wake.notify_one();
        }
        Ok(())
    }

    /// The thread starts with the first record, so that starting a server costs nothing.
    fn start_thread(&self, state: &mut State) -> Result<(), AuditError> {
        if state.started {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        std::thread::Builder::new().name("audit".into()).stack_size(64 << 10).spawn(move || shared.run()).map_err(failed)?;
        state.started = true;
        Ok(())
    }
}

impl AuditSink for FileSink {
    fn intent(&self, intent: &Intent<'_>) -> Result<(), AuditError> {
        let writes = intent.effect.is_some_and(|effect| effect != Effect::Read)
            || intent.accesses.iter().any(|access| access.effect != Effect::Read);
        let rest = |out: &mut Vec<u8>| record::write_intent(intent, out);
        if writes { self.write("intent", intent.call, rest) } else { self.buffer("intent", intent.call, rest) }
    }

    fn finish(&self, finish: &Finish<'_>) -> Result<(), AuditError> {
        self.buffer("finish", finish.call, |out| record::write_finish(finish, out))
    }

    fn refused(&self, refusal: &Refusal<'_>) -> Result<(), AuditError> {
        // Refusals belong to no call.
        self.buffer("refusal", 0, |out| record::write_refusal(refusal, out))
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
        let wanted = self.shared.state().wanted;
        let mut synced = self.shared.synced.subscribe();
        Box::pin(async move {
            let synced = synced.wait_for(|synced| synced.upto >= wanted).await;
            let synced = synced.map_err(|_| failed(io::Error::other("the audit thread is gone")))?;
            match synced.failures.iter().find(|(after, upto, _)| *after < wanted && wanted <= *upto) {
                Some((.., error)) => Err(error.clone()),
                None => Ok(()),
            }
        })
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!(%error, "the end of the audit trail is missing");
        }
        self.shared.state().closed = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    // A panic while holding a lock leaves at worst a cut line; the trail must go on.

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let (mut done, mut failing) = (0, false);
        loop {
            let closed = self.wait_for_work(done, failing);
            match self.write_out() {
                Ok(()) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "the audit trail can't be written");
                    }
                    if self.trail().give_up() {
                        tracing::error!("reads are missing from the audit trail");
                    }
                }
            }
            done = self.sync_after(done);
            if closed {
                return;
            }
        }
    }

    /// Whether the trail is closed.
    fn wait_for_work(&self, done: u64, failing: bool) -> bool {
        let mut state = self.state();
        if state.closed || state.wanted > done {
            return state.closed;
        }
        if state.buffer.is_empty() && !failing {
            state.idle = true;
            state = self
                .wake
                .wait_while(state, |state| state.idle && !state.closed && state.wanted <= done)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle = false;
        }
        let most = if failing { PAUSE } else { GATHER };
        let pause = |state: &mut State| !state.closed && state.wanted <= done && (failing || state.buffer.len() < BUFFER_BYTES);
        let (state, _) = self.wake.wait_timeout_while(state, most, pause).unwrap_or_else(PoisonError::into_inner);
        state.closed
    }

    /// Writes what is buffered, without keeping others from buffering more.
    fn write_out(&self) -> io::Result<()> {
        let mut trail = self.trail();
        trail.take(&mut self.state().buffer);
        trail.write(self.disk.as_ref())
    }

    /// Syncs for the intents behind `done`; says up to which.
    fn sync_after(&self, done: u64) -> u64 {
        let (upto, mut files) = {
            let mut trail = self.trail();
            let upto = self.state().wanted;
            if upto == done {
                return done;
            }
            (upto, trail.take_unsynced())
        };
        let mut failure = None;
        files.retain(|file| match file.sync() {
            Ok(()) => false,
            Err(error) => {
                failure = Some(failed(error));
                true
            }
        });
        self.trail().put_back(files);
        self.synced.send_modify(|synced| {
            synced.upto = upto;
            if let Some(error) = failure {
                tracing::error!(%error, "the audit trail can't be synced");
                if synced.failures.len() == FAILURES {
                    synced.failures.remove(0);
                }
                synced.failures.push((done, upto, error));
            }
        });
        upto
    }
}

fn failed(error: io::Error) -> AuditError {
    AuditError(Arc::new(error))
}
