//! HTTP+SSE of 2024-11-05, for hosts that know nothing else: one stream down, posts up.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use futures::Stream as _;
use http::{Response, StatusCode, Uri};
use http_body::Frame;
use tokio::time::Interval;
use toolyard_core::Principal;
use toolyard_server::{MessageSession, MessageStream, PushError, Server, fresh_handle};

use super::{
    Content,
    reply::{self, Reply},
};
use crate::{
    HttpLimits, Metrics,
    early::{COMMENT, event, stream_headers, ticks},
};

/// Streams that are open, by the id their client posts to.
pub(crate) struct Streams {
    server: Server,
    metrics: Metrics,
    /// What stands before `/messages` in the public address.
    prefix: String,
    max: usize,
    max_per_principal: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    sessions: HashMap<String, MessageSession>,
    by_principal: HashMap<Box<str>, usize>,
    closing: bool,
}

/// Why a message is not taken.
pub(crate) enum Untaken {
    /// There is no such stream, or it is somebody else's: both look the same.
    Unknown {
        foreign: bool,
    },
    Malformed,
    Full,
}

impl Streams {
    pub(crate) fn new(server: Server, metrics: Metrics, public_path: &str, limits: &HttpLimits) -> Self {
        Self {
            server,
            metrics,
            prefix: public_path.strip_suffix("/mcp").unwrap_or_default().to_owned(),
            max: limits.max_sessions,
            max_per_principal: limits.max_sessions_per_principal.min(limits.max_streams_per_principal),
            open: Mutex::default(),
        }
    }

    /// Opens a stream, whose first event says where to post; its calls are recorded under the id
    /// of the request.
    pub(crate) fn open(self: &Arc<Self>, principal: Principal, request: Arc<str>, limits: &HttpLimits) -> Reply {
        let Some(id) = fresh_handle() else { return reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, "no randomness") };
        let name: Box<str> = principal.name().into();
        let mut open = self.lock();
        if open.closing || open.sessions.len() >= self.max {
            return reply::retry_after(reply::refuse(StatusCode::SERVICE_UNAVAILABLE, "no more streams"), 5);
        }
        let count = open.by_principal.entry(name.clone()).or_default();
        if *count >= self.max_per_principal {
            return reply::retry_after(reply::refuse(StatusCode::TOO_MANY_REQUESTS, "too many streams"), 5);
        }
        *count += 1;
        let (session, messages) = self.server.message_session(principal, request);
        open.sessions.insert(id.clone(), session);
        drop(open);
        let endpoint = Bytes::from(format!("event: endpoint\ndata: {}/messages?sessionId={id}\n\n", self.prefix));
        let place = Place { streams: Arc::clone(self), id, name, began: Instant::now() };
        let stream = Messages { first: Some(endpoint), messages, ticks: ticks(limits.keep_alive), _place: place };
        let mut response = Response::new(Content::Messages(stream));
        stream_headers(&mut response);
        response
    }

    /// Hands a message to its stream.
    pub(crate) fn push(&self, uri: &Uri, principal: &Principal, body: Bytes) -> Result<(), Untaken> {
        let unknown = |foreign| Untaken::Unknown { foreign };
        let id = session_id(uri).ok_or(unknown(false))?;
        let session = self.lock().sessions.get(id).cloned().ok_or(unknown(false))?;
        // With the roles: a caller whose roles changed begins anew.
        if session.principal() != principal {
            return Err(unknown(true));
        }
        session.push(body).map_err(|error| match error {
            PushError::Closed => unknown(false),
            PushError::Full => Untaken::Full,
            PushError::Malformed => Untaken::Malformed,
        })
    }

    /// Streams that are open.
    pub(crate) fn count(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Ends streams that have nothing under way, and takes no more; called again until none is left.
    pub(crate) fn close_idle(&self) {
        let mut open = self.lock();
        open.closing = true;
        let idle: Vec<_> = open.sessions.values().filter(|session| !session.is_busy()).cloned().collect();
        drop(open);
        for session in idle {
            session.close();
        }
    }

    /// Ends all.
    pub(crate) fn close_all(&self) {
        let all: Vec<_> = self.lock().sessions.values().cloned().collect();
        for session in all {
            session.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn session_id(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("sessionId="))
}

/// The stream of a session; dropping it ends the session and its calls.
pub(crate) struct Messages {
    first: Option<Bytes>,
    messages: MessageStream,
    ticks: Interval,
    _place: Place,
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let bytes = match Pin::new(&mut this.messages).poll_next(cx) {
            Poll::Ready(message) => message.map(|message| event("event: message\n", &message)),
            Poll::Pending => {
                ready!(this.ticks.poll_tick(cx));
                Some(COMMENT)
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Keeps a session in the table.
struct Place {
    streams: Arc<Streams>,
    id: String,
    name: Box<str>,
    began: Instant,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        let session = open.sessions.remove(&self.id);
        if let Some(count) = open.by_principal.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                open.by_principal.remove(&self.name);
            }
        }
        drop(open);
        drop(session);
        self.streams.metrics.session_ended(self.began.elapsed());
    }
}
