//! A server on loopback that answers as a test says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

/// Paths and the whole answers they get, and every request that came.
#[derive(Default)]
struct Script {
    answers: HashMap<String, Bytes>,
    requests: Vec<String>,
}

/// A server of scripted answers; gone when dropped.
pub(crate) struct Scripted {
    pub(crate) base: String,
    script: Arc<Mutex<Script>>,
    task: AbortHandle,
}

impl Scripted {
    /// Without TLS.
    pub(crate) async fn start() -> Self {
        Self::with(None).await
    }

    /// With TLS, as `localhost`.
    pub(crate) async fn with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let base = if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        let script = Arc::<Mutex<Script>>::default();
        let served = Arc::clone(&script);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (served, tls) = (Arc::clone(&served), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, &served).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, &served).await;
                            }
                        }
                    }
                });
            }
        })
        .abort_handle();
        Self { base, script, task }
    }

    /// Answers this path with this JSON from now on.
    pub(crate) fn json(&self, path: &str, body: &serde_json::Value) {
        self.json_with(path, body, "");
    }

    /// The same with further header lines, each with its line end.
    pub(crate) fn json_with(&self, path: &str, body: &serde_json::Value, headers: &str) {
        let body = body.to_string();
        let length = body.len();
        self.raw(path, format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"));
    }

    /// Answers this path with these bytes from now on; an empty answer never comes.
    pub(crate) fn raw(&self, path: &str, answer: impl Into<Bytes>) {
        self.script.lock().unwrap().answers.insert(path.to_owned(), answer.into());
    }

    /// Answers this path with 404 from now on.
    pub(crate) fn forget(&self, path: &str) {
        self.script.lock().unwrap().answers.remove(path);
    }

    /// How often this path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        let start = [" ", path, " "].concat();
        self.requests().iter().filter(|request| request.lines().next().is_some_and(|line| line.contains(&start))).count()
    }

    /// Every request as it came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.script.lock().unwrap().requests.clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: &Mutex<Script>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break;
        }
    }
    let text = String::from_utf8(request).unwrap();
    let path = text.split(' ').nth(1).unwrap().to_owned();
    let answer = {
        let mut script = script.lock().unwrap();
        script.requests.push(text);
        script.answers.get(&path).cloned()
    };
    let missing = Bytes::from_static(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let answer = answer.unwrap_or(missing);
    if answer.is_empty() {
        std::future::pending::<()>().await;
    }
    // The client may have gone; that is its business.
    if stream.write_all(&answer).await.is_ok() && stream.shutdown().await.is_err() {
        tracing::trace!("the client closed first");
    }
}
