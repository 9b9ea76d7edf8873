//! Refusals on their way into the audit trail. A flood of them is summed up, so that whoever has
//! no token can't fill the disk.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use toolyard_core::{
    Observer,
    audit::{AuditSink, Refusal},
};

/// Records per reason and second; the rest is counted.
const PER_SECOND: u32 = 20;

const SECOND: Duration = Duration::from_secs(1);

/// Writes what was refused. Whoever owns it calls [`Refusals::flush`] about once a second, so that
/// the sum of a flood does not wait for the next refusal.
pub(crate) struct Refusals {
    audit: Arc<dyn AuditSink>,
    observer: Arc<dyn Observer>,
    reasons: Mutex<Vec<Reason>>,
}

/// The last second of one reason.
#[derive(Debug)]
struct Reason {
    word: &'static str,
    since: Instant,
    written: u32,
    held: u64,
}

impl Refusals {
    /// `observer` is told when a record can't be written.
    pub(crate) fn new(audit: Arc<dyn AuditSink>, observer: Arc<dyn Observer>) -> Self {
        Self { audit, observer, reasons: Mutex::default() }
    }

    /// Notes one refusal. `reason` is of a small closed set, `detail` never holds a secret.
    pub(crate) fn note(&self, principal: Option<&str>, request: &str, reason: &'static str, detail: &str, now: Instant) {
        let mut reasons = self.reasons();
        let at = reasons.iter().position(|known| known.word == reason).unwrap_or_else(|| {
            reasons.push(Reason { word: reason, since: now, written: 0, held: 0 });
            reasons.len() - 1
        });
        let Some(known) = reasons.get_mut(at) else { return };
        let held = known.next_second(now);
        let counted = known.written >= PER_SECOND;
        if counted {
            known.held += 1;
        } else {
            known.written += 1;
        }
        drop(reasons);
        self.write_sum(reason, held);
        if !counted {
            self.write(&Refusal { principal, request, reason, detail, count: 1 });
        }
    }

    /// Writes the sums of seconds that are over.
    pub(crate) fn flush(&self, now: Instant) {
        let sums: Vec<_> = self.reasons().iter_mut().map(|reason| (reason.word, reason.next_second(now))).collect();
        for (reason, held) in sums {
            self.write_sum(reason, held);
        }
    }

    fn reasons(&self) -> MutexGuard<'_, Vec<Reason>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_sum(&self, reason: &'static str, held: u64) {
        if held > 0 {
            self.write(&Refusal { principal: None, request: "", reason, detail: "summed up", count: held });
        }
    }

    fn write(&self, refusal: &Refusal<'_>) {
        if let Err(error) = self.audit.refused(refusal) {
            self.observer.audit_failed();
            tracing::error!(%error, reason = refusal.reason, count = refusal.count, "a refusal is missing from the audit trail");
        }
    }
}

impl Reason {
    /// Begins another second if it is time, and says what the last one held back.
    fn next_second(&mut self, now: Instant) -> u64 {
        if now.saturating_duration_since(self.since) < SECOND {
            return 0;
        }
        (self.since, self.written) = (now, 0);
        std::mem::take(&mut self.held)
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").field("reasons", &self.reasons).finish_non_exhaustive()
    }
}

impl Drop for Refusals {
    fn drop(&mut self) {
        let sums: Vec<_> = self.reasons().iter_mut().map(|reason| (reason.word, std::mem::take(&mut reason.held))).collect();
        for (reason, held) in sums {
            self.write_sum(reason, held);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::future::BoxFuture;
    use toolyard_core::{
        NoObserver,
        audit::{AuditError, Finish, Intent},
    };

    use super::*;

    #[derive(Debug, Default)]
    struct Trail {
        records: Mutex<Vec<String>>,
        broken: bool,
    }

    impl AuditSink for Trail {
        fn intent(&self, _: &Intent<'_>) -> Result<(), AuditError> {
            Ok(())
        }

        fn finish(&self, _: &Finish<'_>) -> Result<(), AuditError> {
            Ok(())
        }

        fn refused(&self, refusal: &Refusal<'_>) -> Result<(), AuditError> {
            if self.broken {
                return Err(AuditError(Arc::new(std::io::Error::other("disk full"))));
            }
            let Refusal { principal, request, reason, detail, count } = refusal;
            let line = format!("{} {request} {reason} {detail} {count}", principal.unwrap_or("-"));
            self.records.lock().expect("no panic").push(line);
            Ok(())
        }

        fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    #[derive(Default)]
    struct Failures(AtomicU64);

    impl Observer for Failures {
        fn audit_failed(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fixture() -> (Arc<Trail>, Refusals) {
        let trail = Arc::new(Trail::default());
        (Arc::clone(&trail), Refusals::new(trail, Arc::new(NoObserver)))
    }

    fn lines(trail: &Trail) -> Vec<String> {
        trail.records.lock().expect("no panic").clone()
    }

    #[test]
    fn au1_a_refusal_is_written_with_all_that_is_known() {
        let (trail, refusals) = fixture();
        let now = Instant::now();
        refusals.note(Some("token:ci"), "r-1", "rate_limited", "wait 3 s", now);
        refusals.note(None, "r-2", "unauthenticated", "", now);
        assert_eq!(lines(&trail), ["token:ci r-1 rate_limited wait 3 s 1", "- r-2 unauthenticated  1"]);
    }

    #[test]
    fn au1_a_flood_is_summed_up_and_none_of_it_is_lost() {
        let (trail, refusals) = fixture();
        let start = Instant::now();
        for millis in 0..1_000 {
            refusals.note(None, "r", "invalid_token", "x", start + Duration::from_millis(millis));
        }
        refusals.note(None, "r", "foreign_host", "x", start);
        assert_eq!(lines(&trail).len(), 21, "20 of the flood, and another reason is not held back by it");
        refusals.flush(start + Duration::from_millis(999));
        assert_eq!(lines(&trail).len(), 21);
        refusals.flush(start + Duration::from_secs(1));
        assert_eq!(lines(&trail)[21..], ["-  invalid_token summed up 980"]);
        for _ in 0..25 {
            refusals.note(None, "r", "invalid_token", "x", start + Duration::from_millis(1_500));
        }
        refusals.note(None, "r", "invalid_token", "y", start + Duration::from_millis(2_600));
        assert_eq!(lines(&trail)[42..], ["-  invalid_token summed up 5", "- r invalid_token y 1"]);
        refusals.flush(start + Duration::from_secs(9));
        assert_eq!(lines(&trail).len(), 44, "nothing is written twice");
    }

    #[test]
    fn au1_what_is_held_back_is_written_at_the_end() {
        let (trail, refusals) = fixture();
        let now = Instant::now();
        for _ in 0..22 {
            refusals.note(None, "r", "invalid_token", "x", now);
        }
        drop(refusals);
        assert_eq!(lines(&trail)[20..], ["-  invalid_token summed up 2"]);
    }

    #[test]
    fn au3_whoever_keeps_the_figures_learns_that_a_record_is_missing() {
        let failures = Arc::new(Failures::default());
        let trail = Trail { broken: true, ..Trail::default() };
        let refusals = Refusals::new(Arc::new(trail), Arc::clone(&failures) as Arc<dyn Observer>);
        refusals.note(None, "r", "invalid_token", "x", Instant::now());
        assert_eq!(failures.0.load(Ordering::Relaxed), 1);
    }
}
