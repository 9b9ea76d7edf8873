//! Bearer tokens that the operator hands out himself.

use std::{collections::HashSet, sync::Arc};

use ring::digest::{SHA256, digest};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use toolyard_core::Principal;

use super::{AuthSetupError, Grant};

const MAX_NAME: usize = 128;

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

/// The SHA-256 of a token, as [`StaticToken::sha256`] holds it.
pub fn hash_token(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// All static tokens of a server.
#[derive(Debug)]
pub(super) struct TokenTable {
    entries: Vec<([u8; 32], Grant)>,
}

impl TokenTable {
    /// Fails on names and tokens that occur twice, and on names that would not read well in a trail.
    pub(super) fn new(tokens: &[StaticToken]) -> Result<Self, AuthSetupError> {
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        let mut entries = Vec::with_capacity(tokens.len());
        for (nth, token) in tokens.iter().enumerate() {
            let error = |problem: String| AuthSetupError { place: format!("tokens[{nth}]"), problem };
            if token.name.is_empty() || token.name.len() > MAX_NAME || token.name.chars().any(char::is_control) {
                return Err(error(format!("the name has to be 1 to {MAX_NAME} bytes long and free of control characters")));
            }
            if !names.insert(&*token.name) {
                return Err(error(format!("the name `{}` is taken; give each token its own", token.name)));
            }
            if !hashes.insert(token.sha256) {
                return Err(error(format!("`{}` is the same token as another one; make a new token", token.name)));
            }
            let principal = Principal::named(format!("token:{}", token.name)).with_roles(token.roles.iter().cloned());
            entries.push((token.sha256, Grant { principal, scopes: None, acr: None, until: None }));
        }
        Ok(Self { entries })
    }

    /// Whether there is any token.
    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the token with this hash grants; takes as long for any hash.
    pub(super) fn find(&self, hash: &[u8; 32]) -> Option<&Grant> {
        let mut found = u64::MAX;
        for (at, (own, _)) in (0_u64..).zip(&self.entries) {
            let same: Choice = own.ct_eq(hash);
            found.conditional_assign(&at, same);
        }
        self.entries.get(usize::try_from(found).ok()?).map(|(_, grant)| grant)
    }
}

#[cfg(test)]
mod tests {
    use super::{StaticToken, TokenTable, hash_token};

    fn token(name: &str, value: &str) -> StaticToken {
        StaticToken { name: name.into(), sha256: hash_token(value), roles: vec!["admin".into(), "dev".into()] }
    }

    #[test]
    fn a_hash_is_the_sha256_of_the_token() {
        assert_eq!(hash_token("abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn a_token_stands_for_its_name_and_roles() {
        let table = TokenTable::new(&[token("ci", "one"), token("me", "two")]).unwrap();
        let grant = table.find(&hash_token("two")).unwrap();
        assert_eq!(grant.principal.name(), "token:me");
        assert_eq!(grant.principal.roles().collect::<Vec<_>>(), ["admin", "dev"]);
        assert_eq!(grant.scopes, None);
        assert_eq!(table.find(&hash_token("one")).unwrap().principal.name(), "token:ci");
    }

    #[test]
    fn a_hash_that_differs_in_one_bit_is_unknown() {
        let table = TokenTable::new(&[token("ci", "one"), token("me", "two")]).unwrap();
        for bit in 0..256 {
            let mut hash = hash_token("one");
            hash[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(table.find(&hash).map(|grant| grant.principal.name().to_owned()), None, "bit {bit}");
        }
    }

    #[test]
    fn names_and_tokens_are_given_once() {
        let error = TokenTable::new(&[token("ci", "one"), token("ci", "two")]).unwrap_err();
        assert_eq!(error.to_string(), "tokens[1]: the name `ci` is taken; give each token its own");
        let error = TokenTable::new(&[token("ci", "one"), token("me", "one")]).unwrap_err();
        assert_eq!(error.to_string(), "tokens[1]: `me` is the same token as another one; make a new token");
        let error = TokenTable::new(&[token("a\nb", "one")]).unwrap_err();
        assert_eq!(error.place, "tokens[0]");
    }
}
