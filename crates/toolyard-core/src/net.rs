//! Where Toolyard may connect to, as pure rules over addresses and names.
//!
//! A [`Destination`] is made from the text of a URL before anything is resolved. Whoever connects
//! asks [`Destination::permits`] about every address the name resolves to, and dials the very
//! address that was permitted, so that a second answer of the name server changes nothing.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// How far connections reach beyond HTTPS to public addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Private networks as well, see [`is_private`].
    pub private: bool,
    /// This machine as well, with or without TLS; for development.
    pub danger_loopback: bool,
}

/// A server that may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    host: Host,
    port: u16,
    encrypted: bool,
    reach: Reach,
}

/// The host of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name to resolve, in lower case.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a place can't be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Neither `https` nor, on loopback, `http`.
    #[error("the address has to begin with `https://`")]
    Scheme,
    /// `user:password@host`.
    #[error("the address holds a user name or password; remove everything up to the `@`")]
    UserInfo,
    /// No plain host name or canonical address.
    #[error("the host is neither a plain name nor an address in its usual form; write `idp.example.com` or `192.0.2.1`")]
    Host,
    /// No port between 1 and 65535.
    #[error("the port has to be a number between 1 and 65535")]
    Port,
    /// An address that is out of reach, or a name that stands for this machine.
    #[error("the address is not a public one")]
    OutOfReach,
}

impl Destination {
    /// Checks scheme and authority (`host`, `host:port`, `[address]:port`) of a URL as written.
    pub fn new(scheme: &str, authority: &str, reach: Reach) -> Result<Self, DestinationError> {
        let encrypted = if scheme.eq_ignore_ascii_case("https") {
            true
        } else if scheme.eq_ignore_ascii_case("http") && reach.danger_loopback {
            false
        } else {
            return Err(DestinationError::Scheme);
        };
        if authority.contains('@') {
            return Err(DestinationError::UserInfo);
        }
        let (host, port) = split(authority)?;
        let port = port.unwrap_or(if encrypted { 443 } else { 80 });
        let destination = Self { host, port, encrypted, reach };
        let possible = match &destination.host {
            Host::Address(address) => destination.permits(*address),
            // A name that stands for this machine, or one that could only be used without TLS.
            Host::Name(name) if is_localhost(name) => reach.danger_loopback,
            Host::Name(_) => encrypted,
        };
        if possible {
            Ok(destination)
        } else if encrypted {
            Err(DestinationError::OutOfReach)
        } else {
            Err(DestinationError::Scheme)
        }
    }

    /// Whether this address may be dialed for it; ask about each one a name resolves to.
    pub fn permits(&self, address: IpAddr) -> bool {
        let loopback = self.reach.danger_loopback && address.to_canonical().is_loopback();
        if self.encrypted { loopback || is_public(address) || (self.reach.private && is_private(address)) } else { loopback }
    }

    /// The host, for resolving and for the name in a certificate.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS has to be used.
    pub const fn encrypted(&self) -> bool {
        self.encrypted
    }
}

/// Whether an address is reachable from anywhere and stands for nothing else: not this machine, a
/// private or local network, documentation, benchmarks, multicast or anything reserved. Addresses
/// that embed another one (mapped, 6to4, NAT64) are judged by that one.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

/// Whether an address belongs to a private network: 10/8, 172.16/12, 192.168/16, 100.64/10 or
/// fc00::/7, also when it is an IPv4-mapped one. Neither loopback nor link-local is private.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || is_shared(address),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, loopback, multicast, and reserved up to broadcast.
        (0 | 127 | 224.., ..) => true,
        // Protocol assignments, documentation, 6to4 relays.
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) => true,
        // Benchmarks.
        (198, 18 | 19, _) => true,
        _ => false,
    };
    !(special || address.is_private() || address.is_link_local() || is_shared(address))
}

/// Carrier-grade NAT.
fn is_shared(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    a == 100 && (64..128).contains(&b)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let special = match (first, second) {
        // Protocol assignments (Teredo, ORCHID, benchmarks) and documentation.
        (0x2001, 0..0x0200 | 0x0db8) => true,
        (0x3fff, 0..0x1000) => true,
        _ => false,
    };
    // Nothing outside of 2000::/3 is assigned as global unicast.
    first & 0xe000 == 0x2000 && !special
}

/// The IPv4 address that packets to this address end up at.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(join(high, low)),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

fn split(authority: &str) -> Result<(Host, Option<u16>), DestinationError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(DestinationError::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| DestinationError::Host)?;
        let port = match rest.split_once(':') {
            Some(("", port)) => Some(port),
            None if rest.is_empty() => None,
            _ => return Err(DestinationError::Host),
        };
        (Host::Address(IpAddr::V6(address)), port)
    } else {
        let (name, port) = authority.split_once(':').map_or((authority, None), |(name, port)| (name, Some(port)));
        (name_or_v4(name)?, port)
    };
    let port = match port {
        None => None,
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(text.parse().ok().filter(|port| *port != 0).ok_or(DestinationError::Port)?)
        }
        Some(_) => return Err(DestinationError::Port),
    };
    Ok((host, port))
}

fn name_or_v4(text: &str) -> Result<Host, DestinationError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let label_fits = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Resolvers read `127.1`, `0177.1`, `0x7f.1` and `2130706433` as addresses. None of them ends
    // in a top-level domain. An empty last label (`localhost.`) is refused with the others.
    let last = text.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let numeric =
        last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())) || last.bytes().all(|b| b.is_ascii_digit());
    if numeric || text.len() > MAX_NAME || !text.split('.').all(label_fits) {
        return Err(DestinationError::Host);
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests;
