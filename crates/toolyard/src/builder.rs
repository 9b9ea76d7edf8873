//! Puts a server together: directories, policy, audit trail, limits, tools.

#[cfg(feature = "http")]
mod http;
mod names;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use toolyard_core::{
    ApprovalFallback, Dispatcher, Observer, Toolset,
    audit::{AuditError, AuditSink, FileSink, FileSinkConfig, NoAudit},
    guard::{AllowedDirs, GuardError},
};
use toolyard_policy::{PolicySpec, Profile, RolePolicies, RuleSpec};

use crate::{
    config::{ConfigError, Settings},
    state,
};

/// A server that can't be put together, with what to change.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A directory can't be opened to the tools.
    #[error("{place}: {source}")]
    Directory {
        /// The flag or key that names it.
        place: String,
        /// Why.
        source: GuardError,
    },
    /// Nothing says which directory to serve.
    #[error("no directory to serve; name one with `--workspace` or `tools.filesystem.rootPath`")]
    NoWorkspace,
    /// Nothing says where state is kept.
    #[error("no state directory: neither XDG_STATE_HOME nor HOME is set; name one with `--state-dir` or `state.directory`")]
    NoStateDirectory,
    /// The state directory can't be used.
    #[error("the state directory `{path}` can't be used: {source}; name another with `--state-dir` or `state.directory`")]
    StateDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Tools could change the record of their own calls.
    #[error(
        "the {what} `{path}` is inside the allowed directory `{allowed}`, where tools could change it; \
         name one outside with `--state-dir` or `state.directory`, or open a smaller directory with `--workspace`"
    )]
    StateInside {
        /// State or audit directory.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// The allowed directory it is in.
        allowed: String,
    },
    /// The tools don't fit together.
    #[error("the tools can't be registered")]
    Tools(#[source] toolyard_core::BuildError),
}

/// Puts a [`Toolyard`] together; what is set here replaces what the settings say.
#[must_use]
pub struct Builder {
    settings: Settings,
    workspaces: Vec<PathBuf>,
    default_workspace: Option<PathBuf>,
    profile: Option<Profile>,
    read_only: bool,
    allowed_tools: Vec<String>,
    disallowed_tools: Vec<String>,
    state: Option<PathBuf>,
    default_state: Option<PathBuf>,
    audit: Option<Arc<dyn AuditSink>>,
    protected: Vec<PathBuf>,
    observer: Option<Arc<dyn Observer>>,
    #[cfg(feature = "http")]
    metrics: Option<toolyard_http::Metrics>,
    many_callers: bool,
    tools: Toolset,
}

/// A server that is ready to be carried by a transport.
pub struct Toolyard {
    dispatcher: Arc<Dispatcher>,
    fallback: Option<ApprovalFallback>,
    audit: Option<FileSinkHandle>,
    directories: Vec<String>,
    policy: PolicySpec,
    state: Option<PathBuf>,
    tool_names: Vec<&'static str>,
    warnings: Vec<String>,
}

struct FileSinkHandle {
    sink: Arc<FileSink>,
    directory: PathBuf,
}

impl Toolyard {
    /// Starts with the defaults: profile `standard`, filesystem tools, a record of every call.
    pub fn builder() -> Builder {
        Builder {
            settings: Settings::default(),
            workspaces: Vec::new(),
            default_workspace: None,
            profile: None,
            read_only: false,
            allowed_tools: Vec::new(),
            disallowed_tools: Vec::new(),
            state: None,
            default_state: None,
            audit: None,
            protected: Vec::new(),
            observer: None,
            #[cfg(feature = "http")]
            metrics: None,
            many_callers: false,
            tools: Toolset::new(),
        }
    }

    /// The only door to the tools.
    pub const fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// What happens to an ask when the user can't be reached through the protocol; none leaves it to
    /// the transport: [`ApprovalFallback::Host`] on stdio, [`ApprovalFallback::Deny`] over HTTP.
    pub const fn fallback(&self) -> Option<ApprovalFallback> {
        self.fallback
    }

    /// Canonical paths of the allowed directories; relative paths of calls start at the first.
    pub fn directories(&self) -> &[String] {
        &self.directories
    }

