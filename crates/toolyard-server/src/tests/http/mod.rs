//! The endpoint without a network: requests in, responses out.

#[cfg(target_os = "linux")]
mod bombs;
mod callers;
mod ends;
mod messages;
mod peek;
mod refusals;
mod sessions;
mod stateless;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toolyard_core::{ApprovalFallback, Principal};

use super::{PATIENCE, Recorder, initialize, recorded, tools};
use crate::{HttpBody, HttpOptions, HttpService, RequestName, Server};

const BOTH: (&str, &str) = ("accept", "application/json, text/event-stream");
const JSON: (&str, &str) = ("content-type", "application/json");

pub(super) struct Endpoint {
    pub(super) service: HttpService,
    pub(super) stop: CancellationToken,
    pub(super) recorder: Recorder,
}

/// A response that was read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: http::response::Parts,
    pub(super) text: String,
}

impl Endpoint {
    pub(super) fn new() -> Self {
        Self::with(&HttpOptions::default())
    }

    pub(super) fn with(options: &HttpOptions) -> Self {
        let recorder = Recorder::default();
        Self::of(&recorded(ApprovalFallback::Deny, tools::toolset(), &recorder), options, recorder)
    }

    pub(super) fn of(server: &Server, options: &HttpOptions, recorder: Recorder) -> Self {
        let stop = CancellationToken::new();
        Self { service: server.http_service(options, stop.clone()), stop, recorder }
    }

    pub(super) async fn send(
        &self,
        method: Method,
        caller: Option<Principal>,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<HttpBody> {
        let mut request = Request::builder().method(method).uri("/mcp").header("host", "localhost").extension(RequestName("r1".into()));
        if let Some(caller) = caller {
            request = request.extension(caller);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("the request is well-formed");
        timeout(PATIENCE, self.service.handle(request)).await.expect("the endpoint answers")
    }

    pub(super) async fn open(&self, method: Method, caller: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<HttpBody> {
        let headers = [&[BOTH, JSON], headers].concat();
        self.send(method, Some(Principal::named(caller)), &headers, body.into()).await
    }

    pub(super) async fn post(&self, caller: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        Reply::of(self.open(Method::POST, caller, headers, body).await).await
    }

    /// Sends a request of the stateless era, with the headers that belong to it.
    pub(super) async fn ask(&self, caller: &str, request: &Value) -> Reply {
        Reply::of(self.open_stateless(caller, request).await).await
    }

    pub(super) async fn open_stateless(&self, caller: &str, request: &Value) -> Response<HttpBody> {
        let name = request["params"]["name"].as_str();
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", request["method"].as_str().unwrap_or_default())];
        headers.extend(name.map(|name| ("mcp-name", name)));
        self.open(Method::POST, caller, &headers, request.to_string()).await
    }

    /// Opens a session of the handshake era.
    pub(super) async fn session(&self, caller: &str) -> Session<'_> {
        self.session_with(caller, json!({})).await
    }

    pub(super) async fn session_with(&self, caller: &str, capabilities: Value) -> Session<'_> {
        let started = self.post(caller, &[], initialize("2025-11-25", capabilities).to_string()).await;
        assert_eq!(started.status, 200, "{started:?}");
        assert_eq!(started.message()["result"]["protocolVersion"], "2025-11-25");
        let id = started.header("mcp-session-id").to_owned();
        let session = Session { endpoint: self, caller: caller.to_owned(), id };
        let initialized = session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        assert_eq!((initialized.status, initialized.text.as_str()), (202, ""));
        session
    }
}

impl Reply {
    pub(super) async fn of(response: Response<HttpBody>) -> Self {
        let (head, body) = response.into_parts();
        let body = timeout(PATIENCE, body.collect()).await.expect("the response ends").expect("bodies don't fail");
        let text = String::from_utf8(body.to_bytes().to_vec()).expect("the body is text");
        Self { status: head.status.as_u16(), head, text }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// All messages, of a stream or of a single JSON body.
    pub(super) fn messages(&self) -> Vec<Value> {
        match self.header("content-type") {
            "application/json" => vec![serde_json::from_str(&self.text).expect("the body is JSON")],
            _ => events(&self.text),
        }
    }

    /// The last message, which answers the request.
    pub(super) fn message(&self) -> Value {
        self.messages().pop().unwrap_or_default()
    }

    /// Status and code of an error that has no other parts than JSON-RPC knows.
    pub(super) fn error(&self) -> (u16, i64) {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let message = self.message();
        assert_eq!(message["jsonrpc"], "2.0", "{self:?}");
        assert!(message["error"]["message"].is_string(), "{self:?}");
        (self.status, message["error"]["code"].as_i64().unwrap_or_default())
    }
}

pub(super) fn events(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| line.strip_prefix("data:")).filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// A session as its owner uses it.
pub(super) struct Session<'e> {
    pub(super) endpoint: &'e Endpoint,
    pub(super) caller: String,
    pub(super) id: String,
}

impl Session<'_> {
    pub(super) async fn post(&self, message: &Value) -> Reply {
        Reply::of(self.open(Method::POST, &message.to_string()).await).await
    }

    pub(super) async fn open(&self, method: Method, body: &str) -> Response<HttpBody> {
        self.endpoint.open(method, &self.caller, &[("mcp-session-id", &self.id)], body.to_owned()).await
    }

    pub(super) async fn text(&self, tool: &str, arguments: Value) -> String {
        let answer = self.post(&super::call(1, tool, arguments)).await.message();
        answer["result"]["content"][0]["text"].as_str().unwrap_or(&answer.to_string()).to_owned()
    }
}

/// Waits until it is so.
pub(super) async fn until(mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it comes to be so");
}

/// The next messages of a stream that stays open, up to and with one that is `last`.
pub(super) async fn read_until(body: &mut HttpBody, last: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut text = String::new();
    let read = async {
        loop {
            let frame = body.frame().await.expect("the stream goes on").expect("bodies don't fail");
            text.push_str(str::from_utf8(&frame.into_data().unwrap_or_default()).expect("the stream is text"));
            if events(&text).last().is_some_and(&last) {
                return;
            }
        }
    };
    timeout(PATIENCE, read).await.expect("the message comes");
    events(&text)
}
