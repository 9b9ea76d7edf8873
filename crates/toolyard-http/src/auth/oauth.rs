//! Access tokens of authorization servers.

mod verifier;

mod claims;
mod dpop;
mod introspection;
mod keys;

mod discovery;
mod jws;
mod key;
mod refreshed;

mod cache;
mod clock;

#[cfg(test)]
mod testing;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use url::Url;

pub(super) use verifier::{PROOF_ALGORITHMS, Verifier};

/// Whose access tokens are taken, and what they open.
#[derive(Clone, Debug)]
pub struct OauthConfig {
    /// The authorization servers; at least one.
    pub issuers: Vec<Issuer>,
    /// What each scope opens, in the order in which they are asked for; empty stands for
    /// [`ScopeRule::defaults`].
    pub scopes: Vec<ScopeRule>,
    /// What needs a stronger authentication (RFC 9470).
    pub acr: Vec<AcrRule>,
    /// Whether tokens have to be bound to a key (RFC 9449).
    pub dpop: DpopMode,
    /// Whether issuers on loopback may use plain HTTP; for development only.
    pub insecure_loopback_issuers: bool,
    /// Whether issuers may be on private networks (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7).
    pub private_issuers: bool,
    /// Certificates, in PEM, to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
}

impl OauthConfig {
    /// These issuers with the default scopes, reached over HTTPS at public addresses.
    pub fn new(issuers: Vec<Issuer>) -> Self {
        Self {
            issuers,
            scopes: ScopeRule::defaults(),
            acr: Vec::new(),
            dpop: DpopMode::Off,
            insecure_loopback_issuers: false,
            private_issuers: false,
            ca_file: None,
        }
    }
}

/// A scope and the tools it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRule {
    /// The scope: `mcp:read`.
    pub scope: String,
    /// Tools, families, effects or globs, as in the tool part of a rule.
    pub opens: Vec<String>,
}

impl ScopeRule {
    /// `mcp:read` opens what reads, `mcp:write` also what changes, `mcp:execute` what starts programs.
    pub fn defaults() -> Vec<Self> {
        let rule = |scope: &str, opens: &[&str]| Self { scope: scope.into(), opens: opens.iter().map(ToString::to_string).collect() };
        vec![rule("mcp:read", &["read"]), rule("mcp:write", &["read", "write", "destroy"]), rule("mcp:execute", &["execute"])]
    }
}

/// Tools that need one of these authentication context classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcrRule {
    /// Tools, families, effects or globs.
    pub tools: Vec<String>,
    /// Any of these will do.
    pub values: Vec<String>,
}

/// What is made of tokens that are bound to a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DpopMode {
    /// A bound token is refused, since nothing is proved.
    #[default]
    Off,
    /// A bound token needs its proof; others pass.
    Accept,
    /// Every access token has to be bound; static tokens never are.
    Require,
}

/// An authorization server whose tokens are taken.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// A short name, `[a-z0-9.-]`; principals are `oauth:NAME:SUBJECT`.
    pub name: String,
    /// Its identifier, compared exactly with `iss`: a slash at the end matters.
    pub issuer: String,
    /// `aud` has to hold one of these; empty means the resource of this server.
    pub audiences: Vec<String>,
    /// Signature algorithms: RS256, PS256, ES256, ES384, EdDSA.
    pub algorithms: Vec<String>,
    /// Where its keys are; found by discovery when left out.
    pub jwks: Option<Url>,
    /// How opaque tokens are asked about.
    pub introspection: Option<Introspection>,
    /// Whether tokens of type `JWT` are taken beside `at+jwt`.
    pub accept_typ_jwt: bool,
    /// Difference of clocks that is forgiven; at most 60 s.
    pub leeway: Duration,
    /// Tokens older than this are refused, whatever `exp` says; none for no bound.
    pub max_token_age: Option<Duration>,
    /// Claims that hold roles: `roles`, `groups`, `realm_access.roles`.
    pub role_claims: Vec<String>,
    /// Roles by value of these claims; a value without an entry is no role. Empty takes every
    /// value as it is.
    pub roles: BTreeMap<String, Vec<String>>,
    /// `jti` of tokens that are refused.
    pub denied_tokens: Vec<String>,
    /// `sub` of callers who are refused; `client_id` of those who have no `sub`.
    pub denied_subjects: Vec<String>,
}

impl Issuer {
    /// An issuer whose keys are found by discovery; every algorithm, no roles, a minute of leeway.
    pub fn new(name: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.into(),
            audiences: Vec::new(),
            algorithms: ["RS256", "PS256", "ES256", "EdDSA"].map(String::from).to_vec(),
            jwks: None,
            introspection: None,
            accept_typ_jwt: false,
            leeway: Duration::from_secs(60),
            max_token_age: None,
            role_claims: Vec::new(),
            roles: BTreeMap::new(),
            denied_tokens: Vec::new(),
            denied_subjects: Vec::new(),
        }
    }
}

/// RFC 7662 token introspection.
#[derive(Clone)]
pub struct Introspection {
    /// The endpoint; found by discovery when left out.
    pub endpoint: Option<Url>,
    /// The client this server is registered as.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("endpoint", &self.endpoint).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
