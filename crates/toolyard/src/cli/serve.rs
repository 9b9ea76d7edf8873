//! `toolyard serve`: the tools over stdin and stdout.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use toolyard_core::Principal;

use super::{Failure, Outcome, args::ServeArgs, environment, output, setup};
use crate::Toolyard;

pub(super) fn run(args: &ServeArgs) -> Result<Outcome, Failure> {
    let yard = setup::start(&args.server, &args.log)?;
    if io::stdin().is_terminal() {
        output::note(&welcome(&yard));
    }
    yard.serve_stdio().context("serving ended")?;
    Ok(Outcome::Success)
}

/// For the person who started this by hand.
fn welcome(yard: &Toolyard) -> String {
    let command = environment::own_command().unwrap_or_else(|_| "toolyard".to_owned());
    let directories = if yard.directories().is_empty() { "no directory".to_owned() } else { yard.directories().join(", ") };
    let open = yard.dispatcher().tools(&Principal::local()).count();
    format!(
        "Toolyard {} serves {directories} over stdin and stdout: {open} tools, profile {}.\n\
         It waits for an MCP host. To register it, end this with Ctrl-C and run one of\n  \
         {command} client-config claude-code --write\n  \
         {command} client-config codex|gemini|vscode|cursor\n\
         To try a tool by hand: {command} call fs_tree",
        env!("CARGO_PKG_VERSION"),
        yard.policy().profile.as_str(),
    )
}
