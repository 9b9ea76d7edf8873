//! `fs_delete` through dispatch.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk")]

use std::os::unix::fs::symlink;

use serde_json::json;
use toolyard_core::{ErrorKind, Limits};
use toolyard_policy::{PolicySpec, RuleSpec};

use crate::testing::{Reply, Ring, allowing, allowing_but};

fn delete(ring: &Ring, path: &str) -> Reply {
    ring.call("fs_delete", json!({"path": path}))
}

#[test]
fn files_links_and_empty_directories_go_and_link_targets_stay() {
    let ring = Ring::new();
    ring.put("f", "f");
    ring.put("target", "t");
    symlink("target", ring.path("link")).expect("a link");
    symlink(ring.beside("out"), ring.path("outside")).expect("a link");
    std::fs::create_dir(ring.path("empty")).expect("a directory");
    let reply = ring.call("fs_delete", json!({"paths": ["f", "link", "outside", "empty"]}));
    assert_eq!(reply.text, "deleted f\ndeleted link\ndeleted outside\ndeleted empty/\n[4 entries deleted; complete=true]");
    assert_eq!(ring.get("target"), b"t");
    assert!(ring.beside("out").is_dir());
    assert_eq!(delete(&ring, "f").kind, Some(ErrorKind::NotFound));
}

#[test]
fn a_full_directory_needs_recursive_and_goes_with_everything_but_link_targets() {
    let ring = Ring::new();
    ring.put("dir/a/b/c", "c");
    ring.put("dir/d", "d");
    std::fs::write(ring.beside("out/secret"), "secret").expect("a file");
    symlink(ring.beside("out"), ring.path("dir/a/out")).expect("a link");
    let plain = delete(&ring, "dir");
    assert_eq!(plain.kind, Some(ErrorKind::Conflict));
    assert!(plain.text.contains("5 entries below it"), "{}", plain.text);
    let dry = ring.call("fs_delete", json!({"path": "dir", "recursive": true, "dry_run": true}));
    assert_eq!(
        dry.text,
        "would delete\ndir/\ndir/a/\ndir/a/b/\ndir/a/b/c (1 bytes)\ndir/a/out\ndir/d (1 bytes)\n[6 entries; nothing was deleted; complete=true]"
    );
    assert!(ring.path("dir/a/b/c").exists());
    let reply = ring.call("fs_delete", json!({"path": "dir", "recursive": true}));
    assert_eq!(reply.text, "deleted dir/\n[6 entries deleted; complete=true]");
    assert!(!ring.path("dir").exists());
    assert_eq!(std::fs::read(ring.beside("out/secret")).expect("the secret"), b"secret");
}

#[test]
fn consent_to_deleting_a_directory_covers_what_is_in_it_but_no_other_question() {
    // The second rule is in the question about `dir`, since it spells out what lies below; the third is not.
    for (ask, goes) in [(None, true), (Some("fs_delete(dir/precious)"), true), (Some("fs_delete(*ious)"), false)] {
        let ask = ask.into_iter().map(|rule| RuleSpec { rule: rule.into(), ..RuleSpec::default() }).collect();
        let ring = Ring::with(&PolicySpec { ask, ..PolicySpec::default() }, Limits::default());
        ring.put("dir/sub/file", "x");
        ring.put("dir/other/file", "x");
        ring.put("dir/precious", "x");
        let reply = ring.call("fs_delete", json!({"path": "dir/sub", "recursive": true}));
        assert_eq!(reply.kind, None, "{}", reply.text);
        let reply = ring.call("fs_delete", json!({"path": "dir", "recursive": true}));
        assert_eq!(reply.kind.is_none(), goes, "{}", reply.text);
        assert_eq!(ring.path("dir/precious").exists(), !goes);
    }
}

#[test]
fn protected_files_hold_a_directory_even_with_consent() {
    let ring = Ring::with(&PolicySpec::default(), Limits::default());
    ring.put("dir/.git/config", "x");
    let reply = ring.call("fs_delete", json!({"path": "dir", "recursive": true}));
    assert_eq!(reply.kind, Some(ErrorKind::Denied), "{}", reply.text);
    assert!(ring.path("dir/.git/config").exists());
}

