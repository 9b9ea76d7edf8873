//! `cargo xtask dist`: the program as it is handed out, one static file.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// Builds the static program and puts it where it is not overwritten by everyday builds.
///
/// Linking statically saves the dynamic loader's work at each start, about a third of the time to
/// the first answer. The flag goes to the last link only: procedural macros can't be built with it.
pub(crate) fn run(root: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["rustc", "--release", "--package", "toolyard", "--bin", "toolyard", "--"]);
    cargo.args(["-C", "target-feature=+crt-static", "-C", "relocation-model=pie"]);
    // Start-up reads the list of relocations; packed, it is a twentieth as long.
    cargo.args(["-C", "link-arg=-Wl,-z,pack-relative-relocs"]);
    ensure!(
        cargo.status()?.success(),
        "the program does not link; the static C library is missing (Debian: libc6-dev, Fedora: glibc-static)"
    );
    let directory = root.join("target/dist");
    std::fs::create_dir_all(&directory)?;
    let program = directory.join("toolyard");
    // A running server keeps the old file; the new one takes its name.
    let fresh = directory.join("toolyard.new");
    std::fs::copy(root.join("target/release/toolyard"), &fresh).context("no program was built")?;
    std::fs::rename(&fresh, &program)?;
    println!("{}", program.display());
    Ok(program)
}
