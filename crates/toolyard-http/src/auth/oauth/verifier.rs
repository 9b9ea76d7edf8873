//! From an access token to a grant.

use std::{collections::HashSet, sync::Arc, time::Duration};

use http::request::Parts;
use toolyard_core::net::Reach;
use url::Url;

use super::{
    DpopMode, Issuer, OauthConfig,
    cache::{Cache, Digest, Until},
    claims::{Accepted, Origin, Rules},
    clock::Clock,
    dpop::Proofs,
    introspection::{Introspector, OpaqueTokens},
    jws::{Algorithm, Form, Jws, KeyInHeader, form},
    keys::{KeyRing, KeySource},
};
use crate::{
    auth::{
        AuthSetupError, Grant, Refusal,
        credential::{Credential, Scheme},
        metadata,
    },
    fetch::Fetcher,
};

/// Algorithms that a proof of possession may be signed with.
pub(in crate::auth) const PROOF_ALGORITHMS: [&str; 5] = ["ES256", "ES384", "EdDSA", "PS256", "RS256"];

const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// Good tokens that are remembered.
const MAX_KNOWN: usize = 4096;
/// A signed token is checked again after so long.
const SIGNED_FOR: u64 = 5 * 60;
/// An opaque token is asked about again after so long.
const OPAQUE_FOR: u64 = 60;

/// Checks access tokens of all issuers.
#[derive(Debug)]
pub(in crate::auth) struct Verifier {
    issuers: Vec<SigningIssuer>,
    opaque: OpaqueTokens,
    known: Cache<Accepted>,
    proofs: Proofs,
    dpop: DpopMode,
    clock: Clock,
}

/// An issuer whose signed tokens are taken.
#[derive(Debug)]
struct SigningIssuer {
    rules: Arc<Rules>,
    algorithms: Vec<Algorithm>,
    accept_typ_jwt: bool,
    keys: KeyRing,
}

impl Verifier {
    /// Checks the configuration; asks nothing of the network.
    pub(in crate::auth) fn new(config: &OauthConfig, resource: &Url) -> Result<Self, AuthSetupError> {
        Self::with_clock(config, resource, Clock::default())
    }

    pub(super) fn with_clock(config: &OauthConfig, resource: &Url, clock: Clock) -> Result<Self, AuthSetupError> {
        if config.issuers.is_empty() {
            return Err(setup("issuers", "the list is empty; name an authorization server"));
        }
        let reach = Reach { private: config.private_issuers, danger_loopback: config.insecure_loopback_issuers };
        let fetcher = Fetcher::new(reach, config.ca_file.as_deref()).map_err(|error| setup("ca_file", error.to_string()))?;
        let fetcher = Arc::new(fetcher);
        let (mut names, mut identifiers) = (HashSet::new(), HashSet::new());
        let (mut issuers, mut introspector) = (Vec::new(), None);
        for issuer in &config.issuers {
            let place = |key: &str| format!("issuers.{}.{key}", issuer.name);
            if !names.insert(&issuer.name) || !identifiers.insert(&issuer.issuer) {
                return Err(setup(place("issuer"), "an issuer with this name or identifier stands there already; join the two"));
            }
            check_issuer(issuer, &fetcher)?;
            let rules = Arc::new(Rules::new(issuer, &metadata::canonical(resource)));
            if let Some(introspection) = &issuer.introspection {
                if introspector.is_some() {
                    let problem = "another issuer is asked about opaque tokens already, and a token that names nobody may be shown to one issuer only; keep the `introspection` of the issuer that they come from";
                    return Err(setup(place("introspection"), problem));
                }
                let asked = Introspector::new(Arc::clone(&rules), introspection, Arc::clone(&fetcher), clock.clone());
                introspector = Some(asked.ok_or_else(|| setup(place("introspection"), "the credentials are too long"))?);
            }
            let source = KeySource {
                name: issuer.name.clone(),
                issuer: issuer.issuer.clone(),
                jwks: issuer.jwks.clone(),
                fetcher: Arc::clone(&fetcher),
            };
            issuers.push(SigningIssuer {
                rules,
                algorithms: issuer.algorithms.iter().filter_map(|name| Algorithm::named(name)).collect(),
                accept_typ_jwt: issuer.accept_typ_jwt,
                keys: KeyRing::new(source, clock.clone()),
            });
        }
        Ok(Self {
            issuers,
            opaque: OpaqueTokens::new(introspector, clock.clone()),
            known: Cache::new(MAX_KNOWN),
            proofs: Proofs::new(resource),
            dpop: config.dpop,
            clock,
        })
    }

    /// What this token grants; `hash` is its SHA-256. A token that is known is not waited for.
    pub(in crate::auth) async fn verify(&self, credential: Credential<'_>, hash: Digest, head: &Parts) -> Result<Grant, Refusal> {
        if credential.scheme == Scheme::Dpop && self.dpop == DpopMode::Off {
            return Err(Refusal::Missing);
        }
        let now = Until { instant: self.clock.instant(), unix: self.clock.unix() };
        if let Some(accepted) = self.known.get(&hash, now) {
            self.check_possession(&accepted, credential.scheme, &hash, head, now.unix)?;
            return Ok(accepted.granted(now));
        }
        let (accepted, keep) = match form(credential.token) {
            Form::Signed => (self.check_signed(credential.token).await?, SIGNED_FOR),
            Form::Opaque => (self.opaque.ask(credential.token, hash).await?, OPAQUE_FOR),
            Form::Encrypted => return Err(Refusal::Invalid { why: "it is encrypted" }),
        };
        // The answer may have taken a while.
        let now = Until { instant: self.clock.instant(), unix: self.clock.unix() };
        let until = Until { instant: now.instant + Duration::from_secs(keep), unix: accepted.expires.min(now.unix + keep) };
        if until.unix > now.unix {
            self.known.put(hash, accepted.clone(), until, now);
        }
        self.check_possession(&accepted, credential.scheme, &hash, head, now.unix)?;
        Ok(accepted.granted(now))
    }

