//! A client of HTTP+SSE as of 2024-11-05: answers come on one stream, requests go elsewhere.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    client::{hello, names},
    http::{Connection, PATIENCE, Request, Response},
    reply::Reply,
    schemas,
    wire::{Line, Recording, To},
};

/// The stream, and the way of requests.
#[derive(Debug)]
pub struct SseClient {
    stream: Connection,
    posts: Connection,
    token: Option<String>,
    endpoint: String,
    next_id: u64,
    inbox: Vec<Value>,
    recording: Recording,
}

impl SseClient {
    /// Opens the stream and does the handshake of a version.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr, token: Option<&str>, version: &str) -> Self {
        let mut client = Self::open(address, token);
        client.initialize(version, &json!({}));
        client
    }

    /// Opens the stream and says nothing yet.
    #[must_use]
    #[track_caller]
    pub fn open(address: SocketAddr, token: Option<&str>) -> Self {
        let mut stream = Connection::open(address);
        stream.send(&Request::get("/sse").header("Accept", "text/event-stream").maybe_bearer(token));
        let head = stream.head();
        assert!(head.status == 200 && head.is_stream(), "no stream of events: {head:?}");
        let first = stream.event(PATIENCE).expect("an endpoint");
        assert_eq!(first.name, "endpoint", "{first:?}");
        Self {
            stream,
            posts: Connection::open(address),
            token: token.map(str::to_owned),
            endpoint: first.data,
            next_id: 1,
            inbox: Vec::new(),
            recording: Recording::default(),
        }
    }

    /// Does the handshake of a client with these capabilities and returns the answer to it.
    #[track_caller]
    pub fn initialize(&mut self, version: &str, capabilities: &Value) -> Value {
        let result = self.request("initialize", hello(version, capabilities)).result().clone();
        self.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        result
    }

    /// Where requests go: a path with the session in it.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: Value) -> Reply {
        let id = self.begin(method, params);
        self.reply(id)
    }

    /// Calls a tool and waits for the answer.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Reply {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Sends a request and returns its id at once.
    #[track_caller]
    pub fn begin(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Sends a message, which must be taken.
    #[track_caller]
    pub fn post(&mut self, message: &Value) {
        self.recording.push(Line { to: To::Server, text: message.to_string(), deliberate: false });
        let response = self.try_post(message);
        assert_eq!(response.status(), 202, "{}", response.text());
    }

    /// Sends a message that is not recorded and says what came of it.
    #[track_caller]
    pub fn try_post(&mut self, message: &Value) -> Response {
        let request = Request::post(&self.endpoint).json(message).maybe_bearer(self.token.as_deref());
        self.posts.ask(&request)
    }

    /// Waits for the answer to a request.
    #[track_caller]
    pub fn reply(&mut self, id: u64) -> Reply {
        let answer = self.take(|message| message.get("method").is_none() && message["id"] == id);
        Reply::new(answer.unwrap_or_else(|| panic!("no answer to request {id}")))
    }

    /// The next message of a method, be it a request or a notification.
    #[track_caller]
    pub fn said(&mut self, method: &str) -> Value {
        self.take(|message| message["method"] == method).unwrap_or_else(|| panic!("the server did not send {method}"))
    }

    /// Answers a request of the server.
    #[track_caller]
    pub fn respond(&mut self, request: &Value, result: &Value) {
        self.post(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }));
    }

    /// The names that `tools/list` gives, in its order.
    #[must_use]
    #[track_caller]
    pub fn tool_names(&mut self) -> Vec<String> {
        let listed = self.request("tools/list", json!({})).result().clone();
        names(&listed["tools"])
    }

    /// The stream, for what this client can't say.
    #[must_use]
    pub const fn stream(&mut self) -> &mut Connection {
        &mut self.stream
    }

    fn take(&mut self, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        if let Some(index) = self.inbox.iter().position(&is_it) {
            return Some(self.inbox.remove(index));
        }
        let deadline = Instant::now() + PATIENCE;
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| *left > Duration::ZERO) {
            let Some(message) = self.stream.event(left)?.message() else { continue };
            self.recording.push(Line { to: To::Client, text: message.to_string(), deliberate: false });
            if is_it(&message) {
                return Some(message);
            }
            self.inbox.push(message);
        }
        None
    }
}

impl Drop for SseClient {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        schemas::assert_valid(&self.recording);
    }
}
