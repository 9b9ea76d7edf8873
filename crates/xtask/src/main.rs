//! Work on this repository that Cargo has no command for: `cargo xtask --help`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool for developers, which starts programs and writes files"
)]

mod bench;
mod check;
mod dist;
mod generate;
mod test;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;

/// Work on this repository that Cargo has no command for.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Write the generated documents and the snapshots of tool definitions.
    Generate {
        /// Change nothing; fail if something is not as it would be generated.
        #[arg(long)]
        check: bool,
    },
    /// Check the rules of this repository that no other tool knows.
    Check,
    /// Run every test: documentation, units, the real program, real clients.
    Test(test::TestArgs),
    /// Build the program as it is handed out, one static file, at target/dist/toolyard.
    Dist,
    /// Compare with named references, in one run.
    Bench(bench::BenchArgs),
}

fn main() -> Result<()> {
    let root = root()?;
    match Task::parse() {
        Task::Generate { check } => generate::run(&root, check),
        Task::Check => check::run(&root),
        Task::Test(args) => test::run(&root, &args),
        Task::Dist => dist::run(&root).map(|_| ()),
        Task::Bench(args) => bench::run(&root, &args),
    }
}

/// The top of this repository.
fn root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().with_context(|| root.display().to_string())
}
