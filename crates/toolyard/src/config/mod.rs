//! The configuration file: what it may say, and what comes of it.
//!
//! Two stages. [`ConfigFile`] mirrors the file exactly and is what the published schema and
//! `docs/configuration.md` are made from. [`Settings`] is what the program runs with: every
//! value parsed and checked before anything is opened.

mod file;
mod rule;

#[cfg(feature = "http")]
pub(crate) mod http;
mod settings;
mod variables;

#[cfg(test)]
mod tests;

pub use file::{
    AcrSection, ApprovalConfig, AuditConfig, ConfigFile, CosmosConfig, Dpop, Fallback, FilesystemConfig, GitConfig, GithubConfig,
    HttpLimitsSection, HttpSection, IntrospectionSection, IssuerSection, LimitsConfig, MemoryConfig, OauthSection, PolicyConfig,
    ProfileName, ScopeSection, StateConfig, TlsSection, TokenSection, ToolsConfig,
};
#[cfg(feature = "http")]
pub use http::{ClientSecret, HttpSettings, Operations, SecretRef};
pub use rule::RuleEntry;
pub use settings::{ConfigError, MAX_CONFIG_BYTES, Settings};

use schemars::generate::SchemaSettings;
use serde_json::Value;

/// JSON Schema of the file, for editors.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<ConfigFile>().to_value()
}
