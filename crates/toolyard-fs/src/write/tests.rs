//! `fs_write` through dispatch, and what every changing tool must survive.
#![expect(clippy::disallowed_methods, reason = "tests lay traps and look at the disk")]

mod crash;
mod race;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use serde_json::json;
use toolyard_core::{ErrorKind, Limits};

use crate::{
    etag,
    testing::{Reply, Ring, allowing},
};

fn write(ring: &Ring, path: &str, content: &str) -> Reply {
    ring.call("fs_write", json!({"path": path, "content": content}))
}

fn overwrite(ring: &Ring, path: &str, content: &str) -> Reply {
    ring.call("fs_write", json!({"path": path, "content": content, "overwrite": true}))
}

/// Names in a directory, temporary ones included.
fn names(path: std::path::PathBuf) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(path).expect("a directory").map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_created_with_its_parents_and_the_usual_mode() {
    let ring = Ring::new();
    let reply = write(&ring, "a/b/c.txt", "hello\n");
    assert_eq!(
        reply.text,
        format!("created a/b/c.txt etag={} 6 bytes\n[1 file; parent directories made: 2; complete=true]", etag::of(b"hello\n"))
    );
    assert_eq!(ring.get("a/b/c.txt"), b"hello\n");
    ring.put("usual", "");
    let mode = |path| std::fs::metadata(ring.path(path)).expect("a file").permissions().mode();
    assert_eq!(mode("a/b/c.txt"), mode("usual"));
    assert_eq!(names(ring.path("a/b")), ["c.txt"]);
}

#[test]
fn a_file_is_replaced_only_with_its_etag_or_on_demand() {
    let ring = Ring::new();
    ring.put("f", "old\n");
    let blind = write(&ring, "f", "new\n");
    assert_eq!(blind.kind, Some(ErrorKind::Conflict));
    assert!(blind.text.contains(&format!("`f` exists, etag={} (4 bytes)", etag::of(b"old\n"))), "{}", blind.text);
    let stale = ring.call("fs_write", json!({"path": "f", "content": "new\n", "etag": etag::of(b"other"), "overwrite": true}));
    assert_eq!(stale.kind, Some(ErrorKind::Conflict));
    assert_eq!(ring.get("f"), b"old\n");
    let right = ring.call("fs_write", json!({"path": "f", "content": "new\n", "etag": etag::of(b"old\n")}));
    assert_eq!(right.text, format!("replaced f etag={} 4 bytes\n[1 file; complete=true]", etag::of(b"new\n")));
    assert!(!overwrite(&ring, "f", "newer\n").is_error);
    assert_eq!(ring.get("f"), b"newer\n");
    assert_eq!(names(ring.path("")), ["f"]);
}

#[test]
fn the_content_decides_whether_an_etag_holds() {
    let ring = Ring::new();
    ring.put("f", "old\n");
    let tag = etag::of(b"old\n");
    // Touched, changed and changed back, another inode with the same bytes: the tag still holds.
    std::fs::rename(ring.path("f"), ring.path("g")).expect("moved away");
    ring.put("f", "old\n");
    assert!(!ring.call("fs_write", json!({"path": "f", "content": "new\n", "etag": tag})).is_error);
}

#[test]
fn identical_content_is_not_written() {
    let ring = Ring::new();
    ring.put("f", "same\n");
    let before = std::fs::metadata(ring.path("f")).expect("a file");
    let reply = write(&ring, "f", "same\n");
    assert!(reply.text.starts_with("unchanged f etag="), "{}", reply.text);
    let after = std::fs::metadata(ring.path("f")).expect("a file");
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
}

