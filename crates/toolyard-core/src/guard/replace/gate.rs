//! One change of a file at a time: a gate inside the process, a lock on the file across processes.

use std::{
    collections::HashMap,
    os::fd::AsFd,
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::{Stop, ToolError, guard::CheckedPath};

/// How long another process may hold a file before the call gives up.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// The longest sleep between two looks at a lock or a stop flag.
const POLL: Duration = Duration::from_millis(10);

/// Gates of the paths that are being changed right now.
static GATES: LazyLock<Mutex<HashMap<String, Arc<Gate>>>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Gate {
    held: Mutex<bool>,
    freed: Condvar,
}

/// The right to change one path within this process.
#[derive(Debug)]
pub(super) struct Pass {
    claim: Claim,
}

/// Keeps a gate in the table while anybody holds it or waits for it.
#[derive(Debug)]
struct Claim {
    key: String,
    gate: Arc<Gate>,
}

impl Pass {
    /// Waits until no other call changes this path.
    pub(super) fn enter(path: &CheckedPath, stop: &Stop) -> Result<Self, ToolError> {
        let resource = path.resource();
        let key = format!("{}/{}", resource.directory.trim_end_matches('/'), resource.path);
        let gate = Arc::clone(lock(&GATES).entry(key.clone()).or_default());
        let claim = Claim { key, gate };
        let mut held = lock(&claim.gate.held);
        while *held {
            stop.check()?;
            held = claim.gate.freed.wait_timeout(held, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        *held = true;
        drop(held);
        Ok(Self { claim })
    }

    /// The passes of two paths, always in the same order, so that two calls never wait for each other.
    pub(super) fn enter_both(a: &CheckedPath, b: &CheckedPath, stop: &Stop) -> Result<(Self, Self), ToolError> {
        if sort_key(a) <= sort_key(b) {
            let first = Self::enter(a, stop)?;
            Ok((first, Self::enter(b, stop)?))
        } else {
            let first = Self::enter(b, stop)?;
            Ok((Self::enter(a, stop)?, first))
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        *lock(&self.claim.gate.held) = false;
        self.claim.gate.freed.notify_one();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut gates = lock(&GATES);
        // The table and this claim hold one reference each; new ones are made only under its lock.
        if Arc::strong_count(&self.gate) <= 2 {
            gates.remove(&self.key);
        }
    }
}

fn sort_key(path: &CheckedPath) -> (std::sync::Arc<str>, String) {
    let resource = path.resource();
    (resource.directory, resource.path)
}

/// Locks an open file against other processes.
pub(super) fn lock_file(file: impl AsFd, shown: &str, stop: &Stop) -> Result<(), ToolError> {
    let give_up = Instant::now() + LOCK_PATIENCE;
    let mut pause = Duration::from_micros(200);
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => {
                stop.check()?;
                if Instant::now() >= give_up {
                    return Err(ToolError::unavailable(format!(
                        "another program has held a lock on `{shown}` for {} s",
                        LOCK_PATIENCE.as_secs()
                    ))
                    .with_hint("try again later, or ask the user which program it is"));
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(POLL);
            }
            // Some network file systems have no locks; the check of what was swapped out still holds.
            Err(_) => return Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
