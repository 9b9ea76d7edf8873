//! The file as written. Doc comments here are the text of `docs/configuration.md`.

mod http;

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::Deserialize;

use super::RuleEntry;

pub use http::{
    AcrSection, Dpop, HttpLimitsSection, HttpSection, IntrospectionSection, IssuerSection, OauthSection, ScopeSection, TlsSection,
    TokenSection,
};

/// Configuration of a Toolyard server. Every key may be left out; an unknown key is an error.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Toolyard configuration")]
pub struct ConfigFile {
    /// Where the schema of this file is, for editors; not read.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// The tool families.
    pub tools: ToolsConfig,
    /// What calls may do. Deny beats ask, ask beats allow, and what no rule matches is denied.
    /// Protected and secret paths hold under every profile; see `docs/policy.md`.
    pub policy: PolicyConfig,
    /// What happens to a call that needs the user's consent.
    pub approval: ApprovalConfig,
    /// Bounds that hold for every tool.
    pub limits: LimitsConfig,
    /// The record of every call and every denial: tools, accesses, decisions and sizes, no contents.
    pub audit: AuditConfig,
    /// What the server keeps between runs.
    pub state: StateConfig,
    /// Serving over HTTP, when `listen` or `--http` says where; see `docs/http.md`. The section alone
    /// opens nothing.
    pub http: Option<HttpSection>,
}

/// The tool families.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolsConfig {
    /// Reading, searching and changing files: the `fs_` tools.
    pub filesystem: FilesystemConfig,
    /// Git tools. Not built into this program yet: only `"enabled": false` is accepted.
    pub git: Option<GitConfig>,
    /// GitHub tools. Not built into this program yet: only `"enabled": false` is accepted.
    pub github: Option<GithubConfig>,
    /// Azure Cosmos DB tools. Not built into this program yet: only `"enabled": false` is accepted.
    pub cosmos_db: Option<CosmosConfig>,
    /// Memory tools. Not built into this program yet: only `"enabled": false` is accepted.
    pub memory: Option<MemoryConfig>,
}

/// Reading, searching and changing files: the `fs_` tools.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct FilesystemConfig {
    /// Whether there are filesystem tools; default true.
    pub enabled: bool,
    /// The directory at which relative paths of calls start. It is an allowed directory itself.
    /// Default: the first of `allowedPaths`, else the directory the server was started in.
    /// A relative path starts at the directory of this file; `--workspace` replaces it.
    pub root_path: Option<String>,
    /// The directories that tools may touch, with everything below them. Default: `rootPath` only.
    /// Each one added is open to every tool the policy allows.
    pub allowed_paths: Vec<String>,
    /// Whether a change is on the disk before its answer is given; default true. With false
    /// writes are faster, and a power failure can undo changes that were reported as made.
    pub fsync: bool,
}

impl Default for FilesystemConfig {
    fn default() -> Self {
        Self { enabled: cfg!(feature = "fs"), root_path: None, allowed_paths: Vec::new(), fsync: true }
    }
}

/// Git tools.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GitConfig {
    /// Whether there are git tools; default true.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// GitHub tools.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GithubConfig {
    /// Whether there are GitHub tools; default true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The token to act with, best as `${GITHUB_TOKEN}`: whoever can read a token that stands in
    /// the file itself can use it.
    #[serde(default)]
    pub token: Option<String>,
}

impl fmt::Debug for GithubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token must not reach a log.
        f.debug_struct("GithubConfig").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

/// Azure Cosmos DB tools.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CosmosConfig {
    /// Whether there are Cosmos DB tools; default true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Address of the account.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The container to work on.
    #[serde(default)]
    pub container_name: Option<String>,
}

/// Memory tools.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MemoryConfig {
    /// Whether there are memory tools; default true.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// What calls may do.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct PolicyConfig {
    /// The rule set to start from; default `standard`.
    pub profile: ProfileName,
    /// Refused, whatever else says yes.
    pub deny: Vec<RuleEntry>,
    /// Needs the user's consent.
    pub ask: Vec<RuleEntry>,
    /// Allowed. A rule here can open what the profile leaves closed: name tools and paths, not `*`.
    pub allow: Vec<RuleEntry>,
}

/// A ready-made rule set.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ProfileName {
    /// Reads are allowed; every change is denied.
    ReadOnly,
    /// Reads and writes are allowed; destroying and executing asks.
    #[default]
    Standard,
    /// Empty: everything is denied until a rule allows it.
    Locked,
}

/// What happens to a call that needs the user's consent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ApprovalConfig {
    /// What an ask comes to when the host can't put the question to the user; default `host` on
    /// stdio and `deny` over HTTP, where nobody can tell whether a person sits there.
    pub fallback: Option<Fallback>,
}

/// What an ask comes to when the host can't put the question to the user.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Fallback {
    /// The host's own permission prompt is the consent: the call runs. A host that was told to
    /// accept everything asks nobody.
    Host,
    /// The call is denied.
    Deny,
}

/// Bounds that hold for every tool.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LimitsConfig {
    /// Longest run of a call in seconds, 1 to 86400; default 300. Longer keeps a stuck call alive.
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: Option<u64>,
    /// Longest run by tool name in seconds, where it differs; default none.
    pub tool_timeouts_seconds: BTreeMap<String, u64>,
    /// Calls that run at once, 1 to 1024; default 64. More of them need more memory.
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: Option<u64>,
    /// Largest arguments of one call in bytes, 1024 to 16777216; default 16777216.
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub max_input_bytes: Option<u64>,
    /// Budget of an answer in tokens when the call names none, 100 to `maxTokens`; default 6000.
    #[schemars(range(min = 100))]
    pub default_tokens: Option<u64>,
    /// Largest budget a call may ask for in tokens, 100 to 100000000; default 20000. Large answers
    /// fill the context of a model.
    #[schemars(range(min = 100, max = 100_000_000))]
    pub max_tokens: Option<u64>,
}

/// The record of every call and every denial.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AuditConfig {
    /// Where the files are, one for each day. Default: `audit` in the state directory. It has to be
    /// outside every allowed directory, or tools could change their own record.
    pub directory: Option<String>,
    /// Whether the record of a change is on the disk before the change is answered; default true.
    /// With false a power failure can lose the last records.
    pub sync: Option<bool>,
    /// Switches the record off; default false. Nobody can then tell what was done.
    pub danger_disabled: bool,
}

/// What the server keeps between runs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct StateConfig {
    /// The state directory, outside every allowed directory. Default: `toolyard` in
    /// `$XDG_STATE_HOME`, else `~/.local/state/toolyard`; `--state-dir` replaces it.
    pub directory: Option<String>,
}
