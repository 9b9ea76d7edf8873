//! A program that serves the filesystem tools of one directory of its own, read-only but for one
//! folder.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolyard_core::{
    ApprovalFallback, Dispatcher,
    audit::{FileSink, FileSinkConfig},
    guard::AllowedDirs,
};
use toolyard_fs::FsConfig;
use toolyard_policy::{Policy, PolicySpec, Profile};
use toolyard_server::Server;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(directory), Some(state)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("give the directory to serve and a directory outside it for the audit trail");
    };
    let directories = AllowedDirs::open(&[directory]).context("the directory can't be served")?;
    let tools = toolyard_fs::toolset(FsConfig { directories, durable: true });

    // Everything may be read; only drafts may be written, and the user is asked before.
    let rules =
        PolicySpec { profile: Profile::Locked, ask: vec!["write(drafts/**)".into()], allow: vec!["read".into()], ..PolicySpec::default() };
    let policy = Policy::compile(&rules).context("the rules can't be used")?;

    // Without a trail nobody can say afterwards what was done and who agreed to it.
    let audit = Arc::new(FileSink::new(FileSinkConfig { directory: state, sync: true }));
    let dispatcher = Dispatcher::builder(tools, Arc::new(policy)).audit(audit.clone()).build()?;

    let server = Server::builder(Arc::new(dispatcher))
        .name("embed-stdio")
        .instructions("Files of this project. Only drafts/ can be changed.")
        // A client that can't put our question to its user gets the call through without it: on
        // stdio the host runs as that user and shows a permission prompt of its own. Where nobody
        // stands between the model and this program, use `ApprovalFallback::Deny`, the default.
        .approval_fallback(ApprovalFallback::Host)
        .build();
    toolyard_stdio::run_blocking(&server, CancellationToken::new())?;
    audit.flush()?;
    Ok(())
}
