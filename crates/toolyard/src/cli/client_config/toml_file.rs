//! Codex's TOML file with one table appended. Nothing that is there is rewritten.

use super::{NAME, Registration};

/// Our table.
pub(super) fn table(registration: &Registration) -> String {
    let arguments: Vec<String> = registration.arguments.iter().map(|argument| quoted(argument)).collect();
    format!("[mcp_servers.{NAME}]\ncommand = {}\nargs = [{}]\n", quoted(&registration.command), arguments.join(", "))
}

/// Our table for a server that runs already.
pub(super) fn remote_table(url: &str, token_env: Option<&str>) -> String {
    let token = token_env.map_or_else(String::new, |name| format!("bearer_token_env_var = {}\n", quoted(name)));
    format!("[mcp_servers.{NAME}]\nurl = {}\n{token}", quoted(url))
}

/// The text of the file with our table at its end; `Err` says why the file is left alone.
pub(super) fn appended(existing: &str, table: &str) -> Result<String, String> {
    let ours = format!("mcp_servers.{NAME}");
    let mut header = String::new();
    let mut open: Option<&str> = None;
    for line in existing.lines() {
        let inside = open;
        open = open_string_after(line, open);
        let line = line.trim();
        if inside.is_some() || line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = if line.starts_with('[') {
            header = plain(line.trim_start_matches('[').split(']').next().unwrap_or_default());
            header.clone()
        } else {
            let key = plain(line.split('=').next().unwrap_or_default());
            if header.is_empty() { key } else { format!("{header}.{key}") }
        };
        if key == ours || key.starts_with(&format!("{ours}.")) {
            return Err(format!("it has [{ours}] already; change it there, or remove it first"));
        }
        if key == "mcp_servers" && !line.starts_with('[') {
            return Err(format!("its `mcp_servers` is written in one line; add `{NAME}` there by hand"));
        }
    }
    if open.is_some() {
        return Err("a string in it has no end; mend the file first".to_owned());
    }
    let gap = match existing {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    Ok(format!("{existing}{gap}{table}"))
}

/// A dotted key without quotes and spaces.
fn plain(key: &str) -> String {
    key.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'')).collect()
}

/// The delimiter of the multi-line string that is still open after a line.
fn open_string_after(line: &str, mut open: Option<&'static str>) -> Option<&'static str> {
    let mut rest = line;
    loop {
        let next = match open {
            Some(delimiter) => rest.find(delimiter).map(|at| (at, None)),
            None => ["\"\"\"", "'''"].into_iter().filter_map(|d| rest.find(d).map(|at| (at, Some(d)))).min_by_key(|(at, _)| *at),
        };
        let Some((at, then)) = next else { return open };
        rest = rest.get(at + 3..).unwrap_or_default();
        open = then;
    }
}

/// A basic string; what JSON escapes, TOML reads the same.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Registration, appended, remote_table, table};

    fn into(existing: &str) -> Result<String, String> {
        let registration = Registration { command: "/opt/tool yard".into(), arguments: vec!["serve".into(), "a\"b".into()] };
        appended(existing, &table(&registration))
    }

    #[test]
    fn a_server_that_runs_already_is_named_by_its_address_and_the_variable_of_its_token() {
        let url = "http://127.0.0.1:8080/mcp";
        assert_eq!(
            remote_table(url, Some("T")),
            "[mcp_servers.toolyard]\nurl = \"http://127.0.0.1:8080/mcp\"\nbearer_token_env_var = \"T\"\n"
        );
        assert_eq!(remote_table(url, None), "[mcp_servers.toolyard]\nurl = \"http://127.0.0.1:8080/mcp\"\n");
    }

    const TABLE: &str = "[mcp_servers.toolyard]\ncommand = \"/opt/tool yard\"\nargs = [\"serve\", \"a\\\"b\"]\n";

    #[test]
    fn the_table_is_appended_and_nothing_before_it_changes() {
        assert_eq!(into("").as_deref(), Ok(TABLE));
        for existing in [
            "model = \"x\"\n[mcp_servers.other]\ncommand = \"y\"",
            "# [mcp_servers.toolyard]\n",
            "a = \"\"\"\n[mcp_servers.toolyard]\n\"\"\"\n",
        ] {
            let text = into(existing).expect("it is appended");
            assert!(
                text.starts_with(existing) && text.ends_with(&format!("\n\n{TABLE}")) || text.ends_with(&format!("\n{TABLE}")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_that_has_the_table_in_any_spelling_is_left_alone() {
        for existing in [
            "[mcp_servers.toolyard]\ncommand = \"x\"\n",
            "[ mcp_servers . \"toolyard\" ] # mine\n",
            "[mcp_servers.toolyard.env]\nA = \"1\"\n",
            "[mcp_servers]\ntoolyard = { command = \"x\" }\n",
            "mcp_servers.toolyard.command = \"x\"\n",
        ] {
            assert_eq!(
                into(existing),
                Err("it has [mcp_servers.toolyard] already; change it there, or remove it first".to_owned()),
                "{existing}"
            );
        }
        assert_eq!(into("mcp_servers = {}\n"), Err("its `mcp_servers` is written in one line; add `toolyard` there by hand".to_owned()));
        assert_eq!(into("a = '''\n"), Err("a string in it has no end; mend the file first".to_owned()));
    }
}
