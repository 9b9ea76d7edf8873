//! SS4: keys come over TLS, from a server whose certificate is trusted.

use std::{fs, path::PathBuf};

use serde_json::json;
use support::{idp::Providers, sandbox::Sandbox};

use super::Site;

/// A certificate for this name that nobody else vouches for, and its key.
fn certificate(sandbox: &Sandbox, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let (certificate, key) = (sandbox.scratch("cert.pem"), sandbox.scratch("key.pem"));
    fs::write(&certificate, made.cert.pem()).expect("a written certificate");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a written key");
    (certificate, key)
}

/// The status of a good token when the issuer's certificate is for `name`, and is or is not
/// among those to trust.
fn status(name: &str, trusted: bool) -> Option<u16> {
    let sandbox = Sandbox::new();
    let (certificate, key) = certificate(&sandbox, name);
    let idp = Providers::start_tls(&certificate, &key, &["one"])?;
    let site = Site::with(idp, &["one"], |_, config| {
        if trusted {
            config["http"]["oauth"]["caFile"] = json!(certificate);
        }
    });
    Some(site.list(&site.forge(&json!({}))).status())
}

#[test]
fn ss4_keys_from_a_trusted_server_are_taken() {
    if let Some(status) = status("127.0.0.1", true) {
        assert_eq!(status, 200);
    }
}

#[test]
fn ss4_keys_from_a_server_that_nobody_vouches_for_are_not() {
    if let Some(status) = status("127.0.0.1", false) {
        assert_eq!(status, 503);
    }
}

#[test]
fn ss4_keys_from_a_server_with_another_name_are_not() {
    if let Some(status) = status("idp.example.com", true) {
        assert_eq!(status, 503);
    }
}
