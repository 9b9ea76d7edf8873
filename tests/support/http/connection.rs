//! One connection, read and written by hand.

use std::{
    collections::VecDeque,
    fmt::Debug,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::{
    http::{Event, Head, PATIENCE, Request, Response},
    schemas,
};

/// What a connection runs over.
pub trait Wire: Read + Write + Debug + Send {
    /// How long a read may wait.
    fn set_patience(&self, limit: Duration) -> io::Result<()>;

    /// Ends the direction to the server.
    fn end(&self) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn set_patience(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }

    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Wire for UnixStream {
    fn set_patience(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }

    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// How the body ends that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
    UntilClose,
    Over,
}

/// What was asked and not answered yet.
#[derive(Debug)]
struct Asked {
    text: String,
    version: Option<String>,
    expects_body: bool,
}

/// A connection to a server. Requests may follow each other before their answers are read.
#[derive(Debug)]
pub struct Connection {
    wire: Box<dyn Wire>,
    host: String,
    /// Read and not used yet.
    buffer: Vec<u8>,
    /// Of the stream being read, without the framing.
    events: Vec<u8>,
    body: Body,
    asked: VecDeque<Asked>,
}

impl Connection {
    /// Connects over TCP.
    #[must_use]
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("{address} does not take a connection: {error}"))
    }

    /// Connects over TCP, if it is possible.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream, &address.to_string()))
    }

    /// Speaks over anything, and says `host` in requests that name none.
    #[must_use]
    pub fn over(wire: impl Wire + 'static, host: &str) -> Self {
        let (buffer, events) = (Vec::new(), Vec::new());
        Self { wire: Box::new(wire), host: host.to_owned(), buffer, events, body: Body::Over, asked: VecDeque::new() }
    }

    /// Sends a request and waits for the whole response.
    #[track_caller]
    pub fn ask(&mut self, request: &Request) -> Response {
        self.try_ask(request).unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// Sends a request and waits for the whole response, if one comes.
    #[track_caller]
    pub fn try_ask(&mut self, request: &Request) -> io::Result<Response> {
        self.try_send(request)?;
        self.try_response(PATIENCE)
    }

    /// Sends a request.
    #[track_caller]
    pub fn send(&mut self, request: &Request) {
        self.try_send(request).unwrap_or_else(|error| panic!("the request can't be sent: {error}"));
    }

    /// Sends a request, if the server reads it.
    pub fn try_send(&mut self, request: &Request) -> io::Result<()> {
        self.expect(request);
        let bytes = request.bytes(&self.host);
        self.write(&bytes)
    }

    /// Sends bytes as they are, for requests in pieces; say what they are with [`Connection::expect`].
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)?;
        self.wire.flush()
    }

    /// What the next response that comes is an answer to, for requests written by hand.
    pub fn expect(&mut self, request: &Request) {
        let text = String::from_utf8_lossy(request.body_bytes()).into_owned();
        self.asked.push_back(Asked { text, version: request.version().map(str::to_owned), expects_body: request.expects_body() });
    }

    /// What requests say as `Host` that name none.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) -> io::Result<()> {
        self.wire.end()
    }

    /// The next response, whole.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response(PATIENCE).unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// The next response, whole, if it comes in time; a stream must end in time as well.
    #[track_caller]
    pub fn try_response(&mut self, limit: Duration) -> io::Result<Response> {
        let deadline = Instant::now() + limit;
        let head = self.try_head(deadline.saturating_duration_since(Instant::now()))?;
        let mut body = Vec::new();
        while self.body != Body::Over {
            self.body_part(&mut body, deadline)?;
        }
        let response = Response::new(head, body);
        if let Some(asked) = self.asked.pop_front() {
            let answers: Vec<_> = response.messages().iter().map(ToString::to_string).collect();
            check(&asked, &answers);
        }
        Ok(response)
    }

    /// The head of the next response; its body is then read with [`Connection::event`] or
    /// [`Connection::rest`].
    #[track_caller]
    pub fn head(&mut self) -> Head {
        self.try_head(PATIENCE).unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// The head of the next response, if it comes in time.
    pub fn try_head(&mut self, limit: Duration) -> io::Result<Head> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = Head::parse(self.buffer.get(..end).unwrap_or_default());
                self.buffer.drain(..end + 4);
                // Only the one after `100 Continue` is the answer.
                if head.status != 100 {
                    self.body = self.body_of(&head);
                    self.events.clear();
                    return Ok(head);
                }
            }
            self.fill(deadline)?;
        }
    }

    /// The rest of a body whose head was read, if it comes in time.
    pub fn rest(&mut self, limit: Duration) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + limit;
        let mut body = std::mem::take(&mut self.events);
        while self.body != Body::Over {
            self.body_part(&mut body, deadline)?;
        }
        self.asked.pop_front();
        Ok(body)
    }

    /// The next event of the stream whose head was read, comments included; `None` when the stream
    /// ends first or none comes in time.
    #[track_caller]
    pub fn event(&mut self, limit: Duration) -> Option<Event> {
        self.try_event(limit).ok().flatten()
    }

    /// As [`Connection::event`], but silence is an error and only the end of the stream is `None`.
    #[track_caller]
    pub fn try_event(&mut self, limit: Duration) -> io::Result<Option<Event>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some((end, gap)) = [(&b"\n\n"[..], 2), (&b"\r\n\r\n"[..], 4)]
                .into_iter()
                .filter_map(|(gap, length)| find(&self.events, gap).map(|end| (end, length)))
                .min()
            {
                let block = String::from_utf8_lossy(self.events.get(..end).unwrap_or_default()).replace("\r\n", "\n");
                self.events.drain(..end + gap);
                let event = Event::parse(&block);
                if let (Some(message), Some(asked)) = (event.message(), self.asked.front()) {
                    check(asked, &[message.to_string()]);
                }
                return Ok(Some(event));
            }
            if self.body == Body::Over {
                self.asked.pop_front();
                return Ok(None);
            }
            let mut part = Vec::new();
            self.body_part(&mut part, deadline)?;
            self.events.extend_from_slice(&part);
        }
    }

    /// The next JSON-RPC message of the stream whose head was read; fails the test when none comes.
    #[track_caller]
    pub fn message(&mut self) -> serde_json::Value {
        loop {
            let Some(event) = self.event(PATIENCE) else { panic!("the stream ended or fell silent") };
            if let Some(message) = event.message() {
                return message;
            }
        }
    }

    /// Whether the server closes the connection in time; what it says before is dropped.
    pub fn closes_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            match self.fill(deadline) {
                Ok(()) => {}
                Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
    }

    fn body_of(&self, head: &Head) -> Body {
        let without = matches!(head.status, 100..=199 | 204 | 304) || self.asked.front().is_some_and(|asked| !asked.expects_body);
        if without {
            return Body::Over;
        }
        if head.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Body::Chunked;
        }
        match head.header("content-length") {
            Some("0") => Body::Over,
            Some(length) => Body::Length(length.parse().expect("a length is a number")),
            None => Body::UntilClose,
        }
    }

    /// Moves what can be had of the body, waiting when there is nothing.
    fn body_part(&mut self, into: &mut Vec<u8>, deadline: Instant) -> io::Result<()> {
        match self.body {
            Body::Over => {}
            Body::Length(left) => {
                if self.buffer.is_empty() {
                    self.fill(deadline)?;
                }
                let taken = left.min(self.buffer.len());
                into.extend(self.buffer.drain(..taken));
                self.body = if taken == left { Body::Over } else { Body::Length(left - taken) };
            }
            Body::Chunked => {
                let Some(end) = find(&self.buffer, b"\r\n") else { return self.fill(deadline) };
                let line = std::str::from_utf8(self.buffer.get(..end).unwrap_or_default()).expect("a chunk's size is text");
                let size =
                    usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).expect("a chunk's size is a number");
                // The size, the chunk and both line ends; trailers are not expected.
                let whole = end + 2 + size + 2;
                if self.buffer.len() < whole {
                    return self.fill(deadline);
                }
                into.extend_from_slice(self.buffer.get(end + 2..end + 2 + size).unwrap_or_default());
                self.buffer.drain(..whole);
                if size == 0 {
                    self.body = Body::Over;
                }
            }
            Body::UntilClose => {
                into.append(&mut self.buffer);
                match self.fill(deadline) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.body = Body::Over,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn fill(&mut self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.wire.set_patience(left.max(Duration::from_millis(1)))?;
        let mut chunk = [0; 16 * 1024];
        let count = self.wire.read(&mut chunk)?;
        let bytes = chunk.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }
}

#[track_caller]
fn check(asked: &Asked, answers: &[String]) {
    let violations = schemas::answer_violations(asked.version.as_deref(), &asked.text, answers);
    assert!(violations.is_empty(), "messages that break the protocol:\n{}", violations.join("\n"));
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