    /// The rules in force, flags included.
    pub const fn policy(&self) -> &PolicySpec {
        &self.policy
    }

    /// All tools, those that the policy hides included.
    pub fn tool_names(&self) -> &[&'static str] {
        &self.tool_names
    }

    /// The directory for what is kept between runs; made when it is first needed.
    pub fn state_directory(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// Where the audit trail is written; none when it is off or goes elsewhere.
    pub fn audit_directory(&self) -> Option<&Path> {
        self.audit.as_ref().map(|audit| audit.directory.as_path())
    }

    /// What is probably not meant as it is written, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The MCP server of this yard, for a host that runs as the same user.
    #[cfg(feature = "stdio")]
    pub fn server(&self) -> toolyard_server::Server {
        self.server_with(ApprovalFallback::Host)
    }

    #[cfg(any(feature = "stdio", feature = "http"))]
    fn server_with(&self, fallback: ApprovalFallback) -> toolyard_server::Server {
        toolyard_server::Server::builder(Arc::clone(&self.dispatcher))
            .title("Toolyard")
            .version(env!("CARGO_PKG_VERSION"))
            .instructions(self.instructions())
            .approval_fallback(self.fallback.unwrap_or(fallback))
            .build()
    }

    /// Serves the host at the other end of stdin and stdout until it leaves; then the process
    /// should end, since blocking work that is stuck is left behind.
    ///
    /// # Errors
    /// When the streams can't be served, or the end of the audit trail can't be written.
    #[cfg(feature = "stdio")]
    pub fn serve_stdio(&self) -> io::Result<()> {
        let served = toolyard_stdio::run_blocking(&self.server(), tokio_util::sync::CancellationToken::new());
        self.flush().map_err(io::Error::other)?;
        served.map(drop).map_err(io::Error::other)
    }

    #[cfg(any(feature = "stdio", feature = "http"))]
    fn instructions(&self) -> String {
        let mut text = String::from(
            "Every answer ends with a line in brackets that says how complete it is; pass its cursor back to get the rest. \
             Errors say what to do next.",
        );
        if let [first, others @ ..] = self.directories.as_slice() {
            text.push_str(&format!("\nRelative paths start at {first}."));
            if !others.is_empty() {
                text.push_str(&format!(" Also allowed, by absolute path: {}.", others.join(", ")));
            }
            text.push_str(
                "\nSearch with fs_grep or fs_glob before reading; read only the lines you need; change files with fs_edit, \
                 passing the etag of the version you read.",
            );
        }
        text
    }

    /// Writes what the audit trail still buffers; call it before the process ends.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn flush(&self) -> Result<(), AuditError> {
        self.audit.as_ref().map_or(Ok(()), |audit| audit.sink.flush())
    }
}

impl Builder {
    /// Starts from a configuration file instead of the defaults.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What the settings say about HTTP.
    #[cfg(feature = "http")]
    pub const fn http(&self) -> &crate::config::HttpSettings {
        self.settings.http()
    }

    /// Opens a directory to the tools; the first one given is where relative paths start.
    /// Replaces the directories of the settings.
    pub fn workspace(mut self, directory: impl Into<PathBuf>) -> Self {
        self.workspaces.push(directory.into());
        self
    }

    /// The directory to open when neither [`Self::workspace`] nor the settings name one.
    pub fn default_workspace(mut self, directory: impl Into<PathBuf>) -> Self {
        self.default_workspace = Some(directory.into());
        self
    }

    /// Starts the policy from another ready-made rule set.
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// Denies everything that is not a read, whatever the rules say; never opens anything.
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Adds a tool, family or rule to the ceiling: calls that match none of them are denied.
    pub fn allow_only(mut self, rule: impl Into<String>) -> Self {
        self.allowed_tools.push(rule.into());
        self
    }

    /// Denies a tool, family or rule.
    pub fn deny(mut self, rule: impl Into<String>) -> Self {
        self.disallowed_tools.push(rule.into());
        self
    }

