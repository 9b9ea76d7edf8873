//! What a message is about, found out without reading it: one pass, nothing copied.
//!
//! Scopes are checked by this, so it must see the very method and tool that will run. Whatever
//! could be read in two ways is [`PeekKind::Malformed`] and runs nothing: keys that come twice,
//! keys and names spelt with escapes, members of a request and of a response in one message.

use memchr::{memchr2, memmem};

use crate::from_mcp::KNOWN_METHODS;

/// Deeper messages are refused before anything recursive reads them.
const MAX_DEPTH: usize = 100;

/// Messages of more values are refused: read, a value can take a hundred times the room of its
/// spelling, so that a body of a few megabytes could take a gigabyte.
const MAX_VALUES: usize = 20_000;

/// Longer ids are refused: they are written into the audit trail.
const MAX_ID: usize = 256;

/// Whole numbers in the spelling of fractions are exact below this.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The `_meta` key by which a request says that it belongs to the stateless era.
const VERSION_KEY: &[u8] = b"\"io.modelcontextprotocol/protocolVersion\"";

/// Notifications, and requests the SDK does not know, for figures.
const OTHER_METHODS: [&str; 8] = [
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "tasks/list",
    "tasks/result",
];

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    /// Which kind of message it is.
    pub kind: PeekKind,
    /// The method of a request or notification.
    pub method: Option<&'a str>,
    /// The tool that a `tools/call` names; never missing in a request with that method.
    pub tool: Option<&'a str>,
    /// The id as it is spelt in the message: a number, or a string with its quotes.
    pub id: Option<&'a str>,
    /// Whether the request seems to say itself which protocol version it speaks; only a hint.
    pub stateless: bool,
}

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeekKind {
    /// It wants an answer.
    Request,
    /// It wants none.
    Notification,
    /// It answers a request of the server.
    Response,
    /// No message of the protocol, or one that could be read in two ways; it runs nothing.
    Malformed,
}

impl Peek<'_> {
    /// The method if the protocol has it, `other` for any other and `none` without one: a closed
    /// set, whatever clients send.
    pub fn method_label(&self) -> &'static str {
        match self.method {
            Some(method) => KNOWN_METHODS.into_iter().chain(OTHER_METHODS).find(|known| *known == method).unwrap_or("other"),
            None => "none",
        }
    }
}

/// Looks into the body of a request.
pub fn peek(body: &[u8]) -> Peek<'_> {
    let mut found = Found::default();
    let whole = Scan { body, at: 0, left: MAX_VALUES }.message(&mut found).is_some();
    let Found { id, method, tool, stateless, .. } = found;
    let kind = match (whole, found.is_reply, method, id) {
        (true, false, Some("tools/call"), Some(_)) if tool.is_none() => PeekKind::Malformed,
        (true, false, Some(_), Some(_)) => PeekKind::Request,
        (true, false, Some(_), None) => PeekKind::Notification,
        (true, true, None, _) => PeekKind::Response,
        _ => PeekKind::Malformed,
    };
    Peek { kind, method, tool: tool.filter(|_| kind == PeekKind::Request && method == Some("tools/call")), id, stateless }
}

#[derive(Default)]
struct Found<'a> {
    seen: u8,
    is_reply: bool,
    id: Option<&'a str>,
    method: Option<&'a str>,
    tool: Option<&'a str>,
    stateless: bool,
}

impl Found<'_> {
    /// `None` the second time.
    fn once(&mut self, bit: u8) -> Option<()> {
        let first = self.seen & bit == 0;
        self.seen |= bit;
        first.then_some(())
    }
}

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
    /// How many more values there may be.
    left: usize,
}

/// Every step gives `None` for what it does not understand.
impl<'a> Scan<'a> {
    fn message(mut self, found: &mut Found<'a>) -> Option<()> {
        let mut version = false;
        self.members(|scan, key| {
            match key {
                b"jsonrpc" => {
                    found.once(1)?;
                    version = scan.plain_string()? == "2.0";
                }
                b"id" => {
                    let first = found.once(2);
                    found.id = first.and_then(|()| scan.id());
                    found.id?;
                }
                b"method" => {
                    let first = found.once(4);
                    found.method = first.and_then(|()| scan.plain_string());
                    found.method?;
                }
                b"params" => {
                    found.once(8)?;
                    scan.params(found)?;
                }
                b"result" | b"error" => {
                    found.once(16)?;
                    found.is_reply = true;
                    scan.value()?;
                }
                _ => {
                    scan.value()?;
                }
            }
            Some(())
        })?;
        self.space();
        (version && self.at == self.body.len()).then_some(())
    }

    fn params(&mut self, found: &mut Found<'a>) -> Option<()> {
        if self.peek()? != b'{' {
            return self.value().map(|_| ());
        }
        self.members(|scan, key| {
            match key {
                b"name" => {
                    found.once(32)?;
                    // Other methods may have a name of any shape.
                    let value = scan.value()?;
                    found.tool = plain(value);
                }
                b"_meta" => {
                    found.once(64)?;
                    found.stateless = memmem::find(scan.value()?, VERSION_KEY).is_some();
                }
                _ => {
                    scan.value()?;
                }
            }
            Some(())
        })
    }

    /// Hands each member of an object over, positioned at its value, by its key without quotes.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.space();
        self.expect(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            self.left = self.left.checked_sub(1)?;
            let key = plain(self.string()?)?.as_bytes();
            self.space();
            self.expect(b':')?;
            self.space();
            member(self, key)?;
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn plain_string(&mut self) -> Option<&'a str> {
        plain(self.value()?)
    }

    /// A string or a whole number; with any other id the SDK takes a request for a notification.
    fn id(&mut self) -> Option<&'a str> {
        let id = str::from_utf8(self.value()?).ok().filter(|id| id.len() <= MAX_ID)?;
        let is_whole = || id.parse::<i64>().is_ok() || id.parse::<f64>().is_ok_and(|id| id.fract() == 0.0 && id.abs() < MAX_EXACT);
        (id.starts_with('"') || is_whole()).then_some(id)
    }

    /// Skips one value of any kind.
    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        match self.peek()? {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.nested()?,
            _ => {
                while self.peek().is_some_and(|byte| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')) {
                    self.at += 1;
                }
            }
        }
        self.body.get(start..self.at).filter(|value| !value.is_empty())
    }

    fn nested(&mut self) -> Option<()> {
        let mut depth = 0;
        loop {
            let byte = self.peek()?;
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            // What opens has a first value, what separates another one.
            if let b'{' | b'[' | b',' = byte {
                self.left = self.left.checked_sub(1)?;
            }
            self.at += 1;
            match depth {
                0 => return Some(()),
                MAX_DEPTH => return None,
                _ => {}
            }
        }
    }

    /// Skips a string; it is given back with its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            let rest = self.body.get(self.at..)?;
            let stop = memchr2(b'"', b'\\', rest)?;
            self.at += stop + 1;
            if rest.get(stop) == Some(&b'"') {
                return self.body.get(start..self.at);
            }
            // What follows a backslash ends no string.
            self.at += 1;
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }
}

/// The text of a string that is spelt without escapes.
fn plain(quoted: &[u8]) -> Option<&str> {
    let text = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', text).is_some() {
        return None;
    }
    str::from_utf8(text).ok()
}
