//! The section `http`, checked: what a transport needs, apart from secrets and files.

mod address;
mod oauth;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use toolyard_http::{AuthConfig, HttpConfig, HttpLimits, Listen, OauthConfig, StaticToken, TlsFiles};
use url::Url;

use super::{
    ConfigError, HttpLimitsSection, HttpSection, TlsSection, TokenSection,
    settings::{as_size, directory, within},
};

#[cfg(feature = "cli")]
pub(crate) use address::resolve_host;
pub(crate) use address::{parse_listen, parse_operations};

/// The SHA-256 of nothing, which an empty variable or file gives.
const HASH_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const HEALTH_PORT: u16 = 8081;
const METRICS_PORT: u16 = 9090;

/// What the section `http` says. What is set here by hand replaces it.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// Where requests are taken; none when HTTP is not asked for.
    pub listen: Option<Listen>,
    /// The address of the endpoint as clients know it.
    pub public_url: Option<Url>,
    /// Further hosts that requests may name.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may send requests.
    pub allowed_origins: Vec<String>,
    /// Whether HTTP+SSE of 2024-11-05 is served as well.
    pub legacy_sse: bool,
    /// Certificate and key.
    pub tls: Option<TlsFiles>,
    /// Bearer tokens.
    pub tokens: Vec<StaticToken>,
    /// Authorization servers, their client secrets still empty.
    pub oauth: Option<OauthConfig>,
    /// Where the client secrets are.
    pub secrets: Vec<ClientSecret>,
    /// Bounds of requests, connections and sessions.
    pub limits: HttpLimits,
    /// Where health is told.
    pub health: Operations,
    /// Where metrics are told.
    pub metrics: Operations,
}

/// A client secret that is not in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// The position of its issuer.
    pub issuer: usize,
    /// The path of its key.
    pub place: String,
    /// Where it is.
    pub from: SecretRef,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// In an environment variable.
    Variable(String),
    /// In a file, whose last line break does not count.
    File(PathBuf),
}

/// Where health or metrics are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operations {
    /// At the usual port of the address that is listened at; at a free one when that is free as well.
    #[default]
    Beside,
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl Operations {
    fn address(self, listen: &Listen, port: u16) -> Option<SocketAddr> {
        match (self, listen) {
            (Self::Off, _) => None,
            (Self::At(address), _) => Some(address),
            (Self::Beside, Listen::Tcp(main)) => Some(SocketAddr::new(main.ip(), if main.port() == 0 { 0 } else { port })),
            (Self::Beside, Listen::Unix(_)) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        }
    }
}

impl HttpSettings {
    /// Where health is told when requests are taken at `listen`.
    pub fn health_address(&self, listen: &Listen) -> Option<SocketAddr> {
        self.health.address(listen, HEALTH_PORT)
    }

    /// Where metrics are told when requests are taken at `listen`.
    pub fn metrics_address(&self, listen: &Listen) -> Option<SocketAddr> {
        self.metrics.address(listen, METRICS_PORT)
    }

    /// Whether anything says who may call.
    pub const fn has_auth(&self) -> bool {
        !self.tokens.is_empty() || self.oauth.is_some()
    }

    /// What the transport is told; `secret` looks secrets up.
    ///
    /// # Errors
    /// When a secret can't be had, or two listeners would share an address.
    pub fn config(self, listen: Listen, secret: impl Fn(&SecretRef) -> Result<String, String>) -> Result<HttpConfig, ConfigError> {
        let health = self.health_address(&listen);
        let metrics = self.metrics_address(&listen);
        let main = if let Listen::Tcp(address) = &listen { Some(*address) } else { None };
        refuse_shared("http.health", health, main, "--health", "requests are taken")?;
        refuse_shared("http.metrics", metrics, main, "--metrics", "requests are taken")?;
        refuse_shared("http.metrics", metrics, health, "--metrics", "health is told")?;
        let mut oauth = self.oauth;
        for ClientSecret { issuer, place, from } in &self.secrets {
            let value = secret(from).map_err(|problem| ConfigError::at(place, problem))?;
            if value.is_empty() {
                return Err(ConfigError::at(place, "the secret is empty"));
            }
            let issuer = oauth.as_mut().and_then(|oauth| oauth.issuers.get_mut(*issuer));
            if let Some(introspection) = issuer.and_then(|issuer| issuer.introspection.as_mut()) {
                introspection.client_secret = value;
            }
        }
        Ok(HttpConfig {
            listen,
            public_url: self.public_url,
            allowed_hosts: self.allowed_hosts,
            allowed_origins: self.allowed_origins,
            legacy_sse: self.legacy_sse,
            tls: self.tls,
            auth: AuthConfig { tokens: self.tokens, oauth, unauthenticated: false },
            limits: self.limits,
            health,
            metrics,
        })
    }
}

fn refuse_shared(place: &str, own: Option<SocketAddr>, other: Option<SocketAddr>, flag: &str, what: &str) -> Result<(), ConfigError> {
    match (own, other) {
        (Some(own), Some(other)) if own == other && own.port() != 0 => Err(ConfigError::at(
            place,
            format!("`{own}` is where {what}; choose another address with `{flag}`, or switch it off with `{flag} off`"),
        )),
        _ => Ok(()),
    }
}

