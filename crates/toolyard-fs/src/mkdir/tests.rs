//! `fs_mkdir` through dispatch.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk")]

use serde_json::json;
use toolyard_core::{ErrorKind, Limits};

use crate::testing::{Ring, allowing};

#[test]
fn a_directory_is_made_with_its_parents_and_once() {
    let ring = Ring::new();
    let mkdir = |path: &str| ring.call("fs_mkdir", json!({"path": path}));
    assert_eq!(mkdir("a/b/c").text, "made a/b/c/\n[3 directories made; complete=true]");
    assert!(ring.path("a/b/c").is_dir());
    assert_eq!(mkdir("a/b/c").text, "a/b/c/ is there already\n[0 directories made; complete=true]");
    assert_eq!(mkdir(".").text, "./ is there already\n[0 directories made; complete=true]");
}

#[test]
fn a_directory_is_refused_where_a_file_is_or_the_policy_says_no() {
    let ring = Ring::with(&allowing(&["write(docs/**)"]), Limits::default());
    ring.put("docs/f", "x");
    let kind = |path: &str| ring.call("fs_mkdir", json!({"path": path})).kind;
    assert_eq!(kind("docs/f"), Some(ErrorKind::Conflict));
    assert_eq!(kind("src"), Some(ErrorKind::Denied));
    assert_eq!(kind(""), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(&format!("docs/{}", "n".repeat(300))), Some(ErrorKind::InvalidInput));
    assert_eq!(std::fs::read(ring.path("docs/f")).expect("the file"), b"x");
}
