//! Opaque tokens, which only their issuer can read (RFC 7662).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde_json::{Map, Value};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use url::{Url, form_urlencoded};

use super::{
    Introspection,
    cache::{Cache, Digest, Until},
    claims::{Accepted, Origin, Rules},
    clock::Clock,
    discovery::discover,
    refreshed::{LoadError, Loaded, Refreshed, Source},
};
use crate::{auth::Refusal, fetch::Fetcher};

/// Questions under way at once.
const MAX_QUESTIONS: usize = 32;
/// Questions under way or waiting for that; further ones get no answer.
const MAX_WAITING: usize = 1024;
/// A question takes at most so long, waiting for its turn included.
const QUESTION_CAP: Duration = Duration::from_secs(10);
/// Tokens that are remembered to be good for nothing.
const MAX_REFUSED: usize = 4096;
/// They are remembered for so long.
const REFUSED_FOR: u64 = 10;
/// The place of an endpoint is looked up again after so long.
const ENDPOINT_FRESH: Duration = Duration::from_secs(60 * 60);

type Outcome = Result<Accepted, Refusal>;

/// Asks the one issuer that opaque tokens belong to. A token that names nobody is shown to nobody
/// else: whoever reads it could use it.
#[derive(Debug)]
pub(super) struct OpaqueTokens {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    issuer: Option<Introspector>,
    refused: Cache<&'static str>,
    questions: Mutex<HashMap<Digest, watch::Receiver<Option<Outcome>>>>,
    slots: Semaphore,
    clock: Clock,
}

/// One issuer that answers questions.
#[derive(Debug)]
pub(super) struct Introspector {
    rules: Arc<Rules>,
    endpoint: Endpoint,
    authorization: HeaderValue,
    fetcher: Arc<Fetcher>,
}

#[derive(Debug)]
enum Endpoint {
    Configured(Url),
    Discovered(Refreshed<EndpointSource>),
}

struct EndpointSource {
    rules: Arc<Rules>,
    fetcher: Arc<Fetcher>,
}

impl OpaqueTokens {
    /// Asks nobody yet.
    pub(super) fn new(issuer: Option<Introspector>, clock: Clock) -> Self {
        let shared =
            Shared { issuer, refused: Cache::new(MAX_REFUSED), questions: Mutex::default(), slots: Semaphore::new(MAX_QUESTIONS), clock };
        Self { shared: Arc::new(shared) }
    }

    /// What the issuer says of this token; the same question is asked once at a time, and goes on
    /// when nobody waits for the answer any more, so that it need not be asked again.
    pub(super) async fn ask(&self, token: &str, hash: Digest) -> Outcome {
        if self.shared.issuer.is_none() {
            return Err(Refusal::Invalid { why: "it is no signed token, and no issuer answers questions" });
        }
        let mut answer = {
            let mut questions = self.shared.questions();
            // Looked up under the lock: an answer is remembered before its question is removed.
            if let Some(why) = self.shared.refused.get(&hash, self.shared.now()) {
                return Err(Refusal::Invalid { why });
            }
            if let Some(answer) = questions.get(&hash) {
                answer.clone()
            } else if questions.len() >= MAX_WAITING {
                return Err(Refusal::Unavailable);
            } else {
                let (tell, answer) = watch::channel(None);
                questions.insert(hash, answer.clone());
                let question = Question { shared: Arc::clone(&self.shared), hash };
                let token = token.to_owned();
                tokio::spawn(async move {
                    let outcome = question.shared.outcome(&token, hash).await;
                    tell.send_replace(Some(outcome));
                    drop(question);
                });
                answer
            }
        };
        match answer.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(Refusal::Unavailable)),
            Err(_) => Err(Refusal::Unavailable),
        }
    }
}

/// A question under way; it is removed however it ends.
struct Question {
    shared: Arc<Shared>,
    hash: Digest,
}

impl Drop for Question {
    fn drop(&mut self) {
        self.shared.questions().remove(&self.hash);
    }
}

