#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Destination, DestinationError, Host, IpAddr, Reach, is_private, is_public};

const PUBLIC: Reach = Reach { private: false, danger_loopback: false };
const PRIVATE: Reach = Reach { private: true, danger_loopback: false };
const LOOPBACK: Reach = Reach { private: false, danger_loopback: true };

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn refused(scheme: &str, authority: &str, reach: Reach) -> DestinationError {
    Destination::new(scheme, authority, reach).unwrap_err()
}

#[test]
fn ss1_no_special_address_is_public() {
    let special = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "5f00::1",
        "4000::1",
        "2001::1",
        "2001:10::1",
        "2001:2::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff::1",
        "3fff:fff::1",
        "64:ff9b:1::1",
    ];
    for text in special {
        assert!(!is_public(ip(text)), "{text}");
    }
}

#[test]
fn ss1_an_address_is_judged_by_the_one_inside() {
    let inside = [
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a00:1::5",
        "2002:a9fe:a9fe::1",
    ];
    for text in inside {
        assert!(!is_public(ip(text)), "{text}");
    }
    for text in ["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"] {
        assert!(is_public(ip(text)), "{text}");
    }
}

#[test]
fn ordinary_addresses_are_public() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:200::1",
        "2001:4860:4860::8888",
        "3ffe::1",
    ] {
        assert!(is_public(ip(text)), "{text}");
        assert!(!is_private(ip(text)), "{text}");
    }
}

#[test]
fn private_is_neither_loopback_nor_link_local() {
    for text in ["10.1.2.3", "172.20.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"] {
        assert!(is_private(ip(text)), "{text}");
    }
    for text in
        ["127.0.0.1", "169.254.169.254", "fe80::1", "::1", "0.0.0.0", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1"]
    {
        assert!(!is_private(ip(text)), "{text}");
    }
}

#[test]
fn a_destination_keeps_host_and_port() {
    let destination = Destination::new("HTTPS", "IdP.Example.com", PUBLIC).unwrap();
    assert_eq!(destination.host(), &Host::Name("idp.example.com".into()));
    assert_eq!((destination.port(), destination.encrypted()), (443, true));
    let destination = Destination::new("https", "[2606:4700::1111]:8443", PUBLIC).unwrap();
    assert_eq!(destination.host(), &Host::Address(ip("2606:4700::1111")));
    assert_eq!(destination.port(), 8443);
}

#[test]
fn ss1_hosts_in_odd_forms_are_refused() {
    for host in [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "127.0.0.0x1",
        "1.2.3",
        "localhost.",
        "a.example.",
        "",
        ".a",
        "a..b",
        "ä.example",
        "a b",
        "a%2e.b",
        "-a.example",
        "a\\b",
        "0x",
    ] {
        assert_eq!(refused("https", host, PUBLIC), DestinationError::Host, "{host}");
    }
    assert_eq!(refused("https", "::1", PUBLIC), DestinationError::Host);
    assert_eq!(refused("https", "[::1%lo]", PUBLIC), DestinationError::Host);
    assert_eq!(refused("https", "[::1]x", PUBLIC), DestinationError::Host);
}

#[test]
fn ss1_special_hosts_and_user_names_are_refused() {
    assert_eq!(refused("https", "user@a.example", PUBLIC), DestinationError::UserInfo);
    assert_eq!(refused("https", "a.example:443@b.example", PUBLIC), DestinationError::UserInfo);
    for host in ["localhost", "LOCALHOST:8443", "a.localhost", "127.0.0.1", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254"] {
        assert_eq!(refused("https", host, PUBLIC), DestinationError::OutOfReach, "{host}");
    }
    for port in ["a.example:", "a.example:0", "a.example:65536", "a.example:+1", "a.example:x"] {
        assert_eq!(refused("https", port, PUBLIC), DestinationError::Port, "{port}");
    }
}

#[test]
fn ss2_an_address_that_a_name_resolves_to_is_judged_again() {
    let destination = Destination::new("https", "idp.example.com", PUBLIC).unwrap();
    assert!(destination.permits(ip("1.1.1.1")));
    assert!(!destination.permits(ip("127.0.0.1")));
    assert!(!destination.permits(ip("10.0.0.1")));
    assert!(!destination.permits(ip("::ffff:169.254.169.254")));
    let private = Destination::new("https", "idp.corp.example", PRIVATE).unwrap();
    assert!(private.permits(ip("10.0.0.1")));
    assert!(!private.permits(ip("169.254.169.254")));
    assert!(!private.permits(ip("127.0.0.1")));
}

#[test]
fn ss4_only_loopback_may_go_without_tls() {
    assert_eq!(refused("http", "a.example", PUBLIC), DestinationError::Scheme);
    assert_eq!(refused("http", "a.example", LOOPBACK), DestinationError::Scheme);
    assert_eq!(refused("http", "8.8.8.8", LOOPBACK), DestinationError::Scheme);
    assert_eq!(refused("ftp", "a.example", LOOPBACK), DestinationError::Scheme);
    let local = Destination::new("http", "localhost:3000", LOOPBACK).unwrap();
    assert!(local.permits(ip("127.0.0.1")) && local.permits(ip("::1")));
    assert!(!local.permits(ip("8.8.8.8")), "a name for this machine that resolves elsewhere");
    assert_eq!(Destination::new("http", "127.0.0.1:3000", LOOPBACK).unwrap().port(), 3000);
    assert!(Destination::new("https", "a.example", LOOPBACK).unwrap().permits(ip("127.0.0.1")));
}
