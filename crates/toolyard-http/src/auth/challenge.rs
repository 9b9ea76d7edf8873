//! How a refusal is told to the client: status, `WWW-Authenticate` and a small body.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

use super::{DpopMode, Refusal};

/// What the challenges of a server have in common.
#[derive(Debug)]
pub(super) struct Challenges {
    /// None on a server that knows static tokens only.
    pub(super) oauth: Option<OauthChallenge>,
}

/// What a client needs to get an access token.
#[derive(Debug)]
pub(super) struct OauthChallenge {
    pub(super) metadata_url: String,
    /// The scope to begin with.
    pub(super) scope: String,
    pub(super) dpop: DpopMode,
    /// Algorithms of proofs, separated by spaces.
    pub(super) dpop_algorithms: String,
}

/// A refusal in the words of RFC 6750, RFC 9449 and RFC 9470.
struct Told<'a> {
    status: StatusCode,
    error: Option<&'static str>,
    description: &'static str,
    scope: Option<&'a str>,
    acr_values: Option<&'a str>,
}

impl Challenges {
    /// The answer to a request that is not served.
    pub(super) fn answer(&self, refusal: &Refusal) -> Response<Bytes> {
        let told = self.tell(refusal);
        let body = json!({ "error": told.error.unwrap_or("unauthorized"), "error_description": told.description });
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = told.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if told.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
            return response;
        }
        let proof = matches!(refusal, Refusal::Proof { .. });
        let (bearer, dpop) = match self.oauth.as_ref().map(|oauth| oauth.dpop) {
            None | Some(DpopMode::Off) => (true, false),
            Some(DpopMode::Accept) => (true, true),
            Some(DpopMode::Require) => (false, true),
        };
        let wanted = [(bearer, "Bearer", !proof), (dpop, "DPoP", proof || !bearer)];
        for (_, scheme, blamed) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
            // Everything in it is printable ASCII, checked when the server was set up.
            if let Ok(value) = HeaderValue::try_from(self.header(scheme, &told, blamed)) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
        response
    }

    fn tell<'a>(&'a self, refusal: &'a Refusal) -> Told<'a> {
        let first_scope = self.oauth.as_ref().map(|oauth| oauth.scope.as_str());
        let told = |status, error, description| Told { status, error: Some(error), description, scope: first_scope, acr_values: None };
        match refusal {
            Refusal::Missing => {
                Told { error: None, ..told(StatusCode::UNAUTHORIZED, "", "send a token in the Authorization header: Bearer and the token") }
            }
            Refusal::Invalid { .. } => {
                told(StatusCode::UNAUTHORIZED, "invalid_token", "the token is expired, revoked, malformed or not meant for this server")
            }
            Refusal::Proof { .. } => {
                told(StatusCode::UNAUTHORIZED, "invalid_dpop_proof", "the proof of possession does not fit this request and token")
            }
            Refusal::Malformed { .. } => {
                told(StatusCode::BAD_REQUEST, "invalid_request", "send exactly one token, in one Authorization header and nowhere else")
            }
            Refusal::Scope { needed } => Told {
                scope: Some(needed.as_str()).filter(|needed| !needed.is_empty()),
                ..told(StatusCode::FORBIDDEN, "insufficient_scope", "this operation needs another scope")
            },
            // A client asks for what is named here, so it must not lose the scope it has.
            Refusal::StepUp { acr_values, scope } => Told {
                scope: Some(scope),
                acr_values: Some(acr_values),
                ..told(
                    StatusCode::UNAUTHORIZED,
                    "insufficient_user_authentication",
                    "this operation needs a stronger authentication of the user",
                )
            },
            Refusal::Unavailable => told(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "the authorization server can't be reached to check the token; try again in a few seconds",
            ),
        }
    }

    fn header(&self, scheme: &str, told: &Told<'_>, blamed: bool) -> String {
        let mut parameters: Vec<(&str, &str)> = Vec::new();
        if let Some(error) = told.error.filter(|_| blamed) {
            parameters.push(("error", error));
        }
        match &self.oauth {
            None => parameters.insert(0, ("realm", "toolyard")),
            Some(oauth) => {
                parameters.push(("resource_metadata", &oauth.metadata_url));
                parameters.extend(told.scope.map(|scope| ("scope", scope)));
                parameters.extend(told.acr_values.map(|values| ("acr_values", values)));
                if scheme == "DPoP" {
                    parameters.push(("algs", &oauth.dpop_algorithms));
                }
            }
        }
        if told.error.is_some() && blamed {
            parameters.push(("error_description", told.description));
        }
        let parameters: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        format!("{scheme} {}", parameters.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use http::{Response, StatusCode, header::WWW_AUTHENTICATE};

    use super::{Bytes, Challenges, DpopMode, OauthChallenge, Refusal};

    const METADATA: &str = r#"resource_metadata="https://t.example/.well-known/oauth-protected-resource/mcp""#;

    fn oauth(dpop: DpopMode) -> Challenges {
        let metadata_url = "https://t.example/.well-known/oauth-protected-resource/mcp".into();
        Challenges { oauth: Some(OauthChallenge { metadata_url, scope: "mcp:read".into(), dpop, dpop_algorithms: "ES256 EdDSA".into() }) }
    }

    fn challenges(response: &Response<Bytes>) -> Vec<&str> {
        response.headers().get_all(WWW_AUTHENTICATE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn a3_no_credentials_get_a_challenge_without_an_error() {
        let response = oauth(DpopMode::Off).answer(&Refusal::Missing);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(challenges(&response), [format!(r#"Bearer {METADATA}, scope="mcp:read""#)]);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], "application/json");
    }

    #[test]
    fn a4_an_invalid_token_is_named_with_the_same_parameters() {
        let response = oauth(DpopMode::Off).answer(&Refusal::Invalid { why: "expired at noon" });
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let description = "the token is expired, revoked, malformed or not meant for this server";
        let expected = format!(r#"Bearer error="invalid_token", {METADATA}, scope="mcp:read", error_description="{description}""#);
        assert_eq!(challenges(&response), [expected]);
        assert!(!String::from_utf8_lossy(response.body()).contains("noon"), "the exact reason is for the audit trail");
    }

    #[test]
    fn a5_a_missing_scope_is_403_and_names_the_scope() {
        let response = oauth(DpopMode::Off).answer(&Refusal::Scope { needed: "mcp:write".into() });
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let expected = format!(
            r#"Bearer error="insufficient_scope", {METADATA}, scope="mcp:write", error_description="this operation needs another scope""#
        );
        assert_eq!(challenges(&response), [expected]);
        let response = oauth(DpopMode::Off).answer(&Refusal::Scope { needed: String::new() });
        assert!(!challenges(&response)[0].contains("scope="), "no scope opens it");
    }

    #[test]
    fn a6_a_malformed_request_is_400() {
        let response = oauth(DpopMode::Off).answer(&Refusal::Malformed { why: "two tokens" });
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(challenges(&response)[0].starts_with(r#"Bearer error="invalid_request", "#));
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"], "invalid_request");
    }

    #[test]
    fn a12_a_step_up_names_the_classes() {
        let response = oauth(DpopMode::Off).answer(&Refusal::StepUp { acr_values: "urn:mfa phr".into(), scope: "mcp:write".into() });
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let value = challenges(&response)[0].to_owned();
        assert!(value.starts_with(r#"Bearer error="insufficient_user_authentication", "#), "{value}");
        assert!(value.contains(r#", scope="mcp:write", acr_values="urn:mfa phr", "#), "{value}");
    }

    #[test]
    fn a12_a_wrong_proof_is_told_in_the_challenge_of_its_scheme() {
        let response = oauth(DpopMode::Accept).answer(&Refusal::Proof { why: "old" });
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let values = challenges(&response);
        assert_eq!(values[0], format!(r#"Bearer {METADATA}, scope="mcp:read""#));
        assert!(values[1].starts_with(r#"DPoP error="invalid_dpop_proof", "#), "{values:?}");
        assert!(values[1].contains(r#", algs="ES256 EdDSA""#), "{values:?}");
        let required = oauth(DpopMode::Require).answer(&Refusal::Missing);
        assert_eq!(challenges(&required), [format!(r#"DPoP {METADATA}, scope="mcp:read", algs="ES256 EdDSA""#)]);
    }

    #[test]
    fn an_issuer_that_is_down_is_503_with_retry_after() {
        let response = oauth(DpopMode::Off).answer(&Refusal::Unavailable);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "10");
        assert_eq!(challenges(&response), Vec::<&str>::new());
    }

    #[test]
    fn a_server_with_static_tokens_names_no_metadata() {
        let server = Challenges { oauth: None };
        assert_eq!(challenges(&server.answer(&Refusal::Missing)), [r#"Bearer realm="toolyard""#]);
        let invalid = server.answer(&Refusal::Invalid { why: "unknown" });
        assert!(challenges(&invalid)[0].starts_with(r#"Bearer realm="toolyard", error="invalid_token", "#));
    }
}
