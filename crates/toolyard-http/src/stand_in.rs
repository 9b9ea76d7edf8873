//! Placeholders for parts that are still being written.
#![allow(dead_code, clippy::allow_attributes, reason = "replaced soon")]

use std::sync::{Arc, atomic::{AtomicU64, Ordering}};

#[derive(Default)]
struct Calls(AtomicU64);
impl toolyard_core::Observer for Calls {
    fn started(&self) { self.0.fetch_add(1, Ordering::Relaxed); }
    fn finished(&self, finished: &toolyard_core::Finished<'_>) {
        if finished.tool.is_some() { self.0.fetch_sub(1, Ordering::Relaxed); }
    }
}

#[derive(Clone)]
pub struct Metrics(Arc<Calls>);
impl Metrics {
    pub fn new() -> Self { Self(Arc::default()) }
    pub(crate) fn active_calls(&self) -> u64 { self.0.0.load(Ordering::Relaxed) }
    pub(crate) fn audit_failed_within(&self, _: std::time::Duration) -> bool { false }
    pub(crate) fn render(&self) -> String { "# EOF\n".into() }
    pub(crate) fn session_ended(&self, _: std::time::Duration) {}
    pub(crate) fn observer(&self) -> std::sync::Arc<dyn toolyard_core::Observer> { Arc::clone(&self.0) as _ }
    pub(crate) fn operation(&self, _: &'static str, _: std::time::Duration, _: Option<&str>) {}
    pub(crate) fn response(&self, _: &'static str, _: u16) {}
    pub(crate) fn refused(&self, _: &'static str) {}
    pub(crate) fn rate_limited(&self, _: bool) {}
    pub(crate) fn connection(&self) {}
}
