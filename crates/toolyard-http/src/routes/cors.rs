//! Pages of other origins: nothing is said to them unless the operator named their origin.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::reply::{self, Reply};
use crate::middleware::origin::{Origin, OriginRule};

/// Headers of the protocol that a page may send; `Mcp-Param-…` ones beside them.
const SENT: [&str; 9] = [
    "accept",
    "authorization",
    "content-type",
    "dpop",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
];

/// Headers of answers that a page may read.
const READ: HeaderValue = HeaderValue::from_static("mcp-session-id, mcp-protocol-version, retry-after, www-authenticate, x-request-id");

/// Origins whose pages may read answers.
pub(crate) struct Cors {
    origins: Vec<OriginRule>,
}

impl Cors {
    /// Takes origins as [`crate::HttpConfig::allowed_origins`] has them; they have been checked.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self { origins: origins.iter().filter_map(|origin| OriginRule::parse(origin)).collect() }
    }

    /// The origin to answer, when it is one of them.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.origins.is_empty() {
            return None;
        }
        let sent = headers.get(header::ORIGIN)?;
        let origin = Origin::parse(sent.to_str().ok()?)?;
        self.origins.iter().any(|allowed| allowed.allows(&origin)).then(|| sent.clone())
    }

    /// Lets the page read this answer; never with credentials of the browser.
    pub(crate) fn permit(headers: &mut HeaderMap, origin: HeaderValue) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READ);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }

    /// Answers `OPTIONS`; `headers` are those of the request.
    pub(crate) fn options(headers: &HeaderMap, permitted: bool, methods: &'static str) -> Reply {
        let mut response = reply::empty(http::StatusCode::NO_CONTENT);
        let answer = response.headers_mut();
        answer.insert(header::ALLOW, HeaderValue::from_static(methods));
        if permitted && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
            if let Some(names) = sendable(headers) {
                answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
            }
        }
        response
    }
}

/// Of the headers the page wants to send, those it may.
fn sendable(headers: &HeaderMap) -> Option<HeaderValue> {
    const WANTED: HeaderName = header::ACCESS_CONTROL_REQUEST_HEADERS;
    let wanted = headers.get(WANTED)?.to_str().ok()?.to_ascii_lowercase();
    let names: Vec<_> = wanted.split(',').map(str::trim).filter(|name| SENT.contains(name) || name.starts_with("mcp-param-")).collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}
