//! Consent of the user for calls the policy answers with ask.

use futures::future::BoxFuture;
use toolyard_policy::Verdict;

/// What happens to an ask when the user can't be reached through the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ApprovalFallback {
    /// The host's own permission prompt is the consent: the call runs. Only for stdio, where the
    /// host and the user are one.
    Host,
    /// The call is denied.
    #[default]
    Deny,
}

/// What the user is asked.
#[derive(Clone, Debug)]
pub struct ApprovalRequest {
    /// The tool's name.
    pub tool: String,
    /// What it will touch, one line each, in canonical form.
    pub accesses: Vec<String>,
    /// Why the user is asked.
    pub verdict: Verdict,
    /// Digest of principal, tool, arguments and accesses: consent holds for exactly this call.
    pub digest: [u8; 32],
}

impl ApprovalRequest {
    /// The question in words.
    pub fn question(&self) -> String {
        let mut question = format!("Allow {}", self.tool);
        for (i, access) in self.accesses.iter().enumerate() {
            question.push_str(if i == 0 { ": " } else { ", " });
            question.push_str(access);
        }
        question.push_str("? ");
        question.push_str(&self.verdict.reason);
        question
    }
}

/// The user's answer.
#[derive(Clone, Debug)]
pub enum Approval {
    /// Go ahead, this once.
    Approved,
    /// No.
    Declined,
    /// The question was withdrawn, or closed without an answer.
    Cancelled,
    /// The user can't be asked here.
    Unavailable,
    /// The question travels back with the answer; the client repeats the call with the reply.
    Pending,
}

/// Reaches the user.
pub trait Approver: Send + Sync {
    /// Puts the question. Errors of the way there count as [`Approval::Unavailable`] only when
    /// nobody can have seen the question, else as [`Approval::Declined`].
    fn ask<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Approval>;
}

/// Reaches nobody.
#[derive(Debug, Default)]
pub struct NoApprover;

impl Approver for NoApprover {
    fn ask<'a>(&'a self, _: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        Box::pin(std::future::ready(Approval::Unavailable))
    }
}
