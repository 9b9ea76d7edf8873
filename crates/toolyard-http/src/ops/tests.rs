use std::{net::SocketAddr, time::Instant as Clock};

use axum::{body::Body, http::Request as HttpRequest};
use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};
use tower::ServiceExt as _;

use super::*;
use crate::{HttpConfig, Listen};

fn hosts() -> HostRules {
    HostRules::operations(&HttpConfig::new(Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))))).expect("nothing is listed")
}

fn health(metrics: &Metrics) -> Health {
    Health::new(["git", "fs", "fs"], metrics.clone(), || 3)
}

struct Reply {
    status: u16,
    head: axum::http::HeaderMap,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> &str {
        self.head.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

async fn ask(routes: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = HttpRequest::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = routes.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Reply { status: head.status.as_u16(), head: head.headers, body: String::from_utf8(body.into()).expect("text") }
}

async fn get_from(routes: &Router, path: &str) -> Reply {
    ask(routes, "GET", path, &[("host", "10.244.0.7:8081")]).await
}

#[tokio::test]
async fn health_tells_how_it_is_in_every_stage_and_probes_agree() {
    let metrics = Metrics::new();
    let health = health(&metrics);
    let routes = health_routes(health.clone(), hosts());
    let step = async |want: &str, ready: u16| {
        let (told, probe) = (get_from(&routes, "/health").await, get_from(&routes, "/readyz").await);
        assert_eq!((told.status, told.json()["status"].as_str()), (ready, Some(want)));
        assert_eq!((probe.status, probe.json()), (ready, json!({ "status": want })));
        assert_eq!(get_from(&routes, "/livez").await.status, 200, "{want}");
    };
    step("starting", 503).await;
    health.ready();
    step("ok", 200).await;
    metrics.observer().audit_failed();
    step("degraded", 503).await;
    health.draining();
    step("draining", 503).await;
}

#[tokio::test]
async fn health_counts_calls_and_sessions_and_names_each_family_once() {
    let metrics = Metrics::new();
    let health = health(&metrics);
    health.ready();
    metrics.observer().started();
    let mut told = get_from(&health_routes(health, hosts()), "/health").await.json();
    assert!(told["uptime_seconds"].as_u64().is_some_and(|seconds| seconds < 60), "{told}");
    told["uptime_seconds"] = json!(0);
    let want = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": 0,
        "active_calls": 1,
        "sessions": 3,
        "audit": "ok",
        "families": { "fs": "ok", "git": "ok" },
    });
    assert_eq!(told, want);
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let metrics = Metrics::new();
    metrics.refused("busy");
    let reply = get_from(&metrics_routes(metrics, hosts()), "/metrics").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(reply.body.contains("toolyard_http_refusals_total{reason=\"busy\"} 1\n"), "{}", reply.body);
    assert!(reply.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn only_get_and_head_are_answered_and_nothing_else_is_served() {
    let health = health_routes(health(&Metrics::new()), hosts());
    let metrics = metrics_routes(Metrics::new(), hosts());
    for (routes, path) in [(&health, "/health"), (&health, "/livez"), (&health, "/readyz"), (&metrics, "/metrics")] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            let reply = ask(routes, method, path, &[("host", "localhost")]).await;
            assert_eq!((reply.status, reply.header("allow")), (405, "GET,HEAD"), "{method} {path}");
        }
        let head = ask(routes, "HEAD", path, &[("host", "localhost")]).await;
        assert_eq!((head.status == 200 || head.status == 503, head.body.as_str()), (true, ""), "{path}");
    }
    for path in ["/", "/mcp", "/metrics", "/health/", "/../health"] {
        assert_eq!(get_from(&health, path).await.status, 404, "{path}");
    }
    assert_eq!(get_from(&metrics, "/health").await.status, 404);
}

#[tokio::test]
async fn dr1_dr2_no_page_reaches_health_or_metrics() {
    let health = health_routes(health(&Metrics::new()), hosts());
    let metrics = metrics_routes(Metrics::new(), hosts());
    for (headers, status) in [
        (&[("host", "evil.com")][..], 403),
        (&[("host", "localhost"), ("origin", "http://localhost")], 403),
        (&[("host", "localhost"), ("origin", "null")], 403),
        (&[("host", "localhost"), ("sec-fetch-site", "cross-site")], 403),
        (&[], 400),
    ] {
        for (routes, path) in [(&health, "/health"), (&health, "/livez"), (&metrics, "/metrics")] {
            let reply = ask(routes, "GET", path, headers).await;
            assert_eq!(reply.status, status, "{path} {headers:?}");
            assert!(!reply.body.contains("version") && !reply.body.contains("# TYPE"), "{}", reply.body);
            assert_eq!((reply.header("x-content-type-options"), reply.header("cache-control")), ("nosniff", "no-store"));
        }
    }
}

#[tokio::test]
async fn a_listener_serves_many_and_closes_who_does_not_ask() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut serving = JoinSet::new();
    serving.spawn(serve(listener, metrics_routes(Metrics::new(), hosts())));
    let mut silent = TcpStream::connect(address).await.expect("it listens");
    for _ in 0..2 * MAX_CONNECTIONS {
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.expect("sent");
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.expect("an answer");
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    }
    silent.write_all(b"GET /metrics HTTP/1.1\r\nHo").await.expect("sent");
    let began = Clock::now();
    let mut rest = Vec::new();
    time::timeout(PATIENCE * 2, silent.read_to_end(&mut rest)).await.expect("it is closed").expect("an end");
    assert!(began.elapsed() >= PATIENCE / 2, "{:?}", began.elapsed());
    serving.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err(), "it ends when it is dropped");
}
