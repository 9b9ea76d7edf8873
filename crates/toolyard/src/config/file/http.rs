//! The section `http` as written.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::Deserialize;

/// Serving over HTTP. The section alone opens nothing: HTTP is served when `listen` or `--http`
/// says where.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct HttpSection {
    /// Where requests are taken: `127.0.0.1:8080`, `[::1]:8080`, `:8080` for loopback, or
    /// `unix:/path` for a socket that only this user can open. `--http` replaces it; without
    /// either the program serves stdio. An address other machines can reach needs `tokens` or
    /// `oauth`, and should have `tls` or a proxy that encrypts.
    pub listen: Option<String>,
    /// The address of the endpoint as clients know it, when a proxy stands in front:
    /// `https://tools.example.com/mcp`. Its host is allowed, and access tokens have to be issued
    /// for it. Default: the address listened at.
    pub public_url: Option<String>,
    /// Further hosts that requests may name in `Host`, with or without port. Each one added can be
    /// used by web pages that point its name at this machine. Default none.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may send requests: `https://app.example.com`, with a port or
    /// `:*`. Scripts of these pages can call tools with the tokens they have. Default none.
    pub allowed_origins: Vec<String>,
    /// Whether HTTP+SSE of 2024-11-05 is served as well, for older hosts, at `/sse` and
    /// `/messages`; default false.
    pub legacy_sse: bool,
    /// Certificate and key. Without them connections are not encrypted, and tokens can be read by
    /// whoever sees the traffic.
    pub tls: Option<TlsSection>,
    /// Bearer tokens that the operator hands out; `toolyard token new` makes one.
    pub tokens: Vec<TokenSection>,
    /// Access tokens of authorization servers. Toolyard checks them and issues none.
    pub oauth: Option<OauthSection>,
    /// Bounds of requests, connections and sessions.
    pub limits: HttpLimitsSection,
    /// Where health is told in detail: an address, or `off`. Default: port 8081 beside `listen`.
    /// Nobody has to authenticate there; it tells versions and states, no contents.
    pub health: Option<String>,
    /// Where metrics are told for Prometheus: an address, or `off`. Default: port 9090 beside
    /// `listen`. Nobody has to authenticate there; it tells names of tools and counts, no contents.
    pub metrics: Option<String>,
}

/// Certificate and key. Both are read again when they change.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TlsSection {
    /// The certificate chain in PEM, the server's own first. A relative path starts at the
    /// directory of this file.
    pub certificate: String,
    /// The private key in PEM. Whoever can read it can pretend to be this server.
    pub key: String,
}

/// A bearer token, known by its hash.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenSection {
    /// Whom it stands for: letters, digits, `.`, `_` and `-`. The audit trail says `token:NAME`.
    pub name: String,
    /// The SHA-256 of the token, 64 hexadecimal digits. The token itself does not belong here.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub sha256: String,
    /// Roles that rules can name. Default none. A role opens what `allow` rules give it.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// Access tokens of authorization servers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OauthSection {
    /// The authorization servers whose tokens are taken; at least one. Each can let in whomever it
    /// issues tokens for this server to.
    pub issuers: Vec<IssuerSection>,
    /// What each scope opens, in the order in which scopes are asked for. Scopes only narrow: what
    /// the policy denies stays denied. Default: `mcp:read` opens `read`, `mcp:write` opens `read`,
    /// `write` and `destroy`, `mcp:execute` opens `execute`.
    #[serde(default)]
    pub scopes: Option<Vec<ScopeSection>>,
    /// Tools that need a stronger authentication of the user, such as a second factor. Default
    /// none.
    #[serde(default)]
    pub acr: Vec<AcrSection>,
    /// Whether tokens are bound to a key of the client; default `off`.
    #[serde(default)]
    pub dpop: Dpop,
    /// Whether issuers on this machine may use plain HTTP; default false. For development: whoever
    /// can listen on this machine could then issue tokens.
    #[serde(default)]
    pub insecure_loopback_issuers: bool,
    /// Whether issuers may be at private addresses, such as 10.0.0.5; default false. Then the
    /// configured issuers can make this server send requests into the private network.
    #[serde(default)]
    pub private_issuers: bool,
    /// Certificates in PEM to trust beside those of the system when issuers are asked. Whoever
    /// holds their keys can pretend to be an issuer.
    #[serde(default)]
    pub ca_file: Option<String>,
}

/// An authorization server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IssuerSection {
    /// A short name: lower case letters, digits, `.` and `-`. Callers are `oauth:NAME:SUBJECT`, so
    /// two issuers never mean the same caller.
    pub name: String,
    /// Its identifier, exactly as its tokens carry it in `iss`.
    pub issuer: String,
    /// The audiences of which `aud` must hold one. Default: the address of the endpoint. An
    /// audience that other services share takes tokens that were meant for them.
    #[serde(default)]
    pub audiences: Option<Vec<String>>,
    /// Signature algorithms that are taken: `RS256`, `PS256`, `ES256`, `EdDSA`; default all four.
    #[serde(default)]
    pub algorithms: Option<Vec<String>>,
    /// Where its keys are. Default: found by discovery.
    #[serde(default)]
    pub jwks: Option<String>,
    /// How opaque tokens are asked about; without it they are refused.
    #[serde(default)]
    pub introspection: Option<IntrospectionSection>,
    /// Whether tokens of type `JWT` are taken beside `at+jwt`; default false. Some servers need
    /// it; an ID token can then pass for an access token if its audience fits.
    #[serde(default)]
    pub accept_typ_jwt: bool,
    /// Difference of clocks that is forgiven in seconds, 0 to 60; default 30. Expired tokens are
    /// taken for so long.
    #[serde(default)]
    #[schemars(range(max = 60))]
    pub leeway_seconds: Option<u64>,
    /// Tokens older than this many seconds are refused, whatever they say themselves, 1 to
    /// 31536000. Default no bound: a token can't be called back before it expires.
    #[serde(default)]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub max_token_age_seconds: Option<u64>,
    /// Claims that hold roles: `roles`, `groups`, `realm_access.roles`. Default none.
    #[serde(default)]
    pub role_claims: Vec<String>,
    /// Roles by value of these claims; a value without an entry is no role. Default: every value
    /// is a role of its own name, so whoever manages groups there manages roles here.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<String>>,
    /// `jti` of tokens that are refused. Default none.
    #[serde(default)]
    pub denied_tokens: Vec<String>,
    /// `sub` of callers who are refused. Default none.
    #[serde(default)]
    pub denied_subjects: Vec<String>,
}

