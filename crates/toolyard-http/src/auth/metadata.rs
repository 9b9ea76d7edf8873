//! What this server says of itself as a protected resource (RFC 9728).

use bytes::Bytes;
use serde_json::json;
use url::Url;

use super::{DpopMode, OauthConfig};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The resource as tokens name it: no query, no fragment, no slash at the end.
pub(super) fn canonical(resource: &Url) -> String {
    let mut url = resource.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// Where the document about this resource is.
pub(super) fn document_url(resource: &Url) -> String {
    let path = resource.path().trim_end_matches('/');
    format!("{}{WELL_KNOWN}{path}", resource.origin().ascii_serialization())
}

/// The document; `scope` is the one to begin with, further ones are asked for when they are needed.
pub(super) fn document(resource: &Url, oauth: &OauthConfig, scope: &str, dpop_algorithms: &[&str]) -> Bytes {
    let issuers: Vec<&str> = oauth.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    let mut document = json!({
        "resource": canonical(resource),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        "scopes_supported": [scope],
    });
    if oauth.dpop != DpopMode::Off {
        document["dpop_signing_alg_values_supported"] = json!(dpop_algorithms);
        document["dpop_bound_access_tokens_required"] = json!(oauth.dpop == DpopMode::Require);
    }
    Bytes::from(document.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use url::Url;

    use super::{canonical, document, document_url};
    use crate::auth::{DpopMode, Issuer, OauthConfig};

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a2_the_resource_is_canonical() {
        assert_eq!(canonical(&url("HTTPS://Tools.Example.com:443/mcp/#top")), "https://tools.example.com/mcp");
        assert_eq!(canonical(&url("https://tools.example.com?a=b")), "https://tools.example.com");
    }

    #[test]
    fn a2_the_document_stands_before_the_path() {
        let place = document_url(&url("http://127.0.0.1:8080/mcp"));
        assert_eq!(place, "http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp");
        assert_eq!(document_url(&url("https://a.example/")), "https://a.example/.well-known/oauth-protected-resource");
    }

    #[test]
    fn a2_the_document_names_issuers_and_the_first_scope() {
        let issuers = vec![Issuer::new("a", "https://a.example"), Issuer::new("b", "https://b.example/tenant/")];
        let mut oauth = OauthConfig::new(issuers);
        let read = |oauth: &OauthConfig| {
            let bytes = document(&url("https://tools.example.com/mcp"), oauth, "mcp:read", &["ES256"]);
            serde_json::from_slice::<Value>(&bytes).unwrap()
        };
        let mut expected = json!({
            "resource": "https://tools.example.com/mcp",
            "authorization_servers": ["https://a.example", "https://b.example/tenant/"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["mcp:read"],
        });
        assert_eq!(read(&oauth), expected);
        oauth.dpop = DpopMode::Require;
        expected["dpop_signing_alg_values_supported"] = json!(["ES256"]);
        expected["dpop_bound_access_tokens_required"] = json!(true);
        assert_eq!(read(&oauth), expected);
    }
}
