//! The real program over real pipes, alone and under real MCP hosts.

#![expect(clippy::disallowed_methods, reason = "tests start programs and read files, the environment and the clock")]

mod approval;
mod bad_input;
mod cli;
mod conformance;
mod exit;
mod flow;
mod handshake;
mod hosts;
mod http;
mod http_clients;
mod inspector;
mod model;
mod oauth;
mod schema;
mod sdks;
mod skips;
mod soak;

use std::{fs, process::Command, time::Duration};

use serde_json::Value;
use support::{client::names, clients::Registered, process::finish, sandbox::Sandbox};

const SERVER: &str = env!("CARGO_BIN_EXE_server-under-test");
const CONFORMANCE_SERVER: &str = env!("CARGO_BIN_EXE_conformance-server");
const TEE: &str = env!("CARGO_BIN_EXE_tee");

/// The server as a user starts it, for the sandbox's workspace.
fn serve(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(SERVER);
    command.args(["serve", "--workspace"]).arg(sandbox.workspace());
    command
}

/// The server as a host registers it, recorded.
fn registered(sandbox: &Sandbox) -> Registered {
    let workspace = sandbox.workspace();
    let workspace = workspace.to_str().expect("a temporary directory has a plain name");
    Registered::new(sandbox, TEE, SERVER, &["serve", "--workspace", workspace])
}

/// The tools that `toolyard tools --json` prints for the sandbox's workspace.
fn printed_tools(sandbox: &Sandbox) -> Vec<String> {
    let mut command = sandbox.command(SERVER);
    command.args(["tools", "--json", "--workspace"]).arg(sandbox.workspace());
    let done = finish(&mut command, Duration::from_secs(30)).expect("`tools --json` ends");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let printed: Value = serde_json::from_str(&done.stdout).expect("`tools --json` prints JSON");
    names(printed.get("tools").unwrap_or(&printed))
}

/// Files and a pattern that keep `fs_grep` busy for seconds without a single match.
fn slow_workspace() -> Sandbox {
    let sandbox = Sandbox::new();
    let text = "lörem ipsüm dölor sit ämet consectetur ädipiscing élit séd do éiusmod ".repeat(30);
    let text = format!("{}\n", text.trim_end()).repeat(2);
    for index in 0..3000 {
        sandbox.write(&format!("slow/{index:04}.txt"), &text);
    }
    sandbox
}

/// A Unicode word boundary on non-ASCII text leaves the engine only its slowest search.
const SLOW_PATTERN: &str = r"(?:\b\w+\b\W+){30}\d";

#[test]
fn every_file_of_this_directory_is_listed_in_main() {
    let listed = include_str!("main.rs");
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/it")).expect("the directory") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        let Some(stem) = name.strip_suffix(".rs").filter(|stem| *stem != "main") else { continue };
        assert!(listed.contains(&format!("\nmod {stem};\n")), "main.rs does not list {name}");
    }
}
