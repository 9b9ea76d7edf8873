//! The second stage: parsed, checked values that the program runs with.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use toolyard_core::{ApprovalFallback, Limits};
use toolyard_policy::{PolicySpec, Profile, RuleSpec};

use super::{ConfigFile, Fallback, FilesystemConfig, LimitsConfig, ProfileName, RuleEntry, ToolsConfig, variables};
use crate::json::Json;

/// Largest configuration file, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if .place.is_empty() { String::new() } else { format!("{place}: ") })]
pub struct ConfigError {
    /// The path of the key: `policy.deny[2]`; empty for the file as a whole.
    pub place: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn at(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// A directory with the place that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedDirectory {
    pub(crate) path: PathBuf,
    pub(crate) place: String,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// None when the filesystem family is switched off.
    pub(crate) filesystem: Option<FilesystemSettings>,
    pub(crate) policy: PolicySpec,
    /// None when the transport decides.
    pub(crate) fallback: Option<ApprovalFallback>,
    pub(crate) limits: Limits,
    pub(crate) audit: AuditSettings,
    pub(crate) state: Option<PathBuf>,
    #[cfg(feature = "http")]
    pub(crate) http: super::HttpSettings,
}

#[derive(Clone, Debug)]
pub(crate) struct FilesystemSettings {
    /// Empty when the file names none.
    pub(crate) directories: Vec<NamedDirectory>,
    #[cfg_attr(not(feature = "fs"), expect(dead_code, reason = "only the filesystem family asks"))]
    pub(crate) durable: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct AuditSettings {
    pub(crate) enabled: bool,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) sync: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            filesystem: cfg!(feature = "fs").then_some(FilesystemSettings { directories: Vec::new(), durable: true }),
            policy: PolicySpec::default(),
            fallback: None,
            limits: Limits::default(),
            audit: AuditSettings { enabled: true, directory: None, sync: true },
            state: None,
            #[cfg(feature = "http")]
            http: super::HttpSettings::default(),
        }
    }
}

impl Settings {
    /// Reads the text of a configuration file; `base` is the directory that relative paths start
    /// at, `variables` looks up `${NAME}`.
    ///
    /// # Errors
    /// The first thing that is wrong, with the path of its key.
    pub fn from_json(text: &str, base: &Path, variables: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(ConfigError::at("", format!("the file holds {} bytes, the limit is {MAX_CONFIG_BYTES}", text.len())));
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let parsed: Result<Json, _> = serde_path_to_error::deserialize(&mut deserializer);
        let mut json = parsed.map_err(|error| {
            let place = place_of(error.path());
            ConfigError::at(place, format!("not usable as JSON: {}", error.inner()))
        })?;
        deserializer.end().map_err(|error| ConfigError::at("", format!("not usable as JSON: {error}")))?;
        if !matches!(json, Json::Object(_)) {
            return Err(ConfigError::at("", "the file has to be one JSON object"));
        }
        variables::expand(&mut json, "", variables)?;
        let file: ConfigFile = serde_path_to_error::deserialize(Value::from(json))
            .map_err(|error| ConfigError::at(place_of(error.path()), error.inner().to_string()))?;
        Self::resolve(file, base)
    }

    /// Checks a configuration that was already read.
    ///
    /// # Errors
    /// The first thing that is wrong, with the path of its key.
    pub fn resolve(file: ConfigFile, base: &Path) -> Result<Self, ConfigError> {
        let ConfigFile { schema: _, tools, policy, approval, limits, audit, state, http } = file;
        refuse_absent_families(&tools)?;
        #[cfg(not(feature = "http"))]
        if http.is_some() {
            return Err(ConfigError::at("http", "this program was built without HTTP; remove the section"));
        }
        let specs = |rules: Vec<RuleEntry>| -> Vec<RuleSpec> { rules.into_iter().map(|RuleEntry(spec)| spec).collect() };
        Ok(Self {
            filesystem: resolve_filesystem(tools.filesystem, base)?,
            policy: PolicySpec {
                profile: match policy.profile {
                    ProfileName::ReadOnly => Profile::ReadOnly,
                    ProfileName::Standard => Profile::Standard,
                    ProfileName::Locked => Profile::Locked,
                },
                deny: specs(policy.deny),
                ask: specs(policy.ask),
                allow: specs(policy.allow),
                only: Vec::new(),
            },
            fallback: approval.fallback.map(|fallback| match fallback {
                Fallback::Host => ApprovalFallback::Host,
                Fallback::Deny => ApprovalFallback::Deny,
            }),
            limits: resolve_limits(limits)?,
            audit: AuditSettings {
                enabled: !audit.danger_disabled,
                directory: audit.directory.map(|path| directory(&path, base, "audit.directory")).transpose()?,
                sync: audit.sync.unwrap_or(true),
            },
            state: state.directory.map(|path| directory(&path, base, "state.directory")).transpose()?,
            #[cfg(feature = "http")]
            http: http.map(|section| super::http::resolve(section, base)).transpose()?.unwrap_or_default(),
        })
    }

