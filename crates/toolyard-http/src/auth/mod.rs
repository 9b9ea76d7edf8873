//! Who is calling: static tokens and access tokens of authorization servers become a principal
//! with roles, and for access tokens a set of scopes.
//!
//! This server is an OAuth 2.1 resource server and nothing else: it issues no tokens and passes
//! none on.

mod authenticator;
mod challenge;
mod credential;
mod metadata;
mod oauth;
mod scopes;
mod tokens;

use std::{sync::Arc, time::Instant};

use toolyard_core::{Effect, Principal};

pub use authenticator::AuthSetupError;
pub(crate) use authenticator::Authenticator;
pub use oauth::{AcrRule, DpopMode, Introspection, Issuer, OauthConfig, ScopeRule};
pub use tokens::{StaticToken, hash_token};

/// What a request may do, as far as its token goes.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// Who is calling.
    pub(crate) principal: Principal,
    /// The scopes of an access token; none for callers that scopes don't limit.
    pub(crate) scopes: Option<Arc<[Box<str>]>>,
    /// The authentication context class of an access token.
    pub(crate) acr: Option<Arc<str>>,
    /// When streams that were opened with it end; never for tokens that do not expire.
    pub(crate) until: Option<Instant>,
}

/// What an operation needs of a token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation<'a> {
    /// Anything but a tool call: listing, reading, listening.
    Protocol,
    /// A tool call.
    Tool {
        /// The tool's name.
        name: &'a str,
        /// Its family.
        family: &'a str,
        /// Its effect.
        effect: Effect,
    },
}

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No credentials (RFC 6750 section 3: no error code).
    Missing,
    /// A credential that is not valid here; `why` is for the audit trail only.
    Invalid { why: &'static str },
    /// A proof of possession that does not hold (RFC 9449); `why` is for the audit trail only.
    Proof { why: &'static str },
    /// A request that no credential could make right (`invalid_request`).
    Malformed { why: &'static str },
    /// The token lacks a scope; these are all that the operation needs.
    Scope { needed: String },
    /// The user has to authenticate more strongly (RFC 9470); `scope` is the one that the operation
    /// needs beside it.
    StepUp { acr_values: String, scope: String },
    /// The authorization server can't be asked, and nothing is known of this token.
    Unavailable,
}

impl Refusal {
    /// The word for this refusal in the audit trail and in metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "unauthenticated",
            Self::Invalid { .. } | Self::Proof { .. } => "invalid_token",
            Self::Malformed { .. } => "invalid_request",
            Self::Scope { .. } => "insufficient_scope",
            Self::StepUp { .. } => "insufficient_authentication",
            Self::Unavailable => "issuer_unavailable",
        }
    }

    /// What exactly is wrong, for the audit trail; nothing of the credential itself.
    pub(crate) const fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Invalid { why } | Self::Proof { why } | Self::Malformed { why } => Some(why),
            Self::Missing | Self::Scope { .. } | Self::StepUp { .. } | Self::Unavailable => None,
        }
    }
}
