//! The audit trail as JSON lines, one file a day, shared by all processes of a user.
//!
//! Reads are buffered and reach the file at most 50 ms late. The intent of anything else is
//! written at once, and synced by one thread for all calls that wait (group commit), while the
//! tool already works; [`AuditSink::durable`] tells when it is safe.

#![expect(clippy::disallowed_methods, reason = "the trail lies in the state directory, outside every allowed directory")]

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::ser::{CompactFormatter, Formatter as _};
use tokio::sync::watch;
use toolyard_policy::Effect;

use super::{AuditError, AuditSink, Finish, Intent, describe};
use crate::clock;

/// Reads reach the file at most this late.
const READ_DELAY: Duration = Duration::from_millis(50);
/// A buffer of this size is written without waiting.
const BUFFER_BYTES: usize = 64 << 10;

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
    config: FileSinkConfig,
    state: Mutex<State>,
    wake: Condvar,
    synced: watch::Sender<Synced>,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    stamp: clock::Stamp,
    file: Option<(u64, Arc<File>)>,
    /// Number of the last intent that wants to be durable.
    wanted: u64,
    started: bool,
    closed: bool,
}

#[derive(Clone, Debug, Default)]
struct Synced {
    upto: u64,
    failed: Option<AuditError>,
}

impl FileSink {
    /// Prepares a trail; nothing is made on disk before the first record.
    pub fn new(config: FileSinkConfig) -> Self {
        let (synced, _) = watch::channel(Synced::default());
        Self { shared: Arc::new(Shared { config, state: Mutex::default(), wake: Condvar::new(), synced }) }
    }

    /// Writes what is buffered; call it before the process ends.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn flush(&self) -> Result<(), AuditError> {
        self.shared.lock().write_out(&self.shared.config)
    }

    fn append(&self, event: &str, call: u64, rest: impl FnOnce(&mut Vec<u8>), now: bool) -> Result<(), AuditError> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        begin(&mut state.stamp, &mut state.buffer, event, call);
        rest(&mut state.buffer);
        self.start_thread(state)?;
        if now {
            state.write_out(&self.shared.config)?;
            if self.shared.config.sync {
                state.wanted += 1;
                self.shared.wake.notify_one();
            }
        } else if state.buffer.len() >= BUFFER_BYTES {
            state.write_out(&self.shared.config)?;
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
        self.append("intent", intent.call, |out| write_intent(intent, out), writes)
    }

    fn finish(&self, finish: &Finish<'_>) -> Result<(), AuditError> {
        self.append("finish", finish.call, |out| write_finish(finish, out), false)
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
        let wanted = self.shared.lock().wanted;
        let mut synced = self.shared.synced.subscribe();
        Box::pin(async move {
            let reached = synced.wait_for(|synced| synced.upto >= wanted || synced.failed.is_some()).await;
            match reached.as_deref() {
                Ok(Synced { failed: Some(error), upto }) if *upto < wanted => Err(error.clone()),
                Ok(_) => Ok(()),
                Err(_) => Err(failed(io::Error::other("the audit thread is gone"))),
            }
        })
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!(%error, "the end of the audit trail is missing");
        }
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves at worst a cut line; the trail must go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut done = 0;
        let mut state = self.lock();
        while !state.closed {
            if state.wanted > done {
                let upto = state.wanted;
                let file = state.file.as_ref().map(|(_, file)| Arc::clone(file));
                drop(state);
                let result = file.map_or(Ok(()), |file| file.sync_data()).map_err(failed);
                self.synced.send_modify(|synced| match result {
                    Ok(()) => *synced = Synced { upto, failed: None },
                    Err(error) => {
                        tracing::error!(%error, "the audit trail can't be synced");
                        synced.failed = Some(error);
                    }
                });
                done = upto;
                state = self.lock();
            } else if state.buffer.is_empty() {
                state = self.wake.wait_timeout(state, READ_DELAY * 20).map_or_else(|p| p.into_inner().0, |(state, _)| state);
            } else {
                state = self.wake.wait_timeout(state, READ_DELAY / 2).map_or_else(|p| p.into_inner().0, |(state, _)| state);
                if let Err(error) = state.write_out(&self.config) {
                    tracing::error!(%error, "reads are missing from the audit trail");
                    state.buffer.clear();
                }
            }
        }
    }
}

impl State {
    fn write_out(&mut self, config: &FileSinkConfig) -> Result<(), AuditError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let now = clock::unix_millis();
        let day = now / 86_400_000;
        if self.file.as_ref().is_none_or(|(opened, _)| *opened != day) {
            self.file = Some((day, Arc::new(open(config, now).map_err(failed)?)));
        }
        if let Some((_, file)) = &self.file {
            file.as_ref().write_all(&self.buffer).map_err(failed)?;
        }
        self.buffer.clear();
        Ok(())
    }
}

fn open(config: &FileSinkConfig, now: u64) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(&config.directory)?;
    let name = format!("{}.jsonl", clock::rfc3339(now).split('T').next().unwrap_or("audit"));
    OpenOptions::new().append(true).create(true).mode(0o600).open(config.directory.join(name))
}

