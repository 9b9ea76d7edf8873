use http::{Method, request::Parts};
use serde_json::{Value, json};
use url::Url;

use super::{
    super::testing::{Signer, encode, request},
    Digest, Key, MAX_REMEMBERED, Proofs, Refusal, Used,
};

const NOW: u64 = 1_800_000_000;
const TOKEN: Digest = [7; 32];

struct Caller {
    signer: Signer,
    jkt: String,
    proofs: Proofs,
}

impl Caller {
    fn new() -> Self {
        let signer = Signer::new("ES256");
        let jkt = Key::from_jwk(&signer.jwk()).unwrap().thumbprint();
        Self { signer, jkt, proofs: Proofs::new(&Url::parse("https://tools.example.com/prefix/mcp").unwrap()) }
    }

    /// A good proof with these changes of header and claims; `null` removes a member.
    fn proof(&self, id: &str, header: &Value, claims: &Value) -> String {
        let merge = |mut good: Value, changes: &Value| {
            for (name, value) in changes.as_object().unwrap() {
                if value.is_null() {
                    good.as_object_mut().unwrap().remove(name);
                } else {
                    good[name] = value.clone();
                }
            }
            good
        };
        let good_header = json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": self.signer.jwk()});
        let good_claims =
            json!({"htm": "POST", "htu": "https://tools.example.com/prefix/mcp", "iat": NOW, "jti": id, "ath": encode(&TOKEN)});
        self.signer.token(&merge(good_header, header), &merge(good_claims, claims))
    }

    fn check(&self, head: &Parts) -> Result<(), Refusal> {
        self.proofs.check(head, &TOKEN, &self.jkt, "ada", NOW)
    }

    fn why(&self, header: &Value, claims: &Value) -> &'static str {
        let proof = self.proof("one", header, claims);
        match self.check(&request(&[("dpop", &proof)])) {
            Err(Refusal::Proof { why }) => why,
            other => unreachable!("{other:?}"),
        }
    }
}

#[test]
fn a12_a_proof_is_good_once() {
    let caller = Caller::new();
    let proof = caller.proof("one", &json!({}), &json!({}));
    assert_eq!(caller.check(&request(&[("dpop", &proof)])), Ok(()));
    let again = Err(Refusal::Proof { why: "the proof was used before" });
    assert_eq!(caller.check(&request(&[("dpop", &proof)])), again);
    let signed_again = caller.proof("one", &json!({}), &json!({"iat": NOW - 1}));
    assert_eq!(caller.check(&request(&[("dpop", &signed_again)])), again);
    let next = caller.proof("two", &json!({}), &json!({}));
    assert_eq!(caller.check(&request(&[("dpop", &next)])), Ok(()));
}

#[test]
fn a12_a_proof_has_to_fit_request_token_and_key() {
    let caller = Caller::new();
    let none = json!({});
    let claims = |claims: Value| caller.why(&none, &claims);
    assert_eq!(claims(json!({"htm": "GET"})), "the proof is for another method");
    assert_eq!(claims(json!({"htu": "https://tools.example.com/mcp"})), "the proof is for another address");
    assert_eq!(claims(json!({"htu": "https://evil.example/prefix/mcp"})), "the proof is for another address");
    assert_eq!(claims(json!({"htu": "http://tools.example.com/prefix/mcp"})), "the proof is for another address");
    assert_eq!(claims(json!({"htu": null})), "the proof is for another address");
    assert_eq!(claims(json!({"ath": encode(&[8; 32])})), "the proof is for another token");
    assert_eq!(claims(json!({"ath": null})), "the proof is for another token");
    assert_eq!(claims(json!({"iat": NOW - 301})), "the proof is too old or from the future");
    assert_eq!(claims(json!({"iat": NOW + 61})), "the proof is too old or from the future");
    assert_eq!(claims(json!({"iat": null})), "the proof says no time");
    assert_eq!(claims(json!({"jti": null})), "the proof has no `jti` of a fit length");
    assert_eq!(claims(json!({"jti": "x".repeat(257)})), "the proof has no `jti` of a fit length");
    let header = |header: Value| caller.why(&header, &none);
    assert_eq!(header(json!({"typ": "JWT"})), "it is no proof of possession (`typ`)");
    assert_eq!(header(json!({"typ": null})), "it is no proof of possession (`typ`)");
    assert_eq!(header(json!({"jwk": null})), "the proof holds no key");
    assert_eq!(header(json!({"jwk": Signer::new("ES256").jwk()})), "the token is bound to another key");
    assert_eq!(header(json!({"alg": "none"})), "its algorithm is not taken by anyone");
    assert_eq!(header(json!({"alg": "HS256"})), "its algorithm is not taken by anyone");
    assert_eq!(header(json!({"alg": "RS256"})), "the algorithm is not one of this kind of key");
    let mut private = caller.signer.jwk();
    private["d"] = json!("AA");
    assert_eq!(header(json!({"jwk": private})), "it is a private key or a shared secret");
    let proof = caller.proof("one", &none, &none);
    let (signed, _) = proof.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", encode(&[1; 64]));
    assert_eq!(caller.check(&request(&[("dpop", &forged)])), Err(Refusal::Proof { why: "the signature of the proof is wrong" }));
}

