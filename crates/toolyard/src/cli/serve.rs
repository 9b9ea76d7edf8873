//! `toolyard serve`: the tools over stdin and stdout, or over HTTP.

#[cfg(feature = "http")]
mod banner;
#[cfg(feature = "http")]
mod http;

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use toolyard_core::Principal;

use super::{Failure, Outcome, args::ServeArgs, environment, logging, output, setup};
use crate::Toolyard;

#[cfg(feature = "http")]
pub(super) use http::{check, listen_of};

pub(super) fn run(args: &ServeArgs) -> Result<Outcome, Failure> {
    logging::start(&args.log)?;
    let builder = setup::builder(&args.server)?;
    #[cfg(feature = "http")]
    match http::chosen(&args.http, builder.http(), &environment::variable)? {
        Some(listen) => return http::run(listen, builder, args),
        None => http::refuse_lone_options(&args.http)?,
    }
    let yard = setup::finish(builder)?;
    if io::stdin().is_terminal() {
        output::note(&welcome(&yard));
    }
    yard.serve_stdio().context("serving ended")?;
    Ok(Outcome::Success)
}

/// For the person who started this by hand.
fn welcome(yard: &Toolyard) -> String {
    let command = environment::own_command().unwrap_or_else(|_| "toolyard".to_owned());
    format!(
        "{} over stdin and stdout: {}.\n\
         It waits for an MCP host. To register it, end this with Ctrl-C and run one of\n  \
         {command} client-config claude-code --write\n  \
         {command} client-config codex --write\n  \
         {command} client-config gemini --write\n  \
         {command} client-config vscode --write\n  \
         {command} client-config cursor --write\n\
         To try a tool by hand: {command} call fs_tree",
        what(yard),
        how_open(yard),
    )
}

/// What is served.
fn what(yard: &Toolyard) -> String {
    let directories = if yard.directories().is_empty() { "no directory".to_owned() } else { yard.directories().join(", ") };
    format!("Toolyard {} serves {directories}", env!("CARGO_PKG_VERSION"))
}

/// How much of it, to callers without roles.
fn how_open(yard: &Toolyard) -> String {
    let open = yard.dispatcher().tools(&Principal::local()).count();
    format!("{open} tools, profile {}", yard.policy().profile.as_str())
}
