//! `http.oauth`, checked.

use std::{collections::HashSet, net::IpAddr, path::Path, time::Duration};

use toolyard_http::{AcrRule, DpopMode, Introspection, Issuer, OauthConfig, ScopeRule};
use url::{Host, Url};

use super::{ClientSecret, SecretRef, check_role, checked};
use crate::config::{
    AcrSection, ConfigError, Dpop, IntrospectionSection, IssuerSection, OauthSection, ScopeSection,
    settings::{directory, within},
};

const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

/// Checks the section; the secrets are looked up later.
pub(super) fn resolve(section: OauthSection, base: &Path) -> Result<(OauthConfig, Vec<ClientSecret>), ConfigError> {
    let OauthSection { issuers, scopes, acr, dpop, insecure_loopback_issuers, private_issuers, ca_file } = section;
    if issuers.is_empty() {
        return Err(ConfigError::at("http.oauth.issuers", "the list is empty; name an authorization server, or remove `oauth`"));
    }
    let mut secrets = Vec::new();
    let mut names = HashSet::new();
    let mut resolved: Vec<Issuer> = Vec::with_capacity(issuers.len());
    for (i, issuer) in issuers.into_iter().enumerate() {
        let place = format!("http.oauth.issuers[{i}]");
        let issuer = resolve_issuer(issuer, i, &place, insecure_loopback_issuers, &mut secrets)?;
        if !names.insert(issuer.name.clone()) {
            let problem = format!("`{}` stands here twice; callers of two issuers would be mixed up", issuer.name);
            return Err(ConfigError::at(format!("{place}.name"), problem));
        }
        if let Some(known) = resolved.iter().find(|known| known.issuer == issuer.issuer) {
            let problem = format!("this is the issuer `{}` already; put both into one entry", known.name);
            return Err(ConfigError::at(format!("{place}.issuer"), problem));
        }
        resolved.push(issuer);
    }
    let config = OauthConfig {
        issuers: resolved,
        scopes: resolve_scopes(scopes)?,
        acr: resolve_acr(acr)?,
        dpop: match dpop {
            Dpop::Off => DpopMode::Off,
            Dpop::Accept => DpopMode::Accept,
            Dpop::Require => DpopMode::Require,
        },
        insecure_loopback_issuers,
        private_issuers,
        ca_file: ca_file.map(|path| directory(&path, base, "http.oauth.caFile")).transpose()?,
    };
    Ok((config, secrets))
}

fn resolve_issuer(
    section: IssuerSection,
    position: usize,
    place: &str,
    insecure_loopback: bool,
    secrets: &mut Vec<ClientSecret>,
) -> Result<Issuer, ConfigError> {
    let at = |key: &str| format!("{place}.{key}");
    let url = |text: &str, key: &str| parse_url(text, insecure_loopback).map_err(|problem| ConfigError::at(at(key), problem));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    if !(1..=64).contains(&section.name.len()) || !section.name.chars().all(fits) {
        return Err(ConfigError::at(at("name"), "a name has 1 to 64 lower case letters, digits, `.` or `-`"));
    }
    if url(&section.issuer, "issuer")?.query().is_some() {
        return Err(ConfigError::at(at("issuer"), "an issuer has no `?`; write it exactly as its tokens carry it in `iss`"));
    }
    let introspection = section.introspection.map(|introspection| {
        let IntrospectionSection { endpoint, client_id, client_secret } = introspection;
        let key = at("introspection.clientSecret");
        let from = parse_secret(&client_secret).map_err(|problem| ConfigError::at(&key, problem))?;
        if client_id.is_empty() {
            return Err(ConfigError::at(at("introspection.clientId"), "the text is empty; write the id this server is registered with"));
        }
        secrets.push(ClientSecret { issuer: position, place: key, from });
        let endpoint = endpoint.map(|text| url(&text, "introspection.endpoint")).transpose()?;
        Ok(Introspection { endpoint, client_id, client_secret: String::new() })
    });
    let roles = section.roles.into_iter().map(|(value, roles)| {
        let roles = checked(roles, &at(&format!("roles.{value}")), check_role)?;
        Ok((value, roles))
    });
    Ok(Issuer {
        name: section.name,
        issuer: section.issuer,
        audiences: resolve_audiences(section.audiences, &at("audiences"))?,
        algorithms: resolve_algorithms(section.algorithms, &at("algorithms"))?,
        jwks: section.jwks.map(|text| url(&text, "jwks")).transpose()?,
        introspection: introspection.transpose()?,
        accept_typ_jwt: section.accept_typ_jwt,
        leeway: within(section.leeway_seconds, 0, 60, &at("leewaySeconds"))?.map_or(DEFAULT_LEEWAY, Duration::from_secs),
        max_token_age: within(section.max_token_age_seconds, 1, 31_536_000, &at("maxTokenAgeSeconds"))?.map(Duration::from_secs),
        role_claims: checked(section.role_claims, &at("roleClaims"), not_empty)?,
        roles: roles.collect::<Result<_, _>>()?,
        denied_tokens: checked(section.denied_tokens, &at("deniedTokens"), not_empty)?,
        denied_subjects: checked(section.denied_subjects, &at("deniedSubjects"), not_empty)?,
    })
}

