//! The audit trail with a counter before it.

use std::sync::{Arc, atomic::Ordering};

use futures::future::BoxFuture;
use toolyard_core::audit::{AuditError, AuditSink, Finish, Intent, Refusal};

use super::Metrics;

/// The kinds of records.
pub(super) const CLASSES: [&str; 3] = ["intent", "finish", "refusal"];

/// Passes records on and counts those that were written.
#[derive(Debug)]
pub(super) struct Audited {
    sink: Arc<dyn AuditSink>,
    metrics: Metrics,
}

impl Audited {
    pub(super) fn new(sink: Arc<dyn AuditSink>, metrics: Metrics) -> Self {
        Self { sink, metrics }
    }

    fn count(&self, class: usize, written: Result<(), AuditError>) -> Result<(), AuditError> {
        let count = self.metrics.figures.audited.get().and_then(|counts| counts.get(class));
        if let (Ok(()), Some(count)) = (&written, count) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        written
    }
}

impl AuditSink for Audited {
    fn intent(&self, intent: &Intent<'_>) -> Result<(), AuditError> {
        self.count(0, self.sink.intent(intent))
    }

    fn finish(&self, finish: &Finish<'_>) -> Result<(), AuditError> {
        self.count(1, self.sink.finish(finish))
    }

    fn refused(&self, refusal: &Refusal<'_>) -> Result<(), AuditError> {
        self.count(2, self.sink.refused(refusal))
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
        self.sink.durable()
    }
}
