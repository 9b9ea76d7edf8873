//! Placeholders for parts that are still being written.
#![allow(dead_code, clippy::allow_attributes, reason = "replaced soon")]

pub(crate) mod ops {
    #[derive(Clone)]
    pub(crate) struct Health;
    impl Health { pub(crate) fn ready(&self) {} pub(crate) fn draining(&self) {} }
}

#[derive(Clone)]
pub struct Metrics;
impl Metrics {
    pub fn new() -> Self { Self }
    pub(crate) fn session_ended(&self, _: std::time::Duration) {}
    pub(crate) fn observer(&self) -> std::sync::Arc<dyn toolyard_core::Observer> { std::sync::Arc::new(toolyard_core::NoObserver) }
    pub(crate) fn operation(&self, _: &'static str, _: std::time::Duration, _: Option<&str>) {}
    pub(crate) fn response(&self, _: &'static str, _: u16) {}
    pub(crate) fn refused(&self, _: &'static str) {}
    pub(crate) fn rate_limited(&self, _: bool) {}
    pub(crate) fn connection(&self) {}
}
