//! Progress of one call: reported from any thread, sent in order, silent once the call is over.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::Peer,
};
use tokio::sync::mpsc;
use toolyard_core::Progress;

/// Reports beyond this many unsent ones are dropped; the next one says more anyway.
const QUEUE: usize = 32;

struct Report {
    done: u64,
    total: Option<u64>,
    message: String,
}

pub(crate) struct Reporter {
    reports: Mutex<Option<mpsc::Sender<Report>>>,
}

impl Reporter {
    /// Sends no more than what was reported so far.
    fn close(&self) {
        drop(self.reports.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Progress for Reporter {
    fn report(&self, done: u64, total: Option<u64>, message: &str) {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reports) = reports.as_ref()
            && reports.try_send(Report { done, total, message: message.to_owned() }).is_err()
        {
            tracing::trace!("a progress report was dropped");
        }
    }
}

/// Runs `call` and sends what it reports; its result comes after the last report was sent.
pub(crate) async fn with_progress<F: Future>(
    peer: Peer<RoleServer>,
    token: ProgressToken,
    call: impl FnOnce(Arc<Reporter>) -> F,
) -> F::Output {
    let (sender, reports) = mpsc::channel(QUEUE);
    let reporter = Arc::new(Reporter { reports: Mutex::new(Some(sender)) });
    let mut call = std::pin::pin!(call(Arc::clone(&reporter)));
    let mut sending = std::pin::pin!(send(peer, token, reports));
    let result = tokio::select! {
        biased;
        result = &mut call => result,
        // The peer is gone; the call runs to its end all the same.
        () = &mut sending => return call.await,
    };
    reporter.close();
    sending.await;
    result
}

async fn send(peer: Peer<RoleServer>, token: ProgressToken, mut reports: mpsc::Receiver<Report>) {
    let mut last = None;
    while let Some(Report { done, total, message }) = reports.recv().await {
        // Threads overtake each other, but clients must see progress grow.
        if last.is_some_and(|last| done <= last) {
            continue;
        }
        last = Some(done);
        let mut notification = ProgressNotificationParam::new(token.clone(), number(done));
        notification.total = total.map(number);
        notification.message = Some(message).filter(|message| !message.is_empty());
        if let Err(error) = peer.notify_progress(notification).await {
            tracing::debug!(%error, "progress can't be sent");
            return;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 only feed a progress bar")]
fn number(count: u64) -> f64 {
    count as f64
}
