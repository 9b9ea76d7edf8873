//! One fast, safe set of coding tools for any MCP host.
//!
//! The program and embedders start from the same place:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use toolyard::{Toolyard, core::Principal, policy::Profile};
//!
//! let yard = Toolyard::builder().workspace("/srv/project").profile(Profile::ReadOnly).state_directory("/var/lib/yard").build()?;
//! for tool in yard.dispatcher().tools(&Principal::local()) {
//!     println!("{}", tool.definition.name);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Own tools implement [`core::Tool`] and are added with [`Builder::tools`]; they pass the same
//! policy, audit trail and limits as the built-in ones.

mod builder;
mod json;
mod state;
#[cfg(feature = "http")]
mod token;

#[cfg(all(test, feature = "cli", feature = "fs"))]
mod definitions;

#[cfg(feature = "cli")]
pub mod cli;
pub mod config;

pub use builder::{Builder, SetupError, Toolyard};
#[cfg(feature = "http")]
pub use token::TokenFileError;

/// Tools, dispatch, guarded filesystem access, audit, limits and errors.
pub use toolyard_core as core;
/// The filesystem tools.
#[cfg(feature = "fs")]
pub use toolyard_fs as fs;
/// The HTTP transport.
#[cfg(feature = "http")]
pub use toolyard_http as http;
/// Rules and decisions.
pub use toolyard_policy as policy;
/// The MCP server that a transport carries.
#[cfg(any(feature = "stdio", feature = "http"))]
pub use toolyard_server as server;
/// The stdio transport.
#[cfg(feature = "stdio")]
pub use toolyard_stdio as stdio;