    /// What the section `http` says.
    #[cfg(feature = "http")]
    pub const fn http(&self) -> &super::HttpSettings {
        &self.http
    }
}

/// The path of an error as people write it; empty for the whole file.
fn place_of(path: &serde_path_to_error::Path) -> String {
    if path.iter().next().is_none() { String::new() } else { path.to_string() }
}

fn refuse_absent_families(tools: &ToolsConfig) -> Result<(), ConfigError> {
    let families = [
        ("git", tools.git.as_ref().map(|config| config.enabled)),
        ("github", tools.github.as_ref().map(|config| config.enabled)),
        ("cosmos_db", tools.cosmos_db.as_ref().map(|config| config.enabled)),
        ("memory", tools.memory.as_ref().map(|config| config.enabled)),
    ];
    for (name, enabled) in families {
        if enabled == Some(true) {
            let problem = "this program was built without these tools; remove the section, or write `\"enabled\": false`";
            return Err(ConfigError::at(format!("tools.{name}"), problem));
        }
    }
    Ok(())
}

fn resolve_filesystem(config: FilesystemConfig, base: &Path) -> Result<Option<FilesystemSettings>, ConfigError> {
    let FilesystemConfig { enabled, root_path, allowed_paths, fsync } = config;
    if !enabled {
        return Ok(None);
    }
    if cfg!(not(feature = "fs")) {
        return Err(ConfigError::at("tools.filesystem", "this program was built without these tools; write `\"enabled\": false`"));
    }
    let mut directories: Vec<NamedDirectory> = Vec::new();
    let root = root_path.map(|path| (path, "tools.filesystem.rootPath".to_owned()));
    let others = allowed_paths.into_iter().enumerate().map(|(i, path)| (path, format!("tools.filesystem.allowedPaths[{i}]")));
    for (path, place) in root.into_iter().chain(others) {
        let path = directory(&path, base, &place)?;
        if directories.iter().all(|known| known.path != path) {
            directories.push(NamedDirectory { path, place });
        }
    }
    Ok(Some(FilesystemSettings { directories, durable: fsync }))
}

pub(super) fn directory(path: &str, base: &Path, place: &str) -> Result<PathBuf, ConfigError> {
    if path.is_empty() {
        return Err(ConfigError::at(place, "the path is empty; write `.` for the directory of this file"));
    }
    if path.contains('\0') {
        return Err(ConfigError::at(place, "the path holds a NUL character; remove it"));
    }
    if path == "~" || path.starts_with("~/") {
        return Err(ConfigError::at(place, "`~` is not expanded; write `${HOME}`"));
    }
    Ok(base.join(path))
}

fn resolve_limits(config: LimitsConfig) -> Result<Limits, ConfigError> {
    let LimitsConfig { timeout_seconds, tool_timeouts_seconds, concurrency, max_input_bytes, default_tokens, max_tokens } = config;
    let default = Limits::default();
    let max_tokens = within(max_tokens, 100, 100_000_000, "limits.maxTokens")?.unwrap_or(u64::from(default.max_tokens));
    let default_tokens =
        within(default_tokens, 100, max_tokens, "limits.defaultTokens")?.unwrap_or(u64::from(default.default_tokens).min(max_tokens));
    let mut tool_timeouts = BTreeMap::new();
    for (tool, seconds) in tool_timeouts_seconds {
        let place = format!("limits.toolTimeoutsSeconds.{tool}");
        if let Some(seconds) = within(Some(seconds), 1, 86_400, &place)? {
            tool_timeouts.insert(tool, Duration::from_secs(seconds));
        }
    }
    Ok(Limits {
        timeout: within(timeout_seconds, 1, 86_400, "limits.timeoutSeconds")?.map_or(default.timeout, Duration::from_secs),
        tool_timeouts,
        concurrency: as_size(within(concurrency, 1, 1024, "limits.concurrency")?, default.concurrency),
        concurrency_per_principal: default.concurrency_per_principal,
        max_input_bytes: as_size(within(max_input_bytes, 1024, 16 << 20, "limits.maxInputBytes")?, default.max_input_bytes),
        default_tokens: u32::try_from(default_tokens).unwrap_or(u32::MAX),
        max_tokens: u32::try_from(max_tokens).unwrap_or(u32::MAX),
    })
}

pub(super) fn within(value: Option<u64>, low: u64, high: u64, place: &str) -> Result<Option<u64>, ConfigError> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(ConfigError::at(place, format!("{value} is out of range; write {low} to {high}")))
        }
        value => Ok(value),
    }
}

pub(super) fn as_size(value: Option<u64>, default: usize) -> usize {
    value.map_or(default, |value| usize::try_from(value).unwrap_or(usize::MAX))
}
