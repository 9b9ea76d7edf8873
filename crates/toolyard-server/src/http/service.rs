//! Answers requests to the endpoint.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt as _, Full};
use rmcp::{
    model::ProtocolVersion,
    transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService},
};
use serde::de::IgnoredAny;
use tokio_util::sync::CancellationToken;
use toolyard_core::Principal;

use super::{
    HttpBody, HttpOptions, RequestName,
    direct::Direct,
    peek::{Peek, PeekKind, peek},
    refusal::{Refusal, replace},
    session::{Session, Turned},
    sessions::{CALLER, Caller, Sessions},
    streams::{Listening, Streams},
};
use crate::{
    Server, from_mcp,
    server::{Callers, Ends},
};

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Answers requests to the MCP endpoint, of both eras; clones are cheap and share everything.
#[derive(Clone)]
pub struct HttpService {
    shared: Arc<Shared>,
}

struct Shared {
    sdk: StreamableHttpService<Server, Sessions>,
    direct: Direct,
    sessions: Arc<Sessions>,
    streams: Arc<Streams>,
    max_streams_per_principal: usize,
    closing: CancellationToken,
    stop: CancellationToken,
}

impl Server {
    /// Prepares the endpoint; cancelling `stop` ends everything that is left of it.
    pub fn http_service(&self, options: &HttpOptions, stop: CancellationToken) -> HttpService {
        let closing = stop.child_token();
        let ends = Ends { listening: Some(closing.clone()), ..Ends::default() };
        let server = Self { callers: Callers::PerRequest, ends, ..self.clone() };
        let audit = Arc::clone(self.dispatcher().audit());
        let sessions = Arc::new(Sessions::new(options.clone(), audit, closing.clone(), stop.clone()));
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_sse_keep_alive(Some(options.keep_alive))
            .with_sse_retry(None)
            .with_json_response(true)
            .with_max_request_body_bytes(usize::MAX)
            .with_cancellation_token(stop.clone());
        let direct = Direct::new(server.clone(), stop.clone());
        // One server for each session that is opened, which ends with it.
        let serve = move || {
            let opening = CALLER.try_with(|caller| caller.opening.as_ref().map(|session| session.ended.clone())).ok().flatten();
            let mut server = server.clone();
            server.ends.session = opening;
            Ok(server)
        };
        let shared = Shared {
            sdk: StreamableHttpService::new(serve, Arc::clone(&sessions), config),
            direct,
            sessions,
            streams: Arc::default(),
            max_streams_per_principal: options.max_streams_per_principal,
            closing,
            stop,
        };
        HttpService { shared: Arc::new(shared) }
    }
}

impl HttpService {
    /// Answers one request.
    pub async fn handle(&self, request: Request<Full<Bytes>>) -> Response<HttpBody> {
        let (parts, body) = request.into_parts();
        let Some(principal) = parts.extensions.get::<Principal>().cloned() else {
            tracing::error!("a request came without its caller; the transport has to name one");
            return Refusal::internal().to(None);
        };
        let request = parts.extensions.get::<RequestName>().map(|name| Arc::clone(&name.0));
        let caller = Caller { principal, request, opening: None, turned: Mutex::new(None) };
        match parts.method {
            Method::POST => {
                let body = body.collect().await.map_or_else(|never| match never {}, |body| body.to_bytes());
                self.post(parts, body, caller).await
            }
            Method::GET => self.get(parts, caller).await,
            Method::DELETE => self.delete(&parts, &caller),
            _ => Refusal::method("GET, POST, DELETE").to(None),
        }
    }

