//! The one place where a request becomes a grant.

use bytes::Bytes;
use http::{Response, request::Parts};
use toolyard_core::Principal;
use url::Url;

use super::{
    Grant, Operation, Refusal,
    challenge::{Challenges, OauthChallenge},
    credential::{Credential, Scheme, refuse_form},
    metadata,
    oauth::{PROOF_ALGORITHMS, Verifier},
    scopes::ScopeTable,
    tokens::{TokenTable, hash_token},
};
use crate::config::AuthConfig;

/// What is wrong with the configuration of authentication, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct AuthSetupError {
    /// Where: `tokens[2]`, `issuers.corp.leeway`.
    pub place: String,
    /// What is wrong and how to write it instead.
    pub problem: String,
}

/// Tells who sends a request and what the token opens.
#[derive(Debug)]
pub(crate) struct Authenticator {
    tokens: TokenTable,
    oauth: Option<Oauth>,
    unauthenticated: bool,
    challenges: Challenges,
}

#[derive(Debug)]
struct Oauth {
    verifier: Verifier,
    scopes: ScopeTable,
    metadata: Bytes,
}

impl Authenticator {
    /// Checks the configuration; asks nothing of the network. `resource` is the address of `/mcp`
    /// as clients write it.
    pub(crate) fn new(config: &AuthConfig, resource: &Url) -> Result<Self, AuthSetupError> {
        let tokens = TokenTable::new(&config.tokens)?;
        let somebody = !tokens.is_empty() || config.oauth.is_some();
        if somebody == config.unauthenticated {
            let problem = if somebody {
                "tokens are configured, so nobody is served without one; remove them, or leave callers authenticated"
            } else {
                "nobody could call; configure a token or an authorization server"
            };
            return Err(AuthSetupError { place: "auth".into(), problem: problem.into() });
        }
        let mut challenges = Challenges { oauth: None };
        let mut oauth = None;
        if let Some(config) = &config.oauth {
            let scopes = ScopeTable::new(&config.scopes, &config.acr)?;
            challenges.oauth = Some(OauthChallenge {
                metadata_url: metadata::document_url(resource),
                scope: scopes.first().to_owned(),
                dpop: config.dpop,
                dpop_algorithms: PROOF_ALGORITHMS.join(" "),
            });
            let metadata = metadata::document(resource, config, scopes.first(), &PROOF_ALGORITHMS);
            oauth = Some(Oauth { verifier: Verifier::new(config, resource)?, scopes, metadata });
        }
        Ok(Self { tokens, oauth, unauthenticated: config.unauthenticated, challenges })
    }

    /// Who sends this request.
    pub(crate) async fn authenticate(&self, head: &Parts) -> Result<Grant, Refusal> {
        let credential = Credential::of(head);
        if self.unauthenticated {
            return match credential {
                Err(malformed @ Refusal::Malformed { .. }) => Err(malformed),
                _ => Ok(Grant { principal: Principal::local(), scopes: None, acr: None, until: None }),
            };
        }
        refuse_form(head)?;
        let credential = credential?;
        let hash = hash_token(credential.token);
        // Whatever the scheme, an issuer must not learn a token of the table.
        if let Some(grant) = self.tokens.find(&hash) {
            return match credential.scheme {
                Scheme::Bearer => Ok(grant.clone()),
                Scheme::Dpop => Err(Refusal::Invalid { why: "a static token is not bound to a key; it is sent as Bearer" }),
            };
        }
        match &self.oauth {
            Some(oauth) => oauth.verifier.verify(credential, hash, head).await,
            None if credential.scheme == Scheme::Bearer => Err(Refusal::Invalid { why: "the token is unknown" }),
            None => Err(Refusal::Missing),
        }
    }

    /// Whether a grant opens an operation; the policy is asked afterwards in any case.
    pub(crate) fn check(&self, grant: &Grant, operation: Operation<'_>) -> Result<(), Refusal> {
        self.oauth.as_ref().map_or(Ok(()), |oauth| oauth.scopes.check(grant, operation))
    }

    /// The answer to a request that is not served.
    pub(crate) fn challenge(&self, refusal: &Refusal) -> Response<Bytes> {
        self.challenges.answer(refusal)
    }

    /// The document of RFC 9728; none without authorization servers.
    pub(crate) fn metadata(&self) -> Option<Bytes> {
        self.oauth.as_ref().map(|oauth| oauth.metadata.clone())
    }
}

#[cfg(test)]
mod tests;
