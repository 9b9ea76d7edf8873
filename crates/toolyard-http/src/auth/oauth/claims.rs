//! What a token says, against what its issuer may say here.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Once},
};

use serde_json::{Map, Value};
use toolyard_core::Principal;

use super::Issuer;
use crate::auth::Grant;

const MAX_SUBJECT: usize = 256;
const MAX_ROLE: usize = 256;
const MAX_ROLES: usize = 512;
/// An answer to an introspection without `exp` holds so many seconds; it is asked for again before.
const NO_EXPIRY: u64 = 60;
/// The issuer may withdraw an opaque token at any time; what was opened with it ends after so long.
const MAX_OPAQUE: u64 = 60 * 60;
/// Begins the names of clients that act for themselves.
const CLIENT: &str = "client:";

/// Where claims come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A signed token: complete, or refused.
    Token,
    /// The issuer's own answer, which may leave out issuer and expiry.
    Introspection,
}

/// The rules of one issuer.
#[derive(Debug)]
pub(super) struct Rules {
    name: String,
    issuer: String,
    audiences: Vec<String>,
    leeway: u64,
    max_age: Option<u64>,
    role_claims: Vec<String>,
    roles: BTreeMap<String, Vec<String>>,
    denied_tokens: HashSet<String>,
    denied_subjects: HashSet<String>,
    /// Whether the log has said how roles can be made readable.
    hinted: Once,
}

/// A token whose claims are in order.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) grant: Grant,
    /// Seconds since 1970.
    pub(super) expires: u64,
    /// When it is refused for good, in seconds since 1970: later than `expires` by what is forgiven,
    /// and for an answer to an introspection at most an hour away.
    pub(super) ends: u64,
    /// The thumbprint of the key it is bound to.
    pub(super) jkt: Option<Arc<str>>,
}

impl Rules {
    /// The rules of a configured issuer; `resource` is the audience where none is named.
    pub(super) fn new(issuer: &Issuer, resource: &str) -> Self {
        let audiences = if issuer.audiences.is_empty() { vec![resource.to_owned()] } else { issuer.audiences.clone() };
        Self {
            name: issuer.name.clone(),
            issuer: issuer.issuer.clone(),
            audiences,
            leeway: issuer.leeway.as_secs(),
            max_age: issuer.max_token_age.map(|age| age.as_secs()),
            role_claims: issuer.role_claims.clone(),
            roles: issuer.roles.clone(),
            denied_tokens: issuer.denied_tokens.iter().cloned().collect(),
            denied_subjects: issuer.denied_subjects.iter().cloned().collect(),
            hinted: Once::new(),
        }
    }

    /// The identifier of the issuer.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The name of the issuer here.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What a token with these claims grants at `now`, in seconds since 1970.
    pub(super) fn accept(&self, claims: &Map<String, Value>, origin: Origin, now: u64) -> Result<Accepted, &'static str> {
        match claims.get("iss") {
            Some(issuer) if *issuer == *self.issuer => {}
            None if origin == Origin::Introspection => {}
            _ => return Err("it is from another issuer"),
        }
        self.check_audience(claims.get("aud"))?;
        let expires = self.check_time(claims, origin, now)?;
        let ends = match origin {
            Origin::Token => expires.saturating_add(self.leeway),
            Origin::Introspection if claims.contains_key("exp") => expires.saturating_add(self.leeway).min(now + MAX_OPAQUE),
            Origin::Introspection => now + MAX_OPAQUE,
        };
        if claims.get("jti").and_then(Value::as_str).is_some_and(|id| self.denied_tokens.contains(id)) {
            return Err("it is denied by its `jti`");
        }
        let principal = Principal::named(self.principal(claims)?).with_roles(self.roles(claims)?);
        let acr = claims.get("acr").and_then(Value::as_str).map(Into::into);
        let grant = Grant { principal, scopes: Some(scopes(claims)), acr, until: None };
        Ok(Accepted { grant, expires, ends, jkt: key_binding(claims)? })
    }

    fn check_audience(&self, audience: Option<&Value>) -> Result<(), &'static str> {
        let known = |value: &Value| value.as_str().is_some_and(|value| self.audiences.iter().any(|own| own == value));
        match audience {
            None => Err("it has no audience"),
            Some(Value::Array(several)) if several.iter().any(known) => Ok(()),
            Some(one) if known(one) => Ok(()),
            Some(_) => Err("it is for another audience"),
        }
    }

    /// When the token ends.
    fn check_time(&self, claims: &Map<String, Value>, origin: Origin, now: u64) -> Result<u64, &'static str> {
        let expires = match (date(claims, "exp")?, origin) {
            (Some(expires), _) => expires,
            (None, Origin::Introspection) => now + NO_EXPIRY,
            (None, Origin::Token) => return Err("it has no expiry"),
        };
        if now >= expires.saturating_add(self.leeway) {
            return Err("it has expired");
        }
        if date(claims, "nbf")?.is_some_and(|begins| begins > now + self.leeway) {
            return Err("it is not valid yet");
        }
        let issued = date(claims, "iat")?;
        if issued.is_some_and(|issued| issued > now + self.leeway) {
            return Err("it is from the future");
        }
        let Some(max_age) = self.max_age else { return Ok(expires) };
        let too_old = issued.ok_or("it does not say when it was issued, and its age is limited")?.saturating_add(max_age);
        if now >= too_old.saturating_add(self.leeway) {
            return Err("it is too old");
        }
        Ok(expires.min(too_old))
    }

    fn principal(&self, claims: &Map<String, Value>) -> Result<String, &'static str> {
        let subject = claims.get("sub");
        let (kind, name) = match (subject, claims.get("client_id")) {
            (Some(subject), _) => ("", subject),
            (None, Some(client)) => (CLIENT, client),
            (None, None) => return Err("it names neither a subject nor a client"),
        };
        let name = name.as_str().filter(|name| !name.is_empty()).ok_or("its subject is no text")?;
        if name.len() > MAX_SUBJECT || name.chars().any(char::is_control) {
            return Err("its subject is too long or holds control characters");
        }
        if kind.is_empty() && name.starts_with(CLIENT) {
            return Err("its subject reads like a client");
        }
        if self.denied_subjects.contains(name) {
            return Err("its subject is denied");
        }
        Ok(format!("oauth:{}:{kind}{name}", self.name))
    }

    fn roles(&self, claims: &Map<String, Value>) -> Result<BTreeSet<Arc<str>>, &'static str> {
        let mut roles: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut values = Vec::new();
        for path in &self.role_claims {
            values.extend(role_values(claims, path).inspect_err(|why| self.hint(path, why))?);
        }
        for value in values {
            if self.roles.is_empty() {
                if value.len() > MAX_ROLE || value.is_empty() || value.chars().any(char::is_control) {
                    return Err("one of its roles is empty, too long or holds control characters");
                }
                roles.insert(value.into());
            } else if let Some(mapped) = self.roles.get(value) {
                roles.extend(mapped.iter().map(|role| Arc::from(role.as_str())));
            }
            // A deny rule may name any of them, so none may be left out.
            if roles.len() > MAX_ROLES {
                return Err("it has more than 512 roles");
            }
        }
        Ok(roles)
    }

    /// Once only: anybody can send tokens, and the trail has the reason of each refusal.
    fn hint(&self, claim: &str, why: &str) {
        self.hinted.call_once(|| {
            tracing::warn!(
                issuer = %self.name,
                claim,
                why,
                "tokens are refused since their roles can't be read; `roleClaims` needs claims that hold a text or a list of texts, and the issuer has to put all of them into the token (for Entra ID: app roles, or only the groups assigned to the application)"
            );
        });
    }
}