impl Shared {
    fn questions(&self) -> MutexGuard<'_, HashMap<Digest, watch::Receiver<Option<Outcome>>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Until {
        Until { instant: self.clock.instant(), unix: self.clock.unix() }
    }

    async fn outcome(&self, token: &str, hash: Digest) -> Outcome {
        let asked = async {
            let _slot = self.slots.acquire().await.map_err(|_| Refusal::Unavailable)?;
            self.ask(token).await
        };
        let outcome = timeout(QUESTION_CAP, asked).await.unwrap_or(Err(Refusal::Unavailable));
        if let Err(Refusal::Invalid { why }) = outcome {
            let now = self.now();
            let until = Until { instant: now.instant + Duration::from_secs(REFUSED_FOR), unix: now.unix + REFUSED_FOR };
            self.refused.put(hash, why, until, now);
        }
        outcome
    }

    async fn ask(&self, token: &str) -> Outcome {
        let invalid = |why| Refusal::Invalid { why };
        let issuer = self.issuer.as_ref().ok_or(Refusal::Unavailable)?;
        match issuer.ask(token).await {
            Ok(Some(claims)) => {
                check_kind(&claims).map_err(invalid)?;
                issuer.rules.accept(&claims, Origin::Introspection, self.clock.unix()).map_err(invalid)
            }
            Ok(None) => Err(invalid("its issuer does not know it as active")),
            Err(error) => {
                tracing::warn!(%error, issuer = issuer.rules.name(), "the authorization server can't be asked about a token");
                Err(Refusal::Unavailable)
            }
        }
    }
}

/// Whether an answer is about an access token; some servers call refresh tokens active as well.
fn check_kind(claims: &Map<String, Value>) -> Result<(), &'static str> {
    let members: [(&str, &[&str]); 2] = [("token_type", &["bearer", "dpop", "access_token"]), ("token_use", &["access", "access_token"])];
    for (name, kinds) in members {
        let Some(value) = claims.get(name).filter(|value| !value.is_null()) else { continue };
        if !value.as_str().is_some_and(|value| kinds.iter().any(|kind| value.eq_ignore_ascii_case(kind))) {
            return Err("its issuer says that it is no access token");
        }
    }
    Ok(())
}

impl Introspector {
    /// An issuer and the client this server is there; `None` for credentials that no header can hold.
    pub(super) fn new(rules: Arc<Rules>, config: &Introspection, fetcher: Arc<Fetcher>, clock: Clock) -> Option<Self> {
        // RFC 6749 section 2.3.1 wants both encoded as in a form before they are joined.
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode(&config.client_id), encode(&config.client_secret));
        let mut authorization = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
        authorization.set_sensitive(true);
        let endpoint = match &config.endpoint {
            Some(url) => Endpoint::Configured(url.clone()),
            None => {
                let source = EndpointSource { rules: Arc::clone(&rules), fetcher: Arc::clone(&fetcher) };
                Endpoint::Discovered(Refreshed::new(source, clock))
            }
        };
        Some(Self { rules, endpoint, authorization, fetcher })
    }

    /// The claims of an active token; none for any other.
    async fn ask(&self, token: &str) -> Result<Option<Map<String, Value>>, LoadError> {
        let discovered;
        let url = match &self.endpoint {
            Endpoint::Configured(url) => url,
            Endpoint::Discovered(endpoint) => {
                discovered = endpoint.get(|_| true).await.ok_or(LoadError::NotFound)?;
                &*discovered
            }
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .finish();
        let fetched = self.fetcher.post(url, self.authorization.clone(), form).await;
        let fetched = fetched.map_err(|problem| LoadError::Fetch { url: url.to_string(), problem })?;
        let malformed = || LoadError::Content { url: url.to_string(), problem: "the answer is malformed" };
        let claims: Map<String, Value> = serde_json::from_slice(&fetched.body).map_err(|_| malformed())?;
        let active = claims.get("active").and_then(Value::as_bool).ok_or_else(malformed)?;
        Ok(active.then_some(claims))
    }
}

impl Source for EndpointSource {
    type Item = Url;

    async fn load(&self) -> Result<Loaded<Url>, LoadError> {
        let item = discover(&self.fetcher, self.rules.issuer()).await?.introspection(&self.fetcher)?;
        Ok(Loaded { item, fresh_for: ENDPOINT_FRESH })
    }

    fn label(&self) -> &str {
        self.rules.name()
    }
}

#[cfg(test)]
mod tests;