fn resolve_audiences(audiences: Option<Vec<String>>, place: &str) -> Result<Vec<String>, ConfigError> {
    let Some(audiences) = audiences else { return Ok(Vec::new()) };
    if audiences.is_empty() {
        let problem = "the list is empty, and a token has to be meant for this server; name an audience, \
                       or remove the key to take the address of the endpoint";
        return Err(ConfigError::at(place, problem));
    }
    checked(audiences, place, not_empty)
}

fn resolve_algorithms(algorithms: Option<Vec<String>>, place: &str) -> Result<Vec<String>, ConfigError> {
    let Some(algorithms) = algorithms else { return Ok(ALGORITHMS.map(str::to_owned).to_vec()) };
    if algorithms.is_empty() {
        return Err(ConfigError::at(place, format!("the list is empty; name some of {}, or remove the key", ALGORITHMS.join(", "))));
    }
    checked(algorithms, place, |name| {
        if ALGORITHMS.contains(&name) {
            return Ok(());
        }
        Err(format!("`{name}` is not taken; write {}", ALGORITHMS.join(", ")))
    })
}

fn resolve_scopes(scopes: Option<Vec<ScopeSection>>) -> Result<Vec<ScopeRule>, ConfigError> {
    let Some(scopes) = scopes else {
        let rule = |scope: &str, opens: &[&str]| ScopeRule {
            scope: scope.to_owned(),
            opens: opens.iter().map(|&effect| effect.to_owned()).collect(),
        };
        return Ok(vec![rule("mcp:read", &["read"]), rule("mcp:write", &["read", "write", "destroy"]), rule("mcp:execute", &["execute"])]);
    };
    if scopes.is_empty() {
        return Err(ConfigError::at(
            "http.oauth.scopes",
            "the list is empty, so no token could open anything; name a scope, or remove the key",
        ));
    }
    let mut rules: Vec<ScopeRule> = Vec::with_capacity(scopes.len());
    for (i, ScopeSection { scope, opens }) in scopes.into_iter().enumerate() {
        let place = format!("http.oauth.scopes[{i}]");
        check_scope(&scope).map_err(|problem| ConfigError::at(format!("{place}.scope"), problem))?;
        if rules.iter().any(|rule| rule.scope == scope) {
            return Err(ConfigError::at(format!("{place}.scope"), format!("`{scope}` stands here twice; put both into one entry")));
        }
        rules.push(ScopeRule { scope, opens: selectors(opens, &format!("{place}.opens"))? });
    }
    Ok(rules)
}

fn resolve_acr(rules: Vec<AcrSection>) -> Result<Vec<AcrRule>, ConfigError> {
    let mut all = Vec::with_capacity(rules.len());
    for (i, AcrSection { tools, values }) in rules.into_iter().enumerate() {
        let place = format!("http.oauth.acr[{i}]");
        if values.is_empty() {
            return Err(ConfigError::at(format!("{place}.values"), "the list is empty, so nothing would do; name a class"));
        }
        let values = checked(values, &format!("{place}.values"), |value| {
            let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
            if !value.is_empty() && value.chars().all(fits) { Ok(()) } else { Err("a class is a text without spaces and quotes".into()) }
        })?;
        all.push(AcrRule { tools: selectors(tools, &format!("{place}.tools"))?, values });
    }
    Ok(all)
}

/// Tool parts of rules; specifiers belong into the policy.
fn selectors(items: Vec<String>, place: &str) -> Result<Vec<String>, ConfigError> {
    if items.is_empty() {
        return Err(ConfigError::at(place, "the list is empty; name tools, families or effects, such as `read`"));
    }
    checked(items, place, |item| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_*?".contains(c);
        if !item.is_empty() && item.chars().all(fits) {
            return Ok(());
        }
        Err(format!("`{item}` is no tool, family, effect or glob; write such as `read` or `fs_*`, and put paths into `policy`"))
    })
}

fn check_scope(scope: &str) -> Result<(), String> {
    if scope.contains('*') {
        return Err(format!("`{scope}` holds `*`, and scopes are compared as they are; name one scope"));
    }
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    if !scope.is_empty() && scope.chars().all(fits) {
        Ok(())
    } else {
        Err("a scope is a text without spaces and quotes, such as `mcp:read`".into())
    }
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("the text is empty; remove it".into()) } else { Ok(()) }
}

fn parse_url(text: &str, insecure_loopback: bool) -> Result<Url, String> {
    const EXAMPLE: &str = "write an address such as `https://login.example.com/tenant`";
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no address: {error}; {EXAMPLE}"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("the address must not hold a user, a password or `#`; {EXAMPLE}"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) && insecure_loopback => Ok(url),
        "http" if is_loopback(&url) => {
            Err("plain HTTP can be read and changed on the way; write `https://`, or set `insecureLoopbackIssuers` for development".into())
        }
        _ => Err(format!("`{text}` does not begin with `https://`; {EXAMPLE}")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

/// The error never repeats the text: it may be the secret itself.
fn parse_secret(text: &str) -> Result<SecretRef, String> {
    if let Some(name) = text.strip_prefix("env:") {
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(SecretRef::Variable(name.to_owned()));
        }
        return Err("`env:` is followed by the name of a variable: `env:CLIENT_SECRET`".into());
    }
    if let Some(path) = text.strip_prefix("file:") {
        if path.starts_with('/') && !path.contains('\0') {
            return Ok(SecretRef::File(path.into()));
        }
        return Err("`file:` is followed by the whole path of a file: `file:/run/secrets/client`".into());
    }
    Err("a secret does not belong into this file; write `env:NAME` (without `$`) or `file:/path`, and consider what stood here known"
        .into())
}
