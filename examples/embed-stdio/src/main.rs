//! A program that serves the filesystem tools of one directory of its own, read-only but for one
//! folder.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolyard_core::{ApprovalFallback, Dispatcher, guard::AllowedDirs};
use toolyard_fs::FsConfig;
use toolyard_policy::{Policy, PolicySpec, Profile};
use toolyard_server::Server;

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let directories = AllowedDirs::open(&[directory]).context("the directory can't be served")?;
    let tools = toolyard_fs::toolset(FsConfig { directories, durable: true });

    // Everything may be read; only drafts may be written, and the user is asked before.
    let rules = PolicySpec {
        profile: Profile::Locked,
        ask: vec!["write(drafts/**)".into()],
        allow: vec!["read".into()],
        ..PolicySpec::default()
    };
    let policy = Policy::compile(&rules).context("the rules can't be used")?;
    let dispatcher = Dispatcher::builder(tools, Arc::new(policy)).build()?;

    let server = Server::builder(Arc::new(dispatcher))
        .name("embed-stdio")
        .instructions("Files of this project. Only drafts/ can be changed.")
        // On stdio the host's own permission prompt can stand in for a client that can't ask.
        .approval_fallback(ApprovalFallback::Host)
        .build();
    toolyard_stdio::run_blocking(&server, CancellationToken::new())?;
    Ok(())
}
