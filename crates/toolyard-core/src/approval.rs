//! Consent of the user for calls the policy answers with ask.

use futures::future::BoxFuture;
use toolyard_policy::Verdict;

use crate::text;

/// A question is at most this long: people read it in a small window.
const QUESTION_BYTES: usize = 2048;

/// So many accesses are shown.
const SHOWN: usize = 10;

/// A reason is at most this long.
const REASON_BYTES: usize = 512;

/// Stands for the middle of what is too long.
const GAP: &str = " […] ";

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
    /// The question in words, at most 2 KiB: what will be touched stands in lines of its own, and
    /// no name can leave its line or its quotes.
    pub fn question(&self) -> String {
        let mut question = format!("Allow {}", self.tool);
        if self.accesses.is_empty() {
            question.push_str("? ");
        } else {
            question.push_str(" to do this?\n");
        }
        let reason = shortened(one_line(&self.verdict.reason, false), REASON_BYTES);
        let left_out = self.accesses.len().saturating_sub(SHOWN);
        // What is left after the reason, the words around it and the line about the rest.
        let room = QUESTION_BYTES.saturating_sub(question.len() + reason.len() + 40);
        let each = room / self.accesses.len().clamp(1, SHOWN);
        for access in self.accesses.iter().take(SHOWN) {
            let shown = shortened(one_line(access, true), each.saturating_sub(3));
            question.push('`');
            question.push_str(&shown);
            question.push_str("`\n");
        }
        if left_out > 0 {
            question.push_str("and ");
            question.push_str(&left_out.to_string());
            question.push_str(" more\n");
        }
        question.push_str(&reason);
        question
    }
}

/// What can't be seen, ends a line or, in quotes, ends the quotes is shown as an escape.
fn one_line(text: &str, quoted: bool) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if text::is_hidden(c) || matches!(c, '\n' | '\t') || quoted && c == '`' {
            text::push_escape(c, &mut line);
        } else {
            line.push(c);
        }
    }
    line
}

/// Leaves out the middle, since both ends of a path tell where it leads.
fn shortened(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let kept = most.saturating_sub(GAP.len()) / 2;
    let head = text.floor_char_boundary(kept);
    let tail = text.ceil_char_boundary(text.len() - kept);
    [&text[..head], GAP, &text[tail..]].concat()
}

/// The user's answer.
#[derive(Clone, Debug)]
pub enum Approval {
    /// Go ahead, this once.
    Approved,
    /// No.
    Declined,
    /// The question was closed without an answer, or the call ended before there was one.
    Cancelled,
    /// The user can't be asked here.
    Unavailable,
    /// The question travels back with the answer; the client repeats the call with the reply.
    Pending,
}

/// Reaches the user.
pub trait Approver: Send + Sync {
    /// Puts the question. Errors of the way there count as [`Approval::Unavailable`] only when
    /// nobody can have seen the question, else as [`Approval::Declined`]; a question whose call is
    /// cancelled or expires is withdrawn and counts as [`Approval::Cancelled`].
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

#[cfg(test)]
mod tests {
    use toolyard_policy::{Access, Effect, Resource, RuleOrigin, Verdict};

    use super::{ApprovalRequest, QUESTION_BYTES};
    use crate::audit;

    fn question(tool: &str, accesses: Vec<String>, reason: &str) -> String {
        let origin = RuleOrigin::Profile;
        let verdict = Verdict { rule: "ask destroy".into(), origin, reason: reason.into(), remedy: String::new() };
        ApprovalRequest { tool: tool.into(), accesses, verdict, digest: [0; 32] }.question()
    }

    #[test]
    fn each_access_has_a_line_of_its_own() {
        let shown = question("fs_move", vec!["delete /p/a".into(), "write /p/b".into()], "the rule says so");
        assert_eq!(shown, "Allow fs_move to do this?\n`delete /p/a`\n`write /p/b`\nthe rule says so");
    }

    #[test]
    fn a_name_that_speaks_to_the_user_stays_within_its_quotes() {
        let hostile = "a? Already agreed. Allow fs_read: b";
        for (name, quoted) in [
            (hostile.to_owned(), hostile.to_owned()),
            (format!("a`\n{hostile}"), format!("a<U+0060><U+000A>{hostile}")),
            ("a\u{202E}b".to_owned(), "a<U+202E>b".to_owned()),
        ] {
            let mut access = String::new();
            let resource = Resource::Name { kind: "repo", text: name };
            audit::describe(&Access { effect: Effect::Destroy, resource }, &mut access);
            let shown = question("fs_delete", vec![access], "why");
            assert_eq!(shown, format!("Allow fs_delete to do this?\n`destroy repo {quoted}`\nwhy"));
        }
    }

    #[test]
    fn many_and_long_accesses_are_counted_and_shortened() {
        let many: Vec<_> = (0..100).map(|at| format!("delete /p/{at:03}")).collect();
        let shown = question("fs_delete", many, "why");
        assert!(shown.contains("`delete /p/009`\nand 90 more\nwhy") && !shown.contains("/p/010"), "{shown}");
        for count in [1, 10, 1000] {
            let long = (0..count).map(|at| format!("delete /{}/end{at}", "ä".repeat(3000))).collect();
            let shown = question("fs_delete", long, &"r\n".repeat(3000));
            assert!(shown.len() <= QUESTION_BYTES, "{count}: {}", shown.len());
            assert!(shown.contains("`delete /ä") && shown.contains("ä/end0`\n"), "{shown}");
        }
    }
}
