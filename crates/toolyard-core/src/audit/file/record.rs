//! The records as JSON, written straight into the buffer.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use serde_json::ser::{CompactFormatter, Formatter as _};

use crate::{
    audit::{Finish, Intent, Refusal, describe},
    clock,
};

pub(super) fn write_intent(intent: &Intent<'_>, out: &mut Vec<u8>) {
    text(out, "principal", intent.principal);
    text(out, "request", intent.request);
    text(out, "tool", intent.tool);
    if let Some(effect) = intent.effect {
        text(out, "effect", effect.as_str());
    }
    out.extend_from_slice(b",\"accesses\":[");
    let mut described = String::new();
    for (i, access) in intent.accesses.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        described.clear();
        describe(access, &mut described);
        string(out, &described);
    }
    out.push(b']');
    text(out, "decision", intent.decision.as_str());
    text(out, "rule", intent.rule);
    if let Some(origin) = intent.origin {
        text(out, "origin", origin.as_str());
    }
    if let Some(detail) = intent.detail {
        text(out, "detail", &detail[..detail.floor_char_boundary(300)]);
    }
    out.extend_from_slice(b"}\n");
}

pub(super) fn write_finish(finish: &Finish<'_>, out: &mut Vec<u8>) {
    text(out, "result", finish.result);
    if let Some(approval) = finish.approval {
        text(out, "approval", approval);
    }
    number(out, "micros", finish.micros);
    number(out, "bytes", finish.bytes as u64);
    out.extend_from_slice(b"}\n");
}

pub(super) fn write_refusal(refusal: &Refusal<'_>, out: &mut Vec<u8>) {
    if let Some(principal) = refusal.principal {
        text(out, "principal", principal);
    }
    text(out, "request", refusal.request);
    text(out, "reason", refusal.reason);
    text(out, "detail", &refusal.detail[..refusal.detail.floor_char_boundary(300)]);
    number(out, "count", refusal.count);
    out.extend_from_slice(b"}\n");
}

/// The beginning of every record, and what it needs between records.
#[derive(Debug, Default)]
pub(super) struct Header {
    stamp: clock::Stamp,
}

impl Header {
    /// Begins a record; `process` is what [`process`] gave.
    pub(super) fn begin(&mut self, out: &mut Vec<u8>, event: &str, process: &str, call: u64) {
        out.extend_from_slice(b"{\"time\":\"");
        self.stamp.push(clock::unix_millis(), out);
        out.extend_from_slice(b"\",\"event\":\"");
        out.extend_from_slice(event.as_bytes());
        out.extend_from_slice(process.as_bytes());
        number(out, "call", call);
    }
}

/// Tells the records of one trail from those of others in the same file. The process id does not
/// when containers share the directory, so there is a random part as well.
pub(super) fn process() -> String {
    let run = RandomState::new().build_hasher().finish() as u32;
    format!("\",\"pid\":{},\"run\":\"{run:08x}\"", std::process::id())
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    string(out, value);
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    // Writing to a vector can't fail.
    let written = CompactFormatter.write_u64(out, value);
    debug_assert!(written.is_ok());
}

fn string(out: &mut Vec<u8>, value: &str) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}
