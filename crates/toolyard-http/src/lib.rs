//! Serves a [`Server`](toolyard_server::Server) over HTTP: Streamable HTTP of both protocol eras at
//! `/mcp`, HTTP+SSE for older hosts, with authentication, limits, health and metrics.
//!
//! [`bind`] checks the configuration and opens every listener, [`BoundServer::serve`] answers until
//! it is told to stop.

mod auth;
mod config;
mod early;
mod error;
mod fetch;
mod listener;
mod metrics;
mod middleware;
mod ops;
mod routes;
mod server;
mod tls;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use auth::{AcrRule, AuthSetupError, DpopMode, Introspection, Issuer, OauthConfig, ScopeRule, StaticToken, hash_token};
pub use config::{AuthConfig, HttpConfig, HttpLimits, Listen, TlsFiles};
pub use error::{HttpError, Purpose, SocketProblem};
pub use metrics::Metrics;
pub use server::{BoundServer, bind};
pub use tls::TlsError;
