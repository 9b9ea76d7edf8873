//! A raw MCP client: it writes JSON-RPC lines to the server's pipe and reads what comes back.
//!
//! When it is dropped it checks that standard output carried nothing but JSON-RPC and that
//! every message fits the official schema of its protocol version.

use std::{
    collections::VecDeque,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{process::Process, reply::Reply, schemas};

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The newest protocol version, which has no handshake.
pub const MODERN: &str = "2026-07-28";

/// The newest protocol version that starts with `initialize`.
pub const LEGACY: &str = "2025-11-25";

/// Every protocol version that starts with `initialize`.
pub const HANDSHAKES: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY];

/// A server process and the conversation with it.
#[derive(Debug)]
pub struct Client {
    process: Process,
    modern: bool,
    next_id: u64,
    inbox: VecDeque<Value>,
}

impl Client {
    /// Starts a server and says nothing yet; requests are sent without `_meta`.
    #[must_use]
    pub fn silent(command: Command) -> Self {
        Self { process: Process::spawn(command), modern: false, next_id: 1, inbox: VecDeque::new() }
    }

    /// Starts a server and speaks the newest protocol: no handshake, `_meta` on each request.
    #[must_use]
    pub fn modern(command: Command) -> Self {
        let mut client = Self::silent(command);
        client.modern = true;
        client
    }

    /// Starts a server and does the handshake of an older protocol version.
    #[must_use]
    pub fn legacy(command: Command, version: &str) -> Self {
        let mut client = Self::silent(command);
        client.initialize(version);
        client
    }

    /// Does the handshake and returns the server's answer to it.
    #[track_caller]
    pub fn initialize(&mut self, version: &str) -> Value {
        self.initialize_with(version, &json!({}))
    }

    /// Does the handshake of a client with these capabilities.
    #[track_caller]
    pub fn initialize_with(&mut self, version: &str, capabilities: &Value) -> Value {
        let result = self.request("initialize", hello(version, capabilities)).result().clone();
        self.notify("notifications/initialized", json!({}));
        result
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
        let id = self.begin_call(tool, arguments);
        self.reply(id)
    }

    /// Sends a tool call and returns its id at once.
    pub fn begin_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.begin("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Sends a request and returns its id at once.
    pub fn begin(&mut self, method: &str, mut params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        if self.modern {
            add_modern_meta(&mut params);
        }
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.process.send(request.to_string().as_bytes(), false);
        id
    }

    /// Sends a notification.
    pub fn notify(&mut self, method: &str, params: Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.process.send(message.to_string().as_bytes(), false);
    }

    /// Sends a line as it is; no schema is expected to hold for it.
    pub fn raw(&mut self, line: impl AsRef<[u8]>) {
        self.process.send(line.as_ref(), true);
    }

    /// Waits for the answer to a request.
    #[track_caller]
    pub fn reply(&mut self, id: impl Into<Value>) -> Reply {
        let id = id.into();
        match self.reply_within(&id, PATIENCE) {
            Some(reply) => reply,
            None => panic!("no answer to request {id}; the server said: {}", self.process.errors()),
        }
    }

    /// The answer to a request, or `None` when it does not come in time.
    #[must_use]
    pub fn reply_within(&mut self, id: &Value, limit: Duration) -> Option<Reply> {
        let is_it = |message: &Value| message.get("method").is_none() && message["id"] == *id;
        self.take(limit, is_it).map(Reply::new)
    }

    /// The next notification of a kind, or `None` when it does not come in time.
    #[must_use]
    pub fn notification(&mut self, method: &str, limit: Duration) -> Option<Value> {
        self.take(limit, |message| message["method"] == method)
    }

    /// The next request that the server makes of this client.
    #[track_caller]
    pub fn server_request(&mut self, method: &str) -> Value {
        let is_it = |message: &Value| message["method"] == method && message.get("id").is_some();
        match self.take(PATIENCE, is_it) {
            Some(request) => request,
            None => panic!("the server did not ask for {method}; it said: {}", self.process.errors()),
        }
    }

    /// Answers a request of the server.
    pub fn respond(&mut self, request: &Value, result: &Value) {
        let response = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        self.process.send(response.to_string().as_bytes(), false);
    }

    /// Everything that arrives until the server has been quiet for `pause`.
    pub fn until_quiet(&mut self, pause: Duration) -> Vec<Value> {
        while let Some(line) = self.process.receive(pause) {
            self.inbox.push_back(parsed(&line));
        }
        self.inbox.drain(..).collect()
    }

    /// The names that `tools/list` gives, in its order.
    #[must_use]
    #[track_caller]
    pub fn tool_names(&mut self) -> Vec<String> {
        let listed = self.request("tools/list", json!({})).result().clone();
        names(&listed["tools"])
    }

    /// Ends the input and measures how long the server takes to exit with code 0.
    #[track_caller]
    pub fn hang_up(&mut self) -> Duration {
        let start = Instant::now();
        self.process.close_input();
        let status = self.process.wait(PATIENCE);
        let took = start.elapsed();
        let errors = self.process.errors();
        let status = status.unwrap_or_else(|| panic!("still running after {took:?}: {errors}"));
        assert_eq!(status.code(), Some(0), "the server failed at the end of its input: {errors}");
        took
    }

    /// The server process.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn take(&mut self, limit: Duration, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + limit;
        let mut seen = 0;
        loop {
            while let Some(message) = self.inbox.get(seen) {
                if is_it(message) {
                    return self.inbox.remove(seen);
                }
                seen += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.process.receive(left)?;
            self.inbox.push_back(parsed(&line));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        schemas::assert_valid(self.process.recording());
    }
}

/// The parameters of `initialize`.
#[must_use]
pub fn hello(version: &str, capabilities: &Value) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": { "name": "toolyard-it", "version": "1" },
    })
}

/// Completes parameters by what a modern request must carry; what they have of it stays.
pub fn add_modern_meta(params: &mut Value) {
    let known = params["_meta"].as_object().cloned().unwrap_or_default();
    params["_meta"] = modern_meta(MODERN);
    for (key, value) in known {
        params["_meta"][key] = value;
    }
}

/// The `_meta` that a modern request must carry.
#[must_use]
pub fn modern_meta(version: &str) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "toolyard-it", "version": "1" },
    })
}

/// The names in a list of tools, in its order.
#[must_use]
#[track_caller]
pub fn names(tools: &Value) -> Vec<String> {
    let tools = tools.as_array().unwrap_or_else(|| panic!("not a list of tools: {tools}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a tool name").to_owned()).collect()
}

#[track_caller]
fn parsed(line: &str) -> Value {
    match serde_json::from_str(line) {
        Ok(message) => message,
        Err(error) => panic!("standard output carried something else than JSON ({error}): {line}"),
    }
}
