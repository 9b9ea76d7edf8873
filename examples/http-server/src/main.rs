//! A program that serves the filesystem tools of one directory over HTTP to two callers with
//! different roles.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolyard_core::{
    Dispatcher,
    audit::{FileSink, FileSinkConfig},
    guard::AllowedDirs,
};
use toolyard_fs::FsConfig;
use toolyard_http::{AuthConfig, HttpConfig, Listen, Metrics, StaticToken, hash_token};
use toolyard_policy::{PolicySpec, Profile, RolePolicies, RuleSpec};
use toolyard_server::Server;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(directory), Some(state)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("give the directory to serve and a directory outside it for the audit trail");
    };
    let directories = AllowedDirs::open(&[directory]).context("the directory can't be served")?;
    let tools = toolyard_fs::toolset(FsConfig { directories, durable: true });

    // Nothing is open but what a role opens: with an empty profile a caller without roles has no tools.
    let rules = PolicySpec {
        profile: Profile::Locked,
        allow: vec![for_roles("read", &["reader", "writer"]), for_roles("write(drafts/**)", &["writer"])],
        ..PolicySpec::default()
    };
    let policies = RolePolicies::compile(&rules).context("the rules can't be used")?;

    let metrics = Metrics::new();
    let audit = Arc::new(FileSink::new(FileSinkConfig { directory: state, sync: true }));
    let dispatcher = Dispatcher::builder(tools, policies).audit(metrics.audited(audit.clone())).observer(metrics.observer()).build()?;
    // What would ask the user is denied: nobody can tell here whether a person sits at the other end.
    let server = Server::builder(Arc::new(dispatcher)).name("http-server").build();

    let tokens = vec![token("reader", "READER_TOKEN")?, token("writer", "WRITER_TOKEN")?];
    let config =
        HttpConfig { auth: AuthConfig { tokens, ..AuthConfig::default() }, ..HttpConfig::new(Listen::Tcp(([127, 0, 0, 1], 0).into())) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let bound = toolyard_http::bind(&server, config, metrics).await?;
        writeln!(io::stderr(), "listening on {}", bound.url())?;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        tokio::spawn(async move {
            // Without signals the program runs until it is killed.
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.cancel();
            }
        });
        bound.serve(shutdown).await;
        anyhow::Ok(())
    })?;
    audit.flush()?;
    Ok(())
}

/// A rule that counts for callers with one of these roles only.
fn for_roles(rule: &str, roles: &[&str]) -> RuleSpec {
    RuleSpec { roles: roles.iter().map(|&role| role.to_owned()).collect(), ..RuleSpec::from(rule) }
}

/// A caller whose token is in an environment variable, with the role of the same name.
#[expect(clippy::disallowed_methods, reason = "the program decides where its tokens come from")]
fn token(role: &str, variable: &str) -> anyhow::Result<StaticToken> {
    let token = std::env::var(variable).with_context(|| format!("{variable} has to hold the token of the {role}"))?;
    Ok(StaticToken { name: role.into(), sha256: hash_token(&token), roles: vec![role.into()] })
}