/// Checks the section; `base` is the directory that relative paths start at.
pub(super) fn resolve(section: HttpSection, base: &Path) -> Result<HttpSettings, ConfigError> {
    let HttpSection { listen, public_url, allowed_hosts, allowed_origins, legacy_sse, tls, tokens, oauth, limits, health, metrics } =
        section;
    let parsed = |text: Option<String>, place: &str| -> Result<Operations, ConfigError> {
        text.map_or(Ok(Operations::Beside), |text| parse_operations(&text).map_err(|problem| ConfigError::at(place, problem)))
    };
    let (oauth, secrets) = oauth.map(|oauth| oauth::resolve(oauth, base)).transpose()?.unzip();
    Ok(HttpSettings {
        listen: listen.map(|text| parse_listen(&text).map_err(|problem| ConfigError::at("http.listen", problem))).transpose()?,
        public_url: public_url
            .map(|text| parse_public_url(&text).map_err(|problem| ConfigError::at("http.publicUrl", problem)))
            .transpose()?,
        allowed_hosts: checked(allowed_hosts, "http.allowedHosts", check_host)?,
        allowed_origins: checked(allowed_origins, "http.allowedOrigins", check_origin)?,
        legacy_sse,
        tls: tls
            .map(|TlsSection { certificate, key }| {
                Ok(TlsFiles {
                    certificate: directory(&certificate, base, "http.tls.certificate")?,
                    key: directory(&key, base, "http.tls.key")?,
                })
            })
            .transpose()?,
        tokens: resolve_tokens(tokens)?,
        oauth,
        secrets: secrets.unwrap_or_default(),
        limits: resolve_limits(limits)?,
        health: parsed(health, "http.health")?,
        metrics: parsed(metrics, "http.metrics")?,
    })
}

fn checked(items: Vec<String>, place: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<Vec<String>, ConfigError> {
    for (i, item) in items.iter().enumerate() {
        check(item).map_err(|problem| ConfigError::at(format!("{place}[{i}]"), problem))?;
    }
    Ok(items)
}

/// The address of the endpoint as clients know it.
pub(crate) fn parse_public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no address: {error}; write `https://tools.example.com/mcp`"))?;
    let problem = if !matches!(url.scheme(), "https" | "http") {
        "has to begin with `https://` or `http://`"
    } else if !url.username().is_empty() || url.password().is_some() {
        "must not hold a user or password"
    } else if url.query().is_some() || url.fragment().is_some() {
        "must not hold `?` or `#`"
    } else if url.scheme() == "http" && !is_loopback(&url) {
        "is not encrypted, and clients send tokens only to `https`"
    } else if !url.path().ends_with("/mcp") {
        "lacks the path of the endpoint, `/mcp`, at its end"
    } else {
        return Ok(url);
    };
    Err(format!("the address {problem}; write `https://tools.example.com/mcp`"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

pub(crate) fn check_host(host: &str) -> Result<(), String> {
    const EXAMPLE: &str = "write `tools.example.com` or `tools.example.com:8443`";
    if host.contains('*') {
        return Err(format!("a host with `*` would let any web page in that points a name here; {EXAMPLE}"));
    }
    if host.contains("://") {
        return Err(format!("`{host}` is an address, not a host; {EXAMPLE}"));
    }
    let known = url::Host::parse(host.rsplit_once(':').map_or(host, |(name, port)| if port.parse::<u16>().is_ok() { name } else { host }));
    known.map(drop).map_err(|_| format!("`{host}` is no host; {EXAMPLE}"))
}

pub(crate) fn check_origin(origin: &str) -> Result<(), String> {
    const EXAMPLE: &str = "write `https://app.example.com`, with a port or `:*` if need be";
    if origin == "*" || origin == "null" {
        return Err(format!("`{origin}` would let any web page in; {EXAMPLE}"));
    }
    let text = origin.strip_suffix(":*").unwrap_or(origin);
    let url = Url::parse(text).map_err(|_| format!("`{origin}` is no origin; {EXAMPLE}"))?;
    let bare = matches!(url.scheme(), "http" | "https") && url.path() == "/" && !text.ends_with('/') && url.query().is_none();
    if !bare || url.fragment().is_some() || !url.username().is_empty() || text.contains('*') {
        return Err(format!("`{origin}` is no origin; {EXAMPLE}"));
    }
    Ok(())
}

fn resolve_tokens(tokens: Vec<TokenSection>) -> Result<Vec<StaticToken>, ConfigError> {
    let mut names: HashSet<String> = HashSet::new();
    let mut hashes: Vec<[u8; 32]> = Vec::new();
    let mut all = Vec::with_capacity(tokens.len());
    for (i, TokenSection { name, sha256, roles }) in tokens.into_iter().enumerate() {
        let place = |key: &str| format!("http.tokens[{i}].{key}");
        check_token_name(&name).map_err(|problem| ConfigError::at(place("name"), problem))?;
        if !names.insert(name.clone()) {
            return Err(ConfigError::at(place("name"), format!("`{name}` stands here twice; give every token its own name")));
        }
        let sha256 = parse_hash(&sha256).map_err(|problem| ConfigError::at(place("sha256"), problem))?;
        if let Some(at) = hashes.iter().position(|known| *known == sha256) {
            let problem = format!("this is the token of `http.tokens[{at}]`; make another with `toolyard token new`");
            return Err(ConfigError::at(place("sha256"), problem));
        }
        hashes.push(sha256);
        let roles = checked(roles, &place("roles"), check_role)?;
        all.push(StaticToken { name: name.into(), sha256, roles: roles.into_iter().map(Arc::from).collect() });
    }
    Ok(all)
}

pub(crate) fn check_token_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err("a name has 1 to 64 letters, digits, `.`, `_` or `-`".into())
}

/// The error never repeats the text: it may be the token itself.
fn parse_hash(text: &str) -> Result<[u8; 32], String> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) || text.len() != 64 {
        return Err("the SHA-256 of a token has 64 hexadecimal digits; if this is the token itself, take it out of the file, \
                    consider it known, and make another with `toolyard token new`"
            .into());
    }
    if text.eq_ignore_ascii_case(HASH_OF_NOTHING) {
        return Err("this is the hash of an empty text; make a token with `toolyard token new`".into());
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
    }
    Ok(hash)
}