    /// Sessions of the handshake era that are open.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.count()
    }

    /// Listening streams that are open.
    pub fn streams(&self) -> usize {
        self.shared.streams.count()
    }

    /// The first step of an orderly end: listening streams come to theirs, and no session or
    /// stream is opened any more. Calls go on until they are answered or `stop` is cancelled.
    pub fn close(&self) {
        self.shared.closing.cancel();
    }

    async fn post(&self, parts: Parts, body: Bytes, mut caller: Caller) -> Response<HttpBody> {
        if let Err(refusal) = check_media_types(&parts.headers) {
            return refusal.to(None);
        }
        let asked = peek(&body);
        if let Err(refusal) = check_message(&parts.headers, &asked, &body) {
            return refusal.to(Some(&asked));
        }
        if let Some(answer) = self.shared.direct.call(&parts.headers, &asked, &body, &caller).await {
            return answer;
        }
        let is_request = asked.kind == PeekKind::Request;
        let mut listening = None;
        if is_request && asked.method == Some("subscriptions/listen") {
            match self.listening(&caller) {
                Ok(taken) => listening = Some(taken),
                Err(refusal) => return refusal.to(Some(&asked)),
            }
        }
        let mut opening = None;
        if is_request && asked.method == Some("initialize") && !parts.headers.contains_key(SESSION_ID) {
            match self.opening(&caller.principal) {
                Ok(opened) => {
                    caller.opening = Some(Arc::clone(&opened.session));
                    opening = Some(opened);
                }
                Err(refusal) => return refusal.to(Some(&asked)),
            }
        }
        let request = Request::from_parts(parts, Full::new(body.clone()));
        let response = self.ask_sdk(request, caller, Some((&asked, &body))).await;
        if let Some(opening) = opening
            && response.headers().contains_key(SESSION_ID)
        {
            opening.keep();
        }
        keep_while_streaming(response, listening)
    }

    async fn get(&self, mut parts: Parts, caller: Caller) -> Response<HttpBody> {
        if let Err(refusal) = check_version(&parts.headers) {
            return refusal.to(None);
        }
        // Streams are not resumed.
        parts.headers.remove(LAST_EVENT_ID);
        let listening = match self.listening(&caller) {
            Ok(listening) => listening,
            Err(refusal) => return refusal.to(None),
        };
        let response = self.ask_sdk(Request::from_parts(parts, Full::default()), caller, None).await;
        keep_while_streaming(response, Some(listening))
    }

    fn delete(&self, parts: &Parts, caller: &Caller) -> Response<HttpBody> {
        if let Err(refusal) = check_version(&parts.headers) {
            return refusal.to(None);
        }
        if names_stateless_version(&parts.headers) {
            return Refusal::method("POST").to(None);
        }
        let Some(id) = parts.headers.get(SESSION_ID) else {
            return Refusal::session_required().to(None);
        };
        let ended = id.to_str().is_ok_and(|id| self.shared.sessions.end(id, &caller.principal, caller.request.as_deref()));
        if !ended {
            return Refusal::session_not_found().to(None);
        }
        let mut response = Response::new(Full::default().boxed());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    }

    async fn ask_sdk(&self, request: Request<Full<Bytes>>, caller: Caller, asked: Option<(&Peek<'_>, &[u8])>) -> Response<HttpBody> {
        let answered = CALLER.scope(caller, async {
            let response = self.shared.sdk.handle(request).await;
            let turned = CALLER.with(|caller| caller.turned.lock().unwrap_or_else(PoisonError::into_inner).take());
            (response, turned)
        });
        let (response, turned) = answered.await;
        let is_json = || response.headers().get(CONTENT_TYPE).is_some_and(|value| value == JSON);
        if response.status().as_u16() < 400 || is_json() {
            return response;
        }
        let refusal = match (response.status(), turned) {
            (_, Some(Turned::Gone)) => Refusal::session_not_found(),
            (_, Some(Turned::DuplicateId)) => Refusal::duplicate_id(),
            (_, Some(Turned::Busy)) => Refusal::too_many_requests("too many requests of this session are under way"),
            (_, Some(Turned::TooMany)) => Refusal::too_many_requests("too many sessions are open and busy; end one first"),
            (_, Some(Turned::Full)) => Refusal::unavailable("the server has no room for another session"),
            (StatusCode::NOT_FOUND, None) => Refusal::session_not_found(),
            (StatusCode::METHOD_NOT_ALLOWED, None) => Refusal::method("POST"),
            (StatusCode::NOT_ACCEPTABLE, None) => Refusal::not_acceptable(),
            // The media type was checked before: the SDK could not read the body.
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, None) => unreadable(asked),
            (StatusCode::BAD_REQUEST, None) => Refusal::session_required(),
            (_, None) if self.shared.stop.is_cancelled() => Refusal::unavailable("the server is shutting down"),
            (_, None) => Refusal::internal(),
        };
        replace(response, refusal, asked.map(|(asked, _)| asked))
    }

    fn listening(&self, caller: &Caller) -> Result<Listening, Refusal> {
        self.while_open()?;
        let taken = self.shared.streams.take(caller.principal.name(), self.shared.max_streams_per_principal);
        taken.ok_or_else(|| Refusal::too_many_requests("too many streams are open; close one first"))
    }

    fn opening(&self, principal: &Principal) -> Result<Opening<'_>, Refusal> {
        self.while_open()?;
        let sessions = &self.shared.sessions;
        let session = sessions.prepare(principal).ok_or_else(Refusal::internal)?;
        Ok(Opening { sessions, session, kept: AtomicBool::new(false) })
    }

    fn while_open(&self) -> Result<(), Refusal> {
        if self.shared.closing.is_cancelled() { Err(Refusal::unavailable("the server is shutting down")) } else { Ok(()) }
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("sessions", &self.sessions()).field("streams", &self.streams()).finish_non_exhaustive()
    }
}

