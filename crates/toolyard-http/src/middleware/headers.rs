//! Headers that keep browsers from doing more with an answer than reading it.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const ALWAYS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Adds them. Nothing is stored by caches, unless the answer says itself what may be.
pub(crate) fn secure(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Tells browsers to come back over TLS only, for a year; for answers over TLS.
pub(crate) fn insist_on_tls(headers: &mut HeaderMap) {
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &HeaderMap, name: &str) -> Vec<String> {
        headers.get_all(name).iter().map(|value| value.to_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn every_answer_forbids_sniffing_framing_referring_and_storing() {
        let mut headers = HeaderMap::new();
        headers.insert("x-frame-options", HeaderValue::from_static("SAMEORIGIN"));
        secure(&mut headers);
        for (name, want) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(of(&headers, name), [want]);
        }
        assert_eq!(of(&headers, "strict-transport-security"), [""; 0], "it means nothing without TLS");
        insist_on_tls(&mut headers);
        assert_eq!(of(&headers, "strict-transport-security"), ["max-age=31536000"]);
    }

    #[test]
    fn an_answer_that_says_how_it_may_be_stored_keeps_that() {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("max-age=3600"));
        secure(&mut headers);
        assert_eq!(of(&headers, "cache-control"), ["max-age=3600"]);
    }
}
