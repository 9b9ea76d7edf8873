//! From an access token to a grant.

use http::request::Parts;
use url::Url;

use super::OauthConfig;
use crate::auth::{AuthSetupError, Grant, Refusal, credential::Credential};

/// Algorithms that a proof of possession may be signed with.
pub(in crate::auth) const PROOF_ALGORITHMS: [&str; 5] = ["ES256", "ES384", "EdDSA", "PS256", "RS256"];

/// Checks access tokens of all issuers.
#[derive(Debug)]
pub(in crate::auth) struct Verifier {}

impl Verifier {
    /// Checks the configuration; asks nothing of the network.
    pub(in crate::auth) fn new(_config: &OauthConfig, _resource: &Url) -> Result<Self, AuthSetupError> {
        Ok(Self {})
    }

    /// What this token grants; `hash` is its SHA-256.
    pub(in crate::auth) async fn verify(&self, _credential: Credential<'_>, _hash: [u8; 32], _head: &Parts) -> Result<Grant, Refusal> {
        Err(Refusal::Invalid { why: "not yet" })
    }
}
