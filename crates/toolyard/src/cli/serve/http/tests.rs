use clap::Parser as _;
use toolyard_http::{AuthConfig, Listen};

use super::{Credential, Failure, HttpArgs, HttpSettings, check, chosen, overridden, refuse_lone_options, secured, without_line_break};
use crate::{
    Toolyard,
    cli::args::{Cli, Command},
    config::{Operations, Settings, http::parse_listen},
};

/// The options as `serve` takes them.
fn options(arguments: &[&str]) -> Result<HttpArgs, String> {
    let cli = Cli::try_parse_from(["toolyard", "serve"].iter().chain(arguments)).map_err(|error| error.to_string())?;
    match cli.command {
        Some(Command::Serve(args)) => Ok(args.http),
        other => panic!("{other:?}"),
    }
}

fn settings(http: &str) -> HttpSettings {
    let settings = Settings::from_json(&format!(r#"{{"http":{http}}}"#), "/etc".as_ref(), &|_| None);
    settings.expect("valid").http().clone()
}

fn tcp(address: &str) -> Listen {
    Listen::Tcp(address.parse().expect("an address"))
}

#[track_caller]
fn problem<T>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Setup(error)) => format!("{error:#}"),
        Err(Failure::Run(error)) => panic!("{error:#}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[test]
fn the_option_beats_the_configuration_and_that_the_environment() {
    let environment = |name: &str| match name {
        "MCP_PORT" => Some("7000".to_owned()),
        "MCP_HOST" => Some("0.0.0.0".to_owned()),
        _ => None,
    };
    let none = |_: &str| None;
    let file = settings(r#"{"listen":":8000"}"#);
    let empty = HttpSettings::default();
    let option = options(&["--http", "[::1]:9000"]).expect("options");
    let stdio = options(&["--stdio"]).expect("options");
    let plain = options(&[]).expect("options");
    let chosen = |args: &HttpArgs, settings: &HttpSettings, variable: &dyn Fn(&str) -> Option<String>| {
        chosen(args, settings, variable).map_err(|_| "refused")
    };
    assert_eq!(chosen(&option, &file, &environment), Ok(Some(tcp("[::1]:9000"))));
    assert_eq!(chosen(&plain, &file, &environment), Ok(Some(tcp("127.0.0.1:8000"))));
    assert_eq!(chosen(&plain, &empty, &environment), Ok(Some(tcp("0.0.0.0:7000"))));
    assert_eq!(chosen(&plain, &empty, &none), Ok(None));
    assert_eq!(chosen(&stdio, &file, &environment), Ok(None));
    let port_only = |name: &str| (name == "MCP_PORT").then(|| "7000".to_owned());
    assert_eq!(chosen(&plain, &empty, &port_only), Ok(Some(tcp("127.0.0.1:7000"))));
    let host_only = |name: &str| (name == "MCP_HOST").then(|| "0.0.0.0".to_owned());
    assert_eq!(chosen(&plain, &empty, &host_only), Ok(None), "an address without a port asks for nothing");
}

#[test]
fn a_variable_that_means_nothing_is_named_when_it_counts() {
    let empty = HttpSettings::default();
    let plain = options(&[]).expect("options");
    for port in ["http", "65536", "-1", "+80"] {
        let variable = |name: &str| (name == "MCP_PORT").then(|| port.to_owned());
        assert!(problem(chosen(&plain, &empty, &variable)).starts_with("MCP_PORT: not a port"), "{port}");
        let option = options(&["--http", ":1"]).expect("options");
        assert_eq!(chosen(&option, &empty, &variable).ok(), Some(Some(tcp("127.0.0.1:1"))));
    }
    let named = |name: &str| Some(if name == "MCP_PORT" { "80" } else { "tools.example.com" }.to_owned());
    assert!(problem(chosen(&plain, &empty, &named)).starts_with("MCP_HOST: `tools.example.com` is no IP address"));
}

#[test]
fn options_replace_what_the_configuration_says() {
    let file = settings(
        r#"{"publicUrl":"https://a.example/mcp","allowedHosts":["a.example"],"allowedOrigins":["https://a.example"],
            "legacySse":true,"health":"off","metrics":":1","tls":{"certificate":"c.pem","key":"k.pem"}}"#,
    );
    let kept = overridden(file.clone(), &options(&[]).expect("options")).expect("settings");
    assert_eq!((kept.health, kept.legacy_sse), (Operations::Off, true));
    assert_eq!(kept.tls.expect("files").key.to_str(), Some("/etc/k.pem"));
    let args = options(&[
        "--public-url",
        "https://b.example/mcp",
        "--allowed-host",
        "b.example",
        "--allowed-origin",
        "https://b.example",
        "--health",
        ":2",
        "--metrics",
        "off",
        "--tls-cert",
        "/c",
        "--tls-key",
        "/k",
    ]);
    let replaced = overridden(file, &args.expect("options")).expect("settings");
    assert_eq!(replaced.public_url.expect("an address").as_str(), "https://b.example/mcp");
    assert_eq!((replaced.allowed_hosts, replaced.allowed_origins), (vec!["b.example".to_owned()], vec!["https://b.example".to_owned()]));
    assert_eq!((replaced.health, replaced.metrics), (Operations::At("127.0.0.1:2".parse().expect("an address")), Operations::Off));
    assert_eq!(replaced.tls.expect("files").certificate.to_str(), Some("/c"));
}

#[test]
fn options_that_can_t_be_used_are_refused_with_what_to_write() {
    for (arguments, problem) in [
        (&["--http", "example.com:80"][..], "names are not looked up"),
        (&["--http", ":1", "--stdio"], "cannot be used with"),
        (&["--tls-cert", "c"], "--tls-key"),
        (&["--allowed-host", "*"], "any web page"),
        (&["--allowed-origin", "null"], "any web page"),
        (&["--public-url", "https://a.example"], "lacks the path of the endpoint"),
        (&["--health", "no"], "or `off`"),
    ] {
        let refused = options(arguments).expect_err("a wrong option");
        assert!(refused.contains(problem), "{refused}");
    }
}

#[test]
fn options_about_http_are_no_use_on_stdio() {
    let lone = options(&["--legacy-sse"]).expect("options");
    assert_eq!(problem(refuse_lone_options(&lone)), "--legacy-sse is about HTTP, and stdio is served; say where with `--http`");
    assert_eq!(refuse_lone_options(&options(&[]).expect("options")).ok(), Some(()));
}

/// A server without a configuration and its directories, which have to stay.
fn yard() -> (tempfile::TempDir, Toolyard) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let workspace = home.path().join("work");
    #[expect(clippy::disallowed_methods, reason = "the test lays out its own directories")]
    std::fs::create_dir(&workspace).expect("a directory");
    let yard = Toolyard::builder().workspace(workspace).state_directory(home.path().join("state")).build().expect("a server");
    (home, yard)
}

fn auth(listen: &str, http: &str, unauthenticated: bool) -> Result<(AuthConfig, Credential), Failure> {
    let (_home, yard) = yard();
    let listen = parse_listen(listen).expect("an address");
    secured(listen, settings(http), unauthenticated, &yard).map(|(config, credential)| (config.auth, credential))
}

const TOKEN: &str = r#"{"tokens":[{"name":"ci","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]}"#;

#[test]
fn on_loopback_a_token_is_made_when_nothing_is_configured() {
    let (auth, credential) = auth("127.0.0.1:0", "{}", false).expect("a configuration");
    assert_eq!(auth.tokens.iter().map(|token| &*token.name).collect::<Vec<_>>(), ["local"]);
    assert!(!auth.unauthenticated);
    assert!(matches!(credential, Credential::File(path) if path.ends_with("state/http-token")));
}

#[test]
fn configured_tokens_are_the_only_ones() {
    let (auth, credential) = auth("0.0.0.0:0", TOKEN, false).expect("a configuration");
    assert_eq!(auth.tokens.iter().map(|token| &*token.name).collect::<Vec<_>>(), ["ci"]);
    assert_eq!(credential, Credential::Token);
}

#[test]
fn a_socket_needs_no_token() {
    let (auth, credential) = auth("unix:/run/x.sock", "{}", false).expect("a configuration");
    assert!(auth.tokens.is_empty() && !auth.unauthenticated);
    assert_eq!(credential, Credential::None);
}

#[test]
fn dr4_nobody_is_let_in_without_a_token_unless_that_was_said() {
    let (auth, credential) = auth("[::1]:0", "{}", true).expect("a configuration");
    assert!(auth.tokens.is_empty() && auth.unauthenticated);
    assert_eq!(credential, Credential::None);
}

#[test]
fn dr5_an_address_others_can_reach_needs_authentication() {
    let refused = problem(auth("0.0.0.0:8080", "{}", false));
    assert!(refused.starts_with("`0.0.0.0:8080` can be reached from other machines"), "{refused}");
    assert!(refused.contains("`http.tokens`") && refused.contains("`127.0.0.1:8080`"), "{refused}");
    let refused = problem(auth("[::]:1", "{}", true));
    assert!(refused.starts_with("--unauthenticated-loopback holds on this machine only"), "{refused}");
}

#[test]
fn going_without_authentication_contradicts_what_asks_for_it() {
    for (listen, http, expected) in [
        ("127.0.0.1:0", TOKEN, "--unauthenticated-loopback: the configuration has tokens or OAuth"),
        (
            "127.0.0.1:0",
            r#"{"publicUrl":"https://a.example/mcp"}"#,
            "--unauthenticated-loopback: with the public address `https://a.example/mcp`",
        ),
        (
            "127.0.0.1:0",
            r#"{"publicUrl":"http://localhost/mcp"}"#,
            "--unauthenticated-loopback: with the public address `http://localhost/mcp`",
        ),
        ("127.0.0.1:0", r#"{"allowedHosts":["a.example"]}"#, "--unauthenticated-loopback: with the allowed host `a.example`"),
        (
            "127.0.0.1:0",
            r#"{"allowedOrigins":["https://a.example"]}"#,
            "--unauthenticated-loopback: with the allowed origin `https://a.example`",
        ),
        ("unix:/run/x.sock", "{}", "--unauthenticated-loopback: on a Unix socket"),
    ] {
        let refused = problem(auth(listen, http, true));
        assert!(refused.starts_with(expected), "{refused}");
    }
}

#[test]
fn dr5_a_socket_that_others_reach_through_a_proxy_needs_authentication() {
    let refused = problem(auth("unix:/run/x.sock", r#"{"publicUrl":"https://a.example/mcp"}"#, false));
    assert!(refused.starts_with("with the public address `https://a.example/mcp` others than this user"), "{refused}");
    let refused = problem(auth("unix:/run/x.sock", r#"{"allowedHosts":["a.example"]}"#, false));
    assert!(refused.starts_with("with the allowed host `a.example`"), "{refused}");
}

#[test]
fn the_link_of_a_kubernetes_service_is_no_port_and_stops_nothing() {
    let linked = |name: &str| (name == "MCP_PORT").then(|| "tcp://10.96.0.1:80".to_owned());
    assert_eq!(chosen(&options(&[]).expect("options"), &HttpSettings::default(), &linked).ok(), Some(None));
}

#[test]
fn a_secret_from_a_file_loses_one_line_break_of_any_system() {
    for (text, expected) in [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), ("s \r", "s \r"), ("", "")] {
        assert_eq!(without_line_break(text), expected, "{text:?}");
    }
}

#[test]
fn what_serve_would_refuse_is_refused_by_the_check_of_the_configuration() {
    for (http, expected) in [
        (r#"{"listen":"0.0.0.0:8080"}"#, "`0.0.0.0:8080` can be reached from other machines"),
        (r#"{"listen":":8080","health":":8080"}"#, "http.health: `127.0.0.1:8080` is where requests are taken"),
        (r#"{"listen":"unix:/run/x.sock","publicUrl":"https://a.example/mcp"}"#, "with the public address"),
        (
            r#"{"listen":":8080","tls":{"certificate":"/none/c.pem","key":"/none/k.pem"}}"#,
            "http.tls.certificate: `/none/c.pem` can't be read",
        ),
    ] {
        let refused = problem(check(settings(http)));
        assert!(refused.starts_with(expected), "{refused}");
    }
    assert_eq!(check(settings(r#"{"listen":":8080"}"#)).ok(), Some(Some(tcp("127.0.0.1:8080"))));
}
