//! From options and environment to a server that is ready to run.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value};

use super::{
    Failure,
    args::{LogArgs, ServerArgs},
    environment, files, logging,
};
use crate::{
    Builder, Toolyard,
    config::{MAX_CONFIG_BYTES, Settings},
};

const MAX_ARGUMENT_BYTES: u64 = 16 << 20;

/// Starts logging and puts the server together.
pub(super) fn start(server: &ServerArgs, log: &LogArgs) -> Result<Toolyard, Failure> {
    logging::start(log)?;
    finish(builder(server)?)
}

/// Puts the server together, and logs what is probably not meant.
pub(super) fn finish(builder: Builder) -> Result<Toolyard, Failure> {
    let yard = builder.build().map_err(Failure::setup)?;
    for warning in yard.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(yard)
}

/// What options, configuration and environment ask for.
pub(super) fn builder(args: &ServerArgs) -> Result<Builder, Failure> {
    let mut builder = Toolyard::builder();
    let current = environment::current_directory().context("the current directory can't be found").map_err(Failure::Setup)?;
    if let Some(path) = config_path(args.config.as_deref()) {
        let settings = load(&path)?;
        // Tools must not change what they are governed by, wherever the file is.
        let file = files::canonical(&path).with_context(|| path.display().to_string()).map_err(Failure::Setup)?;
        builder = builder.settings(settings).protect(file);
    }
    for directory in &args.workspace {
        builder = builder.workspace(current.join(directory));
    }
    builder = builder.default_workspace(&current);
    if let Some(profile) = args.profile {
        builder = builder.profile(profile.into());
    }
    if args.read_only {
        builder = builder.read_only();
    }
    for rule in split_rules(&args.allowed_tools) {
        builder = builder.allow_only(rule);
    }
    for rule in split_rules(&args.disallowed_tools) {
        builder = builder.deny(rule);
    }
    if let Some(directory) = &args.state_dir {
        builder = builder.state_directory(current.join(directory));
    }
    if let Some(directory) = environment::state_directory() {
        builder = builder.default_state_directory(directory);
    }
    Ok(builder)
}

/// The configuration file in force.
pub(super) fn config_path(option: Option<&Path>) -> Option<PathBuf> {
    option.map(Path::to_owned).or_else(|| environment::path("MCP_CONFIG_PATH"))
}

/// One thread for the protocol; blocking work has threads of its own.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("the runtime can't be started")?)
}

/// The arguments of a call: a JSON object, or `-` for one on stdin.
pub(super) fn arguments(given: Option<&str>) -> Result<Map<String, Value>, Failure> {
    let text = match given {
        None => return Ok(Map::new()),
        Some("-") => {
            let mut text = String::new();
            let read = io::stdin().lock().take(MAX_ARGUMENT_BYTES + 1).read_to_string(&mut text);
            let read = read.context("the arguments can't be read from stdin").map_err(Failure::Setup)?;
            if read as u64 > MAX_ARGUMENT_BYTES {
                return Err(Failure::Setup(anyhow!("the arguments on stdin are larger than {MAX_ARGUMENT_BYTES} bytes")));
            }
            text
        }
        Some(text) => text.to_owned(),
    };
    serde_json::from_str(&text)
        .with_context(|| r#"the arguments have to be one JSON object, such as '{"path":"."}'"#)
        .map_err(Failure::Setup)
}

/// Reads and checks a configuration file.
pub(super) fn load(path: &Path) -> Result<Settings, Failure> {
    let shown = path.display();
    let text = files::read_text(path, MAX_CONFIG_BYTES).with_context(|| format!("the configuration `{shown}` can't be read"));
    let text = text.map_err(Failure::Setup)?;
    let base = files::folder_of(path).with_context(|| shown.to_string()).map_err(Failure::Setup)?;
    Settings::from_json(&text, &base, &environment::variable).with_context(|| shown.to_string()).map_err(Failure::Setup)
}

/// Splits `fs_read,fs_write(docs/{a,b}.md) git` at commas and spaces outside parentheses.
fn split_rules(values: &[String]) -> Vec<String> {
    let mut rules = Vec::new();
    for value in values {
        let mut depth = 0_usize;
        let mut rule = String::new();
        for c in value.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && (c == ',' || c.is_whitespace()) {
                rules.push(std::mem::take(&mut rule));
            } else {
                rule.push(c);
            }
        }
        rules.push(rule);
    }
    rules.retain(|rule| !rule.is_empty());
    rules
}

#[cfg(test)]
mod tests {
    use super::split_rules;

    #[test]
    fn rules_are_split_at_commas_and_spaces_but_not_inside_a_specifier() {
        let given = ["fs_read, fs_write(docs/{a,b} c.md),git".to_owned(), "read".to_owned()];
        assert_eq!(split_rules(&given), ["fs_read", "fs_write(docs/{a,b} c.md)", "git", "read"]);
    }
}
