//! How each real client is started: a clean environment, a private home, a recorder in front
//! of the server.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    http::HttpServer,
    install::Node,
    process::{Finished, finish},
    sandbox::{Sandbox, repository},
    schemas,
    wire::Recording,
};

/// A host that needs longer has hung.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A server as a host registers it, with the recorder in front of it.
#[derive(Clone, Debug)]
pub struct Registered {
    command: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
}

impl Registered {
    /// Puts `tee` in front of `server ARGUMENTS`; the recording stays in the sandbox.
    #[must_use]
    pub fn new(sandbox: &Sandbox, tee: &str, server: &str, arguments: &[&str]) -> Self {
        let log = sandbox.scratch("wire.jsonl");
        let mut all = vec![log.display().to_string(), server.to_owned()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Self { command: tee.into(), arguments: all, log }
    }

    /// The program that a host must start.
    #[must_use]
    pub fn command(&self) -> &Path {
        &self.command
    }

    /// Its arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The `mcpServers` document that most hosts read, with this server under `name`.
    #[must_use]
    pub fn document(&self, name: &str) -> Value {
        json!({ "mcpServers": { name: { "command": self.command, "args": self.arguments } } })
    }

    /// Checks every recorded message, and that there was a conversation at all.
    #[track_caller]
    pub fn assert_valid_wire(&self) {
        let recordings = Recording::from_tee(&self.log);
        assert!(!recordings.is_empty(), "nothing was recorded");
        for recording in recordings {
            schemas::assert_valid(&recording);
        }
    }

    /// Whether any recorded client line contains the text.
    #[must_use]
    pub fn recorded(&self, text: &str) -> bool {
        Recording::from_tee(&self.log).iter().any(|recording| recording.lines().iter().any(|line| line.text.contains(text)))
    }
}

/// How a host reaches a server over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

impl Kind {
    /// As hosts and drivers call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }

    /// Where the server answers it.
    #[must_use]
    #[track_caller]
    pub fn url(self, server: &HttpServer) -> String {
        match self {
            Self::Http => server.url(),
            Self::Sse => server.sse_url(),
        }
    }
}

/// The header that opens a server.
#[must_use]
#[track_caller]
pub fn authorization(server: &HttpServer) -> String {
    format!("Bearer {}", server.token().expect("the server made a token"))
}

/// The `mcpServers` document of a server over the network, under `name`.
#[must_use]
#[track_caller]
pub fn remote_document(name: &str, kind: Kind, server: &HttpServer) -> Value {
    let headers = json!({ "Authorization": authorization(server) });
    json!({ "mcpServers": { name: { "type": kind.name(), "url": kind.url(server), "headers": headers } } })
}

/// A command in the sandbox that finds the pinned Node and client programs first.
pub fn host(sandbox: &Sandbox, node: &Node, program: &str) -> Command {
    let programs = node.programs();
    let mut command = sandbox.command(programs.join(program));
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()));
    command
}

/// Claude Code in the sandbox: no account, no traffic that is not asked for.
pub fn claude(sandbox: &Sandbox, node: &Node) -> Command {
    let mut command = host(sandbox, node, "claude");
    command.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").env("DISABLE_AUTOUPDATER", "1").env("DISABLE_TELEMETRY", "1");
    command
}

/// A driver script of `tests/clients`, copied to where it finds the installed packages.
pub fn driver(sandbox: &Sandbox, node: &Node, name: &str) -> PathBuf {
    let folder = sandbox.scratch("drivers");
    fs::create_dir_all(&folder).expect("a folder for the driver");
    let modules = folder.join("node_modules");
    if !modules.exists() {
        symlink(node.modules(), &modules).expect("a link to the packages");
    }
    let script = folder.join(name);
    fs::copy(source(name), &script).expect("a copied driver");
    script
}

/// Where a script of `tests/clients` is in the repository.
#[must_use]
pub fn source(name: &str) -> PathBuf {
    repository().join("tests/clients").join(name)
}

/// Runs a host to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Finished {
    run_within(command, PATIENCE)
}

/// Runs a host to its end within a limit of its own.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Finished {
    match finish(command, limit) {
        Ok(done) => done,
        Err(why) => panic!("{why}"),
    }
}
