//! Content tags: equal exactly when the bytes are, whatever the clock says.

/// Characters of an etag: 100 bits, five each.
const LENGTH: usize = 20;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The etag of these bytes.
pub(crate) fn of(content: &[u8]) -> String {
    spell(&blake3::hash(content))
}

/// The etag of everything a hasher was fed.
pub(crate) fn finish(hasher: &blake3::Hasher) -> String {
    spell(&hasher.finalize())
}

/// Whether `wanted`, which may hold several etags separated by commas, names this one.
pub(crate) fn matches(wanted: &str, etag: &str) -> bool {
    wanted.split(',').any(|one| one.trim().trim_matches('"') == etag)
}

fn spell(hash: &blake3::Hash) -> String {
    let (head, _) = hash.as_bytes().split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    let bits = u128::from_be_bytes(*head);
    (1..=LENGTH).map(|digit| char::from(ALPHABET[(bits >> (128 - 5 * digit)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use super::{finish, matches, of};

    #[test]
    fn an_etag_is_the_first_hundred_bits_of_the_hash_in_base32() {
        // BLAKE3 of nothing begins af1349b9 f5f9a1a6 a0404dea 36; RFC 4648 base32, lower case.
        assert_eq!(of(b""), "v4jutopv7gq2nicajxvd");
        assert_ne!(of(b"a"), of(b"b"));
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"he").update(b"llo");
        assert_eq!(finish(&hasher), of(b"hello"));
    }

    #[test]
    fn a_list_of_etags_matches_when_one_of_them_does() {
        assert!(matches("abc, \"def\"", "def"));
        assert!(!matches("abc,defg", "def"));
    }
}
