//! Opaque handles that the client carries for us: cursors and pending approvals.
//!
//! A handle is a payload with an expiry and a keyed BLAKE3 tag over its purpose, its principal
//! and its bytes. It is readable but can't be made, changed or used by someone else.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Principal, clock};

const TAG: usize = 16;
const HEAD: usize = 8;

/// Makes and opens handles; the key lives as long as the process unless it is given.
pub struct Sealer {
    key: [u8; 32],
}

/// Why a handle was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not one of ours, changed on the way, or made for another principal, tool or process.
    #[error("the handle is not valid here")]
    Invalid,
    /// Its time is over.
    #[error("the handle has expired")]
    Expired,
}

impl Sealer {
    /// A sealer whose handles end with the process.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn random() -> std::io::Result<Self> {
        let mut key = [0; 32];
        let mut filled = 0;
        while filled < key.len() {
            filled += rustix::rand::getrandom(&mut key[filled..], rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(Self::with_key(key))
    }

    /// A sealer whose handles hold wherever the same key is used.
    pub const fn with_key(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Seals `payload` for one purpose and principal; valid for `ttl_millis`.
    pub fn seal(&self, purpose: &str, principal: &Principal, payload: &[u8], ttl_millis: u64) -> String {
        let mut sealed = Vec::with_capacity(HEAD + payload.len() + TAG);
        sealed.extend_from_slice(&clock::unix_millis().saturating_add(ttl_millis).to_be_bytes());
        sealed.extend_from_slice(payload);
        let tag = self.tag(purpose, principal, &sealed);
        sealed.extend_from_slice(&tag.as_bytes()[..TAG]);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Gives back the payload.
    ///
    /// # Errors
    /// [`SealError`]; the two causes are told apart only after the tag was found right.
    pub fn open(&self, purpose: &str, principal: &Principal, handle: &str) -> Result<Vec<u8>, SealError> {
        let mut sealed = URL_SAFE_NO_PAD.decode(handle).map_err(|_| SealError::Invalid)?;
        let split = sealed.len().checked_sub(TAG).filter(|split| *split >= HEAD).ok_or(SealError::Invalid)?;
        let tag = sealed.split_off(split);
        let expected = self.tag(purpose, principal, &sealed);
        let differing = expected.as_bytes().iter().zip(&tag).fold(0, |all, (a, b)| all | (a ^ b));
        if differing != 0 {
            return Err(SealError::Invalid);
        }
        let payload = sealed.split_off(HEAD);
        let expiry = sealed.try_into().map(u64::from_be_bytes).map_err(|_| SealError::Invalid)?;
        if clock::unix_millis() > expiry {
            return Err(SealError::Expired);
        }
        Ok(payload)
    }

    fn tag(&self, purpose: &str, principal: &Principal, bytes: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [purpose.as_bytes(), principal.name().as_bytes()] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.update(bytes);
        hasher.finalize()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::{SealError, Sealer};
    use crate::Principal;

    #[test]
    fn a_handle_opens_only_for_its_purpose_principal_and_process() {
        let (sealer, me) = (Sealer::with_key([7; 32]), Principal::named("me"));
        let handle = sealer.seal("cursor:fs_grep", &me, b"payload", 60_000);
        assert_eq!(sealer.open("cursor:fs_grep", &me, &handle), Ok(b"payload".to_vec()));
        assert_eq!(sealer.open("cursor:fs_glob", &me, &handle), Err(SealError::Invalid));
        assert_eq!(sealer.open("cursor:fs_grep", &Principal::named("you"), &handle), Err(SealError::Invalid));
        assert_eq!(Sealer::with_key([8; 32]).open("cursor:fs_grep", &me, &handle), Err(SealError::Invalid));
    }

    #[test]
    fn a_changed_cut_or_guessed_handle_is_invalid_and_an_old_one_has_expired() {
        let (sealer, me) = (Sealer::with_key([7; 32]), Principal::local());
        let handle = sealer.seal("c", &me, b"payload", 60_000);
        for i in 0..handle.len() {
            let mut changed = handle.clone().into_bytes();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            // The last character carries padding bits that must be zero, so it is refused as well.
            assert_eq!(sealer.open("c", &me, std::str::from_utf8(&changed).unwrap_or("")), Err(SealError::Invalid), "byte {i}");
            assert_eq!(sealer.open("c", &me, &handle[..i]), Err(SealError::Invalid));
        }
        let old = sealer.seal("c", &me, b"", 0);
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(sealer.open("c", &me, &old), Err(SealError::Expired));
    }
}
