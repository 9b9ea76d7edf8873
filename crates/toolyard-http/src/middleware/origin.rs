//! The origin of a page (RFC 6454) and the rules that allow some.

use super::authority::{Authority, Host};

/// Scheme, host and port of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Box<str>,
    host: Host,
    port: Option<u16>,
}

/// An origin that is allowed, or one with any port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OriginRule {
    origin: Origin,
    any_port: bool,
}

impl Origin {
    /// Reads `scheme://host[:port]`; none for `null`, a list, a path or anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let mut letters = scheme.bytes();
        let sound = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        if !sound {
            return None;
        }
        let scheme: Box<str> = scheme.to_ascii_lowercase().into();
        let Authority { host, port } = Authority::parse(rest)?;
        let port = port.or(match &*scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        Some(Self { scheme, host, port })
    }

    /// A page that this machine served.
    pub(crate) fn is_loopback(&self) -> bool {
        matches!(&*self.scheme, "http" | "https") && self.host.is_loopback()
    }
}

impl OriginRule {
    /// Reads `scheme://host`, with a port or `:*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (origin, any_port) = match text.strip_suffix(":*") {
            Some(origin) => (origin, true),
            None => (text, false),
        };
        Origin::parse(origin).map(|origin| Self { origin, any_port })
    }

    pub(crate) fn allows(&self, origin: &Origin) -> bool {
        let Origin { scheme, host, port } = &self.origin;
        *scheme == origin.scheme && *host == origin.host && (self.any_port || *port == origin.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, origin: &str) -> bool {
        let (rule, origin) = (OriginRule::parse(rule).expect("a rule"), Origin::parse(origin).expect("an origin"));
        rule.allows(&origin)
    }

    #[test]
    fn h2_origins_are_compared_by_scheme_host_and_port() {
        for (rule, origin, want) in [
            ("https://app.example.com", "https://app.example.com", true),
            ("https://app.example.com", "https://app.example.com:443", true),
            ("https://app.example.com:443", "https://app.example.com", true),
            ("https://APP.example.com", "HTTPS://app.EXAMPLE.com", true),
            ("https://app.example.com", "http://app.example.com", false),
            ("https://app.example.com", "https://app.example.com:8443", false),
            ("https://app.example.com", "https://example.com", false),
            ("https://app.example.com", "https://app.example.com.evil.com", false),
            ("http://app.example.com", "http://app.example.com:80", true),
            ("http://app.example.com", "http://app.example.com:443", false),
            ("https://app.example.com:*", "https://app.example.com:5173", true),
            ("https://app.example.com:*", "https://app.example.com", true),
            ("https://app.example.com:*", "http://app.example.com:5173", false),
            ("vscode-webview://abc", "vscode-webview://abc", true),
            ("http://[::1]:3000", "http://[0:0::1]:3000", true),
        ] {
            assert_eq!(allows(rule, origin), want, "{rule} for {origin}");
        }
    }

    #[test]
    fn h2_what_is_no_origin_is_refused() {
        for text in [
            "null",
            "",
            "https://",
            "https:app",
            "app.example.com",
            "https://a/",
            "https://a b",
            "https://a, https://b",
            "https://u@a",
            "1x://a",
            "*",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
        for text in ["*", "https://*", "https://*.example.com", "https://a:*:*", "null", "file://"] {
            assert_eq!(OriginRule::parse(text), None, "{text}");
        }
    }
}