#[test]
fn a12_there_is_exactly_one_proof() {
    let caller = Caller::new();
    let (one, two) = (caller.proof("one", &json!({}), &json!({})), caller.proof("two", &json!({}), &json!({})));
    let count = Err(Refusal::Proof { why: "there is not exactly one proof" });
    assert_eq!(caller.check(&request(&[])), count);
    assert_eq!(caller.check(&request(&[("dpop", &one), ("dpop", &two)])), count);
    let long = "x".repeat(9000);
    assert_eq!(caller.check(&request(&[("dpop", &long)])), Err(Refusal::Proof { why: "the proof is too long or not ASCII" }));
}

#[test]
fn a_proof_names_the_address_without_its_query() {
    let caller = Caller::new();
    let good = caller.proof("one", &json!({}), &json!({"htu": "https://TOOLS.example.com:443/prefix/mcp?a=b#c"}));
    assert_eq!(caller.check(&request(&[("dpop", &good)])), Ok(()));
    let posted = |id: &str, target: &str| {
        let proof = caller.proof(id, &json!({}), &json!({"htu": target}));
        let mut head = request(&[("dpop", &proof)]);
        head.method = Method::POST;
        head.uri = "/messages?sessionId=abc".parse().unwrap();
        caller.check(&head)
    };
    assert_eq!(posted("two", "https://tools.example.com/prefix/messages"), Ok(()));
    assert_eq!(posted("three", "https://tools.example.com/prefix/mcp"), Err(Refusal::Proof { why: "the proof is for another address" }));
}

#[test]
fn proofs_are_remembered_for_as_long_as_they_are_good() {
    let mut used = Used::default();
    let used_before = Err(Refusal::Proof { why: "the proof was used before" });
    assert_eq!(used.take([1; 16], "ada", NOW), Ok(()));
    assert_eq!(used.take([1; 16], "ada", NOW + 360), used_before);
    assert_eq!(used.take([2; 16], "ada", NOW + 361), Ok(()));
    assert_eq!(used.take([1; 16], "ada", NOW + 361), used_before, "the period before counts as well");
    assert_eq!(used.take([2; 16], "ada", NOW + 722), used_before);
    assert_eq!(used.take([1; 16], "ada", NOW + 722), Ok(()), "it is too old to pass the other checks by now");
    assert_eq!(used.take([2; 16], "ada", NOW + 10_000), Ok(()));
}

/// Takes proofs for a caller until none is taken any more.
fn exhaust(used: &mut Used, caller: &str, mark: u8) -> usize {
    let mut taken = 0_usize;
    loop {
        let mut id = [mark; 16];
        id[..8].copy_from_slice(&taken.to_le_bytes());
        match used.take(id, caller, NOW) {
            Ok(()) => taken += 1,
            refused => {
                assert_eq!(refused, Err(Refusal::Unavailable));
                return taken;
            }
        }
    }
}

#[test]
fn a_caller_with_many_proofs_leaves_room_for_the_others() {
    let mut used = Used::default();
    assert_eq!(exhaust(&mut used, "ada", 1), MAX_REMEMBERED / 2);
    assert_eq!(exhaust(&mut used, "eve", 2), MAX_REMEMBERED / 4);
    assert_eq!(used.take([3; 16], "bob", NOW), Ok(()));
    assert_eq!(used.take([4; 16], "ada", NOW), Err(Refusal::Unavailable));
    assert_eq!(used.take([4; 16], "ada", NOW + 361), Ok(()), "the next period is new");
}
