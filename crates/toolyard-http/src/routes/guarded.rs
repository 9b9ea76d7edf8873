//! Requests that need to say who sends them: everything that reaches the protocol.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::timeout;
use toolyard_server::{Peek, PeekKind, RequestName, peek};

use super::{
    Answer, App, Content,
    reply::{self, Reply},
    sse::Untaken,
};
use crate::{
    auth::{Grant, Operation, Refusal},
    early,
    middleware::{
        admission::Permit,
        body::{self, BodyError},
        budget::Share,
        request_id::RequestId,
    },
};

/// How much of a refused body is read on, and for how long.
const LINGER_BYTES: usize = 64 << 20;
/// The same when nothing of it was read, which anybody can bring about.
const LINGER_UNREAD_BYTES: usize = 8 << 20;
const LINGER: Duration = Duration::from_secs(2);

impl App {
    /// `POST /mcp`: a message of either era.
    pub(super) async fn post(&self, mut head: Parts, incoming: Incoming, id: &RequestId) -> Response<Answer> {
        let Admitted { grant, place, body } = match self.admit(&mut head, incoming, id).await {
            Ok(admitted) => admitted,
            Err(response) => return response.map(Answer::from),
        };
        let began = Instant::now();
        let seen = peek(&body);
        if let Some(response) = self.out_of_reach(&grant, &seen, id) {
            return response.map(Answer::from);
        }
        let method = seen.method_label();
        // Whoever only listens must not keep others from calling; the service counts these itself.
        let listens = method == "subscriptions/listen";
        let place = (!listens).then_some(place);
        let until = grant.until.filter(|_| listens);
        let early = seen.kind == PeekKind::Request && method != "initialize" && !listens;
        hand_over(&mut head, grant, id);
        let request = Request::from_parts(head, Full::new(body.clone()));
        let answered = if early {
            early::answer(self.parts.service.clone(), request, body, self.limits()).await
        } else {
            Ok(self.served(request).await)
        };
        let response = answered.unwrap_or_else(|early::Panicked| reply::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error"));
        let ended = Ended { metrics: self.parts.metrics.clone(), method, began, status: response.status(), _place: place };
        response.map(|content| Answer::from(content).until(ended).no_longer_than(until))
    }

    /// `GET` and `DELETE` of `/mcp`: sessions of the handshake era.
    pub(super) async fn listen(&self, mut head: Parts, id: &RequestId) -> Response<Answer> {
        let grant = match self.identify_listener(&mut head, id).await {
            Ok(grant) => grant,
            Err(response) => return response.map(Answer::from),
        };
        let until = grant.until;
        hand_over(&mut head, grant, id);
        let response = self.served(Request::from_parts(head, Full::default())).await;
        response.map(|content| Answer::from(content).no_longer_than(until))
    }

    /// What the service says at its own pace. Its future is large, and boxed it is not part of what
    /// every idle connection keeps room for.
    async fn served(&self, request: Request<Full<Bytes>>) -> Reply {
        Box::pin(self.parts.service.handle(request)).await.map(Content::Served)
    }

    /// `GET /sse`.
    pub(super) async fn open_stream(&self, mut head: Parts, id: &RequestId) -> Response<Answer> {
        let Some(streams) = &self.streams else { return reply::empty(StatusCode::NOT_FOUND).map(Answer::from) };
        let grant = match self.identify_listener(&mut head, id).await {
            Ok(grant) => grant,
            Err(response) => return response.map(Answer::from),
        };
        let until = grant.until;
        let response = streams.open(grant.principal, id.as_str().into(), self.limits());
        response.map(|content| Answer::from(content).no_longer_than(until))
    }

    /// `POST /messages`.
    pub(super) async fn push(&self, mut head: Parts, incoming: Incoming, id: &RequestId) -> Reply {
        let Some(streams) = &self.streams else { return reply::empty(StatusCode::NOT_FOUND) };
        let Admitted { grant, place: _place, body } = match self.admit(&mut head, incoming, id).await {
            Ok(admitted) => admitted,
            Err(response) => return response,
        };
        if let Some(response) = self.out_of_reach(&grant, &peek(&body), id) {
            return response;
        }
        match streams.push(&head.uri, &grant.principal, body) {
            Ok(()) => reply::empty(StatusCode::ACCEPTED),
            Err(Untaken::Unknown { foreign }) => {
                if foreign {
                    self.refused("foreign_handle", Some(grant.principal.name()), id, head.uri.path());
                }
                reply::error(StatusCode::NOT_FOUND, "there is no such session")
            }
            Err(Untaken::Malformed) => reply::error(StatusCode::BAD_REQUEST, "the body is no message of the protocol"),
            Err(Untaken::Full) => {
                reply::retry_after(reply::error(StatusCode::SERVICE_UNAVAILABLE, "too many calls are under way in this session"), 1)
            }
        }
    }

    /// Who is calling, if he may call now.
    async fn identify(&self, head: &mut Parts, id: &RequestId) -> Result<Grant, Reply> {
        let grant = match self.parts.auth.authenticate(head).await {
            Ok(grant) => grant,
            Err(refusal) => return Err(self.challenge(&refusal, None, head.uri.path(), id)),
        };
        // Nothing behind this point may see a credential, let alone pass it on.
        for name in [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE] {
            head.headers.remove(name);
        }
        head.headers.remove("dpop");
        let taken = self.rate.take(grant.principal.name(), Instant::now());
        self.parts.metrics.rate_limited(taken.is_ok());
        if let Err(wait) = taken {
            self.refused("rate_limited", Some(grant.principal.name()), id, head.uri.path());
            let response = reply::error(StatusCode::TOO_MANY_REQUESTS, "too many requests, try again later");
            return Err(reply::retry_after(response, wait.seconds()));
        }
        Ok(grant)
    }

    /// The same for a request that calls no tool.
    async fn identify_listener(&self, head: &mut Parts, id: &RequestId) -> Result<Grant, Reply> {
        let grant = self.identify(head, id).await?;
        match self.parts.auth.check(&grant, Operation::Protocol) {
            Ok(()) => Ok(grant),
            Err(refusal) => Err(self.challenge(&refusal, Some(&grant), head.uri.path(), id)),
        }
    }

    /// The same for a request with a body. It gets its place among those that are worked on only
    /// once the body is here: a client that sends slowly must not keep others out.
    async fn admit(&self, head: &mut Parts, mut incoming: Incoming, id: &RequestId) -> Result<Admitted, Reply> {
        let grant = match self.identify(head, id).await {
            Ok(grant) => grant,
            Err(response) => {
                linger_unread(head, incoming).await;
                return Err(response);
            }
        };
        let mut share = self.budget.share(grant.principal.name());
        let read = match body::expect_json(&head.headers) {
            Ok(()) => body::read(&head.headers, &mut incoming, self.limits(), &mut share).await,
            Err(error) => Err(error),
        };
        let body = match read {
            Ok(body) => body,
            Err(error) => {
                drop(share);
                self.refused(error.reason(), Some(grant.principal.name()), id, head.uri.path());
                if !matches!(error, BodyError::TooSlow | BodyError::Broken) {
                    linger(incoming, LINGER_BYTES).await;
                }
                let response = reply::error(error.status(), &error.message());
                return Err(if error == BodyError::NoRoom { reply::retry_after(response, 1) } else { response });
            }
        };
        let permit = self.admission.enter(grant.principal.name()).await.map_err(|busy| {
            self.refused("busy", Some(grant.principal.name()), id, head.uri.path());
            reply::retry_after(
                reply::error(StatusCode::SERVICE_UNAVAILABLE, "the server is busy, try again later"),
                busy.retry_after.seconds(),
            )
        })?;
        Ok(Admitted { grant, place: Place { _permit: permit, _share: share }, body })
    }

    /// The challenge, if the token does not reach that far.
    fn out_of_reach(&self, grant: &Grant, seen: &Peek<'_>, id: &RequestId) -> Option<Reply> {
        let (operation, what) = match seen.tool.and_then(|tool| self.parts.dispatcher.definition(tool)) {
            Some(tool) => (Operation::Tool { name: tool.name, family: tool.family(), effect: tool.effect }, tool.name),
            None => (Operation::Protocol, seen.method_label()),
        };
        let refusal = self.parts.auth.check(grant, operation).err()?;
        Some(self.challenge(&refusal, Some(grant), what, id))
    }

    fn challenge(&self, refusal: &Refusal, grant: Option<&Grant>, what: &str, id: &RequestId) -> Reply {
        self.refused(refusal.reason(), grant.map(|grant| grant.principal.name()), id, refusal.detail().unwrap_or(what));
        self.parts.auth.challenge(refusal).map(Content::Whole)
    }
}

/// A request that is worked on.
struct Admitted {
    grant: Grant,
    place: Place,
    body: Bytes,
}

/// What a request holds until it is over.
struct Place {
    _permit: Permit,
    _share: Share,
}

/// Reads a body that is refused unread, unless its client waits to be told to send it.
pub(super) async fn linger_unread(head: &Parts, body: Incoming) {
    if !head.headers.contains_key(header::EXPECT) {
        linger(body, LINGER_UNREAD_BYTES).await;
    }
}

/// Reads on for a moment: a client that is still sending when its connection closes sees a reset
/// instead of the answer.
async fn linger(mut body: Incoming, most: usize) {
    let reading = async {
        let mut left = most;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Whether it ended in time makes no difference.
    timeout(LINGER, reading).await.unwrap_or_default();
}

fn hand_over(head: &mut Parts, grant: Grant, id: &RequestId) {
    head.extensions.insert(grant.principal);
    head.extensions.insert(RequestName(id.as_str().into()));
}

/// Notes how long an operation took, and leaves its place, when its answer is over.
pub(super) struct Ended {
    metrics: crate::Metrics,
    method: &'static str,
    began: Instant,
    status: StatusCode,
    _place: Option<Place>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let error = (!self.status.is_success()).then(|| self.status.as_str());
        self.metrics.operation(self.method, self.began.elapsed(), error);
    }
}
