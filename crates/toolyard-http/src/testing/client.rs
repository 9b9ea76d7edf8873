//! HTTP by hand: what is sent and received is exactly what is written here.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    time::timeout,
};

use super::{PATIENCE, borrowed, stateless_call};

/// A connection.
pub(crate) struct Client<S> {
    stream: BufReader<S>,
    pub(crate) host: String,
}

/// A response; the body is empty for streams, whose events are read one by one.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Reply {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of a tool's answer.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        let json = self.json();
        json["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {json}")).to_owned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream: BufReader::new(stream), host: "localhost".to_owned() }
    }

    pub(crate) async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).await.expect("it takes bytes");
        self.stream.get_mut().flush().await.expect("it takes bytes");
    }

    /// Sends a request with these header lines.
    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        self.send_raw(head + "\r\n" + body).await;
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(method, path, headers, body).await;
        self.reply().await
    }

    /// Calls a tool in the stateless era.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Reply {
        let (headers, body) = stateless_call(tool, arguments);
        self.ask("POST", "/mcp", &borrowed(&headers), &body).await
    }

    /// Reads a response; that of a stream ends with its head.
    pub(crate) async fn reply(&mut self) -> Reply {
        let mut reply = self.head().await;
        let streaming = reply.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !streaming {
            reply.body = self.rest(&reply).await;
        }
        reply
    }

    pub(crate) async fn head(&mut self) -> Reply {
        let mut head = String::new();
        loop {
            let line = self.line().await;
            if line == "\r\n" {
                break;
            }
            assert!(!line.is_empty(), "the connection closed after {head:?}");
            head += &line;
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let mut reply = Reply { status, head, body: String::new(), framing: Framing::Length(0) };
        reply.framing = match reply.header("content-length") {
            Some(length) => Framing::Length(length.parse().expect("a number")),
            None if reply.header("transfer-encoding") == Some("chunked") => Framing::Chunked,
            None => Framing::Length(0),
        };
        reply
    }

    /// The body up to its end.
    pub(crate) async fn rest(&mut self, reply: &Reply) -> String {
        match reply.framing {
            Framing::Length(length) => {
                let mut body = vec![0; length];
                timeout(PATIENCE, self.stream.read_exact(&mut body)).await.expect("a body").expect("a whole body");
                String::from_utf8(body).expect("UTF-8")
            }
            Framing::Chunked => {
                let mut body = String::new();
                while let Some(chunk) = self.chunk().await {
                    body += &chunk;
                }
                body
            }
        }
    }

    /// The next chunk of a stream; none at its end.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let size = self.line().await;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("no chunk size: {size:?}"));
        let mut chunk = vec![0; size + 2];
        timeout(PATIENCE, self.stream.read_exact(&mut chunk)).await.expect("a chunk").expect("a whole chunk");
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).expect("UTF-8"))
    }

    /// The data of the next event that is a message.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        let mut text = String::new();
        while let Some(chunk) = self.chunk().await {
            text += &chunk;
            let data: String = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
            if text.ends_with("\n\n") && !data.is_empty() {
                return Some(serde_json::from_str(&data).unwrap_or(Value::String(data)));
            }
            if text.ends_with("\n\n") {
                text.clear();
            }
        }
        None
    }

    /// Whether the server closed the connection.
    pub(crate) async fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.expect("it closes") {
            Ok(_) => rest.is_empty(),
            Err(_) => true,
        }
    }

    /// Whether the server closed the connection, at most after an answer with this status.
    pub(crate) async fn closed_or_refused(&mut self, status: u16) -> bool {
        let rest = self.everything().await;
        rest.is_empty() || rest.starts_with(&format!("HTTP/1.1 {status} "))
    }

    /// All that comes until the connection closes.
    pub(crate) async fn everything(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset ends it as well.
        timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.expect("it closes").unwrap_or_default();
        String::from_utf8_lossy(&rest).into_owned()
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.stream.read_line(&mut line)).await.expect("an answer in time").expect("UTF-8 and no reset");
        line
    }
}
