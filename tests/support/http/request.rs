//! A request as its bytes.

use std::fmt::Write as _;

use serde_json::Value;

/// One request; nothing is added to it but `Host` and `Content-Length`, and both can be replaced.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    /// The version its JSON-RPC answer is judged by, when the body does not name one.
    version: Option<String>,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: None, version: None }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A `POST` without a body yet.
    #[must_use]
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// A `DELETE`.
    #[must_use]
    pub fn delete(target: &str) -> Self {
        Self::new("DELETE", target)
    }

    /// A JSON-RPC message to `/mcp` with the headers that Streamable HTTP asks for.
    #[must_use]
    pub fn message(message: &Value) -> Self {
        Self::post("/mcp").header("Accept", "application/json, text/event-stream").json(message)
    }

    /// Adds a header; a second one of the same name does not replace the first.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("MCP-Protocol-Version") {
            self.version = Some(value.to_owned());
        }
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts a header in the place of all of its name.
    #[must_use]
    pub fn replace(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    /// Takes all headers of a name away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Sends a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.replace("Authorization", &format!("Bearer {token}"))
    }

    /// Sends a bearer token if there is one.
    #[must_use]
    pub fn maybe_bearer(self, token: Option<&str>) -> Self {
        match token {
            Some(token) => self.bearer(token),
            None => self,
        }
    }

    /// Sends a JSON body.
    #[must_use]
    pub fn json(self, value: &Value) -> Self {
        self.replace("Content-Type", "application/json").body(value.to_string())
    }

    /// Sends these bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The version of the protocol its answer is judged by.
    #[must_use]
    pub fn judged_by(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// The request line and the headers, with the empty line; `host` stands where no `Host` was given.
    #[must_use]
    pub fn head(&self, host: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let given = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut add = |name: &str, value: &str| write!(text, "{name}: {value}\r\n").expect("memory takes any text");
        if !given("Host") {
            add("Host", host);
        }
        if let Some(body) = &self.body
            && !given("Content-Length")
            && !given("Transfer-Encoding")
        {
            add("Content-Length", &body.len().to_string());
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Everything that goes over the wire.
    #[must_use]
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut bytes = self.head(host);
        bytes.extend_from_slice(self.body_bytes());
        bytes
    }

    /// The body; empty when there is none.
    #[must_use]
    pub fn body_bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The version its answer is judged by, if it names one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub(crate) fn expects_body(&self) -> bool {
        self.method != "HEAD"
    }
}
