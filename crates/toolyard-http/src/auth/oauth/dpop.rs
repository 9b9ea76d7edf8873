//! Proofs that a caller holds the key its token is bound to (RFC 9449).

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use ring::digest::{Context, SHA256};
use serde_json::Value;
use url::{Position, Url};

use super::{
    cache::Digest,
    jws::{Jws, KeyInHeader},
    key::Key,
};
use crate::auth::Refusal;

/// Longest proof in bytes.
const MAX_PROOF: usize = 8 << 10;
/// Longest `jti` in bytes.
const MAX_ID: usize = 256;
/// A proof is good for so many seconds.
const MAX_AGE: u64 = 300;
/// Clocks may differ by so many seconds.
const LEEWAY: u64 = 60;
/// Proofs of one period that are remembered; further ones have to wait for the next period.
const MAX_REMEMBERED: usize = 1 << 18;
/// The path that the resource's own URL stands for.
const RESOURCE_PATH: &str = "/mcp";

/// Checks proofs and remembers them, so that each is used once.
#[derive(Debug)]
pub(super) struct Proofs {
    resource: Url,
    used: Mutex<Used>,
}

/// The proofs of this period and of the one before; a period is as long as a proof can be good.
#[derive(Debug, Default)]
struct Used {
    began: u64,
    now: HashSet<[u8; 16]>,
    /// How many of this period are whose.
    shares: HashMap<Box<str>, usize>,
    before: HashSet<[u8; 16]>,
}

impl Proofs {
    /// Proofs for requests to this resource.
    pub(super) fn new(resource: &Url) -> Self {
        Self { resource: resource.clone(), used: Mutex::default() }
    }

    /// Whether this request carries a fresh proof of the key with thumbprint `jkt` for the token
    /// with this hash, which is `caller`'s and has been found valid.
    pub(super) fn check(&self, head: &Parts, token: &Digest, jkt: &str, caller: &str, now: u64) -> Result<(), Refusal> {
        let mut values = head.headers.get_all("dpop").iter();
        let (Some(proof), None) = (values.next(), values.next()) else {
            return Err(Refusal::Proof { why: "there is not exactly one proof" });
        };
        let proof = proof.to_str().ok().filter(|proof| proof.len() <= MAX_PROOF);
        let proof = proof.ok_or(Refusal::Proof { why: "the proof is too long or not ASCII" })?;
        let id = self.read(proof, head, token, jkt, now).map_err(|why| Refusal::Proof { why })?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).take(id, caller, now)
    }

    /// What the proof is remembered by.
    fn read(&self, proof: &str, head: &Parts, token: &Digest, jkt: &str, now: u64) -> Result<[u8; 16], &'static str> {
        let jws = Jws::parse(proof, KeyInHeader::Wanted)?;
        if jws.header.typ.as_deref() != Some("dpop+jwt") {
            return Err("it is no proof of possession (`typ`)");
        }
        let key = Key::from_jwk(jws.header.jwk.as_ref().ok_or("the proof holds no key")?)?;
        if !key.is_candidate(None, jws.header.algorithm) {
            return Err("the algorithm is not one of this kind of key");
        }
        if key.thumbprint() != jkt {
            return Err("the token is bound to another key");
        }
        if !key.verifies(jws.header.algorithm, jws.signed.as_bytes(), &jws.signature) {
            return Err("the signature of the proof is wrong");
        }
        let text = |name: &str| jws.claims.get(name).and_then(Value::as_str);
        if text("htm") != Some(head.method.as_str()) {
            return Err("the proof is for another method");
        }
        if !text("htu").is_some_and(|target| self.is_target(target, head.uri.path())) {
            return Err("the proof is for another address");
        }
        let issued = jws.claims.get("iat").and_then(Value::as_f64).ok_or("the proof says no time")?;
        #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
        let age = now as f64 - issued;
        if !(-(LEEWAY as f64)..=MAX_AGE as f64).contains(&age) {
            return Err("the proof is too old or from the future");
        }
        if text("ath") != Some(&URL_SAFE_NO_PAD.encode(token)) {
            return Err("the proof is for another token");
        }
        let id = text("jti").filter(|id| !id.is_empty() && id.len() <= MAX_ID).ok_or("the proof has no `jti` of a fit length")?;
        let mut context = Context::new(&SHA256);
        context.update(jkt.as_bytes());
        context.update(b"\n");
        context.update(id.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(context.finish().as_ref().split_at(16).0);
        Ok(short)
    }

    /// Whether `target` is the address of this request as clients write it, its query left out.
    fn is_target(&self, target: &str, path: &str) -> bool {
        let Ok(target) = Url::parse(target) else { return false };
        let own = self.resource.path();
        let expected = if path == RESOURCE_PATH {
            own.to_owned()
        } else {
            [own.strip_suffix(RESOURCE_PATH).unwrap_or(own).trim_end_matches('/'), path].concat()
        };
        target[..Position::BeforePath] == self.resource[..Position::BeforePath]
            && target.path().trim_end_matches('/') == expected.trim_end_matches('/')
    }
}

impl Used {
    fn take(&mut self, id: [u8; 16], caller: &str, now: u64) -> Result<(), Refusal> {
        if now.saturating_sub(self.began) > MAX_AGE + LEEWAY {
            // Nothing of the period before the last one can be used again.
            let idle = now.saturating_sub(self.began) > 2 * (MAX_AGE + LEEWAY);
            self.before = if idle { HashSet::new() } else { std::mem::take(&mut self.now) };
            self.now.clear();
            self.shares.clear();
            self.began = now;
        }
        if self.before.contains(&id) || self.now.contains(&id) {
            return Err(Refusal::Proof { why: "the proof was used before" });
        }
        // Nobody may have more than what is left for the others, so there is always room for a new
        // caller: one alone gets half of the places, two get a third each.
        let share = self.shares.get(caller).copied().unwrap_or_default();
        if share >= MAX_REMEMBERED.saturating_sub(self.now.len()) {
            return Err(Refusal::Unavailable);
        }
        self.now.insert(id);
        self.shares.insert(caller.into(), share + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
