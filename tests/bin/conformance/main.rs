//! The server that the official conformance suite talks to: our server and transports as they
//! are shipped, with the tools, prompts and resources that the suite expects to find.
//!
//! Without arguments it serves over stdio; `--http` serves on a free port of loopback to everyone,
//! and HTTP+SSE with it.

mod asking;
mod changes;
mod content;
mod extension;
mod rounds;
mod tools;

use std::{error::Error, net::Ipv4Addr, sync::Arc};

use tokio_util::sync::CancellationToken;
use toolyard_core::{Dispatcher, Sealer};
use toolyard_http::{HttpConfig, Listen, Metrics};
use toolyard_policy::{Policy, PolicySpec};
use toolyard_server::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let sealer = Arc::new(Sealer::random()?);
    let policy = Policy::compile(&PolicySpec::default())?;
    let dispatcher = Dispatcher::builder(tools::toolset(), Arc::new(policy)).sealer(Arc::clone(&sealer)).build()?;
    let fixtures = extension::Fixtures { sealer, changes: changes::Changes::default() };
    let server = Server::builder(Arc::new(dispatcher)).name("toolyard-conformance").extension(Arc::new(fixtures))?.build();
    match std::env::args().nth(1).as_deref() {
        None => {
            toolyard_stdio::run_blocking(&server, CancellationToken::new())?;
            Ok(())
        }
        Some("--http") => tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&server)),
        Some(other) => Err(format!("unknown argument `{other}`: there is only `--http`").into()),
    }
}

async fn serve(server: &Server) -> Result<(), Box<dyn Error>> {
    let mut config = HttpConfig::new(Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into()));
    config.auth.unauthenticated = true;
    config.legacy_sse = true;
    let bound = toolyard_http::bind(server, config, Metrics::new()).await?;
    #[expect(clippy::print_stderr, reason = "the tests read the address there, as they do from the program")]
    {
        eprintln!("listening on {}", bound.url());
    }
    bound.serve(CancellationToken::new()).await;
    Ok(())
}