/// The values of a role claim; a claim that is not there has none. What can't be read is an error,
/// since a deny rule may name what it says.
fn role_values<'a>(claims: &'a Map<String, Value>, path: &str) -> Result<Vec<&'a str>, &'static str> {
    const UNREADABLE: &str = "its roles can't be read: a role claim is neither a text nor a list of texts";
    const ELSEWHERE: &str = "its roles can't be read: they are too many to be in the token (`_claim_names`, `hasgroups`)";
    let concerns = |name: &str| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    match claims.get("_claim_names") {
        None | Some(Value::Null) => {}
        Some(Value::Object(names)) if !names.keys().any(|name| concerns(name)) => {}
        Some(_) => return Err(ELSEWHERE),
    }
    let left_out = claims.get("hasgroups").is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)));
    if left_out && concerns("groups") {
        return Err(ELSEWHERE);
    }
    match find(claims, path).map_err(|Unreadable| UNREADABLE)? {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(several)) => several.iter().map(|value| value.as_str().ok_or(UNREADABLE)).collect(),
        Some(_) => Err(UNREADABLE),
    }
}

/// Something else than an object where a path goes on.
struct Unreadable;

/// A claim by its whole name, or by a path of names with dots between.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Result<Option<&'a Value>, Unreadable> {
    if let Some(value) = claims.get(path) {
        return Ok(Some(value));
    }
    let mut blocked = false;
    for (dot, _) in path.match_indices('.') {
        let (Some(head), Some(tail)) = (path.get(..dot), path.get(dot + 1..)) else { continue };
        match claims.get(head) {
            None | Some(Value::Null) => {}
            Some(Value::Object(inner)) => match find(inner, tail) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(Unreadable) => blocked = true,
            },
            Some(_) => blocked = true,
        }
    }
    if blocked { Err(Unreadable) } else { Ok(None) }
}

/// A text, or those of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let (one, several) = match value {
        Value::Array(several) => (None, several.as_slice()),
        one => (one.as_str(), [].as_slice()),
    };
    one.into_iter().chain(several.iter().filter_map(Value::as_str))
}

fn scopes(claims: &Map<String, Value>) -> Arc<[Box<str>]> {
    let value = claims.get("scope").or_else(|| claims.get("scp"));
    value.into_iter().flat_map(texts).flat_map(|text| text.split(' ')).filter(|scope| !scope.is_empty()).map(Box::from).collect()
}

fn key_binding(claims: &Map<String, Value>) -> Result<Option<Arc<str>>, &'static str> {
    let Some(confirmation) = claims.get("cnf") else { return Ok(None) };
    let members = confirmation.as_object().ok_or("its key binding is malformed")?;
    match (members.len(), members.get("jkt").and_then(Value::as_str)) {
        (1, Some(thumbprint)) => Ok(Some(thumbprint.into())),
        _ => Err("it is bound to a key in a way that can't be proved here"),
    }
}

fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, &'static str> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=1e15).contains(seconds)).ok_or("one of its dates is no number")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1e15")]
    let seconds = seconds as u64;
    Ok(Some(seconds))
}

#[cfg(test)]
mod tests;
