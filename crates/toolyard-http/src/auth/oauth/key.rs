//! Public keys (RFC 7517) and the signatures they check.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
        RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use serde_json::{Map, Value, json};

use super::jws::Algorithm;

/// Keys of one set that are looked at.
const MAX_KEYS: usize = 100;
/// Sizes of RSA keys in bytes: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A public key for signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    kid: Option<String>,
    /// The only algorithm it is for, when it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Key {
    /// The key in a JWK; `Err` says why it is of no use for checking signatures.
    pub(super) fn from_jwk(jwk: &Value) -> Result<Self, &'static str> {
        let jwk = jwk.as_object().ok_or("it is no object")?;
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| jwk.contains_key(*name)) {
            return Err("it is a private key or a shared secret");
        }
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return Err("it is not for signatures");
        }
        if jwk.get("key_ops").is_some_and(|ops| !ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"))) {
            return Err("it is not for checking signatures");
        }
        let material = Material::from_jwk(jwk)?;
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(name) => Some(name.as_str().and_then(Algorithm::named).ok_or("it is for an algorithm that is not taken")?),
        };
        if algorithm.is_some_and(|algorithm| !material.fits(algorithm)) {
            return Err("its algorithm is not one of its kind of key");
        }
        Ok(Self { kid: text(jwk, "kid").map(str::to_owned), algorithm, material })
    }

    /// Whether a token with this key id and algorithm can be signed with it.
    pub(super) fn is_candidate(&self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        kid.is_none_or(|kid| self.kid.as_deref() == Some(kid))
            && self.algorithm.is_none_or(|own| own == algorithm)
            && self.material.fits(algorithm)
    }

    /// Whether the signature is right.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let result = match (&self.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rs256) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            (Material::Rsa { n, e }, Algorithm::Ps256) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PSS_2048_8192_SHA256, signed, signature)
            }
            (Material::P256(point), Algorithm::Es256) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature),
            (Material::P384(point), Algorithm::Es384) => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(signed, signature),
            (Material::Ed25519(key), Algorithm::EdDsa) => UnparsedPublicKey::new(&ED25519, key).verify(signed, signature),
            (Material::Rsa { .. } | Material::P256(_) | Material::P384(_) | Material::Ed25519(_), _) => return false,
        };
        result.is_ok()
    }

    /// The thumbprint of RFC 7638 with SHA-256.
    pub(super) fn thumbprint(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve: &str, point: &[u8]| {
            let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
            json!({ "crv": curve, "kty": "EC", "x": encode(x), "y": encode(y) })
        };
        // Members come out sorted and without spaces, as the thumbprint wants them.
        let canonical = match &self.material {
            Material::Rsa { n, e } => json!({ "e": encode(e), "kty": "RSA", "n": encode(n) }),
            Material::P256(key) => point("P-256", key),
            Material::P384(key) => point("P-384", key),
            Material::Ed25519(key) => json!({ "crv": "Ed25519", "kty": "OKP", "x": encode(key) }),
        };
        encode(digest(&SHA256, canonical.to_string().as_bytes()).as_ref())
    }
}

impl Material {
    fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, &'static str> {
        let bytes = |name: &str| {
            let text = text(jwk, name).ok_or("a part of the key is missing")?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| "a part of the key is not base64url")
        };
        let point = |length: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != length || y.len() != length {
                return Err("the point has the wrong length");
            }
            Ok([vec![4], x, y].concat())
        };
        match (text(jwk, "kty"), text(jwk, "crv")) {
            (Some("RSA"), _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                let short = n.first().is_none_or(|first| *first < 0x80) && n.len() <= *RSA_BYTES.start();
                if short || !RSA_BYTES.contains(&n.len()) {
                    return Err("an RSA key has 2048 to 8192 bits");
                }
                Ok(Self::Rsa { n, e })
            }
            (Some("EC"), Some("P-256")) => point(32).map(Self::P256),
            (Some("EC"), Some("P-384")) => point(48).map(Self::P384),
            (Some("OKP"), Some("Ed25519")) => {
                let key = bytes("x")?;
                if key.len() == 32 { Ok(Self::Ed25519(key)) } else { Err("the key has the wrong length") }
            }
            _ => Err("its kind is not taken"),
        }
    }

    const fn fits(&self, algorithm: Algorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256)
                | (Self::P256(_), Algorithm::Es256)
                | (Self::P384(_), Algorithm::Es384)
                | (Self::Ed25519(_), Algorithm::EdDsa)
        )
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    jwk.get(name)?.as_str()
}

/// The usable keys of a set; keys of other kinds may stand beside them.
pub(super) fn read_set(body: &[u8]) -> Result<Vec<Key>, &'static str> {
    let set: Value = serde_json::from_slice(body).map_err(|_| "the set of keys is no JSON")?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("the set of keys has no `keys`")?;
    if keys.len() > MAX_KEYS {
        return Err("the set holds more than 100 keys");
    }
    Ok(keys.iter().filter_map(|jwk| Key::from_jwk(jwk).ok()).collect())
}

#[cfg(test)]
mod tests;
