//! Requests encoded once and answers read with as little work as possible, so that the time
//! measured is the server's.

use std::{io::Write as _, net::SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(super) const MODERN: &str = "2026-07-28";
pub(super) const LEGACY: &str = "2025-11-25";

/// Stands for the id of a call, which replaces it wherever it occurs, in a text as well. All ids
/// have as many digits.
pub(super) const ID: u64 = 1_000_000_000;

/// A server, and how to ask it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) token: Option<String>,
    /// The revision of the protocol: [`MODERN`] has no sessions, [`LEGACY`] has.
    pub(super) revision: &'static str,
}

/// A tool call, and what its answer has to hold.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) tool: &'static str,
    pub(super) arguments: Value,
    pub(super) answer: String,
}

impl Call {
    /// A message that differs from call to call, so that an answer to another call is noticed.
    pub(super) fn echo(tool: &'static str) -> Self {
        let message = format!("message {ID}");
        Self { tool, arguments: json!({ "message": message }), answer: message }
    }
}

impl Target {
    /// The bytes of a request with these headers beside those that every request has.
    pub(super) fn request(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut bytes =
            format!("{line} HTTP/1.1\r\nHost: {}\r\nAccept: application/json, text/event-stream\r\n", self.address).into_bytes();
        let mut header = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                bytes.extend_from_slice(part.as_bytes());
            }
        };
        if let Some(token) = &self.token {
            header("Authorization", &format!("Bearer {token}"));
        }
        for (name, value) in headers {
            header(name, value);
        }
        if !body.is_empty() {
            header("Content-Type", "application/json");
            header("Content-Length", &body.len().to_string());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes
    }

    /// A message to the endpoint, in a session if there is one.
    pub(super) fn message(&self, message: &Value, session: Option<&str>) -> Vec<u8> {
        let mut headers = vec![("MCP-Protocol-Version", self.revision)];
        headers.extend(session.map(|session| ("Mcp-Session-Id", session)));
        if self.revision == MODERN {
            headers.extend(message["method"].as_str().map(|method| ("Mcp-Method", method)));
            headers.extend(message["params"]["name"].as_str().map(|name| ("Mcp-Name", name)));
        }
        self.request("POST /mcp", &headers, message.to_string().as_bytes())
    }

    /// A request of this revision with its id still to be set.
    pub(super) fn ask(&self, method: &str, mut params: Value) -> Value {
        if self.revision == MODERN {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        json!({ "jsonrpc": "2.0", "id": ID, "method": method, "params": params })
    }

    pub(super) fn initialize(&self) -> Value {
        let client = json!({ "name": "bench", "version": "1" });
        self.ask("initialize", json!({ "protocolVersion": self.revision, "capabilities": {}, "clientInfo": client }))
    }
}

/// The message that ends a handshake.
pub(super) fn initialized() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })
}

/// A request that is sent again and again, with another id each time.
pub(super) struct Template {
    request: Patched,
    id: Patched,
    answer: Patched,
}

impl Template {
    pub(super) fn new(target: &Target, call: &Call, session: Option<&str>) -> Self {
        let message = target.ask("tools/call", json!({ "name": call.tool, "arguments": call.arguments }));
        Self {
            request: Patched::new(target.message(&message, session)),
            id: Patched::new(format!("\"id\":{ID}").into_bytes()),
            answer: Patched::new(call.answer.clone().into_bytes()),
        }
    }

    pub(super) fn request(&mut self, id: u64) -> Result<&[u8]> {
        self.request.set(id)
    }

    /// Whether this is the answer to the request with this id.
    pub(super) fn check(&mut self, id: u64, answer: &Answer<'_>) -> Result<()> {
        let right = answer.status == 200
            && memmem::find(answer.body, self.id.set(id)?).is_some()
            && memmem::find(answer.body, self.answer.set(id)?).is_some()
            && memmem::find(answer.body, b"\"isError\":true").is_none();
        ensure!(right, "status {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        Ok(())
    }
}

/// Bytes with places for an id.
struct Patched {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Patched {
    fn new(bytes: Vec<u8>) -> Self {
        let places = memmem::find_iter(&bytes, ID.to_string().as_bytes()).collect();
        Self { bytes, places }
    }

