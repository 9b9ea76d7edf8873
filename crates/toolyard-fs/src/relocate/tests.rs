//! `fs_move` through dispatch.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk")]

use std::os::unix::fs::symlink;

use serde_json::json;
use toolyard_core::{ErrorKind, Limits};

use crate::testing::{Reply, Ring, allowing, allowing_but};

fn relocate(ring: &Ring, from: &str, to: &str) -> Reply {
    ring.call("fs_move", json!({"from": from, "to": to}))
}

#[test]
fn a_file_a_link_and_a_directory_move_in_one_step() {
    let ring = Ring::new();
    ring.put("f", "content");
    ring.put("dir/a/b", "b");
    symlink("nowhere", ring.path("link")).expect("a link");
    assert_eq!(relocate(&ring, "f", "new/place/f").text, "moved f to new/place/f\n[parent directories made: 2; complete=true]");
    assert_eq!(ring.get("new/place/f"), b"content");
    assert_eq!(relocate(&ring, "dir", "dir2").text, "moved dir to dir2\n[2 entries below it; complete=true]");
    assert_eq!(ring.get("dir2/a/b"), b"b");
    assert!(!relocate(&ring, "link", "link2").is_error);
    assert_eq!(std::fs::read_link(ring.path("link2")).expect("a link"), std::path::Path::new("nowhere"));
    assert!(!ring.path("f").exists() && !ring.path("dir").exists() && !ring.path("link").is_symlink());
}

#[test]
fn nothing_is_overwritten_unless_asked_for_and_a_directory_never() {
    let ring = Ring::new();
    ring.put("f", "f");
    ring.put("g", "g");
    ring.put("dir/x", "x");
    let taken = relocate(&ring, "f", "g");
    assert_eq!(taken.kind, Some(ErrorKind::Conflict));
    assert!(taken.text.contains("pass `overwrite: true`"), "{}", taken.text);
    let onto_directory = ring.call("fs_move", json!({"from": "f", "to": "dir", "overwrite": true}));
    assert_eq!(onto_directory.kind, Some(ErrorKind::Conflict));
    let directory_onto_file = ring.call("fs_move", json!({"from": "dir", "to": "g", "overwrite": true}));
    assert_eq!(directory_onto_file.kind, Some(ErrorKind::Conflict));
    assert_eq!((ring.get("f"), ring.get("g"), ring.get("dir/x")), (b"f".to_vec(), b"g".to_vec(), b"x".to_vec()));
    let asked = ring.call("fs_move", json!({"from": "f", "to": "g", "overwrite": true}));
    assert!(asked.text.contains("replaced the file that was there"), "{}", asked.text);
    assert_eq!(ring.get("g"), b"f");
}

#[test]
fn what_can_not_move_says_why() {
    let ring = Ring::new();
    ring.put("dir/x", "x");
    assert_eq!(relocate(&ring, "none", "other").kind, Some(ErrorKind::NotFound));
    assert!(relocate(&ring, "dir", "dir/sub").text.contains("into itself"));
    assert!(relocate(&ring, "dir", "./dir").text.contains("the same path"));
    assert!(relocate(&ring, ".", "elsewhere").is_error);
    assert_eq!(relocate(&ring, "dir", "../out/dir").kind, Some(ErrorKind::Denied));
    assert_eq!(ring.get("dir/x"), b"x");
}

#[test]
fn both_ends_and_every_entry_are_judged() {
    let ring = Ring::with(&allowing(&["write(a/**)"]), Limits::default());
    ring.put("a/f", "f");
    ring.put("b/g", "g");
    assert_eq!(relocate(&ring, "a/f", "b/f").kind, Some(ErrorKind::Denied));
    assert_eq!(relocate(&ring, "b/g", "a/g").kind, Some(ErrorKind::Denied));
    assert!(!relocate(&ring, "a/f", "a/f2").is_error);
    let ring = Ring::with(&allowing_but(&["write"], &["write(dir/sub/fixed)", "write(other/sub/new)"]), Limits::default());
    ring.put("dir/sub/fixed", "x");
    ring.put("free/sub/new", "x");
    let inside = relocate(&ring, "dir", "dir2");
    assert!(inside.text.contains("does not let this call move `dir/sub/fixed`"), "{}", inside.text);
    let target = relocate(&ring, "free", "other");
    assert!(target.text.contains("does not let this call create `other/sub/new`"), "{}", target.text);
    assert!(ring.path("dir/sub/fixed").exists() && ring.path("free/sub/new").exists() && !ring.path("other").exists());
}

#[test]
fn a_dry_run_changes_nothing() {
    let ring = Ring::new();
    ring.put("f", "f");
    ring.put("g", "g");
    let dry = |to: &str| ring.call("fs_move", json!({"from": "f", "to": to, "dry_run": true}));
    assert_eq!(dry("deep/new").text, "would move f to deep/new\n[nothing was changed; complete=true]");
    assert_eq!(dry("g").kind, Some(ErrorKind::Conflict));
    assert!(ring.path("f").exists() && !ring.path("deep").exists());
}
