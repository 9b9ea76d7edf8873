//! What a server refuses to start with.

use std::net::SocketAddr;

use url::Url;

use crate::{
    HttpConfig, HttpError, Issuer, Listen, Metrics, OauthConfig, Purpose, TlsFiles, bind,
    testing::{TestServer, Work, local_config, refusal_of, server, token},
};

async fn refusal(config: HttpConfig) -> HttpError {
    bind(&server(&Work::default()), config, Metrics::new()).await.expect_err("it must not start")
}

fn at(address: &str) -> Listen {
    Listen::Tcp(address.parse().expect("an address"))
}

#[tokio::test]
async fn dr5_an_address_others_can_reach_needs_authentication() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        for unauthenticated in [false, true] {
            let mut config = HttpConfig::new(at(address));
            config.auth.unauthenticated = unauthenticated;
            let error = refusal(config).await;
            assert!(matches!(error, HttpError::Open(_)), "{address}: {error}");
            assert!(error.to_string().contains("configure tokens or OAuth"), "{error}");
        }
    }
}

#[tokio::test]
async fn dr4_loopback_without_authentication_has_to_be_asked_for() {
    let error = refusal(HttpConfig::new(at("127.0.0.1:0"))).await;
    assert!(matches!(error, HttpError::NoAuth), "{error}");
    assert!(error.to_string().contains("--unauthenticated-loopback"));
    let mut both = local_config();
    both.auth.tokens = vec![token("ci", "secret")];
    assert!(matches!(refusal(both).await, HttpError::Contradiction));
}

#[tokio::test]
async fn a_public_address_has_to_be_https_and_to_lead_to_mcp() {
    for (url, problem) in [
        ("http://tools.example.com/mcp", "is not encrypted"),
        ("ftp://tools.example.com/mcp", "is neither"),
        ("https://user@tools.example.com/mcp", "user name"),
        ("https://tools.example.com/mcp?x=1", "query"),
        ("https://tools.example.com/mcp/", "does not end in `/mcp`"),
    ] {
        let mut config = HttpConfig::new(at("127.0.0.1:0"));
        config.auth.tokens = vec![token("ci", "secret")];
        config.public_url = Some(Url::parse(url).expect("a URL"));
        let error = refusal(config).await.to_string();
        assert!(error.contains(problem), "{url}: {error}");
    }
    let mut open = local_config();
    open.public_url = Some(Url::parse("https://tools.example.com/mcp").expect("a URL"));
    assert!(matches!(refusal(open).await, HttpError::PublicWithoutAuth));
    let mut hosts = local_config();
    hosts.allowed_hosts = vec!["tools.example.com".into()];
    assert!(matches!(refusal(hosts).await, HttpError::PublicWithoutAuth));
    let mut origins = local_config();
    origins.allowed_origins = vec!["https://app.example.com".into()];
    assert!(matches!(refusal(origins).await, HttpError::PublicWithoutAuth));
    let directory = tempfile::tempdir().expect("a directory");
    let mut socket = HttpConfig::new(Listen::Unix(directory.path().join("tools.sock")));
    socket.public_url = Some(Url::parse("https://tools.example.com/mcp").expect("a URL"));
    assert!(matches!(refusal(socket).await, HttpError::PublicWithoutAuth));
}

#[tokio::test]
async fn access_tokens_are_not_issued_for_an_address_that_stands_for_all() {
    let mut config = HttpConfig::new(at("0.0.0.0:0"));
    config.auth.oauth = Some(OauthConfig::new(vec![Issuer::new("idp", "https://idp.example.com")]));
    assert!(matches!(refusal(config).await, HttpError::NoPublicUrl(_)));
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_flag_that_changes_it() {
    let first = TestServer::start(|_| ()).await;
    let mut config = local_config();
    config.listen = Listen::Tcp(first.address);
    let error = refusal(config).await;
    assert!(matches!(error, HttpError::Bind { purpose: Purpose::Mcp, .. }), "{error}");
    assert!(error.to_string().contains("`--http`"), "{error}");
    let mut config = local_config();
    config.health = Some(first.address);
    assert!(refusal(config).await.to_string().contains("`--health off`"));
    let mut config = local_config();
    config.metrics = Some(first.address);
    assert!(refusal(config).await.to_string().contains("`--metrics off`"));
}

#[tokio::test]
async fn nothing_is_answered_when_one_listener_is_missing() {
    let first = TestServer::start(|_| ()).await;
    let free = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let mut config = local_config();
    config.listen = Listen::Tcp(address);
    config.metrics = Some(first.address);
    drop(refusal(config).await);
    assert_eq!(refusal_of(address).await, Some(std::io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn a_limit_of_zero_is_named() {
    let mut config = local_config();
    config.limits.max_requests = 0;
    assert!(refusal(config).await.to_string().starts_with("the limit `maxRequests` is zero"));
    let mut config = local_config();
    config.limits.max_head_bytes = 100;
    assert!(refusal(config).await.to_string().contains("maxHeadBytes"));
}

#[tokio::test]
async fn limits_that_nothing_could_count_are_named() {
    type Change = fn(&mut crate::HttpLimits);
    let changes: [(&str, Change); 6] = [
        ("maxConnections", |limits| limits.max_connections = usize::MAX),
        ("maxBodyBytes", |limits| limits.max_body_bytes = usize::MAX),
        ("maxWaiting", |limits| limits.max_waiting = 1 << 29),
        ("keepAlive", |limits| limits.keep_alive = std::time::Duration::MAX),
        ("earlyHeaders", |limits| limits.early_headers = std::time::Duration::MAX),
        ("drain", |limits| limits.drain = std::time::Duration::MAX),
    ];
    for (name, change) in changes {
        let mut config = local_config();
        change(&mut config.limits);
        let error = refusal(config).await.to_string();
        assert!(error.starts_with(&format!("the limit `{name}` is ")) && error.contains("choose a "), "{error}");
    }
}

#[tokio::test]
async fn a_socket_needs_no_certificate() {
    let mut config = HttpConfig::new(Listen::Unix("http.sock".into()));
    config.tls = Some(TlsFiles { certificate: "cert.pem".into(), key: "key.pem".into() });
    assert!(matches!(refusal(config).await, HttpError::TlsOnSocket));
}
