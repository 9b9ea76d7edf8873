//! `cargo xtask test`: every test there is.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

/// What to pass on.
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Arguments for the test runner, such as a filter.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    runner: Vec<String>,
}

/// Runs the documentation's tests, then all others, with nextest where it is installed.
pub(crate) fn run(root: &Path, args: &TestArgs) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let with = |words: &[&str]| -> Result<bool> {
        let mut command = Command::new(&cargo);
        // Cargo's own variables of this run would make the next one build everything again.
        command.current_dir(root).args(words).env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
        let status = command.status().with_context(|| format!("cargo {}", words.join(" ")))?;
        Ok(status.success())
    };
    let nextest = Command::new(&cargo).args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success());
    let more: Vec<&str> = args.runner.iter().map(String::as_str).collect();
    if !nextest {
        println!("cargo-nextest is not installed; using `cargo test`, which runs fewer tests at once");
        ensure!(with(&[&["test", "--workspace"][..], &more].concat())?, "tests failed");
        return Ok(());
    }
    if more.is_empty() {
        ensure!(with(&["test", "--workspace", "--doc", "--quiet"])?, "tests in the documentation failed");
    }
    ensure!(with(&[&["nextest", "run", "--workspace"][..], &more].concat())?, "tests failed");
    Ok(())
}
