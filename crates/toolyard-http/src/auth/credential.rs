//! The credential of a request: at most one, and only in the `Authorization` header.

use http::{
    header::{AUTHORIZATION, CONTENT_TYPE},
    request::Parts,
};

use super::Refusal;

/// Longest token in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Whoever holds it may use it.
    Bearer,
    /// Whoever holds its key may use it (RFC 9449).
    Dpop,
}

/// A token as it came; not checked yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Credential<'a> {
    pub(super) scheme: Scheme,
    pub(super) token: &'a str,
}

/// Refuses forms, which RFC 6750 lets hold a token: nothing else that is served comes as one, and
/// their bodies are not read.
pub(super) fn refuse_form(head: &Parts) -> Result<(), Refusal> {
    let kinds = head.headers.get_all(CONTENT_TYPE).iter().filter_map(|kind| kind.to_str().ok());
    let mut kinds = kinds.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    if kinds.any(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return Err(Refusal::Malformed { why: "a form, which may hold a token" });
    }
    Ok(())
}

impl<'a> Credential<'a> {
    /// The credential of this request; a scheme that is not ours counts as none.
    pub(super) fn of(head: &'a Parts) -> Result<Self, Refusal> {
        if head.uri.query().is_some_and(|query| url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")) {
            return Err(Refusal::Malformed { why: "a token in the query string" });
        }
        let mut values = head.headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(Refusal::Missing)?;
        if values.next().is_some() {
            return Err(Refusal::Malformed { why: "more than one authorization header" });
        }
        let value = value.to_str().map_err(|_| Refusal::Malformed { why: "an authorization header that is not ASCII" })?;
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        let scheme = if scheme.eq_ignore_ascii_case("bearer") {
            Scheme::Bearer
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Scheme::Dpop
        } else {
            return Err(Refusal::Missing);
        };
        let token = token.trim_matches(' ');
        if token.is_empty() {
            return Err(Refusal::Malformed { why: "an authorization header without a token" });
        }
        if !token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b)) {
            return Err(Refusal::Malformed { why: "an authorization header that holds more than one token" });
        }
        if token.len() > MAX_TOKEN {
            return Err(Refusal::Invalid { why: "the token is too long" });
        }
        Ok(Self { scheme, token })
    }
}

#[cfg(test)]
mod tests {
    use super::{Credential, Refusal, Scheme};

    fn read(uri: &str, headers: &[&str]) -> Result<(Scheme, String), Refusal> {
        let mut request = http::Request::builder().uri(uri);
        for header in headers {
            request = request.header("authorization", *header);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        Credential::of(&head).map(|credential| (credential.scheme, credential.token.to_owned()))
    }

    #[test]
    fn a_scheme_is_read_in_any_case() {
        assert_eq!(read("/mcp", &["bEARER abc.d-e_f~+/="]), Ok((Scheme::Bearer, "abc.d-e_f~+/=".into())));
        assert_eq!(read("/mcp?q=1", &["DPoP  abc"]), Ok((Scheme::Dpop, "abc".into())));
    }

    #[test]
    fn a3_a_request_without_our_scheme_has_no_credential() {
        assert_eq!(read("/mcp", &[]), Err(Refusal::Missing));
        assert_eq!(read("/mcp", &["Basic abc"]), Err(Refusal::Missing));
        assert_eq!(read("/mcp", &["Bearerabc"]), Err(Refusal::Missing));
    }

    #[test]
    fn a6_two_tokens_are_malformed() {
        let malformed = |uri, headers: &[&str]| matches!(read(uri, headers), Err(Refusal::Malformed { .. }));
        assert!(malformed("/mcp", &["Bearer a", "Bearer a"]));
        assert!(malformed("/mcp", &["Bearer a", "Basic b"]));
        assert!(malformed("/mcp", &["Bearer a, Bearer b"]));
        assert!(malformed("/mcp", &["Bearer a b"]));
        assert!(malformed("/mcp", &["Bearer"]));
        assert!(malformed("/mcp", &["Bearer  "]));
        assert!(malformed("/mcp", &["Bearer a\u{e9}"]));
    }

    #[test]
    fn a6_a_token_in_the_query_is_malformed_even_beside_a_good_one() {
        let refused = Err(Refusal::Malformed { why: "a token in the query string" });
        assert_eq!(read("/mcp?access_token=abc", &[]), refused);
        assert_eq!(read("/mcp?a=b&access%5Ftoken=abc", &["Bearer abc"]), refused);
        assert_eq!(read("/mcp?access_token", &["Bearer abc"]), refused);
    }

    #[test]
    fn a8_a_token_longer_than_16_kib_is_refused() {
        let longest = "a".repeat(16 << 10);
        assert_eq!(read("/mcp", &[&format!("Bearer {longest}")]), Ok((Scheme::Bearer, longest.clone())));
        assert_eq!(read("/mcp", &[&format!("Bearer {longest}a")]), Err(Refusal::Invalid { why: "the token is too long" }));
    }
}