/// Asking the authorization server about a token.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IntrospectionSection {
    /// Where to ask. Default: found by discovery.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The client that this server is registered as.
    pub client_id: String,
    /// Where its secret is: `env:NAME` or `file:/path`. The secret itself is refused here.
    #[schemars(regex(pattern = "^(env:|file:)"))]
    pub client_secret: String,
}

impl fmt::Debug for IntrospectionSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Somebody may have written the secret itself; it must not reach a log.
        f.debug_struct("IntrospectionSection").field("endpoint", &self.endpoint).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What a scope opens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScopeSection {
    /// The scope: `mcp:read`.
    pub scope: String,
    /// Tools, families, effects or globs, as in the tool part of a rule.
    pub opens: Vec<String>,
}

/// Tools that need a stronger authentication.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AcrSection {
    /// Tools, families, effects or globs.
    pub tools: Vec<String>,
    /// Authentication context classes of which any will do, as the issuer names them in `acr`.
    pub values: Vec<String>,
}

/// Whether tokens are bound to a key of the client.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Dpop {
    /// Bound tokens are refused.
    #[default]
    Off,
    /// A bound token needs its proof; others pass.
    Accept,
    /// Every token has to be bound.
    Require,
}

/// Bounds of requests, connections and sessions. Higher ones need more memory.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct HttpLimitsSection {
    /// Largest body in bytes, 1024 to 67108864; default 4194304.
    #[schemars(range(min = 1024, max = 67_108_864))]
    pub max_body_bytes: Option<u64>,
    /// Largest head of a request in bytes, 8192 to 1048576; default 32768.
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub max_head_bytes: Option<u64>,
    /// A head must be here after so many seconds, 1 to 600; default 30. A connection without
    /// requests is closed then as well.
    #[schemars(range(min = 1, max = 600))]
    pub head_timeout_seconds: Option<u64>,
    /// A body must be here after so many seconds, 1 to 600; default 30.
    #[schemars(range(min = 1, max = 600))]
    pub body_timeout_seconds: Option<u64>,
    /// Connections at once, 1 to 1000000; default 8192. Further ones wait.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: Option<u64>,
    /// Requests that are worked on at once, 1 to 65536; default 256.
    #[schemars(range(min = 1, max = 65_536))]
    pub max_requests: Option<u64>,
    /// Requests that may wait for that, 0 to 1000000; default 1024. Further ones are refused.
    #[schemars(range(max = 1_000_000))]
    pub max_waiting: Option<u64>,
    /// How long a request may wait in seconds, 1 to 600; default 10.
    #[schemars(range(min = 1, max = 600))]
    pub max_wait_seconds: Option<u64>,
    /// Requests of one caller that are worked on at once, 1 to 65536; default 128. One caller can
    /// keep all others out when it is as high as `maxRequests`.
    #[schemars(range(min = 1, max = 65_536))]
    pub max_requests_per_principal: Option<u64>,
    /// Requests of one caller within `rateWindowSeconds`, 0 to 100000; default 6000. 0 is no limit.
    #[schemars(range(max = 100_000))]
    pub rate: Option<u64>,
    /// The rolling window of `rate` in seconds, 1 to 86400; default 60.
    #[schemars(range(min = 1, max = 86_400))]
    pub rate_window_seconds: Option<u64>,
    /// Sessions of older hosts at once, 1 to 1000000; default 4096.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_sessions: Option<u64>,
    /// Such sessions of one caller, 1 to 1000000; default 1024. The one idle for longest is closed
    /// for a new one.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_sessions_per_principal: Option<u64>,
    /// Streams that one caller may keep open to listen, 1 to 1000000; default 1024.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_streams_per_principal: Option<u64>,
    /// A session without requests and streams is closed after so many seconds, 1 to 604800;
    /// default 1800.
    #[schemars(range(min = 1, max = 604_800))]
    pub session_idle_seconds: Option<u64>,
    /// A call that takes longer than this many seconds, 1 to 600, is answered with a stream that is
    /// kept alive; default 5. Proxies give up on silence.
    #[schemars(range(min = 1, max = 600))]
    pub early_headers_seconds: Option<u64>,
    /// How often a comment is sent on a silent stream, in seconds, 1 to 600; default 15.
    #[schemars(range(min = 1, max = 600))]
    pub keep_alive_seconds: Option<u64>,
    /// How long calls may go on once the server is told to stop, in seconds, 0 to 3600; default 25.
    /// Kubernetes kills after 30.
    #[schemars(range(max = 3600))]
    pub drain_seconds: Option<u64>,
}
