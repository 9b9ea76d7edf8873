use http::{Request, Uri};
use url::Url;

use super::*;

/// A listener and its rules.
fn rules(address: &str, change: impl FnOnce(&mut HttpConfig)) -> HostRules {
    let address: SocketAddr = address.parse().expect("an address");
    let mut config = HttpConfig::new(Listen::Tcp(address));
    config.auth.unauthenticated = address.ip().is_loopback();
    change(&mut config);
    HostRules::new(&config, Some(address)).expect("the lists are fine")
}

fn local() -> HostRules {
    rules("127.0.0.1:8080", |_| {})
}

/// What becomes of a request with these headers: `ok`, or status and reason.
fn of(rules: &HostRules, headers: &[(&str, &str)]) -> String {
    to(rules, "/mcp", headers)
}

fn to(rules: &HostRules, target: &str, headers: &[(&str, &str)]) -> String {
    let mut request = Request::builder().method("POST").uri(target.parse::<Uri>().expect("a target"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).expect("a request").into_parts();
    match rules.check(&head) {
        Ok(()) => "ok".into(),
        Err(forbidden) => format!("{} {}", forbidden.status().as_u16(), forbidden.reason()),
    }
}

const HOST: (&str, &str) = ("host", "127.0.0.1:8080");

#[test]
fn dr1_only_names_of_this_machine_reach_a_loopback_listener() {
    for (host, want) in [
        ("127.0.0.1:8080", "ok"),
        ("127.0.0.1", "ok"),
        ("localhost:8080", "ok"),
        ("LocalHost", "ok"),
        // Behind a port forward.
        ("localhost:9000", "ok"),
        ("[::1]:8080", "ok"),
        ("evil.com", "403 foreign_host"),
        ("evil.com:8080", "403 foreign_host"),
        ("localhost.evil.com", "403 foreign_host"),
        ("127.0.0.1.evil.com", "403 foreign_host"),
        ("localhost.", "403 foreign_host"),
        ("127.0.0.2", "403 foreign_host"),
        ("10.0.0.7", "403 foreign_host"),
        ("[::ffff:127.0.0.1]", "403 foreign_host"),
        ("0.0.0.0", "403 foreign_host"),
        ("127.1", "403 foreign_host"),
    ] {
        assert_eq!(of(&local(), &[("host", host)]), want, "{host}");
    }
}

#[test]
fn dr1_a_host_that_is_malformed_missing_or_there_twice_is_a_bad_request() {
    for headers in [
        &[][..],
        &[("host", "")],
        &[("host", "localhost, evil.com")],
        &[("host", "evil.com@localhost")],
        &[("host", "localhost/")],
        &[("host", "localhost:http")],
        &[("host", "[::1")],
        &[("host", "localhost"), ("host", "localhost")],
        &[("host", "localhost"), ("host", "evil.com")],
    ] {
        assert_eq!(of(&local(), headers), "400 malformed_host", "{headers:?}");
    }
}

#[test]
fn dr1_a_target_of_absolute_form_has_to_agree_with_host() {
    for (target, host, want) in [
        ("http://localhost:8080/mcp", "localhost:8080", "ok"),
        ("http://LOCALHOST:8080/mcp", "localhost:8080", "ok"),
        ("http://evil.com/mcp", "evil.com", "403 foreign_host"),
        ("http://evil.com/mcp", "localhost", "400 malformed_host"),
        ("http://localhost/mcp", "evil.com", "400 malformed_host"),
        ("http://localhost:1/mcp", "localhost:2", "400 malformed_host"),
        ("http://evil.com@localhost/mcp", "localhost", "400 malformed_host"),
    ] {
        assert_eq!(to(&local(), target, &[("host", host)]), want, "{target} {host}");
    }
    assert_eq!(to(&local(), "http://localhost/mcp", &[]), "400 malformed_host", "HTTP/1.1 needs Host");
}

#[test]
fn h2_the_authority_of_http_2_stands_for_host() {
    let (mut head, ()) = Request::builder().uri("http://localhost/mcp").body(()).expect("a request").into_parts();
    head.version = http::Version::HTTP_2;
    assert_eq!(local().check(&head), Ok(()));
    head.uri = Uri::from_static("http://evil.com/mcp");
    assert_eq!(local().check(&head), Err(Forbidden::ForeignHost));
}

#[test]
fn the_public_url_and_the_allowed_hosts_are_ours() {
    let rules = rules("127.0.0.1:8080", |config| {
        config.public_url = Some(Url::parse("https://Tools.Example.com/mcp").expect("a URL"));
        config.allowed_hosts = vec!["inner.example:8443".into(), "10.1.2.3".into(), "[fd00::7]".into()];
    });
    for (host, want) in [
        ("tools.example.com", "ok"),
        ("tools.example.com:8443", "ok"),
        ("inner.example:8443", "ok"),
        ("inner.example:443", "403 foreign_host"),
        ("inner.example", "403 foreign_host"),
        ("10.1.2.3:1", "ok"),
        ("[fd00:0::7]:9", "ok"),
        ("example.com", "403 foreign_host"),
        ("a.tools.example.com", "403 foreign_host"),
    ] {
        assert_eq!(of(&rules, &[("host", host)]), want, "{host}");
    }
}

#[test]
fn dr1_where_callers_authenticate_addresses_are_fine_and_foreign_names_are_not() {
    for (listener, localhost) in [("0.0.0.0:8080", "ok"), ("[::]:8080", "ok"), ("192.168.1.5:8080", "403 foreign_host")] {
        let rules = rules(listener, |_| {});
        for (host, want) in [
            ("192.168.1.5:8080", "ok"),
            ("10.9.8.7:31000", "ok"),
            ("[2001:db8::1]", "ok"),
            ("localhost:8080", localhost),
            ("evil.com", "403 foreign_host"),
            ("tools.example.com", "403 foreign_host"),
        ] {
            assert_eq!(of(&rules, &[("host", host)]), want, "{host} at {listener}");
        }
    }
}

#[test]
fn dr5_without_authentication_only_the_address_listened_at_is_fine() {
    let rules = rules("192.168.1.5:8080", |config| config.auth.unauthenticated = true);
    assert_eq!(of(&rules, &[("host", "192.168.1.5:8080")]), "ok");
    assert_eq!(of(&rules, &[("host", "10.9.8.7")]), "403 foreign_host");
}

#[test]
fn dr6_over_a_unix_socket_any_well_formed_host_will_do() {
    let config = HttpConfig::new(Listen::Unix("s".into()));
    let rules = HostRules::new(&config, None).expect("the lists are fine");
    assert_eq!(of(&rules, &[("host", "whatever")]), "ok");
    assert_eq!(of(&rules, &[("host", "a b")]), "400 malformed_host");
    assert_eq!(of(&rules, &[("host", "localhost"), ("origin", "http://localhost")]), "403 foreign_origin");
}

#[test]
fn h2_dr2_origins_that_are_not_allowed_are_forbidden() {
    for (origins, want) in [
        (&[][..], "ok"),
        (&["http://localhost:5173"], "ok"),
        (&["http://localhost"], "ok"),
        (&["https://localhost"], "ok"),
        (&["http://127.0.0.1:3000"], "ok"),
        (&["http://[::1]:3000"], "ok"),
        (&["http://evil.com"], "403 foreign_origin"),
        (&["http://localhost.evil.com"], "403 foreign_origin"),
        (&["http://127.0.0.2"], "403 foreign_origin"),
        (&["ftp://localhost"], "403 foreign_origin"),
        (&["null"], "403 foreign_origin"),
        (&[""], "403 foreign_origin"),
        (&["http://localhost/"], "403 foreign_origin"),
        (&["localhost"], "403 foreign_origin"),
        (&["http://localhost", "http://localhost"], "403 foreign_origin"),
        (&["http://localhost", "http://evil.com"], "403 foreign_origin"),
        (&["http://localhost http://evil.com"], "403 foreign_origin"),
        (&["http://localhost, http://evil.com"], "403 foreign_origin"),
    ] {
        let mut headers = vec![HOST];
        headers.extend(origins.iter().map(|origin| ("origin", *origin)));
        assert_eq!(of(&local(), &headers), want, "{origins:?}");
    }
}

#[test]
fn h2_listed_origins_are_allowed_and_loopback_ones_only_on_loopback() {
    let rules =
        rules("0.0.0.0:8080", |config| config.allowed_origins = vec!["https://app.example.com".into(), "http://dev.example:*".into()]);
    for (origin, want) in [
        ("https://app.example.com", "ok"),
        ("https://app.example.com:443", "ok"),
        ("http://app.example.com", "403 foreign_origin"),
        ("https://app.example.com:444", "403 foreign_origin"),
        ("http://dev.example:5173", "ok"),
        ("http://localhost:5173", "403 foreign_origin"),
    ] {
        assert_eq!(of(&rules, &[HOST, ("origin", origin)]), want, "{origin}");
    }
}

#[test]
fn dr3_requests_of_pages_of_other_sites_are_forbidden() {
    for (site, origin, want) in [
        ("none", None, "ok"),
        ("same-origin", None, "ok"),
        ("cross-site", None, "403 cross_site"),
        ("same-site", None, "403 cross_site"),
        ("something-new", None, "403 cross_site"),
        ("", None, "403 cross_site"),
        ("cross-site", Some("http://localhost:5173"), "ok"),
        ("same-site", Some("http://localhost:5173"), "ok"),
        ("same-origin", Some("http://evil.com"), "403 foreign_origin"),
        ("cross-site", Some("null"), "403 foreign_origin"),
    ] {
        let mut headers = vec![HOST, ("sec-fetch-site", site), ("content-type", "text/plain")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(of(&local(), &headers), want, "{site} {origin:?}");
    }
    let twice = [HOST, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
    assert_eq!(of(&local(), &twice), "403 cross_site");
}

#[test]
fn probes_and_scrapers_use_addresses_and_no_page_may() {
    let mut config = HttpConfig::new(Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))));
    config.allowed_hosts = vec!["toolyard.monitoring.svc".into()];
    config.allowed_origins = vec!["https://app.example.com".into()];
    let rules = HostRules::operations(&config).expect("the lists are fine");
    for (headers, want) in [
        (&[("host", "10.244.0.7:8081")][..], "ok"),
        (&[("host", "localhost:9090")], "ok"),
        (&[("host", "toolyard.monitoring.svc:9090")], "ok"),
        (&[("host", "evil.com")], "403 foreign_host"),
        (&[("host", "localhost"), ("origin", "http://localhost")], "403 foreign_origin"),
        (&[("host", "localhost"), ("origin", "https://app.example.com")], "403 foreign_origin"),
        (&[("host", "localhost"), ("sec-fetch-site", "cross-site")], "403 cross_site"),
    ] {
        assert_eq!(of(&rules, headers), want, "{headers:?}");
    }
}

#[test]
fn a_list_that_cannot_be_used_is_named() {
    let error = |change: fn(&mut HttpConfig)| {
        let mut config = HttpConfig::new(Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))));
        change(&mut config);
        HostRules::new(&config, None).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(
        error(|config| config.allowed_hosts.push("https://a".into())),
        Err("`https://a` is no host: write `tools.example.com`, with a port if only that one is meant".into())
    );
    assert_eq!(
        error(|config| config.allowed_origins.push("*".into())),
        Err("`*` is no origin: write `https://app.example.com`, with a port or `:*` for any".into())
    );
}