/// A session that is given up again unless its `initialize` succeeds.
struct Opening<'a> {
    sessions: &'a Arc<Sessions>,
    session: Arc<Session>,
    kept: AtomicBool,
}

impl Opening<'_> {
    fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
        self.sessions.sweep_from_now_on();
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Relaxed) {
            self.sessions.give_up(&self.session);
        }
    }
}

/// Both media types have to be accepted, whichever is sent in the end.
fn check_media_types(headers: &HeaderMap) -> Result<(), Refusal> {
    let is =
        |essence: &str, media_type: &str| essence.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type));
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !sent.is_some_and(|sent| is(sent, JSON)) {
        return Err(Refusal::media_type());
    }
    let accepts = |media_type| {
        let values = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|range| is(range, media_type) && !is_excluded(range))
    };
    if accepts(JSON) && accepts(EVENT_STREAM) { Ok(()) } else { Err(Refusal::not_acceptable()) }
}

/// Whether a media range has the weight zero (RFC 9110, section 12.4.2).
fn is_excluded(range: &str) -> bool {
    let weight =
        range.split(';').skip(1).filter_map(|parameter| parameter.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0))
}

fn check_message(headers: &HeaderMap, asked: &Peek<'_>, body: &[u8]) -> Result<(), Refusal> {
    if asked.kind == PeekKind::Malformed {
        return Err(unreadable(Some((asked, body))));
    }
    // A request that names its version itself is answered with the versions there are.
    if !asked.stateless {
        check_version(headers)?;
    }
    if asked.method == Some("tools/list") && from_mcp::has_malformed_cursor(body) {
        return Err(Refusal::bad_cursor());
    }
    Ok(())
}

fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(PROTOCOL_VERSION) {
        Some(version) if !ProtocolVersion::KNOWN_VERSIONS.iter().any(|known| version == known.as_str()) => Err(Refusal::version(version)),
        _ => Ok(()),
    }
}

fn names_stateless_version(headers: &HeaderMap) -> bool {
    let version = headers.get(PROTOCOL_VERSION).and_then(|version| version.to_str().ok());
    version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Why a body is no message that can be answered.
fn unreadable(asked: Option<(&Peek<'_>, &[u8])>) -> Refusal {
    match asked {
        Some((_, body)) if serde_json::from_slice::<IgnoredAny>(body).is_err() || str::from_utf8(body).is_err() => Refusal::not_json(),
        Some((Peek { id: Some(_), method: Some(_), .. }, _)) => Refusal::bad_parameters(),
        Some(_) | None => Refusal::no_message(),
    }
}

/// Counts a listening stream until its response is read to the end or dropped.
fn keep_while_streaming(response: Response<HttpBody>, listening: Option<Listening>) -> Response<HttpBody> {
    let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == EVENT_STREAM);
    match listening {
        Some(listening) if is_stream => response.map(|body| {
            body.map_frame(move |frame| {
                let _counted = &listening;
                frame
            })
            .boxed()
        }),
        _ => response,
    }
}