    fn set(&mut self, id: u64) -> Result<&[u8]> {
        for &place in &self.places {
            let mut digits = self.bytes.get_mut(place..place + 10).context("an id has ten digits")?;
            write!(digits, "{id:010}")?;
        }
        Ok(&self.bytes)
    }
}

/// An answer in the buffer of its connection; the body as it was sent, chunks put together.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) head: &'a str,
    pub(super) body: &'a [u8],
}

impl Answer<'_> {
    /// The value of a header whose name is given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

/// A connection that is kept alive.
pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    used: usize,
    body: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(2048), used: 0, body: Vec::new() })
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// One whole answer.
    pub(super) async fn receive(&mut self) -> Result<Answer<'_>> {
        self.received.drain(..std::mem::take(&mut self.used));
        let head = self.head().await?;
        let text = std::str::from_utf8(self.received.get(..head).unwrap_or_default())?;
        let status = status(text)?;
        if let Some(length) = header(text, "content-length") {
            let end = head + length.parse::<usize>()?;
            while self.received.len() < end {
                self.more().await?;
            }
            self.used = end;
        } else if header(text, "transfer-encoding").is_some() {
            self.chunks(head).await?;
        } else {
            self.used = head;
        }
        let (text, rest) = self.received.split_at(head);
        let body = if self.body.is_empty() { rest.get(..self.used - head).unwrap_or_default() } else { &self.body };
        Ok(Answer { status, head: std::str::from_utf8(text)?, body })
    }

    /// The head of an answer that has no end; what follows is read with [`Connection::until`].
    pub(super) async fn open_stream(&mut self) -> Result<String> {
        let head = self.head().await?;
        let text = std::str::from_utf8(self.received.get(..head).unwrap_or_default())?.to_owned();
        ensure!(status(&text)? == 200, "{}", String::from_utf8_lossy(&self.received));
        self.received.drain(..head);
        Ok(text)
    }

    /// Reads from a stream until it has sent this, and gives all that came since the last time.
    pub(super) async fn until(&mut self, wanted: &[u8]) -> Result<String> {
        loop {
            if let Some(at) = memmem::find(&self.received, wanted)
                && let Some(end) = memchr::memchr(b'\n', self.received.get(at + wanted.len()..).unwrap_or_default())
            {
                let read: Vec<u8> = self.received.drain(..=at + wanted.len() + end).collect();
                return Ok(String::from_utf8_lossy(&read).into_owned());
            }
            self.more().await?;
        }
    }

    /// Sends and receives, for what is done once.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.send(request).await?;
        self.receive().await
    }

    async fn head(&mut self) -> Result<usize> {
        self.body.clear();
        loop {
            if let Some(at) = memmem::find(&self.received, b"\r\n\r\n") {
                return Ok(at + 4);
            }
            self.more().await?;
        }
    }

    async fn chunks(&mut self, mut at: usize) -> Result<()> {
        loop {
            let rest = self.received.get(at..).unwrap_or_default();
            let Some(line) = memmem::find(rest, b"\r\n") else {
                self.more().await?;
                continue;
            };
            let size = usize::from_str_radix(std::str::from_utf8(rest.get(..line).unwrap_or_default())?.trim(), 16)?;
            let (start, end) = (at + line + 2, at + line + 2 + size);
            while self.received.len() < end + 2 {
                self.more().await?;
            }
            self.body.extend_from_slice(self.received.get(start..end).unwrap_or_default());
            at = end + 2;
            if size == 0 {
                self.used = at;
                return Ok(());
            }
        }
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.received).await? == 0 {
            bail!("the server closed the connection after {:?}", String::from_utf8_lossy(&self.received));
        }
        Ok(())
    }
}

fn status(head: &str) -> Result<u16> {
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).context("no status line")?;
    Ok(status.parse()?)
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim())
}
