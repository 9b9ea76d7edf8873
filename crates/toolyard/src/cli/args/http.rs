//! Options of `serve` that are about HTTP. Each replaces what the configuration says.

use std::path::PathBuf;

use clap::Args;
use toolyard_http::Listen;
use url::Url;

use crate::config::{
    Operations,
    http::{check_host, check_origin, parse_listen, parse_operations, parse_public_url},
};

/// Serving over HTTP.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "HTTP options")]
pub(in crate::cli) struct HttpArgs {
    /// Serve over HTTP instead of stdio: `127.0.0.1:8080`, `[::1]:8080`, `:8080` or `8080` for this
    /// machine only, `0.0.0.0:8080` for everyone who has a token, `unix:/path` for this user
    /// [configuration: http.listen; environment: MCP_PORT, and MCP_HOST with it].
    #[arg(long = "http", value_name = "ADDRESS", value_parser = parse_listen)]
    pub(in crate::cli) listen: Option<Listen>,
    /// Serve over stdio, whatever the configuration and the environment say.
    #[arg(long, conflicts_with = "listen")]
    pub(in crate::cli) stdio: bool,
    /// Serve HTTP+SSE of 2024-11-05 as well, at /sse and /messages, for older hosts.
    #[arg(long)]
    pub(in crate::cli) legacy_sse: bool,
    /// Certificate chain in PEM; it is read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(in crate::cli) tls_cert: Option<PathBuf>,
    /// Private key in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(in crate::cli) tls_key: Option<PathBuf>,
    /// Address of the endpoint as clients know it, when a proxy stands in front:
    /// `https://tools.example.com/mcp`.
    #[arg(long, value_name = "URL", value_parser = parse_public_url)]
    pub(in crate::cli) public_url: Option<Url>,
    /// Further host that requests may name; may be repeated.
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(in crate::cli) allowed_host: Vec<String>,
    /// Origin of web pages that may send requests, such as `https://app.example.com`; may be repeated.
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(in crate::cli) allowed_origin: Vec<String>,
    /// Where health is told, or `off` [default: port 8081 beside --http].
    #[arg(long, value_name = "ADDRESS", value_parser = parse_operations)]
    pub(in crate::cli) health: Option<Operations>,
    /// Where metrics are told, or `off` [default: port 9090 beside --http].
    #[arg(long, value_name = "ADDRESS", value_parser = parse_operations)]
    pub(in crate::cli) metrics: Option<Operations>,
    /// Ask nobody on this machine for a token: every process and every user here can call the tools.
    #[arg(long)]
    pub(in crate::cli) unauthenticated_loopback: bool,
}

fn host(text: &str) -> Result<String, String> {
    check_host(text).map(|()| text.to_owned())
}

fn origin(text: &str) -> Result<String, String> {
    check_origin(text).map(|()| text.to_owned())
}
