//! The audit trail: an intent before the effect and an outcome after it, for every call and
//! every denial.
//!
//! Records name tools, accesses, decisions and sizes; they never hold contents or arguments, so
//! no secret can get into them.

mod file;

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use toolyard_policy::{Access, Effect, Outcome, Resource, RuleOrigin};

pub use file::{FileSink, FileSinkConfig};

/// Written before a tool runs, and for every call that will not run.
#[derive(Debug)]
pub struct Intent<'a> {
    /// Number of the call within this process.
    pub call: u64,
    /// Who is calling.
    pub principal: &'a str,
    /// The transport's id of the request.
    pub request: &'a str,
    /// The tool, registered or not.
    pub tool: &'a str,
    /// The tool's effect; none when the tool is unknown.
    pub effect: Option<Effect>,
    /// Everything it will touch.
    pub accesses: &'a [Access],
    /// What the policy said.
    pub decision: Outcome,
    /// The rule that said it.
    pub rule: &'a str,
    /// Where that rule comes from; none for an allow.
    pub origin: Option<RuleOrigin>,
    /// For a call that was refused before it was judged: what it reached for.
    pub detail: Option<&'a str>,
}

/// Written after a tool ran, or was refused.
#[derive(Debug)]
pub struct Finish<'a> {
    /// Number of the call within this process.
    pub call: u64,
    /// `ok`, or the kind of failure.
    pub result: &'a str,
    /// How the user answered an ask: `approved`, `declined`, `host`, …
    pub approval: Option<&'static str>,
    /// From the call's arrival to its answer, in microseconds.
    pub micros: u64,
    /// Size of the answer.
    pub bytes: usize,
}

/// Written when a transport turns something away before there is a call: a token that is not
/// valid, a handle of somebody else, too many requests.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// Who asked; none when that could not be established.
    pub principal: Option<&'a str>,
    /// The transport's id of the request.
    pub request: &'a str,
    /// What was refused, of a small closed set: `unauthenticated`, `invalid_token`, …
    pub reason: &'static str,
    /// What more is known; never a secret.
    pub detail: &'a str,
    /// How many refusals this record stands for; a flood is summed up.
    pub count: u64,
}

/// The trail could not be written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the audit trail can't be written: {0}")]
pub struct AuditError(#[source] pub Arc<std::io::Error>);

/// Takes the records of all calls, in order.
pub trait AuditSink: Send + Sync + fmt::Debug {
    /// Notes what is about to happen. For anything but a read the record is handed to the
    /// operating system before this returns.
    ///
    /// # Errors
    /// When it can't be written; nothing that writes may run then.
    fn intent(&self, intent: &Intent<'_>) -> Result<(), AuditError>;

    /// Notes what came of it.
    ///
    /// # Errors
    /// When it can't be written.
    fn finish(&self, finish: &Finish<'_>) -> Result<(), AuditError>;

    /// Notes what a transport turned away.
    ///
    /// # Errors
    /// When it can't be written.
    fn refused(&self, refusal: &Refusal<'_>) -> Result<(), AuditError>;

    /// Resolves once every intent noted so far is on stable storage.
    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>>;
}

/// Keeps no trail; for embedding and tests that look elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn intent(&self, _: &Intent<'_>) -> Result<(), AuditError> {
        Ok(())
    }

    fn finish(&self, _: &Finish<'_>) -> Result<(), AuditError> {
        Ok(())
    }

    fn refused(&self, _: &Refusal<'_>) -> Result<(), AuditError> {
        Ok(())
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// An access as people read it: `write /p/src/main.rs`. Paths hold no hidden characters; those of
/// other names are shown as escapes.
pub fn describe(access: &Access, out: &mut String) {
    out.push_str(access.effect.as_str());
    out.push(' ');
    match &access.resource {
        Resource::Path(path) => {
            out.push_str(&path.directory);
            if !path.path.is_empty() {
                if !path.directory.ends_with('/') {
                    out.push('/');
                }
                out.push_str(&path.path);
            }
        }
        Resource::Name { kind, text } => {
            out.push_str(kind);
            out.push(' ');
            crate::text::show_into(text, out);
        }
    }
}
