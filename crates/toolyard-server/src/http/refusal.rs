//! What goes wrong before a handler is reached, as JSON-RPC errors.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Full};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

use super::{HttpBody, peek::Peek};
use crate::from_mcp;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
const UNSUPPORTED_VERSION: i32 = -32022;

/// What SDKs answer for a session that is not there, and what some hosts look for.
const SESSION_NOT_FOUND: i32 = -32001;

/// How many seconds to wait before a request that found no room.
const PAUSE: &str = "2";

/// One answer to a request that no handler saw.
pub(super) struct Refusal {
    status: StatusCode,
    code: i32,
    message: &'static str,
    data: Option<Value>,
    header: Option<(http::HeaderName, &'static str)>,
}

impl Refusal {
    const fn new(status: StatusCode, code: i32, message: &'static str) -> Self {
        Self { status, code, message, data: None, header: None }
    }

    pub(super) const fn not_json() -> Self {
        Self::new(StatusCode::BAD_REQUEST, PARSE_ERROR, "the body is not JSON")
    }

    pub(super) const fn no_message() -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, "the body is not one JSON-RPC message of this protocol")
    }

    pub(super) const fn bad_parameters() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            INVALID_PARAMS,
            "the parameters can't be read; check their JSON, and send no more than 20,000 values",
        )
    }

    pub(super) const fn bad_cursor() -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_PARAMS, from_mcp::MALFORMED_CURSOR)
    }

    pub(super) const fn media_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, "send `Content-Type: application/json`")
    }

    pub(super) const fn not_acceptable() -> Self {
        let message = "send `Accept: application/json, text/event-stream`";
        Self::new(StatusCode::NOT_ACCEPTABLE, INVALID_REQUEST, message)
    }

    pub(super) fn method(allowed: &'static str) -> Self {
        let message = "this method is not allowed here; see the `Allow` header";
        Self { header: Some((ALLOW, allowed)), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, INVALID_REQUEST, message) }
    }

    pub(super) const fn session_required() -> Self {
        let message = "send `initialize` first, and its `Mcp-Session-Id` with every further request";
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, message)
    }

    /// The same whether it never was, has ended, or is another caller's.
    pub(super) const fn session_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, SESSION_NOT_FOUND, "session not found; send `initialize` again")
    }

    pub(super) const fn duplicate_id() -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, "a request with this `id` is under way in the session; use another one")
    }

    pub(super) fn version(requested: &HeaderValue) -> Self {
        let requested = String::from_utf8_lossy(requested.as_bytes());
        let requested = requested.chars().filter(|character| !character.is_control()).take(64).collect::<String>();
        let data = json!({"supported": ProtocolVersion::KNOWN_VERSIONS, "requested": requested});
        let message = "the version in `MCP-Protocol-Version` is not supported";
        Self { data: Some(data), ..Self::new(StatusCode::BAD_REQUEST, UNSUPPORTED_VERSION, message) }
    }

    pub(super) fn too_many_requests(message: &'static str) -> Self {
        Self { header: Some((RETRY_AFTER, PAUSE)), ..Self::new(StatusCode::TOO_MANY_REQUESTS, INTERNAL_ERROR, message) }
    }

    pub(super) fn unavailable(message: &'static str) -> Self {
        Self { header: Some((RETRY_AFTER, PAUSE)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, INTERNAL_ERROR, message) }
    }

    pub(super) const fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL_ERROR, "the server failed; this is a defect")
    }

    /// The answer to the message that was looked at.
    pub(super) fn to(self, asked: Option<&Peek<'_>>) -> Response<HttpBody> {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = self.data {
            error["data"] = data;
        }
        let mut answer = json!({"jsonrpc": "2.0", "error": error});
        // MCP's schema has no `null` here: an id that is not known is left out.
        if let Some(id) = asked.and_then(|asked| asked.id).and_then(|id| serde_json::from_str(id).ok()) {
            answer["id"] = id;
        }
        let body = Bytes::from(answer.to_string());
        let mut response = Response::new(Full::new(body).boxed());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Replaces what the SDK says in plain text; headers that it set stay.
pub(super) fn replace(response: Response<HttpBody>, refusal: Refusal, asked: Option<&Peek<'_>>) -> Response<HttpBody> {
    let mut replaced = refusal.to(asked);
    let mut kept: HeaderMap = response.headers().clone();
    kept.remove(CONTENT_TYPE);
    kept.remove(CONTENT_LENGTH);
    for (name, value) in &kept {
        replaced.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    replaced
}
