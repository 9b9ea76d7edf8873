//! Encryption, with certificates that can be renewed while the server runs.

mod validity;

use std::{
    fmt,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustix::fs::{Mode, OFlags, open, stat};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::TlsFiles;

/// How often the files are looked at.
const LOOK_EVERY: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(5) };

/// Larger files are no certificates.
const MAX_FILE: u64 = 1 << 20;

/// Why TLS can't be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds no certificate.
    #[error("`{}` holds no certificate in PEM (`--tls-cert`)", .0.display())]
    NoCertificate(PathBuf),
    /// The file holds no private key.
    #[error("`{}` holds no private key in PEM (`--tls-key`)", .0.display())]
    NoKey(PathBuf),
    /// Certificate and key are not of one pair.
    #[error("the key `{}` does not belong to the first certificate of `{}`", key.display(), certificate.display())]
    Mismatch {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// They can't be used for another reason.
    #[error("certificate and key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Offers TLS with whatever certificate is current.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Current>,
    files: TlsFiles,
    seen: Mutex<Option<Seen>>,
}

/// What tells a file from its successor; links are followed, since mounted secrets swap them.
type Seen = [(u64, u64, i64, u64, i64); 2];

impl Tls {
    /// Reads the files.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let seen = look(&files).ok();
        let certificate = Arc::new(Current { key: RwLock::new(Arc::new(read_pair(&files, &provider)?)), provider: Arc::clone(&provider) });
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&certificate);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate, files, seen: Mutex::new(seen) })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Takes new files over until it is told to stop. A pair that does not fit keeps the old one:
    /// the other file may still be on its way.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let tls = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || tls.reload()).await {
                tracing::error!(%error, "looking at the certificate failed");
            }
        }
    }

    fn reload(&self) {
        // Looked at before it is read, so that a later change is seen next time.
        let now = look(&self.files).ok();
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return;
            }
            *seen = now;
        }
        match read_pair(&self.files, &self.certificate.provider) {
            Ok(pair) => {
                *self.certificate.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                tracing::info!("the certificate was renewed");
            }
            Err(error) => tracing::error!(%error, "the new certificate can't be used, the old one stays"),
        }
    }
}

struct Current {
    key: RwLock<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

fn look(files: &TlsFiles) -> io::Result<Seen> {
    let one = |path: &Path| {
        let found = stat(path)?;
        Ok::<_, io::Error>((found.st_dev, found.st_ino, found.st_mtime, found.st_mtime_nsec, found.st_size))
    };
    Ok([one(&files.certificate)?, one(&files.key)?])
}

fn read_pair(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(&files.certificate)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::NoCertificate(files.certificate.clone()))?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| TlsError::NoKey(files.key.clone()))?;
    warn_of_end(files, &chain);
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() },
        other => TlsError::Unusable(other),
    })
}

#[expect(clippy::disallowed_methods, reason = "certificates end by the clock on the wall")]
fn warn_of_end(files: &TlsFiles, chain: &[CertificateDer<'_>]) {
    const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    let path = files.certificate.display();
    let Some(end) = chain.first().and_then(|certificate| validity::end(certificate)) else { return };
    let Ok(now) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) else { return };
    if end < now {
        tracing::warn!("the certificate `{path}` has expired; clients will refuse it");
    } else if end < now + SOON {
        tracing::warn!("the certificate `{path}` expires within a week");
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let reading = || {
        let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
        let mut bytes = Vec::new();
        std::fs::File::from(file).take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    reading().map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
