#![expect(clippy::disallowed_methods, reason = "tests lay out files the tools then find")]

use std::os::unix::fs::symlink;

use serde_json::json;
use toolyard_core::{ErrorKind, Limits};

use crate::testing::{Ring, allowing_but};

fn ring(files: &[&str]) -> Ring {
    let ring = Ring::with(&allowing_but(&["read"], &["read(private)"]), Limits { max_tokens: 1_000_000, ..Limits::default() });
    for file in files {
        ring.put(file, "x");
    }
    ring
}

#[test]
fn a_small_tree_is_drawn_whole() {
    let ring = ring(&["b.txt", "a/x", "a/sub/y", "a/sub/z", "row/of/dirs/w", ".hidden", "gen/g"]);
    ring.put(".gitignore", "gen/\n");
    symlink("b.txt", ring.path("link")).expect("a link");
    std::fs::create_dir(ring.path("empty")).expect("a directory");
    let reply = ring.call("fs_tree", json!({}));
    assert_eq!(
        reply.text,
        "./ 6 files in 6 dirs\n b.txt\n link@\n a/ 3 files in 1 dirs\n  x\n  sub/\n   y\n   z\n empty/\n row/of/dirs/\n  w\n\
         [6 files in 6 directories; 1 ignored; 2 hidden; complete=true]"
    );
}

#[test]
fn depth_folds_what_lies_deeper_and_keeps_the_totals() {
    let ring = ring(&["a/x", "a/sub/y", "b/c/d/e", "top"]);
    let reply = ring.call("fs_tree", json!({"depth": 1}));
    assert_eq!(
        reply.text,
        "./ 4 files in 5 dirs\n top\n a/ 2 files in 1 dirs\n b/ 1 files in 2 dirs\n[1 of 4 files in 2 of 5 directories; complete=false: depth]"
    );
    let reply = ring.call("fs_tree", json!({"path": "a", "depth": 1}));
    assert_eq!(reply.body(), "a/ 2 files in 1 dirs\n x\n sub/ 1 files\n");
}

#[test]
fn every_top_directory_is_there_when_the_budget_is_small() {
    let ring = Ring::new();
    for directory in 0..30 {
        for file in 0..40 {
            ring.put(format!("dir{directory:02}/sub{}/some_file_{file:02}.txt", file % 3), "x");
        }
    }
    ring.put("README.md", "x");
    let reply = ring.call("fs_tree", json!({"max_tokens": 700}));
    assert!(reply.text.len() <= 700 * 33 / 10, "{} bytes", reply.text.len());
    assert!(reply.trailer().contains(" of 1201 files in ") && reply.trailer().ends_with("complete=false: budget]"), "{}", reply.trailer());
    for directory in 0..30 {
        assert!(reply.text.contains(&format!(" dir{directory:02}/ 40 files in 3 dirs\n")), "{}", reply.text);
    }
    // The whole tree fits a large one.
    let ring = self::ring(&["a/b", "c"]);
    assert!(ring.call("fs_tree", json!({"max_tokens": 1_000_000})).trailer().ends_with("complete=true]"));
}

#[test]
fn a_flat_directory_too_large_for_the_budget_shows_its_first_files() {
    let ring = Ring::new();
    for file in 0..1_000 {
        ring.put(format!("file_{file:04}.txt"), "x");
    }
    let reply = ring.call("fs_tree", json!({"max_tokens": 400}));
    assert!(reply.text.len() <= 400 * 33 / 10, "{} bytes", reply.text.len());
    assert!(reply.text.starts_with("./ 1000 files\n file_0000.txt\n file_0001.txt\n"), "{}", reply.text);
    assert!(reply.body().contains(" more files\n") && reply.trailer().contains(" of 1000 files"), "{}", reply.text);
}

#[test]
fn many_directories_that_do_not_fit_are_counted() {
    let ring = Ring::new();
    for directory in 0..500 {
        std::fs::create_dir(ring.path(format!("directory_{directory:04}"))).expect("a directory");
    }
    let reply = ring.call("fs_tree", json!({"max_tokens": 400}));
    assert!(reply.text.len() <= 400 * 33 / 10 + 60, "{} bytes", reply.text.len());
    assert!(reply.body().contains(" more directories\n") && reply.trailer().ends_with("complete=false: budget]"), "{}", reply.text);
}

#[test]
fn what_the_policy_denies_is_not_drawn() {
    let ring = ring(&["private/a.txt", "b.txt", ".env"]);
    let reply = ring.call("fs_tree", json!({"hidden": true}));
    assert_eq!(reply.text, "./ 1 files\n b.txt\n[1 files in 0 directories; 2 withheld by policy; complete=true]");
    assert_eq!(ring.call("fs_tree", json!({"path": "private"})).kind, Some(ErrorKind::Denied));
    assert_eq!(ring.call("fs_tree", json!({"path": "../out"})).kind, Some(ErrorKind::Denied));
}

#[test]
fn bad_input_is_told() {
    let ring = ring(&["a"]);
    assert_eq!(ring.call("fs_tree", json!({"depth": 0})).kind, Some(ErrorKind::InvalidInput));
    assert_eq!(ring.call("fs_tree", json!({"path": "a"})).kind, Some(ErrorKind::InvalidInput));
    assert_eq!(ring.call("fs_tree", json!({"path": "gone"})).kind, Some(ErrorKind::NotFound));
    assert_eq!(ring.call("fs_tree", json!({"max_tokens": 0})).kind, Some(ErrorKind::InvalidInput));
}
