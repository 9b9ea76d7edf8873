//! Addresses as people write them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use toolyard_http::Listen;

use super::Operations;

/// What the address of a Unix socket holds.
const MAX_SOCKET_PATH: usize = 107;

/// Where to listen: `127.0.0.1:8080`, `[::1]:8080`, `:8080`, `8080`, `localhost:8080`, `unix:/path`.
pub(crate) fn parse_listen(text: &str) -> Result<Listen, String> {
    let Some(path) = text.strip_prefix("unix:") else { return parse_tcp(text).map(Listen::Tcp) };
    if !path.starts_with('/') {
        return Err(format!("`{text}` is no socket; write the whole path: `unix:/run/toolyard/mcp.sock`"));
    }
    if path.len() > MAX_SOCKET_PATH || path.contains('\0') {
        return Err(format!("the path of a socket has at most {MAX_SOCKET_PATH} bytes; choose a shorter one"));
    }
    Ok(Listen::Unix(PathBuf::from(path)))
}

/// Where health or metrics are told: an address or `off`.
pub(crate) fn parse_operations(text: &str) -> Result<Operations, String> {
    if text == "off" {
        return Ok(Operations::Off);
    }
    parse_tcp(text).map(Operations::At).map_err(|problem| format!("{problem}, or `off`"))
}

/// The host of an address: an IP address or `localhost`. Other names are not looked up, since
/// what they mean can change after the check of who can reach it.
pub(crate) fn resolve_host(text: &str) -> Option<IpAddr> {
    if text == "localhost" {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok()
}

fn parse_tcp(text: &str) -> Result<SocketAddr, String> {
    const EXAMPLE: &str = "write an IP address and a port: `127.0.0.1:8080`, `[::1]:8080`, or `:8080` for this machine only";
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if text.contains("://") {
        return Err(format!("`{text}` is a URL; {EXAMPLE}"));
    }
    if resolve_host(text).is_some() {
        return Err(format!("`{text}` lacks a port; {EXAMPLE}"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (if host.is_empty() { "localhost" } else { host }, port),
        None => ("localhost", text),
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match (port.parse::<u16>(), resolve_host(host)) {
        (Ok(port), Some(host)) if digits => Ok(SocketAddr::new(host, port)),
        (Ok(_), None) if digits => Err(format!("`{host}` is no IP address, and names are not looked up; {EXAMPLE}")),
        _ if digits => Err(format!("`{port}` is no port; write 0 to 65535")),
        _ => Err(format!("`{text}` is no address; {EXAMPLE}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Listen, Operations, parse_listen, parse_operations};

    #[test]
    fn addresses_without_a_host_mean_this_machine_only() {
        for (text, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            ("8080", "127.0.0.1:8080"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:8080", "[::1]:8080"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            assert_eq!(parse_listen(text), Ok(Listen::Tcp(expected.parse().expect("an address"))), "{text}");
        }
        assert_eq!(parse_listen("unix:/run/y.sock"), Ok(Listen::Unix(PathBuf::from("/run/y.sock"))));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for (text, problem) in [
            ("http://127.0.0.1:8080", "`http://127.0.0.1:8080` is a URL; write an IP address and a port"),
            ("127.0.0.1", "`127.0.0.1` lacks a port"),
            ("::1", "`::1` lacks a port"),
            ("tools.example.com:80", "`tools.example.com` is no IP address, and names are not looked up"),
            (":65536", "`65536` is no port; write 0 to 65535"),
            (":+80", "`:+80` is no address"),
            ("", "`` is no address"),
            ("unix:run/y", "`unix:run/y` is no socket; write the whole path"),
        ] {
            let refused = parse_listen(text).expect_err(text);
            assert!(refused.starts_with(problem), "{refused}");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        assert_eq!(parse_listen(&long), Err("the path of a socket has at most 107 bytes; choose a shorter one".to_owned()));
    }

    #[test]
    fn health_and_metrics_can_be_switched_off() {
        assert_eq!(parse_operations("off"), Ok(Operations::Off));
        assert_eq!(parse_operations("9000"), Ok(Operations::At("127.0.0.1:9000".parse().expect("an address"))));
        assert!(parse_operations("no").expect_err("no address").ends_with("for this machine only, or `off`"));
    }
}