pub(crate) fn check_role(role: &str) -> Result<(), String> {
    if !(1..=128).contains(&role.len()) {
        return Err("a role has 1 to 128 bytes".into());
    }
    match role.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("the role holds the control character U+{:04X}; remove it", u32::from(c))),
        None => Ok(()),
    }
}

fn resolve_limits(section: HttpLimitsSection) -> Result<HttpLimits, ConfigError> {
    let default = HttpLimits::default();
    let HttpLimitsSection {
        max_body_bytes,
        max_head_bytes,
        head_timeout_seconds,
        body_timeout_seconds,
        max_connections,
        max_requests,
        max_waiting,
        max_wait_seconds,
        max_requests_per_principal,
        rate,
        rate_window_seconds,
        max_sessions,
        max_sessions_per_principal,
        max_streams_per_principal,
        session_idle_seconds,
        early_headers_seconds,
        keep_alive_seconds,
        drain_seconds,
    } = section;
    let number = |value, low, high, key: &str, default| -> Result<usize, ConfigError> {
        Ok(as_size(within(value, low, high, &format!("http.limits.{key}"))?, default))
    };
    let seconds = |value, low, high, key: &str, default| -> Result<Duration, ConfigError> {
        Ok(within(value, low, high, &format!("http.limits.{key}"))?.map_or(default, Duration::from_secs))
    };
    let rate = within(rate, 0, 100_000, "http.limits.rate")?.and_then(|rate| u32::try_from(rate).ok());
    Ok(HttpLimits {
        max_body_bytes: number(max_body_bytes, 1024, 64 << 20, "maxBodyBytes", default.max_body_bytes)?,
        max_head_bytes: number(max_head_bytes, 8192, 1 << 20, "maxHeadBytes", default.max_head_bytes)?,
        head_timeout: seconds(head_timeout_seconds, 1, 600, "headTimeoutSeconds", default.head_timeout)?,
        body_timeout: seconds(body_timeout_seconds, 1, 600, "bodyTimeoutSeconds", default.body_timeout)?,
        max_connections: number(max_connections, 1, 1_000_000, "maxConnections", default.max_connections)?,
        max_requests: number(max_requests, 1, 65_536, "maxRequests", default.max_requests)?,
        max_waiting: number(max_waiting, 0, 1_000_000, "maxWaiting", default.max_waiting)?,
        max_wait: seconds(max_wait_seconds, 1, 600, "maxWaitSeconds", default.max_wait)?,
        max_requests_per_principal: number(
            max_requests_per_principal,
            1,
            65_536,
            "maxRequestsPerPrincipal",
            default.max_requests_per_principal,
        )?,
        rate: rate.unwrap_or(default.rate),
        rate_window: seconds(rate_window_seconds, 1, 86_400, "rateWindowSeconds", default.rate_window)?,
        max_sessions: number(max_sessions, 1, 1_000_000, "maxSessions", default.max_sessions)?,
        max_sessions_per_principal: number(
            max_sessions_per_principal,
            1,
            1_000_000,
            "maxSessionsPerPrincipal",
            default.max_sessions_per_principal,
        )?,
        max_streams_per_principal: number(
            max_streams_per_principal,
            1,
            1_000_000,
            "maxStreamsPerPrincipal",
            default.max_streams_per_principal,
        )?,
        session_idle: seconds(session_idle_seconds, 1, 604_800, "sessionIdleSeconds", default.session_idle)?,
        early_headers: seconds(early_headers_seconds, 1, 600, "earlyHeadersSeconds", default.early_headers)?,
        keep_alive: seconds(keep_alive_seconds, 1, 600, "keepAliveSeconds", default.keep_alive)?,
        drain: seconds(drain_seconds, 0, 3600, "drainSeconds", default.drain)?,
    })
}
