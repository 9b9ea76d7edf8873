//! Signed tokens (RFC 7515, compact form), taken apart with suspicion.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

/// A signature algorithm that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name; none for `none`, shared secrets and everything else.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            // RFC 9864 gave the one curve we take a name of its own.
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// The header of a signed token, without anything that would let the token choose its own key.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) typ: Option<String>,
    pub(super) kid: Option<String>,
    /// Only where [`KeyInHeader::Wanted`].
    pub(super) jwk: Option<Value>,
}

/// Whether a token may bring its key along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyInHeader {
    /// Access tokens may not.
    Refused,
    /// Proofs of possession have to.
    Wanted,
}

/// A token whose signature is not checked yet.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    pub(super) header: Header,
    pub(super) claims: Map<String, Value>,
    /// What is signed.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

/// What a token looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Signed,
    Encrypted,
    Opaque,
}

/// How the header of a signed token begins: `{"` in base64url.
const HEADER: &str = "eyJ";

/// Tells tokens that speak for themselves from those that only their issuer can read. In doubt a
/// token speaks for itself: it may be another issuer's, and then nobody is asked about it.
pub(super) fn form(token: &str) -> Form {
    let in_base64url = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let header = token.split('.').next().and_then(|head| URL_SAFE_NO_PAD.decode(head).ok());
    let readable = header.is_some_and(|header| serde_json::from_slice::<Map<String, Value>>(&header).is_ok());
    match token.split('.').count() {
        5 if readable => Form::Encrypted,
        3 | 5 if token.split('.').all(in_base64url) => Form::Signed,
        _ if readable || token.starts_with(HEADER) => Form::Signed,
        _ => Form::Opaque,
    }
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    cty: Option<String>,
    crit: Option<IgnoredAny>,
    b64: Option<bool>,
    zip: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
    jku: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    x5c: Option<IgnoredAny>,
    jwk: Option<Value>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart; `Err` says why it can't be one of ours.
    pub(super) fn parse(token: &'a str, key: KeyInHeader) -> Result<Self, &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("it has no signature")?;
        let (head, payload) = signed.split_once('.').ok_or("it has no signature")?;
        if payload.contains('.') {
            return Err("it has more than three parts");
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part of it is not base64url");
        let header = read_header(&decode(head)?, key)?;
        let signature = decode(signature)?;
        if signature.is_empty() {
            return Err("it has no signature");
        }
        let claims = serde_json::from_slice(&decode(payload)?).map_err(|_| "its claims are no JSON object")?;
        Ok(Self { header, claims, signed, signature })
    }
}

fn read_header(bytes: &[u8], key: KeyInHeader) -> Result<Header, &'static str> {
    let raw: RawHeader = serde_json::from_slice(bytes).map_err(|_| "its header is malformed")?;
    if raw.crit.is_some() {
        return Err("its header has extensions that are not understood (`crit`)");
    }
    if raw.b64 == Some(false) {
        return Err("its payload is not encoded (`b64`)");
    }
    if raw.enc.is_some() || raw.zip.is_some() {
        return Err("it is encrypted or compressed");
    }
    if raw.jku.is_some() || raw.x5u.is_some() || raw.x5c.is_some() {
        return Err("its header says where to find its key (`jku`, `x5u`, `x5c`)");
    }
    if raw.jwk.is_some() && key == KeyInHeader::Refused {
        return Err("its header holds its key (`jwk`)");
    }
    if raw.cty.is_some_and(|cty| cty.eq_ignore_ascii_case("jwt") || cty.eq_ignore_ascii_case("application/jwt")) {
        return Err("it holds another token (`cty`)");
    }
    let algorithm = Algorithm::named(&raw.alg).ok_or("its algorithm is not taken by anyone")?;
    Ok(Header { algorithm, typ: raw.typ, kid: raw.kid, jwk: raw.jwk })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::{Value, json};

    use super::{Algorithm, Form, Jws, KeyInHeader, URL_SAFE_NO_PAD, form};

    fn token(header: &Value) -> String {
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header.to_string()), encode(json!({"a": 1}).to_string()), encode("signature".into()))
    }

    fn problem(header: &Value) -> Option<&'static str> {
        Jws::parse(&token(header), KeyInHeader::Refused).err()
    }

    #[test]
    fn a_token_is_taken_apart() {
        let token = token(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "k", "x5t": "ignored"}));
        let jws = Jws::parse(&token, KeyInHeader::Refused).unwrap();
        assert_eq!(
            (jws.header.algorithm, jws.header.typ.as_deref(), jws.header.kid.as_deref()),
            (Algorithm::Es256, Some("at+jwt"), Some("k"))
        );
        assert_eq!(jws.claims["a"], 1);
        assert_eq!(jws.signed, token.rsplit_once('.').unwrap().0);
        assert_eq!(jws.signature, b"signature");
    }

    #[test]
    fn a8_none_and_shared_secrets_are_refused() {
        for alg in ["none", "None", "", "HS256", "HS384", "HS512", "RS1", "RS384", "ES512", "ES256K", "dir", "RSA-OAEP", "es256"] {
            assert_eq!(problem(&json!({"alg": alg})), Some("its algorithm is not taken by anyone"), "{alg}");
        }
        assert_eq!(problem(&json!({"typ": "JWT"})), Some("its header is malformed"));
        assert_eq!(problem(&json!({"alg": ["ES256"]})), Some("its header is malformed"));
    }

    #[test]
    fn a8_a_header_can_not_choose_its_key() {
        for name in ["jku", "x5u"] {
            assert!(problem(&json!({"alg": "ES256", name: "https://evil.example/keys"})).unwrap().contains("jku"), "{name}");
        }
        assert!(problem(&json!({"alg": "ES256", "x5c": ["MII"]})).unwrap().contains("x5c"));
        assert_eq!(problem(&json!({"alg": "ES256", "jwk": {"kty": "EC"}})), Some("its header holds its key (`jwk`)"));
    }

    #[test]
    fn a8_extensions_and_other_forms_are_refused() {
        assert!(problem(&json!({"alg": "ES256", "crit": ["exp"], "exp": 1})).unwrap().contains("crit"));
        assert!(problem(&json!({"alg": "ES256", "crit": []})).unwrap().contains("crit"));
        assert!(problem(&json!({"alg": "ES256", "b64": false})).unwrap().contains("b64"));
        assert_eq!(problem(&json!({"alg": "ES256", "b64": true})), None);
        assert!(problem(&json!({"alg": "ES256", "enc": "A128GCM"})).unwrap().contains("encrypted"));
        assert!(problem(&json!({"alg": "ES256", "zip": "DEF"})).unwrap().contains("compressed"));
        assert!(problem(&json!({"alg": "ES256", "cty": "JWT"})).unwrap().contains("another token"));
        let doubled = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","alg":"RS256"}"#));
        assert_eq!(Jws::parse(&doubled, KeyInHeader::Refused).unwrap_err(), "its header is malformed");
    }

    #[test]
    fn a8_tokens_that_are_not_in_three_clean_parts_are_refused() {
        let good = token(&json!({"alg": "ES256"}));
        let (signed, _) = good.rsplit_once('.').unwrap();
        for (bad, why) in [
            ("abc".to_owned(), "it has no signature"),
            ("a.b".to_owned(), "it has no signature"),
            (format!("{signed}."), "it has no signature"),
            (format!("{good}.AA"), "it has more than three parts"),
            (format!("{good}="), "a part of it is not base64url"),
            (format!("{signed}.A"), "a part of it is not base64url"),
            (format!("{signed}.AB"), "a part of it is not base64url"),
            (format!("{}.W10.AA", good.split('.').next().unwrap()), "its claims are no JSON object"),
        ] {
            assert_eq!(Jws::parse(&bad, KeyInHeader::Refused).unwrap_err(), why, "{bad}");
        }
        let deep = format!("{}.{}.AA", good.split('.').next().unwrap(), URL_SAFE_NO_PAD.encode("[".repeat(10_000)));
        assert_eq!(Jws::parse(&deep, KeyInHeader::Refused).unwrap_err(), "its claims are no JSON object");
    }

    #[test]
    fn the_form_of_a_token_tells_who_reads_it() {
        assert_eq!(form(&token(&json!({"alg": "none"}))), Form::Signed);
        assert_eq!(form(&format!("{}.a.b.c.d", URL_SAFE_NO_PAD.encode(r#"{"enc":"x"}"#))), Form::Encrypted);
        for broken in ["a.b.c", "W10.a.b", "a.b.c.d.e", "e30", "eyJhbGciOi", "eyJ.a+b", "e30.a.b+c"] {
            assert_eq!(form(broken), Form::Signed, "{broken}");
        }
        for opaque in ["abc", "a.b", "a.b+.c", "W10", "a.b.c.d", ""] {
            assert_eq!(form(opaque), Form::Opaque, "{opaque}");
        }
    }
}
