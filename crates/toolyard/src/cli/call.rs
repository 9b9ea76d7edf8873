//! `toolyard call`: one tool, by hand, through the same pipeline as a host's call.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use futures::future::BoxFuture;
use toolyard_core::{Answer, Approval, ApprovalFallback, ApprovalRequest, Approver, Block, CallOutcome, Context, Principal};

use super::{Failure, Outcome, args::CallArgs, output, setup};

pub(super) fn run(args: &CallArgs) -> Result<Outcome, Failure> {
    let yard = setup::start(&args.server, &args.log)?;
    let arguments = setup::arguments(args.arguments.as_deref())?;
    let approver: Arc<dyn Approver> = if args.approve { Arc::new(AlreadyApproved) } else { Arc::new(Terminal) };
    let cx = Context::new(Principal::local()).with_request("call").with_approver(approver, ApprovalFallback::Deny);
    let runtime = setup::runtime()?;
    let outcome = runtime.block_on(yard.dispatcher().call(&args.tool, Some(arguments), &cx));
    yard.flush()?;
    match outcome.map_err(Failure::setup)? {
        CallOutcome::Done(answer) => print(&answer),
        CallOutcome::NeedsApproval(request) => {
            output::note(&request.question());
            Ok(Outcome::Failed)
        }
    }
}

fn print(answer: &Answer) -> Result<Outcome, Failure> {
    if answer.error_kind().is_some() {
        output::note(&answer.to_text());
        return Ok(Outcome::Failed);
    }
    for block in answer.blocks() {
        match block {
            Block::Text(text) => output::text(text)?,
            Block::Image { data, mime } => output::note(&format!("({mime}, {} bytes, not shown here)", data.len())),
        }
    }
    Ok(Outcome::Success)
}

/// `--approve`.
struct AlreadyApproved;

impl Approver for AlreadyApproved {
    fn ask<'a>(&'a self, _: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        Box::pin(std::future::ready(Approval::Approved))
    }
}

/// Asks the person at the terminal.
struct Terminal;

impl Approver for Terminal {
    fn ask<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        if !io::stdin().is_terminal() {
            output::note("the policy asks for consent; run this in a terminal, or with `--approve`");
            return Box::pin(std::future::ready(Approval::Unavailable));
        }
        output::note(&format!("{} [y/N]", request.question()));
        let mut reply = String::new();
        let approved = io::stdin().read_line(&mut reply).is_ok() && matches!(reply.trim(), "y" | "Y" | "yes");
        Box::pin(std::future::ready(if approved { Approval::Approved } else { Approval::Declined }))
    }
}
