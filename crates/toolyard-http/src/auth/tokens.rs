//! Bearer tokens that the operator hands out himself.

use std::sync::Arc;

/// A token known by its hash.
#[derive(Clone, Debug)]
pub struct StaticToken {
    /// Whom it stands for; the principal is `token:` and this name.
    pub name: Arc<str>,
    /// The SHA-256 of the token.
    pub sha256: [u8; 32],
    /// Roles that rules can name.
    pub roles: Vec<Arc<str>>,
}
