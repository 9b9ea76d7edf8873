//! The `host[:port]` of headers, request targets and the configuration, in one form.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Who a request is addressed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

/// A host, comparable: names in lower case, addresses as numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(Box<str>),
    Ip(IpAddr),
}

impl Authority {
    /// Reads `host[:port]`; none if it is anything else. User information, paths, escapes, zone
    /// ids and non-ASCII names are refused. Browsers send none of them, and spellings that two
    /// readers understand differently are how checks are got round.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']')?;
            let host = Host::Ip(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?));
            let port = match after.strip_prefix(':') {
                Some(port) => port_of(port)?,
                None if after.is_empty() => None,
                None => return None,
            };
            return Some(Self { host, port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port_of(port)?),
            None => (text, None),
        };
        Some(Self { host: Host::name_or_v4(host)?, port })
    }
}

impl Host {
    fn name_or_v4(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Ip(IpAddr::V4(address)));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let sound = !text.is_empty() && text.len() <= 253 && text.bytes().all(plain);
        sound.then(|| Self::Name(text.to_ascii_lowercase().into()))
    }

    /// Whether it can mean nothing but this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => &**name == "localhost",
            Self::Ip(ip) => *ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || *ip == IpAddr::V6(Ipv6Addr::LOCALHOST),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// RFC 3986 allows an empty port; it means none.
fn port_of(digits: &str) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    let plain = digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok().map(Some) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Authority::parse(text).map_or("malformed".into(), |it| match it.port {
            Some(port) => format!("{} {port}", it.host),
            None => it.host.to_string(),
        })
    }

    #[test]
    fn hosts_are_compared_without_case_and_addresses_as_numbers() {
        for (text, want) in [
            ("Example.COM", "example.com"),
            ("example.com:8443", "example.com 8443"),
            ("example.com:", "example.com"),
            ("127.0.0.1:80", "127.0.0.1 80"),
            ("[::1]:8080", "[::1] 8080"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("my_host", "my_host"),
            // Not an address, so a name that no list holds.
            ("127.1", "127.1"),
            ("0x7f000001", "0x7f000001"),
            ("localhost.", "localhost."),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn dr1_what_two_readers_could_understand_differently_is_malformed() {
        for text in [
            "",
            ":80",
            "a:b",
            "a:80:90",
            "a:65536",
            "a:000080",
            "a:+80",
            "a:-1",
            "user@a",
            "a/b",
            "a b",
            "a,b",
            "::1",
            "[::1",
            "[::1]x",
            "[::1%25eth0]",
            "[127.0.0.1]",
            "a%2eb",
            "b\u{fc}cher.example",
            "a?b",
            "a#b",
            "a\\b",
            "*",
            "http://a",
        ] {
            assert_eq!(shown(text), "malformed", "{text}");
        }
        assert_eq!(shown(&"a".repeat(254)), "malformed");
    }

    #[test]
    fn only_three_spellings_mean_this_machine() {
        for (text, want) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("127.0.0.2", false),
            ("[::ffff:127.0.0.1]", false),
            ("localhost.", false),
            ("localhost.evil.com", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(Authority::parse(text).map(|it| it.host.is_loopback()), Some(want), "{text}");
        }
    }
}