#[test]
fn nothing_goes_when_one_entry_may_not() {
    let ring = Ring::with(&allowing_but(&["destroy"], &["destroy(dir/keep)"]), Limits::default());
    ring.put("dir/keep", "x");
    ring.put("dir/other", "x");
    ring.put("f", "x");
    let reply = ring.call("fs_delete", json!({"paths": ["f", "dir"], "recursive": true}));
    assert_eq!(reply.kind, Some(ErrorKind::Denied));
    assert!(ring.path("dir/keep").exists() && ring.path("dir/other").exists() && ring.path("f").exists());
    let ring = Ring::with(&allowing(&["read", "write"]), Limits::default());
    ring.put("f", "x");
    assert_eq!(delete(&ring, "f").kind, Some(ErrorKind::Denied));
    assert_eq!(ring.get("f"), b"x");
}

#[test]
fn input_that_names_nothing_or_too_much_is_refused() {
    let ring = Ring::new();
    assert_eq!(ring.call("fs_delete", json!({})).kind, Some(ErrorKind::InvalidInput));
    assert_eq!(ring.call("fs_delete", json!({"paths": vec!["a"; 101]})).kind, Some(ErrorKind::InvalidInput));
    assert_eq!(ring.call("fs_delete", json!({"path": ".", "recursive": true})).kind, Some(ErrorKind::InvalidInput));
    assert!(ring.path("").is_dir());
    ring.put("dir/a", "a");
    let nested = ring.call("fs_delete", json!({"paths": ["dir/a", "dir", "dir"], "recursive": true}));
    assert_eq!(nested.text, "deleted dir/\n[2 entries deleted; complete=true]");
}

#[test]
fn a_long_list_is_cut_at_the_budget_and_too_deep_a_tree_is_refused() {
    let ring = Ring::new();
    for n in 0..300 {
        ring.put(format!("dir/file-number-{n:03}"), "x");
    }
    let dry = ring.call("fs_delete", json!({"path": "dir", "recursive": true, "dry_run": true, "max_tokens": 300}));
    assert!(dry.text.len() <= 990 && dry.trailer().contains("of 301 entries"), "{}", dry.text);
    let deep: std::path::PathBuf = std::iter::repeat_n("d", 250).collect();
    std::fs::create_dir_all(ring.path(&deep)).expect("directories");
    let refused = ring.call("fs_delete", json!({"path": "d", "recursive": true}));
    assert_eq!(refused.kind, Some(ErrorKind::LimitExceeded));
    assert!(ring.path(&deep).is_dir());
}

#[test]
fn a_tree_of_which_nothing_can_go_is_an_error_and_not_zero_of_many() {
    let ring = Ring::new();
    std::fs::create_dir_all(ring.path("dir/disk")).expect("directories");
    let mount = |program: &str, before: &[&str]| {
        let output = std::process::Command::new(program).args(before).arg(ring.path("dir/disk")).output();
        output.is_ok_and(|output| output.status.success())
    };
    // Only where this machine lets a test mount something.
    if !mount("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) {
        return;
    }
    let reply = ring.call("fs_delete", json!({"path": "dir", "recursive": true}));
    assert!(mount("umount", &["-l"]));
    assert!(reply.is_error, "{}", reply.text);
    assert!(ring.path("dir/disk").is_dir());
}

#[test]
fn names_and_patterns_that_begin_with_a_dash_are_no_options() {
    let ring = Ring::new();
    ring.put("-rf", "--help\n");
    assert_eq!(ring.call("fs_read", json!({"path": "-rf"})).body().lines().last(), Some("--help"));
    assert!(ring.call("fs_grep", json!({"pattern": "--help"})).text.contains("1:--help"));
    assert!(ring.call("fs_glob", json!({"pattern": "-*"})).text.starts_with("-rf\n"));
    assert_eq!(ring.call("fs_move", json!({"from": "-rf", "to": "--force"})).kind, None);
    assert_eq!(delete(&ring, "--force").kind, None);
    assert!(!ring.path("--force").exists());
}
