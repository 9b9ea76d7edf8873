#![expect(clippy::disallowed_methods, reason = "tests write certificates into temporary files")]

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use http::HeaderValue;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::{Destination, DestinationError, FetchError, Fetcher, Reach, dial, resolve, testing::Scripted};

const LOOPBACK: Reach = Reach { private: false, danger_loopback: true };

fn fetcher(reach: Reach) -> Fetcher {
    Fetcher::new(reach, None).unwrap()
}

fn url(server: &Scripted, path: &str) -> Url {
    Url::parse(&format!("{}{path}", server.base)).unwrap()
}

async fn refused(fetcher: &Fetcher, url: &Url) -> String {
    fetcher.get(url).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_document_is_fetched_with_its_headers() {
    let server = Scripted::start().await;
    server.json_with("/keys?a=b", &json!({"keys": []}), "cache-control: max-age=600\r\n");
    let fetched = fetcher(LOOPBACK).get(&url(&server, "/keys?a=b")).await.unwrap();
    assert_eq!(&fetched.body[..], br#"{"keys":[]}"#);
    assert_eq!(fetched.headers["cache-control"], "max-age=600");
    let request = server.requests()[0].to_ascii_lowercase();
    assert!(request.contains("accept: application/json\r\n"), "{request}");
    assert!(!request.contains("cookie") && !request.contains("authorization") && !request.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn a_form_is_posted_with_its_authorization() {
    let server = Scripted::start().await;
    server.json("/introspect", &json!({"active": false}));
    let basic = HeaderValue::from_static("Basic abc");
    let fetched = fetcher(LOOPBACK).post(&url(&server, "/introspect"), basic, "token=t".into()).await.unwrap();
    assert_eq!(&fetched.body[..], br#"{"active":false}"#);
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /introspect HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Basic abc\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ntoken=t"), "{request}");
}

#[tokio::test]
async fn ss1_ss4_loopback_is_refused_unless_configured() {
    let server = Scripted::start().await;
    let strict = fetcher(Reach::default());
    assert_eq!(refused(&strict, &url(&server, "/")).await, DestinationError::Scheme.to_string());
    let encrypted = Url::parse(&url(&server, "/").as_str().replace("http:", "https:")).unwrap();
    assert_eq!(refused(&strict, &encrypted).await, DestinationError::OutOfReach.to_string());
    assert_eq!(refused(&strict, &Url::parse("https://user:password@idp.example").unwrap()).await, DestinationError::UserInfo.to_string());
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn ss1_a_url_is_judged_as_it_is_written() {
    let strict = fetcher(Reach::default());
    assert_eq!(strict.parse("https://idp.example/keys?a=b").unwrap().as_str(), "https://idp.example/keys?a=b");
    // All of these end up at 8.8.8.8 or at evil.example once a URL parser has tidied them up.
    for odd in [
        "https://0x8.8.8.8/",
        "https://134744072/",
        "https://evil.example\\@idp.example/",
        "https://idp.example\t/",
        "https://\tidp.example/",
        "https:///idp.example/",
    ] {
        assert_eq!(
            strict.parse(odd).unwrap_err().to_string(),
            if odd.contains('@') { DestinationError::UserInfo } else { DestinationError::Host }.to_string(),
            "{odd}"
        );
    }
    assert_eq!(strict.parse("idp.example").unwrap_err(), DestinationError::Scheme);
    assert_eq!(strict.parse("file:///etc/passwd").unwrap_err(), DestinationError::Scheme);
}

#[tokio::test]
async fn ss2_only_addresses_that_were_judged_are_dialed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = format!("idp.example.com:{}", listener.local_addr().unwrap().port());
    let rebound = vec![[127, 0, 0, 1].into(), [169, 254, 169, 254].into()];
    // The name server answers with a public address first and with these when it is asked again.
    let outside = Destination::new("https", &authority, Reach::default()).unwrap();
    assert!(matches!(dial(&outside, rebound.clone()).await, Err(FetchError::OutOfReach)));
    let private = Destination::new("https", &authority, Reach { private: true, danger_loopback: false }).unwrap();
    assert!(matches!(dial(&private, rebound.clone()).await, Err(FetchError::OutOfReach)));
    let inside = Destination::new("https", &authority, LOOPBACK).unwrap();
    assert_eq!(dial(&inside, rebound).await.unwrap().peer_addr().unwrap(), listener.local_addr().unwrap());
    let literal = Destination::new("https", "8.8.8.8:1", Reach::default()).unwrap();
    assert_eq!(resolve(&literal).await.unwrap(), [IpAddr::from([8, 8, 8, 8])]);
}

#[tokio::test]
async fn ss3_a_redirect_is_not_followed() {
    let server = Scripted::start().await;
    let location = url(&server, "/secret");
    server.raw("/", format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(refused(&fetcher(LOOPBACK), &url(&server, "/")).await, FetchError::Redirect.to_string());
    assert_eq!(server.count("/secret"), 0);
}

#[tokio::test]
async fn ss5_answers_are_bounded_in_size_and_time() {
    let server = Scripted::start().await;
    let answer = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", " ".repeat(length));
    server.raw("/fits", answer(1 << 20));
    server.raw("/large", answer((1 << 20) + 1));
    server.raw("/endless", format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(2 << 20)));
    server.raw("/head", format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200 << 10)));
    server.raw("/cut", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    server.raw("/never", "");
    let mut fetcher = fetcher(LOOPBACK);
    assert_eq!(fetcher.get(&url(&server, "/fits")).await.unwrap().body.len(), 1 << 20);
    assert_eq!(refused(&fetcher, &url(&server, "/large")).await, FetchError::TooLarge.to_string());
    assert_eq!(refused(&fetcher, &url(&server, "/endless")).await, FetchError::TooLarge.to_string());
    assert!(matches!(fetcher.get(&url(&server, "/head")).await, Err(FetchError::Http(_))));
    assert_eq!(refused(&fetcher, &url(&server, "/cut")).await, FetchError::Cut.to_string());
    fetcher.time_cap = Duration::from_millis(100);
    assert_eq!(refused(&fetcher, &url(&server, "/never")).await, FetchError::Timeout.to_string());
}

#[tokio::test]
async fn only_a_plain_200_is_an_answer() {
    let server = Scripted::start().await;
    server.raw("/packed", "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx");
    assert_eq!(refused(&fetcher(LOOPBACK), &url(&server, "/missing")).await, "it answers with status 404 Not Found");
    assert_eq!(refused(&fetcher(LOOPBACK), &url(&server, "/packed")).await, FetchError::Encoded.to_string());
}

fn authority(directory: &Path) -> TlsAcceptor {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(directory.join("ca.pem"), issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_certificate_has_to_be_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let server = Scripted::with(Some(authority(directory.path()))).await;
    server.json("/", &json!(1));
    let trusting = Fetcher::new(LOOPBACK, Some(&directory.path().join("ca.pem"))).unwrap();
    assert_eq!(&trusting.get(&url(&server, "/")).await.unwrap().body[..], b"1");
    let by_address = Url::parse(&url(&server, "/").as_str().replace("localhost", "127.0.0.1")).unwrap();
    assert!(matches!(trusting.get(&by_address).await, Err(FetchError::Connect(_))), "the certificate is for `localhost` only");
    assert!(matches!(fetcher(LOOPBACK).get(&url(&server, "/")).await, Err(FetchError::Connect(_) | FetchError::NoRoots)));
}

#[test]
fn a_file_without_certificates_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    assert!(Fetcher::new(LOOPBACK, Some(&path)).unwrap_err().to_string().contains("ca.pem"));
    std::fs::write(&path, "hello").unwrap();
    let error = Fetcher::new(LOOPBACK, Some(&path)).unwrap_err().to_string();
    assert!(error.ends_with("ca.pem`: it holds no certificate in PEM"), "{error}");
}
