//! The keys of an issuer, as it publishes them (RFC 7517).

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, header::CACHE_CONTROL};
use url::Url;

use super::{
    clock::Clock,
    discovery::discover,
    jws::Jws,
    key::{Key, read_set},
    refreshed::{LoadError, Loaded, Refreshed, Source},
};
use crate::{
    auth::Refusal,
    fetch::{Fetched, Fetcher},
};

/// Keys are fresh for so long at least, so that a server that forbids caching is not asked for
/// every token.
const MIN_FRESH: Duration = Duration::from_secs(5 * 60);
/// Keys are fresh for so long when the server does not say.
const DEFAULT_FRESH: Duration = Duration::from_secs(60 * 60);
/// Keys are fresh for so long at most, whatever the server says: one that it withdraws is believed
/// until then.
const MAX_FRESH: Duration = Duration::from_secs(60 * 60);
/// Keys that a token without key id is tried with.
const MAX_TRIED: usize = 8;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeyRing {
    keys: Refreshed<KeySource>,
}

/// Where the keys of an issuer are published.
#[derive(Debug)]
pub(super) struct KeySource {
    pub(super) name: String,
    pub(super) issuer: String,
    /// Found by discovery when left out.
    pub(super) jwks: Option<Url>,
    pub(super) fetcher: Arc<Fetcher>,
}

impl KeyRing {
    /// Fetches nothing yet.
    pub(super) fn new(source: KeySource, clock: Clock) -> Self {
        Self { keys: Refreshed::new(source, clock) }
    }

    /// Checks the signature of a token, with new keys if need be.
    pub(super) async fn check(&self, jws: &Jws<'_>) -> Result<(), Refusal> {
        // A token that names no key may be signed with one that was published since.
        let wanted = |keys: &Vec<Key>| match &jws.header.kid {
            Some(_) => candidates(keys, jws).next().is_some(),
            None => verifies(keys, jws),
        };
        let keys = self.keys.get(wanted).await.ok_or(Refusal::Unavailable)?;
        if candidates(&keys, jws).next().is_none() {
            return Err(Refusal::Invalid { why: "it is signed with a key that its issuer does not publish" });
        }
        if !verifies(&keys, jws) {
            return Err(Refusal::Invalid { why: "its signature is wrong" });
        }
        Ok(())
    }
}

fn candidates<'a>(keys: &'a [Key], jws: &'a Jws<'_>) -> impl Iterator<Item = &'a Key> {
    keys.iter().filter(|key| key.is_candidate(jws.header.kid.as_deref(), jws.header.algorithm)).take(MAX_TRIED)
}

fn verifies(keys: &[Key], jws: &Jws<'_>) -> bool {
    candidates(keys, jws).any(|key| key.verifies(jws.header.algorithm, jws.signed.as_bytes(), &jws.signature))
}

impl Source for KeySource {
    type Item = Vec<Key>;

    async fn load(&self) -> Result<Loaded<Vec<Key>>, LoadError> {
        let url = match &self.jwks {
            Some(url) => url.clone(),
            None => discover(&self.fetcher, &self.issuer).await?.keys(&self.fetcher)?,
        };
        let Fetched { headers, body } =
            self.fetcher.get(&url).await.map_err(|problem| LoadError::Fetch { url: url.to_string(), problem })?;
        let item = read_set(&body).map_err(|problem| LoadError::Content { url: url.into(), problem })?;
        Ok(Loaded { item, fresh_for: fresh_for(&headers) })
    }

    fn label(&self) -> &str {
        &self.name
    }
}

fn fresh_for(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut fresh = DEFAULT_FRESH;
    for directive in directives.map(str::trim) {
        match directive.split_once('=') {
            Some((name, seconds)) if name.eq_ignore_ascii_case("max-age") => {
                fresh = seconds.trim_matches('"').parse().map_or(MIN_FRESH, Duration::from_secs);
            }
            None if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") => return MIN_FRESH,
            _ => {}
        }
    }
    fresh.clamp(MIN_FRESH, MAX_FRESH)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header::CACHE_CONTROL};

    use super::fresh_for;

    #[test]
    fn keys_are_fresh_between_5_minutes_and_an_hour() {
        let seconds = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, value.parse().unwrap());
            fresh_for(&headers).as_secs()
        };
        assert_eq!(seconds("public, max-age=1800"), 1800);
        assert_eq!(seconds("Max-Age=\"600\""), 600);
        assert_eq!(seconds("max-age=1"), 300);
        assert_eq!(seconds("max-age=999999999"), 3600);
        assert_eq!(seconds("max-age=3600, no-cache"), 300);
        assert_eq!(seconds("no-store"), 300);
        assert_eq!(seconds("max-age=soon"), 300);
        assert_eq!(fresh_for(&HeaderMap::new()).as_secs(), 3600);
    }
}
