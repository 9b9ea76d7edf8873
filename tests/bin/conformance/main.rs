//! The server that the official conformance suite talks to: our server and transport as they
//! are shipped, with the tools, prompts and resources that the suite expects to find.

mod extension;
mod tools;

use std::{error::Error, sync::Arc};

use tokio_util::sync::CancellationToken;
use toolyard_core::Dispatcher;
use toolyard_policy::{Policy, PolicySpec};
use toolyard_server::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::compile(&PolicySpec::default())?;
    let dispatcher = Dispatcher::builder(tools::toolset(), Arc::new(policy)).build()?;
    let server = Server::builder(Arc::new(dispatcher)).name("toolyard-conformance").extension(Arc::new(extension::Fixtures))?.build();
    toolyard_stdio::run_blocking(&server, CancellationToken::new())?;
    Ok(())
}
