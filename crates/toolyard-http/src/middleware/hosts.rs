//! Whom a request is addressed to, and which page sent it.
//!
//! A page of any site can make a browser send requests to this server. It can't choose `Host`: that
//! is the name in the page's own address, even if its DNS answer says that this machine is meant
//! (DNS rebinding). So a name has to be one that is ours. Literal addresses need no DNS and can't be
//! rebound; where callers authenticate they are accepted, because behind a port forward nobody
//! knows the address that clients use. The port of `Host` proves nothing and counts only where the
//! operator wrote one.

use std::net::SocketAddr;

use http::{HeaderName, StatusCode, header, request::Parts};

use super::{
    authority::{Authority, Host},
    origin::{Origin, OriginRule},
};
use crate::{HttpConfig, Listen};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which hosts and origins requests may name.
#[derive(Clone, Debug)]
pub(crate) struct HostRules {
    hosts: Vec<Authority>,
    any_host: bool,
    loopback_hosts: bool,
    any_address: bool,
    origins: Vec<OriginRule>,
    loopback_origins: bool,
}

/// A list that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostRulesError {
    /// An entry of the allowed hosts.
    #[error("`{0}` is no host: write `tools.example.com`, with a port if only that one is meant")]
    Host(String),
    /// An entry of the allowed origins.
    #[error("`{0}` is no origin: write `https://app.example.com`, with a port or `:*` for any")]
    Origin(String),
}

/// Why a request is not for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// `Host` is missing, there are several, or it can't be understood.
    MalformedHost,
    /// The name is not ours.
    ForeignHost,
    /// The page is not one that may.
    ForeignOrigin,
    /// A page of another site, and no origin that may.
    CrossSite,
}

impl Forbidden {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::MalformedHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost | Self::ForeignOrigin | Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }

    /// The word in audit and metrics.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::MalformedHost => "malformed_host",
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::CrossSite => "cross_site",
        }
    }

    /// What the client is told.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::MalformedHost => "exactly one well-formed Host is needed",
            Self::ForeignHost => "this Host is not served here; the operator can allow it",
            Self::ForeignOrigin => "pages of this Origin may not call; the operator can allow it",
            Self::CrossSite => "pages of other sites may not call",
        }
    }
}

impl HostRules {
    /// The rules of the protocol's own listener; `bound` is the address it got, none on a Unix
    /// socket, which no browser can reach.
    pub(crate) fn new(config: &HttpConfig, bound: Option<SocketAddr>) -> Result<Self, HostRulesError> {
        let mut rules = Self::named(config)?;
        for text in &config.allowed_origins {
            rules.origins.push(OriginRule::parse(text).ok_or_else(|| HostRulesError::Origin(text.clone()))?);
        }
        if let Some(bound) = bound {
            let ip = bound.ip();
            rules.loopback_hosts = ip.is_loopback() || ip.is_unspecified();
            rules.loopback_origins = ip.is_loopback();
            rules.any_address = !ip.is_loopback() && !config.auth.unauthenticated;
            rules.hosts.push(Authority { host: Host::Ip(ip), port: None });
        } else {
            rules.any_host = matches!(config.listen, Listen::Unix(_));
        }
        Ok(rules)
    }

    /// The rules of health and metrics: probes use addresses, no page needs them.
    pub(crate) fn operations(config: &HttpConfig) -> Result<Self, HostRulesError> {
        Ok(Self { loopback_hosts: true, any_address: true, ..Self::named(config)? })
    }

    fn named(config: &HttpConfig) -> Result<Self, HostRulesError> {
        let mut hosts = Vec::new();
        if let Some(host) = config.public_url.as_ref().and_then(|url| url.host_str()) {
            let public = Authority::parse(host).ok_or_else(|| HostRulesError::Host(host.to_owned()))?;
            hosts.push(public);
        }
        for text in &config.allowed_hosts {
            hosts.push(Authority::parse(text).ok_or_else(|| HostRulesError::Host(text.clone()))?);
        }
        Ok(Self { hosts, any_host: false, loopback_hosts: false, any_address: false, origins: Vec::new(), loopback_origins: false })
    }

    /// Whether the request is for us, and from a page that may if it is from one.
    pub(crate) fn check(&self, head: &Parts) -> Result<(), Forbidden> {
        if !self.knows(&addressee(head)?) {
            return Err(Forbidden::ForeignHost);
        }
        let allowed_origin = self.check_origin(head)?;
        let mut sites = head.headers.get_all(SEC_FETCH_SITE).iter();
        // Values that are not known yet are taken for the worst.
        if !allowed_origin && sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none")) {
            return Err(Forbidden::CrossSite);
        }
        Ok(())
    }

    fn knows(&self, to: &Authority) -> bool {
        if self.any_host || (self.loopback_hosts && to.host.is_loopback()) || (self.any_address && matches!(to.host, Host::Ip(_))) {
            return true;
        }
        self.hosts.iter().any(|ours| ours.host == to.host && (ours.port.is_none() || ours.port == to.port))
    }

    /// Whether there is an origin; an error if it is not allowed.
    fn check_origin(&self, head: &Parts) -> Result<bool, Forbidden> {
        let mut origins = head.headers.get_all(header::ORIGIN).iter();
        let Some(first) = origins.next() else { return Ok(false) };
        let origin = first.to_str().ok().and_then(Origin::parse);
        match (origin, origins.next()) {
            (Some(origin), None) if self.allows(&origin) => Ok(true),
            _ => Err(Forbidden::ForeignOrigin),
        }
    }

    fn allows(&self, origin: &Origin) -> bool {
        (self.loopback_origins && origin.is_loopback()) || self.origins.iter().any(|rule| rule.allows(origin))
    }
}

/// Whom the head names, in `Host` and in a request target of absolute form alike.
fn addressee(head: &Parts) -> Result<Authority, Forbidden> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().ok().and_then(Authority::parse).ok_or(Forbidden::MalformedHost)?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(Forbidden::MalformedHost),
    };
    let target = match head.uri.authority() {
        Some(target) => Some(Authority::parse(target.as_str()).ok_or(Forbidden::MalformedHost)?),
        None => None,
    };
    match (named, target) {
        (Some(named), None) => Ok(named),
        (Some(named), Some(target)) if named == target => Ok(named),
        // HTTP/2 has `:authority` and may go without `Host`; HTTP/1.1 may not.
        (None, Some(target)) if head.version == http::Version::HTTP_2 => Ok(target),
        _ => Err(Forbidden::MalformedHost),
    }
}

#[cfg(test)]
mod tests;