    /// Keeps state here; an absolute path outside every allowed directory.
    pub fn state_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state = Some(directory.into());
        self
    }

    /// The state directory when neither [`Self::state_directory`] nor the settings name one.
    pub fn default_state_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.default_state = Some(directory.into());
        self
    }

    /// Lets no tool change this file, such as the configuration itself; an absolute, canonical path.
    pub fn protect(mut self, file: impl Into<PathBuf>) -> Self {
        self.protected.push(file.into());
        self
    }

    /// Sends the audit trail to an own sink instead of files in the state directory.
    pub fn audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.audit = Some(sink);
        self
    }

    /// Tells how calls go, for figures.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Lets no caller run more than a quarter of the calls that run at once; for servers with many.
    pub const fn many_callers(mut self) -> Self {
        self.many_callers = true;
        self
    }

    /// Adds tools behind the built-in ones.
    pub fn tools(mut self, tools: Toolset) -> Self {
        self.tools = self.tools.merge(tools);
        self
    }

    /// Opens the directories, compiles the policy and registers the tools. Writes nothing.
    ///
    /// # Errors
    /// The first thing that is missing or wrong, and the flag or key to change.
    pub fn build(mut self) -> Result<Toolyard, SetupError> {
        let directories = self.open_directories()?;
        let (policy, spec) = self.compile_policy()?;
        let paths: Vec<String> = directories.iter().flat_map(AllowedDirs::iter).map(|directory| directory.path().to_owned()).collect();
        let state = self.find_state_directory(&paths)?;
        let (audit, sink) = self.open_audit(state.as_deref(), &paths)?;
        let tools = self.toolset(directories);
        let warnings = self.check_names(&tools, &spec)?;
        let tool_names = tools.definitions().map(|definition| definition.name).collect();
        #[cfg(feature = "http")]
        let sink = self.metrics.as_ref().map_or(Arc::clone(&sink), |metrics| metrics.audited(sink));
        let mut limits = self.settings.limits;
        if self.many_callers {
            // So that one caller's slow calls leave places to the others.
            limits.concurrency_per_principal = Some((limits.concurrency / 4).max(1));
        }
        let mut dispatcher = Dispatcher::builder(tools, policy).audit(sink).limits(limits);
        if let Some(observer) = self.observer {
            dispatcher = dispatcher.observer(observer);
        }
        let dispatcher = dispatcher.build().map_err(SetupError::Tools)?;
        Ok(Toolyard {
            dispatcher: Arc::new(dispatcher),
            fallback: self.settings.fallback,
            audit,
            directories: paths,
            policy: spec,
            state,
            tool_names,
            warnings,
        })
    }

    /// None when there are no filesystem tools.
    fn open_directories(&self) -> Result<Option<AllowedDirs>, SetupError> {
        let Some(filesystem) = &self.settings.filesystem else { return Ok(None) };
        let mut named: Vec<(PathBuf, String)> = self.workspaces.iter().map(|path| (path.clone(), "--workspace".to_owned())).collect();
        if named.is_empty() {
            named = filesystem.directories.iter().map(|directory| (directory.path.clone(), directory.place.clone())).collect();
        }
        if named.is_empty() {
            let directory = self.default_workspace.clone().ok_or(SetupError::NoWorkspace)?;
            named.push((directory, "the current directory".to_owned()));
        }
        let paths: Vec<PathBuf> = named.iter().map(|(path, _)| path.clone()).collect();
        match AllowedDirs::open(&paths) {
            Ok(directories) => Ok(Some(directories)),
            Err(error) => {
                // One by one, to tell which of them it was.
                for (path, place) in named {
                    AllowedDirs::open(&[path]).map_err(|source| SetupError::Directory { place, source })?;
                }
                Err(SetupError::Directory { place: "tools.filesystem".into(), source: error })
            }
        }
    }

    fn compile_policy(&self) -> Result<(RolePolicies, PolicySpec), SetupError> {
        let mut spec = self.settings.policy.clone();
        if let Some(profile) = self.profile {
            spec.profile = profile;
        }
        let from_file = spec.deny.len();
        if self.read_only {
            match spec.profile {
                Profile::Standard | Profile::ReadOnly => spec.profile = Profile::ReadOnly,
                // `read-only` would open what this profile keeps closed.
                Profile::Locked => spec.deny.extend(Profile::ReadOnly.rules().deny.iter().map(|rule| RuleSpec::from(*rule))),
            }
        }
        let from_profile = spec.deny.len();
        spec.deny.extend(self.disallowed_tools.iter().map(|rule| RuleSpec::from(rule.as_str())));
        let from_flags = spec.deny.len();
        for path in &self.protected {
            let pattern = literal(path);
            spec.deny.extend(["write", "destroy"].map(|effect| RuleSpec::from(format!("{effect}(/{pattern})").as_str())));
        }
        spec.only.extend(self.allowed_tools.iter().map(|rule| RuleSpec::from(rule.as_str())));
        let policy = RolePolicies::compile(&spec).map_err(|error| {
            let index =
                |prefix: &str| -> Option<usize> { error.place.strip_prefix(prefix)?.strip_prefix('[')?.split(']').next()?.parse().ok() };
            let place = match (index("deny"), index("only")) {
                (Some(at), _) if at >= from_flags => "--config".to_owned(),
                (Some(at), _) if at >= from_profile => "--disallowed-tools".to_owned(),
                (Some(at), _) if at >= from_file => "--read-only".to_owned(),
                (_, Some(_)) => "--allowed-tools".to_owned(),
                _ if error.place == "policy" => error.place,
                _ => format!("policy.{}", error.place),
            };
            ConfigError { place, problem: error.problem }
        })?;
        Ok((policy, spec))
    }

    fn find_state_directory(&self, allowed: &[String]) -> Result<Option<PathBuf>, SetupError> {
        let Some(path) = self.state.as_ref().or(self.settings.state.as_ref()).or(self.default_state.as_ref()) else {
            return Ok(None);
        };
        let canonical = state::canonical(path).map_err(|source| SetupError::StateDirectory { path: path.clone(), source })?;
        refuse_inside("state directory", &canonical, allowed)?;
        Ok(Some(canonical))
    }

    fn open_audit(&mut self, state: Option<&Path>, allowed: &[String]) -> Result<(Option<FileSinkHandle>, Arc<dyn AuditSink>), SetupError> {
        if let Some(sink) = self.audit.take() {
            return Ok((None, sink));
        }
        let settings = &self.settings.audit;
        if !settings.enabled {
            return Ok((None, Arc::new(NoAudit)));
        }
        let directory = match (&settings.directory, state) {
            (Some(directory), _) => {
                state::canonical(directory).map_err(|source| SetupError::StateDirectory { path: directory.clone(), source })?
            }
            (None, Some(state)) => state.join("audit"),
            (None, None) => return Err(SetupError::NoStateDirectory),
        };
        refuse_inside("audit directory", &directory, allowed)?;
        let sink = Arc::new(FileSink::new(FileSinkConfig { directory: directory.clone(), sync: settings.sync }));
        Ok((Some(FileSinkHandle { sink: Arc::clone(&sink), directory }), sink))
    }

    fn toolset(&mut self, directories: Option<AllowedDirs>) -> Toolset {
        filesystem_tools(&self.settings, directories).merge(std::mem::take(&mut self.tools))
    }
}

#[cfg(feature = "fs")]
fn filesystem_tools(settings: &Settings, directories: Option<AllowedDirs>) -> Toolset {
    match (directories, &settings.filesystem) {
        (Some(directories), Some(filesystem)) => toolyard_fs::toolset(toolyard_fs::FsConfig { directories, durable: filesystem.durable }),
        _ => Toolset::new(),
    }
}

#[cfg(not(feature = "fs"))]
fn filesystem_tools(_: &Settings, _: Option<AllowedDirs>) -> Toolset {
    Toolset::new()
}

fn refuse_inside(what: &'static str, path: &Path, allowed: &[String]) -> Result<(), SetupError> {
    match allowed.iter().find(|allowed| path.starts_with(allowed)) {
        Some(allowed) => Err(SetupError::StateInside { what, path: path.to_owned(), allowed: allowed.clone() }),
        None => Ok(()),
    }
}

/// A path as a pattern that matches nothing else.
fn literal(path: &Path) -> String {
    let mut pattern = String::new();
    for c in path.to_string_lossy().chars() {
        if r"\*?[]{}(),!".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
