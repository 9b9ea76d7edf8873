//! How many bytes bodies may hold that are not finished, or whose requests are not.
//!
//! A body that does not arrive costs no place among those worked on, so what it holds is bounded
//! here: a little is free, the rest is shared by all, and one caller gets a quarter of it at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So much of every body is free.
pub(crate) const FREE: usize = 64 << 10;

/// What all may hold beyond that, unless a few of the largest bodies need more.
const TOTAL: usize = 256 << 20;

/// Callers of whom each may hold as much.
const CALLERS: usize = 4;

/// Bytes are counted in pieces of this size.
const UNIT: usize = 4 << 10;

/// What bodies may hold; shared by all requests.
#[derive(Debug)]
pub(crate) struct Budget {
    all: Arc<Semaphore>,
    each: usize,
    callers: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// There are no bytes left, for this caller or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent;

/// What one body holds; dropping it gives everything back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    caller: Arc<str>,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    of_caller: OwnedSemaphorePermit,
    of_all: OwnedSemaphorePermit,
}

impl Budget {
    /// Room for bodies of this size: each caller can have one at least.
    pub(crate) fn new(max_body_bytes: usize) -> Arc<Self> {
        Self::of((TOTAL / CALLERS).max(max_body_bytes).div_ceil(UNIT))
    }

    fn of(each: usize) -> Arc<Self> {
        let all = each.saturating_mul(CALLERS).min(Semaphore::MAX_PERMITS);
        Arc::new(Self { all: Arc::new(Semaphore::new(all)), each: each.min(all), callers: Mutex::default() })
    }

    /// The share of a body that begins.
    pub(crate) fn share(self: &Arc<Self>, caller: &str) -> Share {
        Share { budget: Arc::clone(self), caller: caller.into(), held: None }
    }

    /// Bytes that are held beyond the free ones.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        (self.each * CALLERS - self.all.available_permits()) * UNIT
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Semaphore>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Makes it enough for a body of `bytes` in all.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Spent> {
        let held = self.held.as_ref().map_or(0, |held| held.of_all.num_permits());
        let more = bytes.saturating_sub(FREE).div_ceil(UNIT).saturating_sub(held);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Spent)?;
        let mut callers = self.budget.callers();
        let own = callers.entry(Arc::clone(&self.caller)).or_insert_with(|| Arc::new(Semaphore::new(self.budget.each)));
        let taken = Arc::clone(own).try_acquire_many_owned(more).and_then(|of_caller| {
            let of_all = Arc::clone(&self.budget.all).try_acquire_many_owned(more)?;
            Ok(Held { of_caller, of_all })
        });
        if taken.is_err() && own.available_permits() == self.budget.each {
            callers.remove(&self.caller);
        }
        drop(callers);
        let taken = taken.map_err(|_| Spent)?;
        match &mut self.held {
            Some(held) => {
                held.of_caller.merge(taken.of_caller);
                held.of_all.merge(taken.of_all);
            }
            None => self.held = Some(taken),
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        // Under the lock, so that a caller is forgotten only when nothing is held in his name.
        let mut callers = self.budget.callers();
        drop(held);
        if callers.get(&self.caller).is_some_and(|own| own.available_permits() == self.budget.each) {
            callers.remove(&self.caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_are_free_and_the_rest_comes_back() {
        let budget = Budget::of(2);
        let mut share = budget.share("a");
        assert_eq!(share.grow(FREE), Ok(()));
        assert_eq!(budget.all.available_permits(), 8);
        assert_eq!(share.grow(FREE + 1), Ok(()));
        assert_eq!(share.grow(FREE + UNIT), Ok(()), "the piece is there already");
        assert_eq!(budget.all.available_permits(), 7);
        assert_eq!(share.grow(FREE + 2 * UNIT), Ok(()));
        assert_eq!(share.grow(FREE + 2 * UNIT + 1), Err(Spent));
        assert_eq!(budget.all.available_permits(), 6);
        drop(share);
        assert_eq!((budget.all.available_permits(), budget.callers().len()), (8, 0));
    }

    #[test]
    fn one_caller_has_a_quarter_and_all_together_have_no_more_than_there_is() {
        let budget = Budget::of(2);
        let mut first = budget.share("a");
        let mut second = budget.share("a");
        assert_eq!(first.grow(FREE + 2 * UNIT), Ok(()));
        assert_eq!(second.grow(FREE + UNIT), Err(Spent), "it is one caller");
        let mut others = ["b", "c", "d"].map(|caller| budget.share(caller));
        for other in &mut others {
            assert_eq!(other.grow(FREE + 2 * UNIT), Ok(()));
        }
        let mut fifth = budget.share("e");
        assert_eq!(fifth.grow(FREE + UNIT), Err(Spent));
        assert_eq!(budget.callers().len(), 4, "who got nothing is not remembered");
        drop(first);
        assert_eq!(fifth.grow(FREE + UNIT), Ok(()));
    }
}
