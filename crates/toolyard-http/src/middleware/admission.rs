//! How many requests are worked on at once, of all callers and of one.
//!
//! Who is over the limit waits in a queue that is bounded in length and time. Callers take turns,
//! and each caller's own requests keep their order, so one that asks a lot delays itself and not
//! the others. When the queue is full, a caller with few requests in it takes the place of the last
//! one of the caller with the most.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::RetryAfter;
use crate::HttpLimits;

/// What clients are told to wait when there is no place. How long work takes is not known here.
const RETRY: RetryAfter = RetryAfter(Duration::from_secs(1));

/// Lets requests in; clones are cheap and share everything.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
}

/// There is no place, and there was none for as long as a request may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy {
    pub(crate) retry_after: RetryAfter,
}

/// The place of one request; dropping it makes room for the next.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    caller: Arc<str>,
}

#[derive(Debug)]
struct Shared {
    max_active: usize,
    max_active_each: usize,
    max_waiting: usize,
    max_wait: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    active: usize,
    waiting: usize,
    next_ticket: u64,
    /// Only callers with something active or waiting.
    callers: HashMap<Arc<str>, Caller>,
    /// Callers with something waiting, whose turn it is first.
    turns: VecDeque<Arc<str>>,
}

#[derive(Debug, Default)]
struct Caller {
    active: usize,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    admit: oneshot::Sender<Permit>,
}

impl Admission {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        let shared = Shared {
            max_active: limits.max_requests.max(1),
            max_active_each: limits.max_requests_per_principal.max(1),
            max_waiting: limits.max_waiting,
            max_wait: limits.max_wait,
            state: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits for a place. Dropping the future gives up the place in the queue.
    pub(crate) async fn enter(&self, principal: &str) -> Result<Permit, Busy> {
        let queued = match self.shared.enter(principal)? {
            Entry::Admitted(permit) => return Ok(permit),
            Entry::Queued(queued) => queued,
        };
        let Queued { leave, admitted } = queued;
        // A permit that was sent and not received is dropped with the channel, which frees its place.
        let permit = tokio::time::timeout(self.shared.max_wait, admitted).await;
        drop(leave);
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Busy { retry_after: RETRY }),
        }
    }

    /// Requests that are worked on.
    pub(crate) fn active(&self) -> usize {
        self.shared.state().active
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.state().waiting
    }
}

enum Entry {
    Admitted(Permit),
    Queued(Queued),
}

struct Queued {
    leave: Leave,
    admitted: oneshot::Receiver<Permit>,
}

/// Takes a waiter out of the queue, unless it was admitted or displaced.
struct Leave {
    shared: Arc<Shared>,
    caller: Arc<str>,
    ticket: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, principal: &str) -> Result<Entry, Busy> {
        let mut state = self.state();
        let name = state.callers.get_key_value(principal).map_or_else(|| Arc::from(principal), |(name, _)| Arc::clone(name));
        let caller = state.callers.get(principal);
        let (active, waiting) = caller.map_or((0, 0), |caller| (caller.active, caller.waiting.len()));
        if state.active < self.max_active && active < self.max_active_each && waiting == 0 {
            state.active += 1;
            state.callers.entry(Arc::clone(&name)).or_default().active += 1;
            return Ok(Entry::Admitted(Permit { shared: Arc::clone(self), caller: name }));
        }
        if self.max_wait.is_zero() {
            return Err(Busy { retry_after: RETRY });
        }
        // The displaced waiter wakes up when its sender is dropped.
        if state.waiting >= self.max_waiting && !state.displace(waiting + 1) {
            return Err(Busy { retry_after: RETRY });
        }
        let (admit, admitted) = oneshot::channel();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting += 1;
        let caller = state.callers.entry(Arc::clone(&name)).or_default();
        caller.waiting.push_back(Waiter { ticket, admit });
        if waiting == 0 {
            state.turns.push_back(Arc::clone(&name));
        }
        let leave = Leave { shared: Arc::clone(self), caller: name, ticket };
        Ok(Entry::Queued(Queued { leave, admitted }))
    }

    /// Hands free places to those whose turn it is.
    fn admit<'s>(self: &'s Arc<Self>, mut state: MutexGuard<'s, State>) {
        loop {
            let Some((caller, admit)) = state.next(self.max_active, self.max_active_each) else { return };
            drop(state);
            // Without the lock, since a permit that nobody takes is dropped here and takes it again.
            if let Err(unwanted) = admit.send(Permit { shared: Arc::clone(self), caller }) {
                drop(unwanted);
            }
            state = self.state();
        }
    }
}

impl State {
    fn next(&mut self, max_active: usize, max_active_each: usize) -> Option<(Arc<str>, oneshot::Sender<Permit>)> {
        if self.active >= max_active {
            return None;
        }
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            let Some(caller) = self.callers.get_mut(&name) else { continue };
            if caller.active >= max_active_each {
                self.turns.push_back(name);
                continue;
            }
            let Some(waiter) = caller.waiting.pop_front() else { continue };
            caller.active += 1;
            self.active += 1;
            self.waiting -= 1;
            if !caller.waiting.is_empty() {
                self.turns.push_back(Arc::clone(&name));
            }
            return Some((name, waiter.admit));
        }
        None
    }

    /// Drops the newest waiter of the caller with the most, if that is more than `than`.
    fn displace(&mut self, than: usize) -> bool {
        let Some(most) = self.callers.values_mut().max_by_key(|caller| caller.waiting.len()) else { return false };
        if most.waiting.len() <= than {
            return false;
        }
        self.waiting -= usize::from(most.waiting.pop_back().is_some());
        true
    }

    fn forget_if_idle(&mut self, name: &str) {
        if self.callers.get(name).is_some_and(|caller| caller.active == 0 && caller.waiting.is_empty()) {
            self.callers.remove(name);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.active -= 1;
        if let Some(caller) = state.callers.get_mut(&self.caller) {
            caller.active -= 1;
        }
        state.forget_if_idle(&self.caller);
        if state.waiting > 0 {
            self.shared.admit(state);
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let Some(caller) = state.callers.get_mut(&self.caller) else { return };
        let Some(at) = caller.waiting.iter().position(|waiter| waiter.ticket == self.ticket) else { return };
        caller.waiting.remove(at);
        let none_left = caller.waiting.is_empty();
        state.waiting -= 1;
        if none_left {
            state.turns.retain(|name| *name != self.caller);
        }
        state.forget_if_idle(&self.caller);
    }
}

#[cfg(test)]
mod tests;
