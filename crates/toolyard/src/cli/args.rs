//! Commands and options; their doc comments are the help text and `docs/cli.md`.

#[cfg(feature = "http")]
mod http;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use toolyard_policy::Profile;

#[cfg(feature = "http")]
pub(super) use http::HttpArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it ran and the answer is no: the tool failed, a check found something
  2  it could not run: wrong usage or configuration";

/// Fast, safe coding tools for any MCP host.
#[derive(Debug, Parser)]
#[command(name = "toolyard", version, propagate_version = true, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
#[command(after_long_help = "\
Examples:
  toolyard serve                                    serve the current directory over stdio
  toolyard serve --http :8080                       serve it over HTTP on this machine
  toolyard call fs_grep '{\"pattern\":\"TODO\"}'        run one tool by hand
  toolyard client-config claude-code --write        register with Claude Code in this project
  toolyard policy explain fs_delete '{\"path\":\"a\"}'  what would happen, and why
  toolyard doctor                                   check this machine and the configuration

Exit codes:
  0  done
  1  it ran and the answer is no: the tool failed, a check found something
  2  it could not run: wrong usage or configuration")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the tools to MCP hosts, over stdin and stdout or over HTTP.
    ///
    /// Hosts start this command for stdio; `toolyard client-config` prints how to tell them. With
    /// --http, with `http.listen` in the configuration, or with MCP_PORT in the environment the
    /// tools are served over HTTP at /mcp; what comes first in this list counts. MCP_HOST is the
    /// address to MCP_PORT; without it that is 127.0.0.1.
    ///
    /// On this machine callers need the token in STATE/http-token, which is made when neither
    /// tokens nor OAuth are configured. Elsewhere one of these has to be configured.
    #[command(after_help = "\
Examples:
  toolyard serve                                          over stdio
  toolyard serve --http :8080                             over HTTP, with a token, on this machine
  toolyard serve --http unix:/run/user/1000/toolyard.sock over a socket that only you can open
  toolyard serve --config mcp-config.json --http 0.0.0.0:8443 --tls-cert c.pem --tls-key k.pem

SIGTERM and Ctrl-C let running calls finish; a second one ends at once.")]
    Serve(Box<ServeArgs>),
    /// Run one tool through the same policy, audit and limits, and print its answer.
    #[command(after_help = "\
Examples:
  toolyard call fs_read '{\"path\":\"src/main.rs\",\"lines\":\"1-40\"}'
  echo '{\"path\":\"a.txt\",\"content\":\"hello\\n\"}' | toolyard call fs_write -

Exit code 0: the tool answered; 1: it failed or was denied; 2: wrong usage or configuration.")]
    Call(CallArgs),
    /// List the tools that the policy leaves open.
    Tools(ToolsArgs),
    /// Check the policy, or ask what it would say.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Check a configuration file, or print its schema.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print or write the registration of this server with a host.
    #[command(after_help = "\
Examples:
  toolyard client-config claude-code              print the JSON for .mcp.json
  toolyard client-config claude-code --write      put it into .mcp.json and .claude/mcp-servers.json
  toolyard client-config codex                    print the TOML and the `codex mcp add` command
  toolyard client-config vscode --read-only       register a server that only reads
  toolyard client-config gemini --http http://127.0.0.1:8080/mcp
                                                  register a server that runs already; the host
                                                  takes the token from TOOLYARD_TOKEN

Options of the server are taken over into the registration. Other entries of a file that is
written stay as they are; a file that can't be understood is not touched.")]
    ClientConfig(ClientConfigArgs),
    /// Check this machine, the directories and the configuration, in words.
    Doctor(DoctorArgs),
    /// Make tokens for callers over HTTP.
    #[cfg(feature = "http")]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Ask a server over HTTP whether it is ready, for containers.
    #[cfg(feature = "http")]
    #[command(after_help = "\
