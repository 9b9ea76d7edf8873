//! What the integration tests stand on: a sandbox, the server as a child process, a raw
//! JSON-RPC client that records every line, the same over HTTP, the official schemas, and the
//! installed clients.

#![expect(clippy::disallowed_methods, reason = "tests start programs and read files, the environment and the clock")]

pub mod client;
pub mod clients;
pub mod http;
pub mod idp;
pub mod install;
pub mod process;
pub mod reply;
pub mod sandbox;
pub mod schemas;
pub mod wire;