    async fn check_signed(&self, token: &str) -> Result<Accepted, Refusal> {
        let invalid = |why| Refusal::Invalid { why };
        let jws = Jws::parse(token, KeyInHeader::Refused).map_err(invalid)?;
        let named = jws.claims.get("iss");
        let issuer = self.issuers.iter().find(|issuer| named.is_some_and(|named| *named == *issuer.rules.issuer()));
        let issuer = issuer.ok_or_else(|| invalid("it is from another issuer"))?;
        if !issuer.algorithms.contains(&jws.header.algorithm) {
            return Err(invalid("its algorithm is not one of its issuer's"));
        }
        if !is_access_token(jws.header.typ.as_deref(), issuer.accept_typ_jwt) {
            return Err(invalid("its type is not that of an access token"));
        }
        // A token that its own claims rule out does not make us fetch keys.
        let accepted = issuer.rules.accept(&jws.claims, Origin::Token, self.clock.unix()).map_err(invalid)?;
        issuer.keys.check(&jws).await?;
        Ok(accepted)
    }

    fn check_possession(&self, accepted: &Accepted, scheme: Scheme, token: &Digest, head: &Parts, now: u64) -> Result<(), Refusal> {
        match (&accepted.jkt, scheme, self.dpop) {
            (Some(_), _, DpopMode::Off) => Err(Refusal::Invalid { why: "it is bound to a key, and proofs are not taken" }),
            (Some(jkt), Scheme::Dpop, DpopMode::Accept | DpopMode::Require) => {
                self.proofs.check(head, token, jkt, accepted.grant.principal.name(), now)
            }
            (Some(_), Scheme::Bearer, DpopMode::Accept | DpopMode::Require) => {
                Err(Refusal::Invalid { why: "it is bound to a key and came without the proof" })
            }
            (None, Scheme::Dpop, _) => Err(Refusal::Invalid { why: "it is not bound to a key and came with a proof" }),
            (None, Scheme::Bearer, DpopMode::Require) => Err(Refusal::Invalid { why: "it is not bound to a key" }),
            (None, Scheme::Bearer, DpopMode::Off | DpopMode::Accept) => Ok(()),
        }
    }
}

impl Accepted {
    /// The grant, with its end by the clock that streams go by.
    fn granted(self, now: Until) -> Grant {
        let left = Duration::from_secs(self.ends.saturating_sub(now.unix));
        Grant { until: now.instant.checked_add(left), ..self.grant }
    }
}

fn is_access_token(typ: Option<&str>, accept_typ_jwt: bool) -> bool {
    let is = |name: &str| typ.is_some_and(|typ| typ.eq_ignore_ascii_case(name));
    is("at+jwt") || is("application/at+jwt") || (accept_typ_jwt && is("JWT"))
}

fn setup(place: impl Into<String>, problem: impl Into<String>) -> AuthSetupError {
    AuthSetupError { place: place.into(), problem: problem.into() }
}

fn check_issuer(issuer: &Issuer, fetcher: &Fetcher) -> Result<(), AuthSetupError> {
    let error = |key: &str, problem: String| setup(format!("issuers.{}.{key}", issuer.name), problem);
    if issuer.name.is_empty()
        || issuer.name.len() > 64
        || !issuer.name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
    {
        return Err(error("name", "use up to 64 lower-case letters, digits, `.` and `-`".into()));
    }
    let url = fetcher.parse(&issuer.issuer).map_err(|problem| error("issuer", format!("`{}`: {problem}", issuer.issuer)))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(error("issuer", format!("`{}`: an issuer has no query and no fragment", issuer.issuer)));
    }
    let endpoint = issuer.introspection.as_ref().and_then(|introspection| introspection.endpoint.as_ref());
    for (key, url) in [("jwks", issuer.jwks.as_ref()), ("introspection.endpoint", endpoint)] {
        if let Some(url) = url {
            fetcher.check(url).map_err(|problem| error(key, format!("`{url}`: {problem}")))?;
        }
    }
    if let Some(unknown) = issuer.algorithms.iter().find(|name| Algorithm::named(name).is_none()) {
        return Err(error("algorithms", format!("`{unknown}` is not taken; use RS256, PS256, ES256, ES384 or EdDSA")));
    }
    if issuer.algorithms.is_empty() {
        return Err(error("algorithms", "the list is empty; name those its tokens are signed with, such as RS256".into()));
    }
    if issuer.leeway > MAX_LEEWAY {
        return Err(error("leeway", "at most 60 s are forgiven".into()));
    }
    if issuer.audiences.iter().any(String::is_empty) {
        return Err(error("audiences", "an audience is empty; remove it".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
