//! `cargo xtask check`: rules of this repository that no other tool knows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

const MAX_LINES: usize = 800;

/// Says what breaks a rule, and fails if anything does.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut findings = Vec::new();
    for file in tracked(root)? {
        let shown = file.display().to_string();
        let Ok(text) = fs::read_to_string(root.join(&file)) else { continue };
        if file.extension().is_some_and(|extension| extension == "rs") {
            let lines = text.lines().count();
            if lines > MAX_LINES {
                findings.push(format!("{shown}: {lines} lines; look for a seam, the limit is {MAX_LINES}"));
            }
            if !text.starts_with("//!") && !text.starts_with("#!") && !shown.contains("tests") {
                findings.push(format!("{shown}: begins without a module doc"));
            }
        }
    }
    findings.extend(decisions(root)?);
    if findings.is_empty() {
        println!("the repository keeps its rules");
        return Ok(());
    }
    bail!("{}", findings.join("\n"))
}

/// Decision records are numbered without gaps.
fn decisions(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("docs/decisions")).context("docs/decisions")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let wrong = names.iter().enumerate().find(|(i, name)| !name.starts_with(&format!("{:04}-", i + 1)));
    Ok(wrong.map(|(i, name)| format!("docs/decisions/{name}: the next number is {:04}", i + 1)).into_iter().collect())
}

fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let listed = Command::new("git").current_dir(root).args(["ls-files", "-z"]).output().context("git ls-files")?;
    let text = String::from_utf8(listed.stdout).context("file names that are not UTF-8")?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}
