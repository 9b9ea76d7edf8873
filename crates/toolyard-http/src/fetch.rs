//! The one client of this crate: it asks authorization servers, and only where the rules of
//! [`toolyard_core::net`] let it.
//!
//! Names are resolved here, every address is judged, and the judged address is dialed. Redirects,
//! proxies, cookies and compression don't exist. Size and time are bounded.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::OnceCell,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use toolyard_core::net::{Destination, DestinationError, Host, Reach};
use url::{Position, Url};

/// Largest answer in bytes.
const MAX_BODY: usize = 1 << 20;
/// Largest head of an answer in bytes.
const MAX_HEAD: usize = 64 << 10;
/// A whole exchange takes at most so long.
const TIME_CAP: Duration = Duration::from_secs(5);
/// One address that does not answer takes at most so long.
const CONNECT_CAP: Duration = Duration::from_secs(2);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;
/// Largest file of certificates in bytes.
const MAX_CA_FILE: u64 = 1 << 20;

/// Asks servers within reach.
pub(crate) struct Fetcher {
    reach: Reach,
    time_cap: Duration,
    own_roots: Vec<CertificateDer<'static>>,
    /// Made for the first encrypted connection, because reading the system's roots takes a while.
    tls: OnceCell<TlsConnector>,
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Destination(#[from] DestinationError),
    #[error("the name does not resolve: {0}")]
    Resolve(#[source] io::Error),
    #[error("the name resolves to no address that may be connected to")]
    OutOfReach,
    #[error("can't connect: {0}")]
    Connect(#[source] io::Error),
    #[error("no certificate is trusted: the system has none and `caFile` names none")]
    NoRoots,
    #[error("can't read certificates from `{}`: {problem}", path.display())]
    CaFile { path: PathBuf, problem: String },
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request can't be written: {0}")]
    Request(#[from] http::Error),
    #[error("it redirects; write the final address into the configuration")]
    Redirect,
    #[error("it answers with status {0}")]
    Status(StatusCode),
    #[error("the answer is compressed, which was not asked for")]
    Encoded,
    #[error("the answer is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the answer broke off")]
    Cut,
    #[error("there was no whole answer in time")]
    Timeout,
}

impl Fetcher {
    /// Reads the file of certificates, but nothing of the system's and nothing from the network.
    pub(crate) fn new(reach: Reach, ca_file: Option<&Path>) -> Result<Self, FetchError> {
        let own_roots = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
        Ok(Self { reach, time_cap: TIME_CAP, own_roots, tls: OnceCell::new() })
    }

    /// Whether this URL may be asked at all; its name is resolved later.
    pub(crate) fn check(&self, url: &Url) -> Result<Destination, DestinationError> {
        Destination::new(url.scheme(), &url[Position::BeforeUsername..Position::AfterPort], self.reach)
    }

    /// A URL of somebody else's document, its host judged as it is written there.
    pub(crate) fn parse(&self, text: &str) -> Result<Url, DestinationError> {
        let (scheme, rest) = text.split_once("://").ok_or(DestinationError::Scheme)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Destination::new(scheme, authority, self.reach)?;
        let url = Url::parse(text).map_err(|_| DestinationError::Host)?;
        self.check(&url)?;
        Ok(url)
    }

    /// A document.
    pub(crate) async fn get(&self, url: &Url) -> Result<Fetched, FetchError> {
        self.exchange(url, Method::GET, None, Bytes::new()).await
    }

    /// The answer to a form. `authorization` and `form` may be secret; neither is told to anyone else.
    pub(crate) async fn post(&self, url: &Url, authorization: HeaderValue, form: String) -> Result<Fetched, FetchError> {
        self.exchange(url, Method::POST, Some(authorization), form.into()).await
    }

    async fn exchange(&self, url: &Url, method: Method, authorization: Option<HeaderValue>, body: Bytes) -> Result<Fetched, FetchError> {
        let destination = self.check(url)?;
        let mut request = Request::builder()
            .method(&method)
            .uri(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, concat!("toolyard/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json");
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(mut authorization) = authorization {
            authorization.set_sensitive(true);
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body))?;
        let whole = async {
            let stream = dial(&destination, resolve(&destination).await?).await?;
            if !destination.encrypted() {
                return converse(stream, request).await;
            }
            let name = match destination.host() {
                Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| DestinationError::Host)?,
                Host::Address(address) => ServerName::IpAddress((*address).into()),
            };
            let tls = self.tls.get_or_try_init(|| connector(self.own_roots.clone())).await?;
            let stream = tls.connect(name, stream).await.map_err(FetchError::Connect)?;
            converse(stream, request).await
        };
        timeout(self.time_cap, whole).await.unwrap_or(Err(FetchError::Timeout))
    }
}

/// Every address of a destination, whether it may be dialed or not.
async fn resolve(destination: &Destination) -> Result<Vec<IpAddr>, FetchError> {
    match destination.host() {
        Host::Address(address) => Ok(vec![*address]),
        Host::Name(name) => {
            let found = lookup_host((name.as_str(), destination.port())).await.map_err(FetchError::Resolve)?;
            Ok(found.map(|address| address.ip()).collect())
        }
    }
}

/// A connection to the first of these addresses that may be dialed and answers.
async fn dial(destination: &Destination, addresses: Vec<IpAddr>) -> Result<TcpStream, FetchError> {
    let mut last = FetchError::OutOfReach;
    for address in addresses.into_iter().filter(|address| destination.permits(*address)).take(MAX_ADDRESSES) {
        match timeout(CONNECT_CAP, TcpStream::connect(SocketAddr::new(address, destination.port()))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = FetchError::Connect(error),
            Err(_) => last = FetchError::Timeout,
        }
    }
    Err(last)
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// Sends the request and reads the answer; the connection lives as long as this future.
async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Fetched, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::Builder::new().max_buf_size(MAX_HEAD).handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await?;
    let mut exchange = pin!(async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        if head.status.is_redirection() {
            return Err(FetchError::Redirect);
        }
        if head.status != StatusCode::OK {
            return Err(FetchError::Status(head.status));
        }
        if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(FetchError::Encoded);
        }
        let too_large = |error: Box<dyn std::error::Error + Send + Sync>| {
            if error.is::<LengthLimitError>() { FetchError::TooLarge } else { FetchError::Cut }
        };
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(too_large)?.to_bytes();
        Ok(Fetched { headers: head.headers, body })
    });
    // The connection ends before the answer is read when the server closes it at once; whether
    // that was too early, the exchange knows.
    tokio::select! {
        fetched = &mut exchange => return fetched,
        ended = connection => if let Err(error) = ended { tracing::debug!(%error, "an authorization server's connection ended") },
    }
    exchange.await
}

async fn connector(own_roots: Vec<CertificateDer<'static>>) -> Result<TlsConnector, FetchError> {
    let make = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the system's certificates can't be read");
        }
        let (added, _) = roots.add_parsable_certificates(found.certs.into_iter().chain(own_roots));
        if added == 0 {
            return Err(FetchError::NoRoots);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::Connect(io::Error::other(error)))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    };
    tokio::task::spawn_blocking(make).await.unwrap_or_else(|error| Err(FetchError::Connect(io::Error::other(error))))
}

#[expect(clippy::disallowed_methods, reason = "the operator names this file; it is read once, before anything is served")]
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let error = |problem: String| FetchError::CaFile { path: path.to_owned(), problem };
    let length = std::fs::metadata(path).map_err(|problem| error(problem.to_string()))?;
    if !length.is_file() || length.len() > MAX_CA_FILE {
        return Err(error(format!("it is not a file of at most {MAX_CA_FILE} bytes")));
    }
    let text = std::fs::read(path).map_err(|problem| error(problem.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(error("it holds no certificate in PEM".into())),
        Err(problem) => Err(error(problem.to_string())),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