#[test]
fn encoding_and_mode_of_a_replaced_file_stay() {
    let ring = Ring::new();
    let utf16 = |text: &str| [b"\xFF\xFE".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    ring.put("f", utf16("alt\r\n"));
    std::fs::set_permissions(ring.path("f"), std::fs::Permissions::from_mode(0o640)).expect("a mode");
    let reply = overwrite(&ring, "f", "neu \u{1F642}\r\n");
    assert!(reply.text.contains("utf-16le"), "{}", reply.text);
    assert_eq!(ring.get("f"), utf16("neu \u{1F642}\r\n"));
    assert_eq!(std::fs::metadata(ring.path("f")).expect("a file").mode() & 0o7777, 0o640);
    let latin = b"Stra\xdfe und \xdcbung, gr\xfcn und sch\xf6n, na\xefve caf\xe9\n";
    ring.put("g", latin);
    assert!(overwrite(&ring, "g", "\u{4e2d}").text.contains("has no character `\u{4e2d}` (U+4E2D)"));
    assert_eq!(ring.get("g"), latin);
}

#[test]
fn what_is_denied_or_outside_is_not_written() {
    let ring = Ring::with(&allowing(&["write(docs/**)"]), Limits::default());
    assert_eq!(write(&ring, "src/a", "x").kind, Some(ErrorKind::Denied));
    assert!(!write(&ring, "docs/a", "x").is_error);
    let ring = Ring::new();
    for path in ["../out/new", "/etc/toolyard-test", "../proj_evil/x", "a/../../out/new"] {
        let reply = write(&ring, path, "x");
        assert!(reply.is_error, "{path}: {}", reply.text);
    }
    assert_eq!(names(ring.beside("out")), [""; 0]);
    for (path, kind) in [("", ErrorKind::InvalidInput), ("a\0b", ErrorKind::InvalidInput)] {
        assert_eq!(write(&ring, path, "x").kind, Some(kind));
    }
}

#[test]
fn too_large_an_input_is_refused() {
    let ring = Ring::with(&allowing(&["write"]), Limits { max_input_bytes: 100, ..Limits::default() });
    assert_eq!(write(&ring, "f", &"x".repeat(101)).kind, Some(ErrorKind::LimitExceeded));
    assert_eq!(names(ring.path("")), [""; 0]);
}

#[test]
fn links_out_of_the_directory_are_never_written_through() {
    let ring = Ring::new();
    std::fs::write(ring.beside("out/secret"), "secret").expect("a file");
    symlink(ring.beside("out/nope"), ring.path("dangling")).expect("a link");
    symlink("../out/nope", ring.path("relative")).expect("a link");
    symlink(ring.beside("out"), ring.path("link")).expect("a link");
    symlink(ring.beside("out/secret"), ring.path("file")).expect("a link");
    ring.put("plain", "plain");
    let calls = [
        ("fs_write", json!({"path": "dangling", "content": "x", "overwrite": true})),
        ("fs_write", json!({"path": "relative", "content": "x"})),
        ("fs_write", json!({"path": "link/a/new.txt", "content": "x"})),
        ("fs_write", json!({"path": "file", "content": "x", "overwrite": true})),
        ("fs_edit", json!({"path": "file", "edits": [{"old": "secret", "new": "x"}]})),
        ("fs_mkdir", json!({"path": "link/a/b/c"})),
        ("fs_mkdir", json!({"path": "dangling"})),
        ("fs_move", json!({"from": "plain", "to": "link/plain"})),
        ("fs_copy", json!({"from": "plain", "to": "link/plain"})),
        ("fs_copy", json!({"from": "file", "to": "stolen"})),
        ("fs_delete", json!({"path": "link/secret"})),
    ];
    for (tool, arguments) in calls {
        let reply = ring.call(tool, arguments.clone());
        assert!(reply.is_error, "{tool} {arguments}: {}", reply.text);
    }
    // Moving or copying onto a link replaces the link, not what it points to.
    for to in ["dangling", "file"] {
        let reply = ring.call("fs_copy", json!({"from": "plain", "to": to, "overwrite": true}));
        assert!(!reply.is_error || !ring.beside("out/nope").exists(), "{}", reply.text);
    }
    assert_eq!(names(ring.beside("out")), ["secret"]);
    assert_eq!(std::fs::read(ring.beside("out/secret")).expect("the secret"), b"secret");
}

#[test]
fn a_hard_link_is_not_written() {
    let ring = Ring::new();
    std::fs::write(ring.beside("out/secret"), "secret").expect("a file");
    std::fs::hard_link(ring.beside("out/secret"), ring.path("hard")).expect("a hard link");
    ring.put("plain", "plain");
    for (tool, arguments) in [
        ("fs_write", json!({"path": "hard", "content": "x", "overwrite": true})),
        ("fs_edit", json!({"path": "hard", "edits": [{"old": "secret", "new": "x"}]})),
        ("fs_copy", json!({"from": "plain", "to": "hard", "overwrite": true})),
        ("fs_move", json!({"from": "plain", "to": "hard", "overwrite": true})),
    ] {
        let reply = ring.call(tool, arguments);
        assert_eq!(reply.kind, Some(ErrorKind::Denied), "{tool}: {}", reply.text);
        assert!(reply.text.contains("hard links"), "{}", reply.text);
    }
    assert_eq!(std::fs::read(ring.beside("out/secret")).expect("the secret"), b"secret");
    assert_eq!(names(ring.path("")), ["hard", "plain"]);
}

#[test]
fn special_files_directories_and_read_only_files_are_refused_at_once() {
    let ring = Ring::new();
    rustix::fs::mknodat(rustix::fs::CWD, ring.path("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
    std::fs::create_dir(ring.path("dir")).expect("a directory");
    ring.put("fixed", "fixed");
    std::fs::set_permissions(ring.path("fixed"), std::fs::Permissions::from_mode(0o444)).expect("a mode");
    let started = std::time::Instant::now();
    assert_eq!(overwrite(&ring, "fifo", "x").kind, Some(ErrorKind::Denied));
    assert_eq!(overwrite(&ring, "dir", "x").kind, Some(ErrorKind::Conflict));
    let fixed = overwrite(&ring, "fixed", "x");
    assert_eq!(fixed.kind, Some(ErrorKind::Denied));
    assert!(fixed.text.contains("read-only (mode 0444)"), "{}", fixed.text);
    assert!(started.elapsed().as_millis() < 1_000);
    assert_eq!(ring.get("fixed"), b"fixed");
}

#[test]
fn protected_files_can_not_be_made_in_any_way_even_where_none_exist() {
    let ring = Ring::new();
    for path in [".claude/settings.json", ".git/hooks/pre-commit", ".vscode/tasks.json", ".mcp.json", ".github/workflows/x.yml"] {
        ring.put("plain", "x: 1\n");
        let calls = [
            ("fs_write", json!({"path": path, "content": "x"})),
            ("fs_write", json!({"path": format!("sub/{path}"), "content": "x"})),
            ("fs_edit", json!({"path": path, "edits": [{"old": "a", "new": "b"}]})),
            ("fs_mkdir", json!({"path": path})),
            ("fs_move", json!({"from": "plain", "to": path})),
            ("fs_copy", json!({"from": "plain", "to": path})),
            ("fs_move", json!({"from": "plain", "to": path, "dry_run": true})),
            ("fs_delete", json!({"path": path})),
        ];
        for (tool, arguments) in calls {
            let reply = ring.call(tool, arguments.clone());
            assert_eq!(reply.kind, Some(ErrorKind::Denied), "{tool} {arguments}: {}", reply.text);
        }
        assert_eq!(names(ring.path("")), ["plain"], "{path}");
    }
}

#[test]
fn a_parent_can_not_be_moved_away_and_back() {
    let ring = Ring::new();
    // Laid out elsewhere, a protected file would come into being by moving or copying its parent.
    ring.put("stage/workflows/x.yml", "on: push\n");
    ring.put("pack/.git/hooks/pre-commit", "#!/bin/sh\n");
    ring.put("real/.github/workflows/x.yml", "on: push\n");
    symlink("real/.github", ring.path("alias")).expect("a link");
    for (tool, arguments) in [
        ("fs_move", json!({"from": "stage", "to": ".github"})),
        ("fs_copy", json!({"from": "stage", "to": ".github"})),
        ("fs_copy", json!({"from": "stage", "to": ".github", "dry_run": true})),
        ("fs_copy", json!({"from": "stage/workflows", "to": ".github/workflows"})),
        ("fs_move", json!({"from": "pack", "to": "elsewhere"})),
        ("fs_copy", json!({"from": "pack", "to": "elsewhere"})),
        ("fs_move", json!({"from": "real/.github", "to": "away"})),
        ("fs_move", json!({"from": "real", "to": "away"})),
        ("fs_delete", json!({"path": "real", "recursive": true})),
        ("fs_delete", json!({"path": "real", "recursive": true, "dry_run": true})),
        ("fs_write", json!({"path": "alias/workflows/x.yml", "content": "x", "overwrite": true})),
        ("fs_move", json!({"from": "stage/workflows/x.yml", "to": "alias/workflows/y.yml"})),
    ] {
        let reply = ring.call(tool, arguments.clone());
        assert_eq!(reply.kind, Some(ErrorKind::Denied), "{tool} {arguments}: {}", reply.text);
    }
    assert_eq!(names(ring.path("")), ["alias", "pack", "real", "stage"]);
    assert_eq!(ring.get("real/.github/workflows/x.yml"), b"on: push\n");
}

#[test]
fn a_link_put_in_place_after_a_dry_run_is_not_followed() {
    let ring = Ring::new();
    std::fs::write(ring.beside("out/secret"), "old").expect("a file");
    ring.put("dir/f", "old");
    let edit = |dry_run: bool| ring.call("fs_edit", json!({"path": "dir/f", "edits": [{"old": "old", "new": "new"}], "dry_run": dry_run}));
    assert!(!edit(true).is_error);
    std::fs::remove_dir_all(ring.path("dir")).expect("removed");
    std::fs::rename(ring.beside("out/secret"), ring.beside("out/f")).expect("renamed");
    symlink(ring.beside("out"), ring.path("dir")).expect("a link");
    assert!(edit(false).is_error);
    assert_eq!(std::fs::read(ring.beside("out/f")).expect("the secret"), b"old");
}

#[test]
fn a_full_disk_leaves_the_old_content_and_no_rest() {
    let ring = Ring::new();
    let Some(_mounted) = small_disk(&ring) else { return };
    assert!(!write(&ring, "disk/f", "old\n").is_error);
    let reply = overwrite(&ring, "disk/f", &"x".repeat(2 << 20));
    assert_eq!(reply.kind, Some(ErrorKind::Unavailable));
    assert!(reply.text.contains("the disk is full; nothing was changed"), "{}", reply.text);
    assert_eq!(ring.get("disk/f"), b"old\n");
    assert_eq!(names(ring.path("disk")), ["f"]);
    assert!(write(&ring, "disk/g", &"x".repeat(2 << 20)).is_error);
    assert!(write(&ring, "disk/new/deep/g", &"x".repeat(2 << 20)).is_error);
    assert_eq!(names(ring.path("disk")), ["f"]);
}

#[test]
fn a_read_only_file_system_says_so() {
    let ring = Ring::new();
    let Some(mounted) = small_disk(&ring) else { return };
    assert!(!write(&ring, "disk/f", "old\n").is_error);
    let remounted = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&mounted.0).status();
    assert!(remounted.is_ok_and(|status| status.success()));
    for (tool, arguments) in [
        ("fs_write", json!({"path": "disk/f", "content": "x", "overwrite": true})),
        ("fs_write", json!({"path": "disk/a/b", "content": "x"})),
        ("fs_edit", json!({"path": "disk/f", "edits": [{"old": "old", "new": "x"}]})),
        ("fs_mkdir", json!({"path": "disk/dir"})),
        ("fs_move", json!({"from": "disk/f", "to": "disk/g"})),
        ("fs_delete", json!({"path": "disk/f"})),
    ] {
        let reply = ring.call(tool, arguments);
        assert_eq!(reply.kind, Some(ErrorKind::Unavailable), "{tool}: {}", reply.text);
        assert!(reply.text.contains("mounted read-only"), "{tool}: {}", reply.text);
    }
}

#[test]
fn a_huge_file_is_replaced_without_being_held_in_memory() {
    let ring = Ring::new();
    let file = std::fs::File::create(ring.path("huge")).expect("a file");
    file.set_len(600 << 20).expect("a sparse file");
    let edit = ring.call("fs_edit", json!({"path": "huge", "edits": [{"old": "a", "new": "b"}]}));
    assert_eq!(edit.kind, Some(ErrorKind::LimitExceeded));
    file.set_len(20 << 20).expect("a smaller one");
    let blind = write(&ring, "huge", "x");
    assert_eq!(blind.kind, Some(ErrorKind::Conflict));
    let tag = etag::of(&vec![0; 20 << 20]);
    assert!(blind.text.contains(&format!("etag={tag} (20971520 bytes)")), "{}", blind.text);
    assert!(!ring.call("fs_write", json!({"path": "huge", "content": "x", "etag": tag})).is_error);
    assert_eq!(ring.get("huge"), b"x");
}

#[test]
fn a_file_moves_to_another_file_system_as_a_copy() {
    let ring = Ring::new();
    let Some(_mounted) = small_disk(&ring) else { return };
    ring.put("f", "content\n");
    std::fs::set_permissions(ring.path("f"), std::fs::Permissions::from_mode(0o640)).expect("a mode");
    let reply = ring.call("fs_move", json!({"from": "f", "to": "disk/f"}));
    assert!(reply.text.contains("copied to another file system"), "{}", reply.text);
    assert_eq!(ring.get("disk/f"), b"content\n");
    assert_eq!(std::fs::metadata(ring.path("disk/f")).expect("a file").mode() & 0o777, 0o640);
    assert!(!ring.path("f").exists());
    ring.put("tree/a", "a");
    let tree = ring.call("fs_move", json!({"from": "tree", "to": "disk/tree"}));
    assert!(tree.text.contains("different file systems") && tree.text.contains("copy it, then delete"), "{}", tree.text);
    assert!(ring.path("tree/a").exists());
}

/// A file system of 1 MiB at `disk`, where this machine lets a test mount one.
fn small_disk(ring: &Ring) -> Option<Mounted> {
    let place = ring.path("disk");
    std::fs::create_dir(&place).expect("a directory");
    let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&place).output().ok()?;
    mounted.status.success().then_some(Mounted(place))
}

struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}
