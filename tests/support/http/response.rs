//! What came back.

use serde_json::Value;

use crate::reply::Reply;

/// The status line and the headers.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head without its empty line.
    ///
    /// # Panics
    /// When it is no HTTP/1.1.
    #[track_caller]
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("a head is text");
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let code = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let status = code.unwrap_or_else(|| panic!("not a status line: {status}"));
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a header: {line}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(header).collect() }
    }

    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All headers of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().filter(move |(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// Every header, with its name in lower case.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Whether the body is a stream of events.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
    }
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its kind; `message` when it names none.
    pub name: String,
    /// Its data, lines joined.
    pub data: String,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// The time to wait before coming back, in milliseconds, if it says so.
    pub retry: Option<u64>,
    /// Whether it was only a comment.
    pub comment: bool,
}

impl Event {
    /// Reads one block of a stream.
    pub(crate) fn parse(block: &str) -> Self {
        let mut event = Self { name: "message".to_owned(), ..Self::default() };
        let (mut data, mut fields) = (Vec::new(), 0);
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            fields += usize::from(!field.is_empty());
            match field {
                "event" => value.clone_into(&mut event.name),
                "data" => data.push(value),
                "id" => event.id = Some(value.to_owned()),
                "retry" => event.retry = value.parse().ok(),
                _ => {}
            }
        }
        event.comment = fields == 0;
        event.data = data.join("\n");
        event
    }

    /// Its data as a JSON-RPC message; none for comments and events without one.
    #[must_use]
    pub fn message(&self) -> Option<Value> {
        if self.name != "message" || self.data.is_empty() {
            return None;
        }
        Some(serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("an event without JSON ({error}): {}", self.data)))
    }
}

/// A whole response.
#[derive(Clone, Debug)]
#[must_use = "a response that nobody looks at proves nothing"]
pub struct Response {
    head: Head,
    body: Vec<u8>,
}

impl Response {
    pub(crate) const fn new(head: Head, body: Vec<u8>) -> Self {
        Self { head, body }
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.head.status
    }

    /// The status line and the headers.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as it came, chunks joined.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("not JSON ({error}), status {}: {}", self.status(), self.text()))
    }

    /// The events of a stream that has ended, comments included.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let text = self.text().replace("\r\n", "\n");
        text.split("\n\n").filter(|block| !block.trim().is_empty()).map(Event::parse).collect()
    }

    /// Every JSON-RPC message in the body, whether it is JSON or a stream.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        if self.head.is_stream() {
            return self.events().iter().filter_map(Event::message).collect();
        }
        serde_json::from_slice(&self.body).ok().filter(|value: &Value| value.get("jsonrpc").is_some()).into_iter().collect()
    }

    /// The one JSON-RPC response in the body.
    #[track_caller]
    pub fn reply(&self) -> Reply {
        let answer = self.messages().into_iter().find(|message| message.get("method").is_none());
        Reply::new(answer.unwrap_or_else(|| panic!("no answer, status {}: {}", self.status(), self.text())))
    }
}