Exit code 0: ready; 1: not ready, or nobody answers; 2: wrong usage or configuration.")]
    Healthcheck(HealthcheckArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// How this command logs; none if it never does.
    pub(super) fn log(&self) -> Option<&LogArgs> {
        match self {
            Self::Serve(args) => Some(&args.log),
            Self::Call(args) => Some(&args.log),
            Self::Tools(args) => Some(&args.log),
            Self::Policy { command: PolicyCommand::Check(args) } => Some(&args.check.log),
            Self::Policy { command: PolicyCommand::Explain(args) } => Some(&args.log),
            Self::Config { command: ConfigCommand::Check(args) } => Some(&args.log),
            Self::Doctor(args) => Some(&args.log),
            Self::Config { command: ConfigCommand::Schema } | Self::ClientConfig(_) | Self::Completions { .. } => None,
            #[cfg(feature = "http")]
            Self::Token { .. } | Self::Healthcheck(_) => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Load the policy with all its examples and say what it comes to for each tool.
    Check(PolicyCheckArgs),
    /// Say what would happen to one call, which rule decides, and how to change it.
    Explain(ExplainArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Load the configuration as `serve` does, secrets and certificates included; no port is opened
    /// and nobody is asked.
    Check(CheckArgs),
    /// Print the JSON Schema of the configuration file.
    Schema,
}

#[cfg(feature = "http")]
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token: it goes to stdout, once; its entry for the configuration goes to stderr.
    #[command(after_help = "\
Examples:
  toolyard token new --name ci --role reader
  toolyard token new --name ci > token-for-ci")]
    New(TokenArgs),
}

#[cfg(feature = "http")]
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// Whom it stands for: letters, digits, `.`, `_` and `-`.
    #[arg(long, default_value = "new")]
    pub(super) name: String,
    /// Role that rules can name; may be repeated.
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Vec<String>,
}

#[cfg(feature = "http")]
#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    /// What to ask [default: /readyz where the configuration tells health, else
    /// http://127.0.0.1:8081/readyz].
    #[arg(long)]
    pub(super) url: Option<String>,
    /// How long to wait: `3s`, `500ms`.
    #[arg(long, value_name = "TIME", default_value = "3s")]
    pub(super) timeout: String,
    /// Configuration file [environment: MCP_CONFIG_PATH].
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// What is served, and under which rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Server options")]
pub(super) struct ServerArgs {
    /// Directory the tools may touch; may be repeated, relative paths of calls start at the first
    /// [default: the current directory].
    #[arg(long, value_name = "DIR")]
    pub(super) workspace: Vec<PathBuf>,
    /// Configuration file [environment: MCP_CONFIG_PATH].
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Rule set to start from.
    #[arg(long, value_enum)]
    pub(super) profile: Option<ProfileArg>,
    /// Deny everything that is not a read, whatever the rules say.
    #[arg(long)]
    pub(super) read_only: bool,
    /// Leave only these tools, families or rules: `fs_read`, `fs`, `fs_write(docs/**)`.
    #[arg(long, value_name = "RULES", num_args = 1..)]
    pub(super) allowed_tools: Vec<String>,
    /// Deny these tools, families or rules.
    #[arg(long, value_name = "RULES", num_args = 1..)]
    pub(super) disallowed_tools: Vec<String>,
    /// Directory for the audit trail and the token of this machine, outside every allowed directory
    /// [default: $XDG_STATE_HOME/toolyard, else ~/.local/state/toolyard].
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
}

/// What is written to stderr.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Log options")]
pub(super) struct LogArgs {
    /// Log in detail to stderr; FILTER narrows it, as in `toolyard_fs=trace`.
    #[arg(long, value_name = "FILTER", num_args = 0..=1, require_equals = true, default_missing_value = "debug")]
    pub(super) debug: Option<String>,
    /// Log what happens to stderr, not only warnings [environment: LOG_LEVEL].
    #[arg(long, conflicts_with = "debug")]
    pub(super) verbose: bool,
    /// How logs are written [default: text; environment: LOG_FORMAT].
    #[arg(long, value_enum)]
    pub(super) log_format: Option<LogFormat>,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// A line of words for each event.
    Text,
    /// A JSON object for each event, on one line.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[cfg(feature = "http")]
    #[command(flatten)]
    pub(super) http: HttpArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// Name of the tool; `toolyard tools` lists them.
    pub(super) tool: String,
    /// Its arguments as a JSON object; `-` reads them from stdin.
    #[arg(value_name = "JSON")]
    pub(super) arguments: Option<String>,
    /// Consent beforehand to what the policy wants to ask.
    #[arg(long)]
    pub(super) approve: bool,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct ToolsArgs {
    /// Print the definitions as hosts get them.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct PolicyCheckArgs {
    /// Ask for a caller with this role; may be repeated.
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Vec<String>,
    #[command(flatten)]
    pub(super) check: CheckArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Ask for a caller with this role; may be repeated.
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Vec<String>,
    /// Name of the tool.
    pub(super) tool: String,
    /// Its arguments as a JSON object; `-` reads them from stdin.
    #[arg(value_name = "JSON")]
    pub(super) arguments: Option<String>,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct ClientConfigArgs {
    /// The host to register with.
    #[arg(value_enum)]
    pub(super) host: Host,
    /// Write the host's files instead of printing.
    #[arg(long)]
    pub(super) write: bool,
    /// Register the server that runs at this address, instead of one that the host starts; an
    /// address that ends with `/sse` is registered as HTTP+SSE.
    #[arg(long, value_name = "URL")]
    pub(super) http: Option<String>,
    /// Environment variable of the host that holds the token; the token itself is never written.
    #[arg(long, value_name = "NAME", default_value = "TOOLYARD_TOKEN", requires = "http")]
    pub(super) token_env: String,
    /// Register no token: for OAuth, which hosts do by themselves, and for servers that need none.
    #[arg(long, requires = "http", conflicts_with = "token_env")]
    pub(super) no_token: bool,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// A ready-made rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProfileArg {
    /// Reads are allowed; every change is denied.
    ReadOnly,
    /// Reads and writes are allowed; destroying and executing asks.
    Standard,
    /// Everything is denied until a rule allows it.
    Locked,
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::ReadOnly => Self::ReadOnly,
            ProfileArg::Standard => Self::Standard,
            ProfileArg::Locked => Self::Locked,
        }
    }
}

/// A host that can be told about this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Host {
    /// Claude Code: `.mcp.json`, and `.claude/mcp-servers.json` for `--mcp-config`.
    ClaudeCode,
    /// Codex: `~/.codex/config.toml`.
    Codex,
    /// Gemini CLI: `.gemini/settings.json`.
    Gemini,
    /// Visual Studio Code: `.vscode/mcp.json`.
    Vscode,
    /// Cursor: `.cursor/mcp.json`.
    Cursor,
}
