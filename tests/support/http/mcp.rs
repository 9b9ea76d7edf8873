//! A client of Streamable HTTP in either era, on one connection that is kept.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    client::{MODERN, add_modern_meta, hello, names},
    http::{Connection, Request, Response},
    reply::Reply,
};

/// The requests of one client and, in the handshake era, its session.
#[derive(Debug)]
pub struct Mcp {
    address: SocketAddr,
    token: Option<String>,
    version: String,
    session: Option<String>,
    connection: Connection,
    next_id: u64,
    /// What came beside the answers.
    inbox: Vec<Value>,
}

impl Mcp {
    /// A client of the stateless era.
    #[must_use]
    #[track_caller]
    pub fn modern(address: SocketAddr, token: Option<&str>) -> Self {
        Self {
            address,
            token: token.map(str::to_owned),
            version: MODERN.to_owned(),
            session: None,
            connection: Connection::open(address),
            next_id: 1,
            inbox: Vec::new(),
        }
    }

    /// A client that has done the handshake of an older version.
    #[must_use]
    #[track_caller]
    pub fn legacy(address: SocketAddr, token: Option<&str>, version: &str) -> Self {
        let mut client = Self::modern(address, token);
        let response = client.initialize(version, &json!({}));
        assert_eq!(response.status(), 200, "{}", response.text());
        client
    }

    /// Does the handshake of a client with these capabilities and returns the answer to it.
    #[track_caller]
    pub fn initialize(&mut self, version: &str, capabilities: &Value) -> Response {
        version.clone_into(&mut self.version);
        self.session = None;
        let request = self.message("initialize", hello(version, capabilities)).without("MCP-Protocol-Version");
        let response = self.connection.ask(&request);
        if response.status() == 200 {
            self.session = response.header("mcp-session-id").map(str::to_owned);
            let accepted = self.notify("notifications/initialized", json!({}));
            assert_eq!(accepted.status(), 202, "{}", accepted.text());
        }
        response
    }

    /// Sends another token from now on, or none.
    pub fn set_token(&mut self, token: Option<&str>) {
        self.token = token.map(str::to_owned);
    }

    /// The session, in the handshake era.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// A request ready to be sent or changed.
    #[must_use]
    pub fn message(&mut self, method: &str, mut params: Value) -> Request {
        let id = self.next_id;
        self.next_id += 1;
        if self.is_modern() {
            add_modern_meta(&mut params);
        }
        self.addressed(method, &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    }

    /// A tool call ready to be sent or changed.
    #[must_use]
    pub fn call_message(&mut self, tool: &str, arguments: &Value) -> Request {
        self.message("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Sends a request and waits for everything that comes back.
    #[track_caller]
    pub fn exchange(&mut self, method: &str, params: Value) -> Response {
        let request = self.message(method, params);
        self.connection.ask(&request)
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: Value) -> Reply {
        let response = self.exchange(method, params);
        self.inbox.extend(response.messages().into_iter().filter(|message| message.get("method").is_some()));
        response.reply()
    }

    /// Calls a tool and waits for the answer.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Reply {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Sends a request on a connection of its own and returns that at once.
    #[must_use]
    #[track_caller]
    pub fn begin(&mut self, method: &str, params: Value) -> Connection {
        let request = self.message(method, params);
        let mut connection = Connection::open(self.address);
        connection.send(&request);
        connection
    }

    /// Sends a tool call on a connection of its own and returns that at once.
    #[must_use]
    #[track_caller]
    pub fn begin_call(&mut self, tool: &str, arguments: Value) -> Connection {
        self.begin("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Opens the stream for messages that answer no request, in the handshake era.
    #[must_use]
    #[track_caller]
    pub fn listen(&self) -> Connection {
        let mut connection = Connection::open(self.address);
        connection.send(&self.identified(Request::get("/mcp").header("Accept", "text/event-stream")));
        connection
    }

    /// Sends a notification.
    #[track_caller]
    pub fn notify(&mut self, method: &str, params: Value) -> Response {
        let request = self.addressed(method, &json!({ "jsonrpc": "2.0", "method": method, "params": params }));
        self.connection.ask(&request)
    }

    /// Answers a request of the server.
    #[track_caller]
    pub fn respond(&mut self, request: &Value, result: &Value) -> Response {
        let message = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        let request = self.identified(Request::message(&message));
        self.connection.ask(&request)
    }

    /// Ends the session.
    #[track_caller]
    pub fn close(&mut self) -> Response {
        let request = self.identified(Request::delete("/mcp"));
        self.connection.ask(&request)
    }

    /// Takes what came beside the answers so far.
    #[must_use]
    pub fn notifications(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.inbox)
    }

    /// The names that `tools/list` gives, in its order.
    #[must_use]
    #[track_caller]
    pub fn tool_names(&mut self) -> Vec<String> {
        let listed = self.request("tools/list", json!({})).result().clone();
        names(&listed["tools"])
    }

    /// The connection, for what this client can't say.
    #[must_use]
    pub const fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Goes on with a new connection.
    #[track_caller]
    pub fn reconnect(&mut self) {
        self.connection = Connection::open(self.address);
    }

    fn is_modern(&self) -> bool {
        self.version == MODERN
    }

    fn addressed(&self, method: &str, message: &Value) -> Request {
        let mut request = self.identified(Request::message(message));
        if self.is_modern() {
            request = request.header("Mcp-Method", method);
            let params = &message["params"];
            if let Some(name) = params["name"].as_str().or_else(|| params["uri"].as_str()) {
                request = request.header("Mcp-Name", name);
            }
        }
        request
    }

    fn identified(&self, request: Request) -> Request {
        let request = request.header("MCP-Protocol-Version", &self.version).maybe_bearer(self.token.as_deref());
        match &self.session {
            Some(session) => request.header("Mcp-Session-Id", session),
            None => request,
        }
    }
}
