//! Which files a search reaches.

use std::os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener};

use serde_json::json;
use toolyard_core::{ErrorKind, Limits, guard::AllowedDirs};

use crate::testing::{Ring, allowing_but};

fn paths(ring: &Ring, arguments: serde_json::Value) -> Vec<String> {
    let mut arguments = arguments;
    arguments["pattern"] = "x".into();
    arguments["mode"] = "files".into();
    let reply = ring.call("fs_grep", arguments);
    assert!(!reply.is_error, "{}", reply.text);
    reply.body().lines().filter(|line| !line.contains("no matches") && !line.contains("would find")).map(str::to_owned).collect()
}

fn ring(files: &[&str]) -> Ring {
    let ring = Ring::new();
    for file in files {
        ring.put(file, "x\n");
    }
    ring
}

#[test]
fn rules_of_every_level_hold_without_a_repository() {
    let ring = ring(&["a.log", "keep.log", "src/a.log", "src/keep.log", "src/b.rs", "build/x", "src/build/x", "deep/er/t.tmp"]);
    ring.put(".gitignore", "*.log\n!keep.log\n/build/\n");
    ring.put("src/.gitignore", "keep.log\n!a.log\n");
    ring.put("deep/.ignore", "*.tmp\n");
    assert_eq!(paths(&ring, json!({})), ["keep.log", "src/a.log", "src/b.rs", "src/build/x"]);
    // Rules above the start hold as well.
    assert_eq!(paths(&ring, json!({"path": "src"})), ["src/a.log", "src/b.rs", "src/build/x"]);
    assert_eq!(paths(&ring, json!({"path": "deep/er"})), Vec::<String>::new());
    assert_eq!(paths(&ring, json!({"path": "src", "no_ignore": true})), ["src/a.log", "src/b.rs", "src/keep.log", "src/build/x"]);
}

#[test]
fn an_ignore_file_outranks_gits_rules_and_a_nested_repository_ends_them() {
    let ring = ring(&["a.gen", "b.gen", "sub/a.gen", "sub/secret.txt", "wanted.txt"]);
    ring.put(".gitignore", "*.gen\n");
    ring.put(".ignore", "!b.gen\n");
    ring.put(".git/info/exclude", "wanted.txt\n");
    ring.put("sub/.git", "gitdir: elsewhere\n");
    assert_eq!(paths(&ring, json!({})), ["b.gen", "sub/a.gen", "sub/secret.txt"]);
}

#[test]
fn a_glob_that_includes_does_not_bring_back_ignored_files() {
    let ring = ring(&["a.log", "b.log", "c.rs", "d/e.log"]);
    ring.put(".gitignore", "a.log\nd/\n");
    assert_eq!(paths(&ring, json!({"glob": ["*.log"]})), ["b.log"]);
    assert_eq!(paths(&ring, json!({"glob": ["*.log", "*.rs", "!b*"]})), ["c.rs"]);
    assert_eq!(paths(&ring, json!({"glob": ["*.log"], "no_ignore": true})), ["a.log", "b.log", "d/e.log"]);
    assert_eq!(paths(&ring, json!({"type": "rust"})), ["c.rs"]);
}

#[test]
fn hidden_files_need_the_switch_or_a_rule_that_wants_them_and_git_needs_both() {
    let ring = ring(&[".a", ".github/b", "c", ".git/HEAD"]);
    assert_eq!(paths(&ring, json!({})), ["c"]);
    assert_eq!(paths(&ring, json!({"hidden": true})), [".a", "c", ".github/b"]);
    assert_eq!(paths(&ring, json!({"no_ignore": true})), ["c"]);
    assert_eq!(paths(&ring, json!({"hidden": true, "no_ignore": true})), [".a", "c", ".git/HEAD", ".github/b"]);
    ring.put(".ignore", "!.github/\n");
    assert_eq!(paths(&ring, json!({})), ["c", ".github/b"]);
}