fn failed(error: io::Error) -> AuditError {
    AuditError(Arc::new(error))
}

fn write_intent(intent: &Intent<'_>, out: &mut Vec<u8>) {
    text(out, "principal", intent.principal);
    text(out, "request", intent.request);
    text(out, "tool", intent.tool);
    if let Some(effect) = intent.effect {
        text(out, "effect", effect.as_str());
    }
    out.extend_from_slice(b",\"accesses\":[");
    let mut described = String::new();
    for (i, access) in intent.accesses.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        described.clear();
        describe(access, &mut described);
        string(out, &described);
    }
    out.push(b']');
    text(out, "decision", intent.decision.as_str());
    text(out, "rule", intent.rule);
    if let Some(origin) = intent.origin {
        text(out, "origin", origin.as_str());
    }
    if let Some(detail) = intent.detail {
        text(out, "detail", &detail[..detail.floor_char_boundary(300)]);
    }
    out.extend_from_slice(b"}\n");
}

fn write_finish(finish: &Finish<'_>, out: &mut Vec<u8>) {
    text(out, "result", finish.result);
    if let Some(approval) = finish.approval {
        text(out, "approval", approval);
    }
    number(out, "micros", finish.micros);
    number(out, "bytes", finish.bytes as u64);
    out.extend_from_slice(b"}\n");
}

fn begin(stamp: &mut clock::Stamp, out: &mut Vec<u8>, event: &str, call: u64) {
    out.extend_from_slice(b"{\"time\":\"");
    stamp.push(clock::unix_millis(), out);
    out.extend_from_slice(b"\",\"event\":\"");
    out.extend_from_slice(event.as_bytes());
    out.push(b'"');
    number(out, "pid", u64::from(std::process::id()));
    number(out, "call", call);
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    string(out, value);
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    // Writing to a vector can't fail.
    let written = CompactFormatter.write_u64(out, value);
    debug_assert!(written.is_ok());
}

fn string(out: &mut Vec<u8>, value: &str) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use toolyard_policy::{Access, Effect, Outcome, PathResource, Resource};

    use super::{FileSink, FileSinkConfig};
    use crate::audit::{AuditSink, Finish, Intent};

    fn intent<'a>(call: u64, effect: Effect, accesses: &'a [Access]) -> Intent<'a> {
        Intent {
            call,
            principal: "local",
            request: "7",
            tool: "fs_write",
            effect: Some(effect),
            accesses,
            decision: Outcome::Allow,
            rule: "allow write",
            origin: None,
            detail: None,
        }
    }

    fn lines(directory: &std::path::Path) -> Vec<Value> {
        let Ok(mut files) = std::fs::read_dir(directory) else { return Vec::new() };
        let Some(Ok(file)) = files.next() else { return Vec::new() };
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
    }

    #[tokio::test]
    async fn a_writes_intent_is_in_the_file_before_it_runs_and_durable_when_told_so() {
        let state = tempfile::tempdir().expect("a temporary directory");
        let sink = FileSink::new(FileSinkConfig { directory: state.path().join("audit"), sync: true });
        let path = PathResource { directory: "/p".into(), path: "a\n\"b".into(), requested: None };
        let accesses = [Access { effect: Effect::Write, resource: Resource::Path(path) }];
        sink.intent(&intent(1, Effect::Write, &accesses)).expect("the intent is written");
        let written = lines(&state.path().join("audit"));
        assert_eq!(written.len(), 1);
        assert_eq!(written[0]["accesses"], json!(["write /p/a\n\"b"]));
        assert_eq!(written[0]["decision"], "allow");
        sink.durable().await.expect("the intent is synced");
        sink.finish(&Finish { call: 1, result: "ok", approval: None, micros: 5, bytes: 9 }).expect("the outcome is written");
        drop(sink);
        let written = lines(&state.path().join("audit"));
        assert_eq!((&written[1]["event"], &written[1]["call"], &written[1]["bytes"]), (&json!("finish"), &json!(1), &json!(9)));
    }

    #[test]
    fn reads_reach_the_file_within_a_tenth_of_a_second_and_nothing_is_made_before_them() {
        let state = tempfile::tempdir().expect("a temporary directory");
        let directory = state.path().join("audit");
        let sink = FileSink::new(FileSinkConfig { directory: directory.clone(), sync: true });
        assert!(!directory.exists());
        sink.intent(&intent(1, Effect::Read, &[])).expect("the intent is taken");
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(lines(&directory).len(), 1);
    }

    #[test]
    fn a_trail_that_cant_be_written_refuses_the_intent_of_a_write() {
        let sink = FileSink::new(FileSinkConfig { directory: "/proc/nowhere/audit".into(), sync: true });
        let refused = sink.intent(&intent(1, Effect::Write, &[])).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(refused.starts_with("the audit trail can't be written"), "{refused}");
    }
}
