//! Who works on what, and what is done: one line of work in path order.
//!
//! The line holds finished parts, running workers and waiting tasks in the order of their paths.
//! A worker takes the first task that waits; what it finds below goes into the line at its own
//! place. So the front of the line is always the finished beginning of the walk, which is handed
//! to the collector while the rest still runs, and stopping early loses nothing before the stop.

use std::{
    ops::ControlFlow,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Bytes of parts that may wait for a slow worker before the others pause.
const MAX_BACKLOG: usize = 32 << 20;

pub(super) struct Schedule<'c, T, P> {
    state: Mutex<State<'c, T, P>>,
    changed: Condvar,
}

type Collect<'c, P> = Box<dyn FnMut(P) -> ControlFlow<()> + Send + 'c>;

struct State<'c, T, P> {
    line: Vec<Slot<T, P>>,
    running: usize,
    idle: usize,
    backlog: usize,
    halted: bool,
    collect: Collect<'c, P>,
}

enum Slot<T, P> {
    Done(Vec<(P, usize)>),
    Running(usize),
    /// The next one is the last.
    Waiting(Vec<T>),
}

impl<'c, T, P> Schedule<'c, T, P> {
    pub(super) fn new(first: T, collect: impl FnMut(P) -> ControlFlow<()> + Send + 'c) -> Self {
        let state =
            State { line: vec![Slot::Waiting(vec![first])], running: 0, idle: 0, backlog: 0, halted: false, collect: Box::new(collect) };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The first task of a worker, or `None` when the walk is over.
    pub(super) fn first(&self, worker: usize) -> Option<T> {
        self.claim(self.lock(), worker)
    }

    /// Hands in what a task gave (a part with its size in bytes, and tasks in path order) and
    /// takes the next one.
    pub(super) fn next(&self, worker: usize, part: Option<(P, usize)>, below: &mut Vec<T>) -> Option<T> {
        let mut state = self.lock();
        state.finish(worker, part, below);
        if state.idle > 0 {
            self.changed.notify_all();
        }
        self.claim(state, worker)
    }

    /// Lets everybody go home.
    pub(super) fn halt(&self) {
        self.lock().halted = true;
        self.changed.notify_all();
    }

    fn claim(&self, mut state: MutexGuard<'_, State<'c, T, P>>, worker: usize) -> Option<T> {
        loop {
            if state.halted {
                self.changed.notify_all();
                return None;
            }
            let paused = state.backlog > MAX_BACKLOG && state.running > 0;
            if !paused && let Some(task) = state.claim(worker) {
                return Some(task);
            }
            if state.running == 0 {
                self.changed.notify_all();
                return None;
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<'c, T, P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, P> State<'_, T, P> {
    fn claim(&mut self, worker: usize) -> Option<T> {
        let at = self.line.iter().position(|slot| matches!(slot, Slot::Waiting(_)))?;
        let Some(Slot::Waiting(tasks)) = self.line.get_mut(at) else { return None };
        let task = tasks.pop()?;
        if tasks.is_empty() {
            self.line.remove(at);
        }
        self.line.insert(at, Slot::Running(worker));
        self.running += 1;
        Some(task)
    }

    fn finish(&mut self, worker: usize, part: Option<(P, usize)>, below: &mut Vec<T>) {
        self.running = self.running.saturating_sub(1);
        let Some(at) = self.line.iter().position(|slot| matches!(slot, Slot::Running(w) if *w == worker)) else { return };
        if !below.is_empty() {
            below.reverse();
            match self.line.get_mut(at + 1) {
                Some(Slot::Waiting(tasks)) => tasks.append(below),
                _ => self.line.insert(at + 1, Slot::Waiting(std::mem::take(below))),
            }
        }
        match part {
            None => {
                self.line.remove(at);
            }
            Some((part, bytes)) => {
                self.backlog += bytes;
                match at.checked_sub(1).and_then(|before| self.line.get_mut(before)) {
                    // Parts that wait for a slow neighbour pile up in one slot.
                    Some(Slot::Done(parts)) => {
                        parts.push((part, bytes));
                        self.line.remove(at);
                    }
                    _ => {
                        if let Some(slot) = self.line.get_mut(at) {
                            *slot = Slot::Done(vec![(part, bytes)]);
                        }
                    }
                }
            }
        }
        while matches!(self.line.first(), Some(Slot::Done(_))) {
            let Slot::Done(parts) = self.line.remove(0) else { return };
            for (part, bytes) in parts {
                self.backlog = self.backlog.saturating_sub(bytes);
                if !self.halted && (self.collect)(part).is_break() {
                    self.halted = true;
                }
            }
        }
    }
}
