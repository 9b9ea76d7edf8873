//! The bare server that `bench http` compares with: the MCP SDK on axum, one echo tool, no
//! authentication, no policy, no audit, no limits, no metrics.
//!
//! `rmcp-http-reference PORT [sse|json]`: how requests of 2026-07-28 are answered. `sse` is the
//! default of the SDK, `json` is quicker and what Toolyard does.

mod echo;

use std::sync::Arc;

use axum::serve::ListenerExt as _;
use echo::Echo;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().unwrap_or_default().parse()?;
    let json = args.next().as_deref() == Some("json");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = StreamableHttpServerConfig::default().with_json_response(json);
        let service = StreamableHttpService::new(|| Ok(Echo), Arc::new(LocalSessionManager::default()), config);
        // Without this every answer would wait for the kernel to acknowledge the one before.
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                // It would be slow and say nothing, which is worse than no figures.
                panic!("TCP_NODELAY: {error}");
            }
        });
        axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?;
        Ok(())
    })
}