#[test]
fn links_pipes_and_sockets_are_passed_by() {
    let ring = ring(&["real/a"]);
    std::fs::create_dir_all(ring.beside("out/d")).expect("a directory");
    std::fs::write(ring.beside("out/d/secret"), "x\n").expect("a file");
    symlink(ring.beside("out/d"), ring.path("link_out")).expect("a link");
    symlink(ring.beside("out/d/secret"), ring.path("link_file")).expect("a link");
    symlink(ring.path("real"), ring.path("link_in")).expect("a link");
    symlink(".", ring.path("loop")).expect("a link");
    rustix::fs::mknodat(rustix::fs::CWD, ring.path("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).expect("a pipe");
    let _socket = UnixListener::bind(ring.path("socket")).expect("a socket");
    let started = std::time::Instant::now();
    let reply = ring.call("fs_grep", json!({"pattern": "x"}));
    assert_eq!(reply.text, "real/a\n1:x\n[1 hit in 1 file; 6 links or special files skipped; complete=true]");
    assert!(started.elapsed() < std::time::Duration::from_secs(2));
    assert_eq!(ring.call("fs_grep", json!({"pattern": "x", "path": "link_in"})).body(), "real/a\n1:x\n");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "x", "path": "link_out"})).kind, Some(ErrorKind::Denied));
    assert_eq!(ring.call("fs_grep", json!({"pattern": "x", "path": "pipe"})).kind, Some(ErrorKind::Denied));
}

#[test]
fn rule_files_that_are_pipes_links_or_huge_are_passed_by_and_counted() {
    let ring = ring(&["a/x", "b/x", "c/x"]);
    std::fs::write(ring.beside("out/rules"), "x\n").expect("a file");
    rustix::fs::mknodat(rustix::fs::CWD, ring.path("a/.gitignore"), rustix::fs::FileType::Fifo, 0o644.into(), 0).expect("a pipe");
    symlink(ring.beside("out/rules"), ring.path("b/.gitignore")).expect("a link");
    ring.put("c/.gitignore", "x\n".repeat(600_000));
    let reply = ring.call("fs_grep", json!({"pattern": "x", "mode": "files"}));
    assert_eq!(reply.text, "a/x\nb/x\nc/x\n[3 files; 3 hidden; 3 ignore files not usable; complete=true]");
}

#[test]
fn names_that_are_no_utf_8_are_searched_and_can_be_sent_back() {
    let ring = Ring::new();
    let name = std::ffi::OsStr::from_bytes(b"f\xFFoo");
    std::fs::create_dir(ring.path("d")).expect("a directory");
    std::fs::write(ring.path("d").join(name), "x\n").expect("a file");
    assert_eq!(paths(&ring, json!({})), ["d/f<0xFF>oo"]);
    assert_eq!(paths(&ring, json!({"path": "d/f<0xFF>oo"})), ["d/f<0xFF>oo"]);
}

#[test]
fn strange_directory_names_are_plain_names() {
    let ring = ring(&["***/x", "[a]/x", "{b}/x", "!c/x", "-n/x"]);
    assert_eq!(paths(&ring, json!({})), ["!c/x", "***/x", "-n/x", "[a]/x", "{b}/x"]);
}

#[test]
fn unreadable_places_are_counted() {
    if rustix::process::geteuid().is_root() {
        // Root reads everything.
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let ring = ring(&["a", "d/b", "e"]);
    for path in ["a", "d"] {
        std::fs::set_permissions(ring.path(path), std::fs::Permissions::from_mode(0o000)).expect("a mode");
    }
    let reply = ring.call("fs_grep", json!({"pattern": "x"}));
    assert_eq!(reply.text, "e\n1:x\n[1 hit in 1 file; 2 unreadable; complete=true]");
    std::fs::set_permissions(ring.path("d"), std::fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn a_nested_allowed_directory_is_judged_as_itself_and_named_from_the_first() {
    let place = tempfile::TempDir::new().expect("a temporary directory");
    let (outer, inner) = (place.path().join("proj"), place.path().join("proj/inner"));
    std::fs::create_dir_all(inner.join("d")).expect("directories");
    for file in ["a.txt", "inner/a.txt", "inner/d/b.txt"] {
        std::fs::write(outer.join(file), "x\n").expect("a file");
    }
    let directories = AllowedDirs::open(&[outer, inner]).expect("allowed directories");
    let ring = Ring::over(place, directories, &allowing_but(&["read"], &["read(./d)"]), Limits::default());
    let reply = ring.call("fs_grep", json!({"pattern": "x", "mode": "files"}));
    assert_eq!(reply.text, "a.txt\ninner/a.txt\n[2 files; 1 withheld by policy; complete=true]");
}
