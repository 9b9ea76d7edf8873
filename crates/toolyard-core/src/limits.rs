//! Bounds that hold for every tool.

use std::{collections::BTreeMap, time::Duration};

/// Bounds of one dispatcher; the defaults suit one developer's machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest run of a call; default 300 s.
    pub timeout: Duration,
    /// Longest run by tool name, where it differs from `timeout`.
    pub tool_timeouts: BTreeMap<String, Duration>,
    /// Calls that run at once; others wait within their own deadline; default 64.
    pub concurrency: usize,
    /// Calls of one caller that run at once, where there are several callers; by default one may
    /// have all of `concurrency`.
    pub concurrency_per_principal: Option<usize>,
    /// Largest arguments of one call, in bytes of their strings; default 16 MiB.
    pub max_input_bytes: usize,
    /// Budget of an answer when the call names none, in tokens; default 6,000.
    pub default_tokens: u32,
    /// Largest budget a call may ask for, in tokens; default 20,000.
    pub max_tokens: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(300),
            tool_timeouts: BTreeMap::new(),
            concurrency: 64,
            concurrency_per_principal: None,
            max_input_bytes: 16 << 20,
            default_tokens: 6_000,
            max_tokens: 20_000,
        }
    }
}

impl Limits {
    /// The longest run of this tool.
    pub fn timeout_of(&self, tool: &str) -> Duration {
        self.tool_timeouts.get(tool).copied().unwrap_or(self.timeout)
    }

    /// Bytes of text an answer may hold whatever its tool does: the largest budget and a little.
    pub fn max_answer_bytes(&self) -> usize {
        (u64::from(self.max_tokens) * 33 / 10 + 4096) as usize
    }
}
