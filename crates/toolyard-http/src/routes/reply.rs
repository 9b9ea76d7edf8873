//! Small responses that the transport makes itself.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::Content;

/// What a request is answered with when it does not get to the protocol.
pub(crate) type Reply = Response<Content>;

/// JSON that is never stored.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Content::Whole(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A refusal in the words of the protocol, which has no `null` for an id that is not known;
/// `message` is plain text without quotes.
pub(crate) fn error(status: StatusCode, message: &str) -> Reply {
    let code = if status.is_server_error() { -32603 } else { -32600 };
    json(status, format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"{message}"}}}}"#))
}

/// A refusal outside of the protocol.
pub(crate) fn refuse(status: StatusCode, reason: &'static str) -> Reply {
    json(status, format!(r#"{{"error":"{reason}"}}"#))
}

/// Nothing but a status.
pub(crate) fn empty(status: StatusCode) -> Reply {
    let mut response = Response::new(Content::Empty);
    *response.status_mut() = status;
    response
}

pub(crate) fn method_not_allowed(allowed: &'static str) -> Reply {
    let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

pub(crate) fn retry_after(mut response: Reply, seconds: u64) -> Reply {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}
