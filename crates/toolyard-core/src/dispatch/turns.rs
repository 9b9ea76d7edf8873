//! Whose call runs next: so many run at once, and no caller takes the places of all others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Limits, ToolError};

/// Calls of one caller that may wait; they hold their arguments meanwhile.
const MAX_WAITING: usize = 1024;

/// Callers without calls are forgotten when so many are known.
const MANY_CALLERS: usize = 1024;

/// Gives out the places of a dispatcher.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    /// Places of one caller; none where there is only one.
    each: Option<usize>,
    callers: Mutex<HashMap<Box<str>, Weak<Caller>>>,
}

struct Caller {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A place among the calls that run; it ends with the work, also with work that outlives its call.
pub(crate) struct Turn {
    _all: OwnedSemaphorePermit,
    _own: Option<(OwnedSemaphorePermit, Arc<Caller>)>,
}

impl Turns {
    pub(super) fn new(limits: &Limits) -> Self {
        let fitting = |places: usize| places.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(fitting(limits.concurrency))),
            each: limits.concurrency_per_principal.map(fitting),
            callers: Mutex::default(),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `LimitExceeded` when too many calls of this caller wait already.
    pub(super) async fn take(&self, principal: &str) -> Result<Turn, ToolError> {
        let own = match self.each {
            Some(places) => Some(self.caller(principal, places).place().await?),
            None => None,
        };
        let all = match Arc::clone(&self.all).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => Arc::clone(&self.all).acquire_owned().await.map_err(closing)?,
        };
        Ok(Turn { _all: all, _own: own })
    }

    fn caller(&self, principal: &str, places: usize) -> Arc<Caller> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get(principal).and_then(Weak::upgrade) {
            return known;
        }
        if callers.len() >= MANY_CALLERS {
            callers.retain(|_, caller| caller.strong_count() > 0);
        }
        let caller = Arc::new(Caller { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) });
        callers.insert(principal.into(), Arc::downgrade(&caller));
        caller
    }
}

impl Caller {
    async fn place(self: Arc<Self>) -> Result<(OwnedSemaphorePermit, Arc<Self>), ToolError> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let _waiting = Waiting::among(&self.waiting)?;
                Arc::clone(&self.places).acquire_owned().await.map_err(closing)?
            }
        };
        Ok((place, self))
    }
}

struct Waiting<'c>(&'c AtomicUsize);

impl<'c> Waiting<'c> {
    fn among(waiting: &'c AtomicUsize) -> Result<Self, ToolError> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let taken = Self(waiting);
        if before >= MAX_WAITING {
            return Err(ToolError::limit_exceeded(format!("{MAX_WAITING} of your calls are waiting already"))
                .with_hint("wait for some of them before you send more"));
        }
        Ok(taken)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn closing(closed: tokio::sync::AcquireError) -> ToolError {
    ToolError::internal("the server is closing").with_source(closed)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::{MAX_WAITING, Turns};
    use crate::{ErrorKind, Limits};

    fn turns(concurrency: usize, each: Option<usize>) -> Turns {
        Turns::new(&Limits { concurrency, concurrency_per_principal: each, ..Limits::default() })
    }

    #[tokio::test]
    async fn a_caller_with_many_calls_leaves_places_to_the_others() {
        let turns = turns(4, Some(2));
        let first = turns.take("a").await.expect("a place");
        let _second = turns.take("a").await.expect("a place");
        assert!(turns.take("a").now_or_never().is_none(), "a third place of one caller");
        let _other = turns.take("b").now_or_never().expect("at once").expect("a place");
        drop(first);
        assert!(turns.take("a").now_or_never().is_some(), "a place is given back");
    }

    #[tokio::test]
    async fn without_a_share_one_caller_may_have_all_places() {
        let turns = turns(2, None);
        let _held = (turns.take("a").await.expect("a place"), turns.take("a").await.expect("a place"));
        assert!(turns.take("b").now_or_never().is_none());
    }

    #[tokio::test]
    async fn more_waiting_calls_than_fit_are_refused_and_those_given_up_make_room() {
        let turns = turns(1, Some(1));
        let held = turns.take("a").await.expect("a place");
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(turns.take("a"))).collect();
        assert!(waiting.iter_mut().all(|call| call.now_or_never().is_none()));
        let refused = turns.take("a").await.err().expect("one too many");
        assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
        waiting.pop();
        assert!(turns.take("a").now_or_never().is_none(), "it waits again");
        drop((waiting, held));
        assert!(turns.take("a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn callers_without_calls_are_forgotten() {
        let turns = turns(4, Some(2));
        for caller in 0..3000 {
            drop(turns.take(&caller.to_string()).await.expect("a place"));
        }
        assert!(turns.callers.lock().expect("no panic").len() <= super::MANY_CALLERS);
    }
}
