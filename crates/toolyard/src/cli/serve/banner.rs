//! What `serve --http` says when it is ready: lines for supervisors, then how to register it.

use std::path::{Path, PathBuf};

use toolyard_http::BoundServer;

use super::{how_open, what};
use crate::{
    Toolyard,
    cli::{client_config::quoted, environment, logging, output},
};

/// What callers have to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// Nothing.
    None,
    /// The token in this file.
    File(PathBuf),
    /// A token of the configuration.
    Token,
    /// An access token, which hosts get by themselves.
    Oauth,
}

/// What the open listeners don't tell.
pub(super) struct Facts<'a> {
    pub(super) socket: Option<PathBuf>,
    pub(super) tls: bool,
    pub(super) legacy_sse: bool,
    pub(super) credential: &'a Credential,
    pub(super) json: bool,
}

/// Says where the server listens and how hosts are told.
pub(super) fn announce(yard: &Toolyard, bound: &BoundServer, facts: &Facts<'_>) {
    let scheme = if facts.tls { "https" } else { "http" };
    let mut lines = Vec::new();
    match (&facts.socket, bound.address()) {
        (Some(path), _) => lines.push(format!("listening on unix:{}", path.display())),
        (None, Some(address)) => lines.push(format!("listening on {scheme}://{address}/mcp")),
        (None, None) => {}
    }
    lines.extend(bound.health_address().map(|address| format!("health on http://{address}/health")));
    lines.extend(bound.metrics_address().map(|address| format!("metrics on http://{address}/metrics")));
    if facts.json {
        // Every line of the log has to be JSON.
        for line in lines {
            tracing::info!(target: logging::STARTED, "{line}");
        }
        return;
    }
    let command = environment::own_command().unwrap_or_else(|_| "toolyard".to_owned());
    let how =
        facts.socket.as_deref().map_or_else(|| registrations(&command, bound.url().as_str(), facts.credential, facts.legacy_sse), by_hand);
    lines.push(format!("{} over HTTP: {}. Ctrl-C ends it.", what(yard), how_open(yard)));
    lines.extend(how);
    output::note(&lines.join("\n"));
}

/// How hosts are told.
fn registrations(command: &str, url: &str, credential: &Credential, legacy_sse: bool) -> Vec<String> {
    let header = match credential {
        Credential::None | Credential::Oauth => String::new(),
        Credential::File(path) => {
            format!(" --header \"Authorization: Bearer $(cat {})\"", quoted(&path.display().to_string()))
        }
        Credential::Token => " --header \"Authorization: Bearer $TOKEN\"".to_owned(),
    };
    let url_of_sse = url.strip_suffix("/mcp").map(|base| format!("{base}/sse"));
    let no_token = if header.is_empty() { " --no-token" } else { "" };
    let mut lines =
        vec!["To register it with Claude Code:".to_owned(), format!("  claude mcp add --transport http toolyard {}{header}", quoted(url))];
    if let Some(url) = url_of_sse.filter(|_| legacy_sse) {
        lines.push(format!("  claude mcp add --transport sse toolyard {}{header}", quoted(&url)));
    }
    if !header.is_empty() {
        lines.push("The token is copied into Claude Code's configuration.".to_owned());
    }
    let variable = if header.is_empty() { "" } else { ", which take the token from TOOLYARD_TOKEN" };
    lines.push(format!("With other hosts{variable}:"));
    lines.extend(
        ["codex", "gemini", "vscode", "cursor"].map(|host| format!("  {command} client-config {host} --http {}{no_token}", quoted(url))),
    );
    lines
}

/// Hosts don't speak to sockets.
fn by_hand(socket: &Path) -> Vec<String> {
    let shown = quoted(&socket.display().to_string());
    vec![format!("Only this user can connect: curl --unix-socket {shown} http://localhost/health")]
}

#[cfg(test)]
mod tests {
    use super::{Credential, registrations};

    #[test]
    fn the_command_for_claude_code_reads_the_token_where_it_is_kept() {
        let lines = registrations("toolyard", "http://127.0.0.1:8080/mcp", &Credential::File("/s t/http-token".into()), true);
        assert_eq!(
            lines,
            [
                "To register it with Claude Code:",
                "  claude mcp add --transport http toolyard http://127.0.0.1:8080/mcp --header \"Authorization: Bearer $(cat '/s t/http-token')\"",
                "  claude mcp add --transport sse toolyard http://127.0.0.1:8080/sse --header \"Authorization: Bearer $(cat '/s t/http-token')\"",
                "The token is copied into Claude Code's configuration.",
                "With other hosts, which take the token from TOOLYARD_TOKEN:",
                "  toolyard client-config codex --http http://127.0.0.1:8080/mcp",
                "  toolyard client-config gemini --http http://127.0.0.1:8080/mcp",
                "  toolyard client-config vscode --http http://127.0.0.1:8080/mcp",
                "  toolyard client-config cursor --http http://127.0.0.1:8080/mcp",
            ]
        );
    }

    #[test]
    fn hosts_that_authenticate_by_themselves_are_given_no_header() {
        let lines = registrations("toolyard", "https://t.example.com/mcp", &Credential::Oauth, false);
        assert_eq!(lines[1], "  claude mcp add --transport http toolyard https://t.example.com/mcp");
        assert_eq!(lines[2], "With other hosts:");
        assert_eq!(lines[3], "  toolyard client-config codex --http https://t.example.com/mcp --no-token");
        assert_eq!(lines.len(), 7);
    }
}
