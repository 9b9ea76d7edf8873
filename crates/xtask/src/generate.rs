//! `cargo xtask generate`: documents that have one source, the code.

mod cli;
mod configuration;
mod tools;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use toolyard::{Toolyard, core::audit::NoAudit};

const SNAPSHOTS: &str = "crates/toolyard/snapshots/tools";

/// Writes what differs, or with `check` fails because of it.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let wanted = documents()?;
    let mut stale: Vec<String> = Vec::new();
    for (name, text) in &wanted {
        let path = root.join(name);
        if fs::read_to_string(&path).ok().as_deref() == Some(text) {
            continue;
        }
        stale.push(name.clone());
        if !check {
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            fs::write(&path, text).with_context(|| name.clone())?;
        }
    }
    for path in files(&root.join(SNAPSHOTS))? {
        let name = format!("{SNAPSHOTS}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if !wanted.contains_key(&name) {
            if !check {
                fs::remove_file(&path).with_context(|| name.clone())?;
            }
            stale.push(name);
        }
    }
    match (stale.is_empty(), check) {
        (true, _) => println!("{} generated files are up to date", wanted.len()),
        (false, false) => println!("wrote {}", stale.join(", ")),
        (false, true) => bail!("stale: {}; run `cargo xtask generate` and commit what it writes", stale.join(", ")),
    }
    Ok(())
}

/// Everything that is generated, by path.
fn documents() -> Result<BTreeMap<String, String>> {
    let tools = definitions()?;
    let schema = toolyard::config::schema();
    let mut documents = BTreeMap::from([
        ("docs/tools.md".to_owned(), tools::document(&tools)),
        ("docs/configuration.md".to_owned(), configuration::document(&schema)),
        ("docs/mcp-config.schema.json".to_owned(), pretty(&schema)?),
        ("docs/cli.md".to_owned(), cli::document()),
    ]);
    for tool in &tools {
        let name = tool["name"].as_str().context("a tool without a name")?;
        documents.insert(format!("{SNAPSHOTS}/{name}.json"), pretty(tool)?);
    }
    Ok(documents)
}

/// The tools of the default policy, as hosts get them.
fn definitions() -> Result<Vec<Value>> {
    let workspace = tempfile::tempdir()?;
    let yard = Toolyard::builder().workspace(workspace.path()).audit(Arc::new(NoAudit)).build()?;
    match yard.server().definitions()? {
        Value::Array(tools) => Ok(tools),
        other => bail!("the definitions are no list: {other}"),
    }
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// Text for a table cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', r"\|")
}
