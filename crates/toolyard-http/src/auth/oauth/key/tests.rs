use serde_json::{Value, json};

use super::{
    super::testing::{Signer, encode},
    Algorithm, Key, read_set,
};

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("RS256", Algorithm::Rs256),
    ("PS256", Algorithm::Ps256),
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("EdDSA", Algorithm::EdDsa),
];

fn problem(jwk: &Value) -> &'static str {
    Key::from_jwk(jwk).unwrap_err()
}

fn with(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value;
    jwk
}

#[test]
fn a8_every_algorithm_checks_its_signatures_and_no_other() {
    for (name, algorithm) in ALGORITHMS {
        let signer = Signer::new(name);
        let key = Key::from_jwk(&signer.published("k")).unwrap();
        let mut signature = signer.sign(b"message");
        assert!(key.verifies(algorithm, b"message", &signature), "{name}");
        assert!(!key.verifies(algorithm, b"massage", &signature), "{name}");
        for (other_name, other) in ALGORITHMS {
            assert_eq!(key.verifies(other, b"message", &signature), other == algorithm, "{name} as {other_name}");
        }
        signature[10] ^= 1;
        assert!(!key.verifies(algorithm, b"message", &signature), "{name}");
        assert!(!key.verifies(algorithm, b"message", &[]), "{name}");
        assert!(!key.verifies(algorithm, b"message", &vec![0; signature.len()]), "{name}");
    }
}

#[test]
fn a8_a_key_is_for_the_algorithms_of_its_kind() {
    for (name, algorithm) in ALGORITHMS {
        let bare = Key::from_jwk(&Signer::new(name).jwk()).unwrap();
        for (other_name, other) in ALGORITHMS {
            let both_rsa = name.ends_with("S256") && !name.starts_with('E') && other_name.ends_with("S256") && !other_name.starts_with('E');
            assert_eq!(bare.is_candidate(None, other), algorithm == other || both_rsa, "{name} for {other_name}");
        }
    }
    let named = Key::from_jwk(&Signer::new("RS256").published("k")).unwrap();
    assert!(named.is_candidate(Some("k"), Algorithm::Rs256));
    assert!(!named.is_candidate(Some("k"), Algorithm::Ps256), "its `alg` says RS256");
    assert!(!named.is_candidate(Some("other"), Algorithm::Rs256));
    let nameless = Key::from_jwk(&Signer::new("RS256").jwk()).unwrap();
    assert!(!nameless.is_candidate(Some("k"), Algorithm::Rs256));
}

#[test]
fn a8_keys_for_other_uses_are_left_alone() {
    let jwk = Signer::new("ES256").jwk();
    assert_eq!(problem(&with(&jwk, "use", json!("enc"))), "it is not for signatures");
    assert_eq!(problem(&with(&jwk, "key_ops", json!(["sign"]))), "it is not for checking signatures");
    assert_eq!(problem(&with(&jwk, "alg", json!("ES512"))), "it is for an algorithm that is not taken");
    assert_eq!(problem(&with(&jwk, "alg", json!("RS256"))), "its algorithm is not one of its kind of key");
    assert_eq!(problem(&with(&jwk, "d", json!("AA"))), "it is a private key or a shared secret");
    assert_eq!(problem(&json!({"kty": "oct", "k": "AA"})), "it is a private key or a shared secret");
    let usable = with(&with(&jwk, "use", json!("sig")), "key_ops", json!(["verify"]));
    assert!(Key::from_jwk(&usable).unwrap().is_candidate(None, Algorithm::Es256));
}

#[test]
fn a8_an_rsa_key_has_at_least_2048_bits() {
    let rsa = |bytes: Vec<u8>| json!({"kty": "RSA", "e": "AQAB", "n": encode(&bytes)});
    let too_small = "an RSA key has 2048 to 8192 bits";
    assert_eq!(problem(&rsa(vec![0xff; 128])), too_small);
    assert_eq!(problem(&rsa(vec![0xff; 255])), too_small);
    assert_eq!(problem(&rsa([vec![0x7f], vec![0xff; 255]].concat())), too_small);
    assert_eq!(problem(&rsa(vec![0xff; 1025])), too_small);
    assert_eq!(problem(&rsa(vec![])), too_small);
    assert!(Key::from_jwk(&rsa(vec![0xff; 256])).unwrap().is_candidate(None, Algorithm::Rs256));
}

#[test]
fn malformed_keys_are_left_alone() {
    let ec = Signer::new("ES256").jwk();
    assert_eq!(problem(&with(&ec, "x", json!("AA"))), "the point has the wrong length");
    assert_eq!(problem(&with(&ec, "x", json!("A=="))), "a part of the key is not base64url");
    assert_eq!(problem(&with(&ec, "x", json!(7))), "a part of the key is missing");
    assert_eq!(problem(&with(&ec, "crv", json!("secp256k1"))), "its kind is not taken");
    assert_eq!(problem(&json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})), "the key has the wrong length");
    assert_eq!(problem(&json!({"kty": "OKP", "crv": "X25519", "x": "AA"})), "its kind is not taken");
    assert_eq!(problem(&json!("key")), "it is no object");
}

#[test]
fn a_set_holds_usable_keys_among_others() {
    let set = json!({"keys": [Signer::new("ES256").published("a"), {"kty": "oct", "k": "AA"}, 7, Signer::new("EdDSA").published("b")]});
    assert_eq!(read_set(set.to_string().as_bytes()).unwrap().len(), 2);
    assert_eq!(read_set(b"{}").unwrap_err(), "the set of keys has no `keys`");
    assert_eq!(read_set(b"<html>").unwrap_err(), "the set of keys is no JSON");
    let many = json!({"keys": vec![json!({}); 101]});
    assert_eq!(read_set(many.to_string().as_bytes()).unwrap_err(), "the set holds more than 100 keys");
}

#[test]
fn a12_a_thumbprint_is_that_of_the_standard() {
    // The key of RFC 8037, appendix A.2, and its thumbprint from appendix A.3.
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "ignored"});
    assert_eq!(Key::from_jwk(&jwk).unwrap().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let thumbprint = |canonical: &str| encode(ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes()).as_ref());
    let text = |jwk: &Value, name: &str| jwk[name].as_str().unwrap().to_owned();
    for (name, curve) in [("ES256", "P-256"), ("ES384", "P-384")] {
        let jwk = Signer::new(name).jwk();
        let canonical = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, text(&jwk, "x"), text(&jwk, "y"));
        assert_eq!(Key::from_jwk(&jwk).unwrap().thumbprint(), thumbprint(&canonical));
    }
    let jwk = Signer::new("RS256").jwk();
    let canonical = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{}"}}"#, text(&jwk, "n"));
    assert_eq!(Key::from_jwk(&jwk).unwrap().thumbprint(), thumbprint(&canonical));
}
