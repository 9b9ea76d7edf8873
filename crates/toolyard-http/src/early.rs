//! Headers before there is an answer: proxies cut responses whose head takes a minute.
//!
//! A call that takes long is answered with an event stream that is kept alive with comments; what
//! the service answers in the end is spliced into it.

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use toolyard_server::{HttpBody, HttpService, peek};

use crate::{HttpLimits, routes::Content};

type Work = BoxFuture<'static, Result<Response<HttpBody>, Box<dyn Any + Send>>>;

/// A service that panicked; the caller makes a response of it.
pub(crate) struct Panicked;

/// Answers within `limits.early_headers`, or begins a stream then. Dropping the response, or the
/// future, cancels the work.
pub(crate) async fn answer(
    service: HttpService,
    request: Request<Full<Bytes>>,
    body: Bytes,
    limits: &HttpLimits,
) -> Result<Response<Content>, Panicked> {
    let mut work: Work = AssertUnwindSafe(async move { service.handle(request).await }).catch_unwind().boxed();
    match timeout(limits.early_headers, &mut work).await {
        Ok(Ok(response)) => Ok(response.map(Content::Served)),
        Ok(Err(_)) => Err(Panicked),
        Err(_) => {
            let mut response = Response::new(Content::Early(Spliced::new(work, body, limits.keep_alive)));
            stream_headers(&mut response);
            Ok(response)
        }
    }
}

/// Makes a response an event stream that proxies pass on at once.
pub(crate) fn stream_headers<B>(response: &mut Response<B>) {
    const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(UNBUFFERED, HeaderValue::from_static("no"));
}

/// A comment: readers of events skip it.
pub(crate) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Ticks every `period`, the first time after one.
pub(crate) fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// One message as an event. Messages are single lines of JSON; a break would end the field.
pub(crate) fn event(prefix: &str, message: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(prefix.len() + message.len() + 8);
    event.extend_from_slice(prefix.as_bytes());
    event.extend_from_slice(b"data: ");
    event.extend(message.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    event.extend_from_slice(b"\n\n");
    event.freeze()
}

/// A stream that began before there was an answer.
pub(crate) struct Spliced {
    state: State,
    ticks: Interval,
    /// The request, for its id.
    request: Bytes,
}

enum State {
    Begun(Work),
    Working(Work),
    Collecting(HttpBody, BytesMut),
    Streaming(HttpBody),
    Over,
}

impl Spliced {
    fn new(work: Work, request: Bytes, keep_alive: Duration) -> Self {
        Self { state: State::Begun(work), ticks: ticks(keep_alive), request }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.state {
                State::Begun(_) => {
                    let State::Begun(work) = std::mem::replace(&mut self.state, State::Over) else { continue };
                    self.state = State::Working(work);
                    return Poll::Ready(Some(COMMENT));
                }
                State::Working(work) => match work.poll_unpin(cx) {
                    Poll::Ready(Ok(response)) => {
                        let streaming = is_stream(&response);
                        let body = response.into_body();
                        self.state = if streaming { State::Streaming(body) } else { State::Collecting(body, BytesMut::new()) };
                    }
                    Poll::Ready(Err(_)) => return self.finish(&[]),
                    Poll::Pending => {
                        ready!(self.ticks.poll_tick(cx));
                        return Poll::Ready(Some(COMMENT));
                    }
                },
                State::Collecting(body, bytes) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            bytes.extend_from_slice(&data);
                        }
                    }
                    None => {
                        let bytes = std::mem::take(bytes);
                        return self.finish(&bytes);
                    }
                },
                State::Streaming(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(data));
                        }
                    }
                    None => self.state = State::Over,
                },
                State::Over => return Poll::Ready(None),
            }
        }
    }

    /// The status is gone already: whatever is no message of the protocol becomes an error of it.
    fn finish(&mut self, answer: &[u8]) -> Poll<Option<Bytes>> {
        self.state = State::Over;
        if answer.first() == Some(&b'{') {
            return Poll::Ready(Some(event("", answer)));
        }
        // The protocol has no `null` for an id that is not known.
        let id = peek(&self.request).id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
        let error = format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32603,"message":"internal error"}}}}"#);
        Poll::Ready(Some(event("", error.as_bytes())))
    }
}

impl http_body::Body for Spliced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = ready!(self.get_mut().poll_bytes(cx));
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn is_stream<B>(response: &Response<B>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_error_names_the_request_only_if_it_is_known() {
        for (request, want) in [
            (
                r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#,
                r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32603,"message":"internal error"}}"#,
            ),
            (r#"{"jsonrpc":"2.0"}"#, r#"{"jsonrpc":"2.0","error":{"code":-32603,"message":"internal error"}}"#),
        ] {
            let work: Work = futures::future::pending().boxed();
            let mut stream = Spliced::new(work, Bytes::from_static(request.as_bytes()), Duration::from_secs(1));
            let Poll::Ready(Some(event)) = stream.finish(b"") else { panic!("no event") };
            assert_eq!(String::from_utf8_lossy(&event), format!("data: {want}\n\n"));
        }
    }
}
