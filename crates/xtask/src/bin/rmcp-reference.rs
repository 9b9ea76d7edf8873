//! The bare server that the benchmark compares with: the MCP SDK over pipes, one echo tool, no
//! policy, no audit, no limits.

mod echo;

use rmcp::{ServiceExt as _, transport::stdio_pipes};

use echo::Echo;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        Echo.serve(stdio_pipes()).await?.waiting().await?;
        Ok(())
    })
}
