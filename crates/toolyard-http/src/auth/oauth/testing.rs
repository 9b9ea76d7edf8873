//! Keys to sign test tokens with, and an authorization server that publishes them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

use super::{Issuer, OauthConfig};
use crate::fetch::testing::Scripted;

/// A key pair, for one algorithm.
pub(super) struct Signer {
    alg: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    /// A new key, or for RSA always the same.
    pub(super) fn new(alg: &'static str) -> Self {
        let random = SystemRandom::new();
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            Pair::Ec(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
        };
        let pair = match alg {
            "RS256" | "PS256" => Pair::Rsa(RsaKeyPair::from_pkcs8(include_bytes!("testing/rsa-2048.pk8")).unwrap()),
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            "EdDSA" => Pair::Ed(Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap()),
            other => unreachable!("{other}"),
        };
        Self { alg, pair }
    }

    /// The public key, without `kid`, `use` and `alg`.
    pub(super) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.alg == "ES256" { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())}),
        }
    }

    /// The public key with this `kid`.
    pub(super) fn published(&self, kid: &str) -> Value {
        let mut jwk = self.jwk();
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.alg);
        jwk
    }

    /// A signature over these bytes.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                if self.alg == "RS256" {
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                } else {
                    pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature).unwrap();
                }
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = encode(&self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// An access token signed with the key of this `kid`.
    pub(super) fn access_token(&self, kid: &str, claims: &Value) -> String {
        self.token(&json!({"alg": self.alg, "typ": "at+jwt", "kid": kid}), claims)
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A request for `/mcp` with these headers.
pub(super) fn request(headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::post("/mcp");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// Publishes keys and says where they are.
pub(super) fn publish(server: &Scripted, keys: &[Value]) {
    let document = json!({
        "issuer": server.base,
        "jwks_uri": format!("{}/keys", server.base),
        "introspection_endpoint": format!("{}/introspect", server.base),
    });
    server.json("/.well-known/oauth-authorization-server", &document);
    server.json("/keys", &json!({ "keys": keys }));
}

/// A configuration with the issuers on loopback.
pub(super) fn config(issuers: Vec<Issuer>) -> OauthConfig {
    OauthConfig { insecure_loopback_issuers: true, ..OauthConfig::new(issuers) }
}
