//! Serves a [`Server`](toolyard_server::Server) over HTTP: Streamable HTTP of both protocol eras at
//! `/mcp`, HTTP+SSE for older hosts, with authentication, limits, health and metrics.

mod auth;
mod config;

pub use auth::{AcrRule, DpopMode, Introspection, Issuer, OauthConfig, ScopeRule, StaticToken};
pub use config::{AuthConfig, HttpConfig, HttpLimits, Listen, TlsFiles};
