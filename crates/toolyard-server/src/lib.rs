//! The Model Context Protocol around a [`Dispatcher`](toolyard_core::Dispatcher): both eras of the
//! protocol on one connection, JSON-RPC errors, progress, cancellation and the user's approval.
//!
//! [`Server`] is what transports are given. [`Server::serve_io`] speaks newline-delimited JSON over
//! any pair of byte streams. With the feature `http`, `Server::http_service` answers requests of an
//! HTTP transport, and `Server::message_session` serves one client of the older HTTP+SSE. No other
//! crate names a type of the MCP SDK.
//!
//! The SDK logs whole requests and answers below the level `warn`; keep its target, `rmcp`, at
//! `warn` wherever logs are kept.

mod approval;
mod extension;
mod from_mcp;
mod gate;
mod handler;
#[cfg(feature = "http")]
mod http;
mod lines;
mod outbox;
mod progress;
mod serve;
mod server;
mod to_mcp;
mod transport;

pub use extension::{Extension, Reply, mcp};
#[cfg(feature = "http")]
pub use http::{
    HttpBody, HttpOptions, HttpService, MessageSession, MessageStream, Peek, PeekKind, PushError, RequestName, SessionEnd, fresh_handle,
    peek,
};
pub use serve::{End, ServeError};
pub use server::{NameTaken, Server, ServerBuilder};

#[cfg(test)]
mod tests;
