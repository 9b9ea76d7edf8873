//! `fs_copy` through dispatch.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk")]

use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::json;
use toolyard_core::{ErrorKind, Limits};

use crate::testing::{Reply, Ring, allowing, allowing_but};

fn copy(ring: &Ring, from: &str, to: &str) -> Reply {
    ring.call("fs_copy", json!({"from": from, "to": to}))
}

fn set_mode(ring: &Ring, path: &str, mode: u32) {
    std::fs::set_permissions(ring.path(path), std::fs::Permissions::from_mode(mode)).expect("a mode");
}

fn mode(ring: &Ring, path: &str) -> u32 {
    std::fs::metadata(ring.path(path)).expect("an entry").permissions().mode() & 0o777
}

#[test]
fn a_file_is_copied_with_its_mode_and_not_over_another() {
    let ring = Ring::new();
    ring.put("f", vec![7_u8; 3 << 20]);
    set_mode(&ring, "f", 0o751);
    assert_eq!(copy(&ring, "f", "new/f").text, "copied f to new/f\n[3145728 bytes in 1 file; parent directories made: 1; complete=true]");
    assert_eq!(ring.get("new/f"), vec![7_u8; 3 << 20]);
    assert_eq!(mode(&ring, "new/f"), 0o751);
    ring.put("g", "g");
    assert_eq!(copy(&ring, "f", "g").kind, Some(ErrorKind::Conflict));
    assert_eq!(ring.get("g"), b"g");
    assert!(!ring.call("fs_copy", json!({"from": "f", "to": "g", "overwrite": true})).is_error);
    assert_eq!(ring.get("g").len(), 3 << 20);
    assert!(copy(&ring, "f", "f").text.contains("the same path"));
}

#[test]
fn a_tree_is_copied_entry_by_entry_and_links_stay_links() {
    let ring = Ring::new();
    ring.put("dir/a/b", "b");
    ring.put("dir/c", "c");
    set_mode(&ring, "dir/a", 0o555);
    set_mode(&ring, "dir/c", 0o600);
    symlink("c", ring.path("dir/inside")).expect("a link");
    symlink("../../out/secret", ring.path("dir/outside")).expect("a link");
    rustix::fs::mknodat(rustix::fs::CWD, ring.path("dir/fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
    let reply = copy(&ring, "dir", "copy");
    assert_eq!(
        reply.text,
        "copied dir/ to copy/\n[6 of 7 entries; 2 files, 2 directories, 2 symlinks, 2 bytes; 1 FIFOs, sockets or devices left out; 1 symlinks point out of the directory and were copied as they are; complete=true]"
    );
    assert_eq!(ring.get("copy/a/b"), b"b");
    assert_eq!((mode(&ring, "copy/a"), mode(&ring, "copy/c")), (0o555, 0o600));
    assert_eq!(std::fs::read_link(ring.path("copy/inside")).expect("a link"), std::path::Path::new("c"));
    assert_eq!(copy(&ring, "dir", "copy").kind, Some(ErrorKind::Conflict));
    assert!(copy(&ring, "dir", "dir/sub").text.contains("into itself"));
    set_mode(&ring, "dir/a", 0o755);
    set_mode(&ring, "copy/a", 0o755);
}

#[test]
fn what_may_not_be_read_or_made_is_not_copied() {
    let ring = Ring::with(&allowing_but(&["read", "write"], &["read(dir/hidden)", "write(copy/fixed)"]), Limits::default());
    ring.put("dir/hidden", "x");
    ring.put("other/fixed", "x");
    ring.put("keys/.env", "TOKEN=1");
    assert!(copy(&ring, "dir", "new").text.contains("does not let this call read `dir/hidden`"));
    assert!(copy(&ring, "other", "copy").text.contains("does not let this call create `copy/fixed`"));
    assert!(copy(&ring, "keys", "new").text.contains("`keys/.env`"));
    assert_eq!(copy(&ring, "dir/hidden", "new").kind, Some(ErrorKind::Denied));
    assert!(!ring.path("new").exists() && !ring.path("copy").exists());
    let ring = Ring::with(&allowing(&["write"]), Limits::default());
    ring.put("f", "f");
    assert_eq!(copy(&ring, "f", "g").kind, Some(ErrorKind::Denied));
}

#[test]
fn a_dry_run_changes_nothing() {
    let ring = Ring::new();
    ring.put("dir/a", "a");
    let dry = |from: &str, to: &str| ring.call("fs_copy", json!({"from": from, "to": to, "dry_run": true}));
    assert_eq!(dry("dir", "new/dir").text, "would copy dir/ to new/dir/\n[2 entries; nothing was changed; complete=true]");
    assert_eq!(dry("dir/a", "new/a").text, "would copy dir/a to new/a\n[1 bytes in 1 file; nothing was changed; complete=true]");
    assert!(!ring.path("new").exists());
}
