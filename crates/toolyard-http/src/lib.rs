//! Serves a [`Server`](toolyard_server::Server) over HTTP: Streamable HTTP of both protocol eras at
//! `/mcp`, HTTP+SSE for older hosts, with authentication, limits, health and metrics.
//!
//! [`bind`] checks the configuration and opens every listener, [`BoundServer::serve`] answers until
//! it is told to stop.

mod auth;
mod config;
mod error;
mod listener;
mod routes;
mod server;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use auth::{AcrRule, DpopMode, Introspection, Issuer, OauthConfig, ScopeRule, StaticToken};
pub use config::{AuthConfig, HttpConfig, HttpLimits, Listen, TlsFiles};
pub use error::{HttpError, Purpose, SocketProblem};
pub use server::{BoundServer, bind};
