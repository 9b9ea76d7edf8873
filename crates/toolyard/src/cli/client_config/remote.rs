//! Registration of a server that runs already, by its address.

use std::path::Path;

use anyhow::anyhow;

use super::{Form, NAME, json_file, quoted, toml_file, write_all, write_codex};
use crate::{
    cli::{
        Failure, Outcome,
        args::{ClientConfigArgs, Host, ServerArgs},
        output,
    },
    json::Json,
};

/// Keys of an entry for a server that runs already.
pub(super) const KEYS: [&str; 4] = ["url", "httpUrl", "headers", "type"];

/// Keys of an entry for a server that the host starts.
const STDIO_KEYS: [&str; 4] = ["command", "args", "httpUrl", "headers"];

pub(super) fn run(args: &ClientConfigArgs, url: &str, form: Option<&Form>, project: &Path) -> Result<Outcome, Failure> {
    check(args, url).map_err(|problem| Failure::Setup(anyhow!(problem)))?;
    let token_env = (!args.no_token).then_some(args.token_env.as_str());
    let Some(form) = form else {
        let table = toml_file::remote_table(url, token_env);
        if args.write {
            return write_codex(&table);
        }
        output::text(&table)?;
        let token = token_env.map_or_else(String::new, |name| format!(" --bearer-token-env-var {name}"));
        let start = token_env.map_or_else(String::new, |name| format!(", start codex with the token in {name}"));
        output::note(&format!(
            "put this into ~/.codex/config.toml (`--write` does){start}; or run\n  codex mcp add {NAME} --url {}{token}",
            quoted(url)
        ));
        return Ok(Outcome::Success);
    };
    let entry = entry(args.host, url, token_env);
    if args.write {
        return write_all(form, &STDIO_KEYS, &entry, project);
    }
    let document = json_file::merged(None, form.section, &[], &entry).map_err(|why| anyhow!(why))?;
    output::text(&document)?;
    output::note(&note(args.host, form, url, token_env));
    Ok(Outcome::Success)
}

fn check(args: &ClientConfigArgs, url: &str) -> Result<(), String> {
    if args.server != ServerArgs::default() {
        return Err("--http: a server that runs already has its options; leave the others out".into());
    }
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) || url.contains(char::is_whitespace) {
        return Err(format!("--http: `{url}` is no address; write such as `http://127.0.0.1:8080/mcp`"));
    }
    if args.host == Host::Codex && is_sse(url) {
        return Err("--http: codex does not speak HTTP+SSE; give it the address that ends with `/mcp`".into());
    }
    let starts_well = args.token_env.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !args.token_env.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        // It may be the token itself.
        return Err("--token-env: write the name of a variable, such as `TOOLYARD_TOKEN`".into());
    }
    Ok(())
}

fn is_sse(url: &str) -> bool {
    url.ends_with("/sse")
}

fn transport(url: &str) -> &'static str {
    if is_sse(url) { "sse" } else { "http" }
}

fn entry(host: Host, url: &str, token_env: Option<&str>) -> Vec<(&'static str, Json)> {
    let mut entry = Vec::new();
    // Cursor finds the transport out.
    if host != Host::Cursor {
        entry.push(("type", Json::Text(transport(url).to_owned())));
    }
    entry.push(("url", Json::Text(url.to_owned())));
    if let Some(name) = token_env {
        let reference = match host {
            Host::Vscode | Host::Cursor => format!("${{env:{name}}}"),
            Host::ClaudeCode | Host::Codex | Host::Gemini => format!("${{{name}}}"),
        };
        entry.push(("headers", Json::Object(vec![("Authorization".to_owned(), Json::Text(format!("Bearer {reference}")))])));
    }
    entry
}

fn note(host: Host, form: &Form, url: &str, token_env: Option<&str>) -> String {
    let mut note = format!("put this into {} (`--write` does)", form.files.join(" or "));
    if let Some(name) = token_env {
        note += &format!(", and start the host with the token in {name}");
    }
    let header = token_env.map_or_else(String::new, |name| format!(" --header \"Authorization: Bearer ${name}\""));
    match host {
        Host::ClaudeCode => note += &format!("; or run\n  claude mcp add --transport {} {NAME} {}{header}", transport(url), quoted(url)),
        Host::Gemini => note += &format!("; or run\n  gemini mcp add --transport {} {NAME} {}{header}", transport(url), quoted(url)),
        Host::Codex | Host::Vscode | Host::Cursor => {}
    }
    note
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::{Value, json};

    use super::{ClientConfigArgs, Host, Json, check, entry};
    use crate::cli::args::{Cli, Command};

    fn args(more: &[&str]) -> ClientConfigArgs {
        let cli = Cli::try_parse_from(["toolyard", "client-config"].iter().chain(more)).expect("options");
        match cli.command {
            Some(Command::ClientConfig(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    fn written(host: Host, url: &str, token_env: Option<&str>) -> Value {
        let entry = entry(host, url, token_env).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Json::Object(entry).into()
    }

    #[test]
    fn each_host_reads_the_token_from_a_variable_in_its_own_syntax() {
        let url = "http://127.0.0.1:8080/mcp";
        let plain = json!({ "type": "http", "url": url, "headers": { "Authorization": "Bearer ${T}" } });
        assert_eq!(written(Host::ClaudeCode, url, Some("T")), plain);
        assert_eq!(written(Host::Gemini, url, Some("T")), plain);
        let named = json!({ "type": "http", "url": url, "headers": { "Authorization": "Bearer ${env:T}" } });
        assert_eq!(written(Host::Vscode, url, Some("T")), named);
        assert_eq!(written(Host::Cursor, url, None), json!({ "url": url }));
        assert_eq!(written(Host::ClaudeCode, "http://h/sse", None), json!({ "type": "sse", "url": "http://h/sse" }));
    }

    #[test]
    fn what_can_t_be_registered_is_refused() {
        for (options, problem) in [
            (&["gemini", "--http", "127.0.0.1:8080"][..], "--http: `127.0.0.1:8080` is no address"),
            (&["codex", "--http", "http://h/sse"], "--http: codex does not speak HTTP+SSE"),
            (&["gemini", "--http", "http://h/mcp", "--read-only"], "--http: a server that runs already has its options"),
            (&["gemini", "--http", "http://h/mcp", "--token-env", "se-cret"], "--token-env: write the name of a variable"),
        ] {
            let args = args(options);
            let refused = check(&args, args.http.as_deref().unwrap_or_default()).expect_err("it can't be registered");
            assert!(refused.starts_with(problem), "{refused}");
        }
    }
}
