//! `toolyard client-config`: the registration of this server with a host, printed or written.
//!
//! Files of hosts belong to their users: other entries stay as they are, a file that can't be
//! understood is not touched, and a file is replaced at once or not at all.

mod json_file;
mod remote;
mod toml_file;

use std::path::{Path, PathBuf};

use super::{
    Failure, Outcome,
    args::{ClientConfigArgs, Host, ServerArgs},
    environment, files, output,
};
use crate::json::Json;
use anyhow::{Context as _, anyhow};

/// The name of this server in the files of hosts.
const NAME: &str = "toolyard";

const MAX_HOST_FILE_BYTES: u64 = 4 << 20;

/// What a host starts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registration {
    command: String,
    arguments: Vec<String>,
}

/// How a host is told: which files of a project, and in which form.
struct Form {
    files: &'static [&'static str],
    /// The object that holds all servers.
    section: &'static str,
    /// Whether an entry names its transport.
    typed: bool,
    /// What stands for the project's directory, for hosts that do not start servers there.
    folder: Option<&'static str>,
}

pub(super) fn run(args: &ClientConfigArgs) -> Result<Outcome, Failure> {
    let current = environment::current_directory().context("the current directory can't be found").map_err(Failure::Setup)?;
    let command = environment::own_command().context("this program can't be found").map_err(Failure::Setup)?;
    let form = form_of(args.host);
    if let Some(url) = &args.http {
        return remote::run(args, url, form.as_ref(), &current);
    }
    let folder = form.as_ref().and_then(|form| form.folder);
    let registration = Registration { command, arguments: arguments(&args.server, &current, folder)? };
    match (form, args.write) {
        (Some(form), false) => print(args.host, &form, &registration),
        (Some(form), true) => write_all(&form, &remote::KEYS, &entry(&form, &registration), &current),
        (None, false) => {
            output::text(&toml_file::table(&registration))?;
            output::note(&format!(
                "put this into ~/.codex/config.toml (`--write` does), or run\n  codex mcp add {NAME} -- {}",
                command_line(&registration)
            ));
            Ok(Outcome::Success)
        }
        (None, true) => write_codex(&toml_file::table(&registration)),
    }
}

/// None for Codex, whose file is no JSON.
fn form_of(host: Host) -> Option<Form> {
    match host {
        Host::ClaudeCode => {
            Some(Form { files: &[".mcp.json", ".claude/mcp-servers.json"], section: "mcpServers", typed: false, folder: None })
        }
        Host::Codex => None,
        Host::Gemini => Some(Form { files: &[".gemini/settings.json"], section: "mcpServers", typed: false, folder: None }),
        Host::Vscode => Some(Form { files: &[".vscode/mcp.json"], section: "servers", typed: true, folder: Some("${workspaceFolder}") }),
        Host::Cursor => {
            Some(Form { files: &[".cursor/mcp.json"], section: "mcpServers", typed: false, folder: Some("${workspaceFolder}") })
        }
    }
}

fn arguments(server: &ServerArgs, current: &Path, folder: Option<&str>) -> Result<Vec<String>, Failure> {
    // Neither the configuration nor the environment may turn what a host starts into an HTTP server.
    let mut all = vec!["serve".to_owned()];
    if cfg!(feature = "http") {
        all.push("--stdio".to_owned());
    }
    for directory in &server.workspace {
        all.extend(["--workspace".to_owned(), absolute(current, directory)?]);
    }
    if let (true, Some(folder)) = (server.workspace.is_empty(), folder) {
        all.extend(["--workspace".to_owned(), folder.to_owned()]);
    }
    if let Some(file) = &server.config {
        all.extend(["--config".to_owned(), absolute(current, file)?]);
    }
    if let Some(profile) = server.profile {
        all.extend(["--profile".to_owned(), toolyard_policy::Profile::from(profile).as_str().to_owned()]);
    }
    if server.read_only {
        all.push("--read-only".to_owned());
    }
    for (flag, rules) in [("--allowed-tools", &server.allowed_tools), ("--disallowed-tools", &server.disallowed_tools)] {
        if !rules.is_empty() {
            all.push(flag.to_owned());
            all.extend(rules.iter().cloned());
        }
    }
    if let Some(directory) = &server.state_dir {
        all.extend(["--state-dir".to_owned(), absolute(current, directory)?]);
    }
    Ok(all)
}

fn absolute(current: &Path, path: &Path) -> Result<String, Failure> {
    let path = files::canonical(path).unwrap_or_else(|_| current.join(path));
    path.into_os_string().into_string().map_err(|path| Failure::Setup(anyhow!("`{}` is not UTF-8 text", path.display())))
}

fn entry(form: &Form, registration: &Registration) -> Vec<(&'static str, Json)> {
    let Registration { command, arguments } = registration;
    let mut entry = Vec::new();
    if form.typed {
        entry.push(("type", Json::Text("stdio".into())));
    }
    entry.push(("command", Json::Text(command.clone())));
    entry.push(("args", Json::Array(arguments.iter().cloned().map(Json::Text).collect())));
    entry
}

fn print(host: Host, form: &Form, registration: &Registration) -> Result<Outcome, Failure> {
    let document = json_file::merged(None, form.section, &[], &entry(form, registration)).map_err(|why| anyhow!(why))?;
    output::text(&document)?;
    let mut note = format!("put this into {} (`--write` does)", form.files.join(" or "));
    if host == Host::ClaudeCode {
        note += &format!(", or run\n  claude mcp add {NAME} -- {}", command_line(registration));
        note += "\nfor one session only:\n  claude --mcp-config .claude/mcp-servers.json";
    }
    output::note(&note);
    Ok(Outcome::Success)
}

