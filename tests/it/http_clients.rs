//! Real clients against the shipped program over HTTP and over HTTP+SSE, with the token that it
//! makes for this machine, and what they say when the token or the transport is the wrong one.

mod bridges;
mod content;
mod hosts;
mod inspector;
mod sdks;

use support::{clients::Kind, http::HttpServer, sandbox::Sandbox};

use crate::SERVER;

/// Both ways to reach the server.
const KINDS: [Kind; 2] = [Kind::Http, Kind::Sse];

/// A token that opens nothing.
const WRONG: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn workspace() -> Sandbox {
    Sandbox::new().with("known.txt", "first line\nsecond line\nthe known content\n")
}

/// The program over both transports.
fn served(sandbox: &Sandbox) -> HttpServer {
    HttpServer::start(sandbox, SERVER, &["--legacy-sse"])
}
