//! The id of a request, in its answer, the log and the audit trail.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Where clients and proxies put it, and where it is answered.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 64;

/// An id of 1 to 64 letters, digits, dots, dashes and underscores. It tells requests apart and
/// protects nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id the request came with, or a new one if there is none that is safe to write down.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(X_REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_plain(id.as_bytes()) => Self(id.clone()),
            _ => Self::new(),
        }
    }

    /// A new one: eight digits that tell processes apart, and a number.
    pub(crate) fn new() -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let process = PROCESS.get_or_init(|| RandomState::new().hash_one(0) >> 32);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let text = format!("{process:08x}-{number:x}");
        Self(HeaderValue::try_from(text).unwrap_or(const { HeaderValue::from_static("none") }))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("none")
    }

    /// Writes it into the headers of the answer.
    pub(crate) fn answer(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.0.clone());
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_plain(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(id).expect("a header"));
        }
        RequestId::of(&headers).to_string()
    }

    #[test]
    fn a_plain_id_is_kept_and_answered() {
        assert_eq!(of(&[b"trace-1.a_B"]), "trace-1.a_B");
        assert_eq!(of(&["x".repeat(64).as_bytes()]), "x".repeat(64));
        let mut answer = HeaderMap::new();
        RequestId::of(&HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static("a"))])).answer(&mut answer);
        assert_eq!(answer.get("x-request-id").map(HeaderValue::as_bytes), Some(&b"a"[..]));
    }

    #[test]
    fn anything_else_is_replaced_by_a_new_one() {
        let long = "x".repeat(65);
        let cases: [&[&[u8]]; 9] =
            [&[], &[b""], &[b"a b"], &[b"a\tb"], &[b"\xff"], &[b"<a>"], &[b"a\"b"], &[long.as_bytes()], &[b"a", b"b"]];
        for ids in cases {
            let made = of(ids);
            let (process, number) = made.split_once('-').expect("two parts");
            assert_eq!((process.len(), u64::from_str_radix(number, 16).map(|number| number > 0)), (8, Ok(true)), "{ids:?} became {made}");
        }
    }

    #[test]
    fn new_ids_differ() {
        let ids: std::collections::HashSet<_> = (0..1_000).map(|_| of(&[])).collect();
        assert_eq!(ids.len(), 1_000);
    }
}
