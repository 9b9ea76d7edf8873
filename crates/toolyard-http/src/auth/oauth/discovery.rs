//! Where an authorization server keeps its keys and answers questions (RFC 8414, OpenID Connect).

use serde::Deserialize;
use url::Url;

use super::refreshed::LoadError;
use crate::fetch::{FetchError, Fetcher};

/// What is needed of a discovery document.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    issuer: String,
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
}

impl Document {
    /// Where the keys are.
    pub(super) fn keys(&self, fetcher: &Fetcher) -> Result<Url, LoadError> {
        address(self.jwks_uri.as_deref(), fetcher)
    }

    /// Where opaque tokens are asked about.
    pub(super) fn introspection(&self, fetcher: &Fetcher) -> Result<Url, LoadError> {
        address(self.introspection_endpoint.as_deref(), fetcher)
    }
}

fn address(text: Option<&str>, fetcher: &Fetcher) -> Result<Url, LoadError> {
    let text = text.ok_or(LoadError::NotFound)?;
    fetcher.parse(text).map_err(|problem| LoadError::Fetch { url: text.escape_debug().collect(), problem: problem.into() })
}

/// The document of this issuer, which has to name the issuer exactly.
pub(super) async fn discover(fetcher: &Fetcher, issuer: &str) -> Result<Document, LoadError> {
    let url = fetcher.parse(issuer).map_err(|problem| LoadError::Fetch { url: issuer.to_owned(), problem: problem.into() })?;
    let mut last = LoadError::NotFound;
    for place in places(&url) {
        let fetched = match fetcher.get(&place).await {
            Ok(fetched) => fetched,
            Err(problem @ (FetchError::Status(_) | FetchError::Redirect)) => {
                last = LoadError::Fetch { url: place.into(), problem };
                continue;
            }
            // The same server would not answer at the other places either.
            Err(problem) => return Err(LoadError::Fetch { url: place.into(), problem }),
        };
        match serde_json::from_slice::<Document>(&fetched.body) {
            Ok(document) if document.issuer == issuer => return Ok(document),
            Ok(_) => last = LoadError::Content { url: place.into(), problem: "the document is about another issuer" },
            Err(_) => last = LoadError::Content { url: place.into(), problem: "the document is malformed" },
        }
    }
    Err(last)
}

/// Where the document may be: before the path of the issuer, or after it.
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    paths.dedup();
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url
    };
    paths.into_iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use toolyard_core::net::Reach;
    use url::Url;

    use super::{discover, places};
    use crate::fetch::{Fetcher, testing::Scripted};

    fn fetcher() -> Fetcher {
        Fetcher::new(Reach { private: false, danger_loopback: true }, None).unwrap()
    }

    async fn keys(issuer: &str) -> Result<String, String> {
        let fetcher = fetcher();
        let document = discover(&fetcher, issuer).await.map_err(|error| error.to_string())?;
        document.keys(&fetcher).map(Into::into).map_err(|error| error.to_string())
    }

    #[test]
    fn an_issuer_with_a_path_has_three_places() {
        let of = |issuer: &str| places(&Url::parse(issuer).unwrap()).into_iter().map(String::from).collect::<Vec<_>>();
        let expected = [
            "https://a.example/.well-known/oauth-authorization-server/t/1",
            "https://a.example/.well-known/openid-configuration/t/1",
            "https://a.example/t/1/.well-known/openid-configuration",
        ];
        assert_eq!(of("https://a.example/t/1"), expected);
        assert_eq!(of("https://a.example/t/1/"), expected);
        let root = ["https://a.example/.well-known/oauth-authorization-server", "https://a.example/.well-known/openid-configuration"];
        assert_eq!(of("https://a.example"), root);
    }

    #[tokio::test]
    async fn keys_are_found_at_each_place() {
        for place in
            ["/.well-known/oauth-authorization-server/t", "/.well-known/openid-configuration/t", "/t/.well-known/openid-configuration"]
        {
            let server = Scripted::start().await;
            let issuer = format!("{}/t", server.base);
            server.json(place, &json!({"issuer": issuer, "jwks_uri": format!("{}/keys", server.base)}));
            assert_eq!(keys(&issuer).await, Ok(format!("{}/keys", server.base)), "{place}");
        }
    }

    #[tokio::test]
    async fn a8_a_document_about_another_issuer_is_not_believed() {
        let server = Scripted::start().await;
        let document = |issuer: &str| json!({"issuer": issuer, "jwks_uri": format!("{}/keys", server.base)});
        server.json("/.well-known/oauth-authorization-server", &document(&format!("{}/", server.base)));
        server.raw("/.well-known/openid-configuration", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]");
        let error = keys(&server.base).await.unwrap_err();
        assert!(error.ends_with("/.well-known/openid-configuration`: the document is malformed"), "{error}");
        server.json("/.well-known/openid-configuration", &document("https://evil.example"));
        let error = keys(&server.base).await.unwrap_err();
        assert!(error.ends_with("the document is about another issuer"), "{error}");
    }

    #[tokio::test]
    async fn ss1_a_document_can_not_send_us_to_a_private_place() {
        let server = Scripted::start().await;
        for place in
            ["http://169.254.169.254/latest", "https://10.0.0.1/keys", "https://0x7f.1/keys", "http://a.example/keys", "file:///etc/passwd"]
        {
            server.json("/.well-known/openid-configuration", &json!({"issuer": server.base, "jwks_uri": place}));
            let error = keys(&server.base).await.unwrap_err();
            assert!(error.starts_with(&format!("can't fetch `{place}`: ")), "{error}");
        }
        server.json("/.well-known/openid-configuration", &json!({"issuer": server.base}));
        assert_eq!(keys(&server.base).await.unwrap_err(), "no discovery document says where it is");
    }
}
