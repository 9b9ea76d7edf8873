//! Encrypted connections and renewed certificates.

#![expect(clippy::disallowed_methods, reason = "the tests write certificates")]

use std::{fs, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    HttpConfig, Metrics, TlsFiles, bind,
    testing::{Client, TestServer, Work, local_config, server},
};

struct Pair {
    certificate: String,
    key: String,
}

fn pair() -> Pair {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    Pair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn files(directory: &Path) -> TlsFiles {
    TlsFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key") }
}

fn write(directory: &Path, certificate: &str, key: &str) {
    fs::write(directory.join("tls.crt"), certificate).expect("a certificate");
    fs::write(directory.join("tls.key"), key).expect("a key");
}

async fn connect(server: &TestServer, trusted: &Pair) -> std::io::Result<TlsStream<TcpStream>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).expect("PEM")).expect("a certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").expect("a name"), stream).await
}

#[tokio::test]
async fn calls_are_encrypted_and_a_renewed_certificate_is_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let (old, new) = (pair(), pair());
    write(directory.path(), &old.certificate, &old.key);
    let server = TestServer::start(|config| config.tls = Some(files(directory.path()))).await;
    let stream = connect(&server, &old).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut client = Client::over(stream);
    assert_eq!(client.call("demo_echo", json!({"text": "x"})).await.status, 200);

    // Half of a new pair, or nonsense, keeps the old one.
    fs::write(directory.path().join("tls.crt"), &new.certificate).expect("a certificate");
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    drop(connect(&server, &old).await.expect("the old one stays"));
    fs::write(directory.path().join("tls.key"), &new.key).expect("a key");
    let renewed = async {
        while connect(&server, &new).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::testing::PATIENCE, renewed).await.expect("it is renewed");
    assert_eq!(connect(&server, &old).await.err().map(|error| error.kind()), Some(std::io::ErrorKind::InvalidData));
    assert_eq!(client.call("demo_echo", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn a_swapped_link_is_a_renewed_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let (old, new) = (pair(), pair());
    for (name, pair) in [("v1", &old), ("v2", &new)] {
        fs::create_dir(directory.path().join(name)).expect("a directory");
        write(&directory.path().join(name), &pair.certificate, &pair.key);
    }
    let data = directory.path().join("data");
    std::os::unix::fs::symlink("v1", &data).expect("a link");
    let server = TestServer::start(|config| config.tls = Some(files(&data))).await;
    drop(connect(&server, &old).await.expect("a handshake"));
    std::os::unix::fs::symlink("v2", directory.path().join("next")).expect("a link");
    fs::rename(directory.path().join("next"), &data).expect("a swap");
    let renewed = async {
        while connect(&server, &new).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::testing::PATIENCE, renewed).await.expect("it is renewed");
}

#[tokio::test]
async fn plain_text_and_garbage_on_an_encrypted_port_get_no_answer_and_harm_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = pair();
    write(directory.path(), &good.certificate, &good.key);
    let server = TestServer::start(|config| config.tls = Some(files(directory.path()))).await;
    let mut plain = server.connect().await;
    plain.send_raw("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!plain.everything().await.contains("HTTP/1.1"));
    drop(connect(&server, &good).await.expect("a handshake"));
}

#[tokio::test]
async fn what_is_wrong_with_certificate_and_key_is_said_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one, other) = (pair(), pair());
    for (certificate, key, problem) in [
        (&*one.certificate, &*other.key, "does not belong to the first certificate"),
        ("", &*one.key, "holds no certificate"),
        (&*one.key, &*one.key, "holds no certificate"),
        (&*one.certificate, "nonsense", "holds no private key"),
    ] {
        write(directory.path(), certificate, key);
        let config = HttpConfig { tls: Some(files(directory.path())), ..local_config() };
        let error = bind(&server(&Work::default()), config, Metrics::new()).await.expect_err("it must not start").to_string();
        assert!(error.contains(problem), "{error}");
    }
    let config = HttpConfig { tls: Some(files(&directory.path().join("nowhere"))), ..local_config() };
    let error = bind(&server(&Work::default()), config, Metrics::new()).await.expect_err("it must not start").to_string();
    assert!(error.starts_with("can't read `"), "{error}");
}