/// Puts an entry into all files of a host, without the `stale` keys that stood there for another
/// transport.
fn write_all(form: &Form, stale: &[&str], entry: &[(&str, Json)], project: &Path) -> Result<Outcome, Failure> {
    // All files are understood before the first is written.
    let mut merged: Vec<(PathBuf, Option<String>, String)> = Vec::new();
    for file in form.files {
        let path = project.join(file);
        let existing = read(&path)?;
        let text = json_file::merged(existing.as_deref(), form.section, stale, entry)
            .map_err(|why| Failure::Setup(anyhow!("`{}` is not touched: {why}", path.display())))?;
        merged.push((path, existing, text));
    }
    for (path, existing, text) in merged {
        put(&path, existing.as_deref(), &text)?;
    }
    Ok(Outcome::Success)
}

fn write_codex(table: &str) -> Result<Outcome, Failure> {
    let home = environment::path("CODEX_HOME").or_else(|| environment::home().map(|home| home.join(".codex")));
    let path = home.ok_or_else(|| Failure::Setup(anyhow!("neither CODEX_HOME nor HOME is set")))?.join("config.toml");
    let existing = read(&path)?;
    let text = toml_file::appended(existing.as_deref().unwrap_or_default(), table)
        .map_err(|why| Failure::Setup(anyhow!("`{}` is not touched: {why}", path.display())))?;
    put(&path, existing.as_deref(), &text)?;
    Ok(Outcome::Success)
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    files::read_text_if_there(path, MAX_HOST_FILE_BYTES)
        .with_context(|| format!("`{}` can't be read", path.display()))
        .map_err(Failure::Setup)
}

fn put(path: &Path, existing: Option<&str>, text: &str) -> Result<(), Failure> {
    let shown = path.display();
    if existing == Some(text) {
        output::text(&format!("{shown} has this registration already"))?;
        return Ok(());
    }
    files::write_atomically(path, text).with_context(|| format!("`{shown}` can't be written"))?;
    output::text(&format!("{} {shown}", if existing.is_some() { "changed" } else { "made" }))?;
    Ok(())
}

/// The registration as a shell takes it.
fn command_line(registration: &Registration) -> String {
    let words = std::iter::once(&registration.command).chain(&registration.arguments);
    words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the test lays out its own project")]

    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::{Failure, Host, Outcome, Registration, command_line, entry, form_of, write_all};
    #[cfg(feature = "http")]
    use super::{ServerArgs, arguments};

    fn registration() -> Registration {
        Registration { command: "toolyard".into(), arguments: vec!["serve".into(), "--workspace".into(), "/a b".into()] }
    }

    fn write(project: &Path) -> Result<Outcome, Failure> {
        let form = form_of(Host::ClaudeCode).expect("a JSON host");
        write_all(&form, &[], &entry(&form, &registration()), project)
    }

    #[test]
    fn writing_twice_changes_nothing_and_keeps_the_mode_and_the_other_entries() {
        let project = tempfile::tempdir().expect("a temporary directory");
        let file = project.path().join(".mcp.json");
        fs::write(&file, r#"{"z":1,"mcpServers":{"other":{"command":"x"}}}"#).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        write(project.path()).expect("written");
        let first = fs::read_to_string(&file).expect("a file");
        assert!(first.starts_with("{\n  \"z\": 1,\n  \"mcpServers\": {\n    \"other\""), "{first}");
        write(project.path()).expect("written");
        assert_eq!(fs::read_to_string(&file).expect("a file"), first);
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o640);
        assert!(project.path().join(".claude/mcp-servers.json").is_file());
        assert_eq!(fs::read_dir(project.path()).expect("a directory").count(), 2, "a temporary file was left");
    }

    #[test]
    fn a_file_that_cant_be_understood_stops_everything_before_the_first_write() {
        let project = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(project.path().join(".claude")).expect("a directory");
        let bad = project.path().join(".claude/mcp-servers.json");
        fs::write(&bad, "// mine\n{}").expect("a file");
        let refused = write(project.path());
        let Err(Failure::Setup(error)) = refused else { panic!("it was written") };
        assert!(error.to_string().contains("is not touched: not usable as JSON"), "{error}");
        assert!(!project.path().join(".mcp.json").exists());
        assert_eq!(fs::read_to_string(&bad).expect("a file"), "// mine\n{}");
    }

    #[test]
    fn a_symlink_stays_and_its_target_is_written() {
        let project = tempfile::tempdir().expect("a temporary directory");
        let real = project.path().join("real.json");
        fs::write(&real, "{}").expect("a file");
        std::os::unix::fs::symlink(&real, project.path().join(".mcp.json")).expect("a link");
        write(project.path()).expect("written");
        assert!(project.path().join(".mcp.json").is_symlink());
        assert!(fs::read_to_string(&real).expect("a file").contains("toolyard"));
    }

    #[cfg(feature = "http")]
    #[test]
    fn what_a_host_starts_serves_stdio_whatever_the_environment_says() {
        let started = arguments(&ServerArgs { read_only: true, ..ServerArgs::default() }, Path::new("/project"), Some("${folder}"));
        assert_eq!(started.ok(), Some(["serve", "--stdio", "--workspace", "${folder}", "--read-only"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_command_line_is_quoted_for_a_shell() {
        assert_eq!(command_line(&registration()), "toolyard serve --workspace '/a b'");
    }
}
