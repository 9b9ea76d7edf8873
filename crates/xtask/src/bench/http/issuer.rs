//! An authorization server as small as can be: one key, which it tells everybody, and one token.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, anyhow};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

/// Listens on loopback until the process ends.
pub(super) struct Issuer {
    url: String,
    key: EcdsaKeyPair,
}

impl Issuer {
    pub(super) const AUDIENCE: &str = "urn:toolyard:bench";

    pub(super) fn start() -> Result<Self> {
        let random = SystemRandom::new();
        let failed = |_| anyhow!("no key could be made");
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
            .map_err(|error| anyhow!("no key could be made: {error}"))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        // An uncompressed point: a byte that says so, then x and y.
        let point = key.public_key().as_ref();
        let (x, y) = point.get(1..).and_then(|point| point.split_at_checked(32)).context("no point of P-256")?;
        let keys = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench",
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }] });
        let metadata = json!({
            "issuer": url, "jwks_uri": format!("{url}/jwks"),
            "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
            "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who hangs up gets no answer; the measurement says so if it matters.
                answer(stream, &metadata, &keys).ok();
            }
        });
        Ok(Self { url, key })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// An access token that opens everything for an hour.
    pub(super) fn token(&self) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let head = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "bench" });
        let claims = json!({
            "iss": self.url, "aud": Self::AUDIENCE, "sub": "bench", "client_id": "bench", "jti": "1",
            "iat": now, "exp": now + 3600, "scope": "mcp:read mcp:write mcp:execute",
        });
        let signed = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| anyhow!("the token could not be signed"))?;
        Ok(format!("{signed}.{}", BASE64.encode(signature.as_ref())))
    }
}

fn answer(mut stream: TcpStream, metadata: &Value, keys: &Value) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let wanted = lines.next().context("no request")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let body = if wanted.starts_with("GET /jwks") { keys } else { metadata }.to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
    write!(stream, "{head} {}\r\n\r\n{body}", body.len())?;
    Ok(())
}
