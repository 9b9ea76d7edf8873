//! Counts the streams on which callers listen.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Mutex<HashMap<Arc<str>, usize>>,
}

impl Streams {
    /// Counts one stream of this caller for as long as the result lives, unless there are `most`.
    pub(super) fn take(self: &Arc<Self>, caller: &str, most: usize) -> Option<Listening> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = open.get_key_value(caller).map_or_else(|| caller.into(), |(caller, _)| Arc::clone(caller));
        let count = open.entry(Arc::clone(&caller)).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Listening { streams: Arc::clone(self), caller })
    }

    pub(super) fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// A stream that is open.
#[derive(Debug)]
pub(super) struct Listening {
    streams: Arc<Streams>,
    caller: Arc<str>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.caller);
            }
        }
    }
}
