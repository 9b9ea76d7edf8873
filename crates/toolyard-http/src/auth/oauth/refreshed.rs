//! Something of an authorization server that is loaded when it is needed and again when it ages.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard};

use super::clock::Clock;

/// Between two attempts at least.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// One attempt takes at most so long, all its requests together.
const LOAD_CAP: Duration = Duration::from_secs(12);
/// What has aged is given out without waiting if the last attempt is no longer ago than this, or
/// it was fresh that recently.
const MAX_STALE: Duration = Duration::from_secs(60 * 60);
/// What could not be loaded again is used for at most so long.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where something is loaded from.
pub(super) trait Source: Send + Sync + 'static {
    /// What is loaded.
    type Item: Send + Sync + 'static;

    /// Loads it; whatever goes wrong is for the log.
    fn load(&self) -> impl Future<Output = Result<Loaded<Self::Item>, LoadError>> + Send;

    /// The issuer's name, for the log.
    fn label(&self) -> &str;
}

/// Something loaded just now.
#[derive(Debug)]
pub(super) struct Loaded<T> {
    pub(super) item: T,
    pub(super) fresh_for: Duration,
}

/// Why something can't be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("can't fetch `{url}`: {problem}")]
    Fetch { url: String, problem: crate::fetch::FetchError },
    #[error("`{url}`: {problem}")]
    Content { url: String, problem: &'static str },
    #[error("no discovery document says where it is")]
    NotFound,
}

/// The last item that could be loaded. One load runs at a time and goes on when nobody waits for
/// it any more; at most one begins in [`MIN_INTERVAL`].
pub(super) struct Refreshed<S: Source> {
    inner: Arc<Inner<S>>,
}

struct Inner<S: Source> {
    source: S,
    clock: Clock,
    state: Mutex<State<S::Item>>,
    turn: Arc<TurnMutex<()>>,
}

struct State<T> {
    held: Option<Held<T>>,
    began: Option<Instant>,
    /// How many loads have ended.
    ended: u64,
}

struct Held<T> {
    item: Arc<T>,
    loaded: Instant,
    fresh_until: Instant,
}

impl<S: Source> Refreshed<S> {
    /// Loads nothing yet.
    pub(super) fn new(source: S, clock: Clock) -> Self {
        let state = Mutex::new(State { held: None, began: None, ended: 0 });
        Self { inner: Arc::new(Inner { source, clock, state, turn: Arc::default() }) }
    }

    /// The item. One that is not wanted is loaded again if that may be; one that has aged is given
    /// out while it is loaded again, unless nobody has tried that for an hour. None when there is none to be had.
    pub(super) async fn get(&self, wanted: impl Fn(&S::Item) -> bool + Send) -> Option<Arc<S::Item>> {
        let inner = &self.inner;
        let ended = {
            let state = inner.lock();
            let now = inner.clock.instant();
            if let Some(held) = state.usable(now).filter(|held| wanted(&held.item) && !state.is_overdue(held, now)) {
                let item = Arc::clone(&held.item);
                let stale = now >= held.fresh_until;
                drop(state);
                if stale && let Ok(turn) = Arc::clone(&inner.turn).try_lock_owned() {
                    inner.start(turn);
                }
                return Some(item);
            }
            state.ended
        };
        let turn = Arc::clone(&inner.turn).lock_owned().await;
        // Whoever had the turn before may have loaded what this call needs.
        if inner.lock().ended == ended
            && let Some(task) = inner.start(turn)
            && let Err(error) = task.await
        {
            tracing::error!(%error, issuer = inner.source.label(), "loading from the authorization server broke off");
        }
        let state = inner.lock();
        state.usable(inner.clock.instant()).map(|held| Arc::clone(&held.item))
    }
}

impl<S: Source> fmt::Debug for Refreshed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshed").field("issuer", &self.inner.source.label()).finish_non_exhaustive()
    }
}

impl<S: Source> Inner<S> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<S::Item>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads in a task of its own, unless one began just now; a caller who leaves stops nothing.
    fn start(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> Option<tokio::task::JoinHandle<()>> {
        let now = self.clock.instant();
        {
            let mut state = self.lock();
            if state.began.is_some_and(|began| now.saturating_duration_since(began) < MIN_INTERVAL) {
                return None;
            }
            state.began = Some(now);
        }
        let inner = Arc::clone(self);
        Some(tokio::spawn(async move {
            inner.load().await;
            drop(turn);
        }))
    }

    async fn load(&self) {
        let result = tokio::time::timeout(LOAD_CAP, self.source.load()).await;
        let now = self.clock.instant();
        let mut state = self.lock();
        state.ended += 1;
        match result {
            Ok(Ok(Loaded { item, fresh_for })) => {
                state.held = Some(Held { item: Arc::new(item), loaded: now, fresh_until: now + fresh_for });
            }
            Ok(Err(error)) => tracing::warn!(%error, issuer = self.source.label(), "the authorization server can't be asked"),
            Err(_) => tracing::warn!(issuer = self.source.label(), "the authorization server does not answer in time"),
        }
    }
}

impl<T> State<T> {
    fn usable(&self, now: Instant) -> Option<&Held<T>> {
        self.held.as_ref().filter(|held| now.saturating_duration_since(held.loaded) < MAX_AGE)
    }

    /// Whether this has aged so much, with nobody asking for it, that its source has to be tried first.
    fn is_overdue(&self, held: &Held<T>, now: Instant) -> bool {
        let tried = self.began.map_or(held.fresh_until, |began| began.max(held.fresh_until));
        now.saturating_duration_since(tried) >= MAX_STALE
    }
}

#[cfg(test)]
mod tests;
