//! `fs_list` through dispatch.
#![expect(clippy::disallowed_methods, reason = "tests lay out files the tool then finds")]

use std::os::unix::{ffi::OsStrExt as _, fs::symlink};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use toolyard_core::{ErrorKind, Limits, guard::AllowedDirs};

use crate::testing::{Ring, allowing, allowing_but};

#[test]
fn a_directory_is_listed_by_name_and_kind() {
    let ring = Ring::new();
    ring.put("src/b.rs", "");
    ring.put("src/.hidden", "");
    ring.put("src/sub/c.rs", "");
    symlink("b.rs", ring.path("src/link")).expect("a link");
    mknodat(CWD, ring.path("src/pipe"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    let reply = ring.call("fs_list", json!({"path": "src"}));
    assert_eq!(reply.text, ".hidden\nb.rs\nlink@ -> b.rs\npipe (named pipe)\nsub/\n[5 entries; complete=true]");
    let reply = ring.call("fs_list", json!({"path": "src", "hidden": false}));
    assert_eq!(reply.trailer(), "[4 entries; 1 names that begin with a dot not listed; complete=true]");
    assert_eq!(ring.call("fs_list", json!({})).text, "src/\n[1 entry; complete=true]");
    assert_eq!(ring.call("fs_list", json!({"path": "src/sub/"})).text, "c.rs\n[1 entry; complete=true]");
}

#[test]
fn details_add_size_and_date() {
    let ring = Ring::new();
    ring.put("a", "12345");
    let file = std::fs::File::options().write(true).open(ring.path("a")).expect("a file");
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(951_782_400)).expect("a date");
    let reply = ring.call("fs_list", json!({"details": true}));
    assert_eq!(reply.body(), "a\t5\t2000-02-29T00:00:00Z\n");
}

#[test]
fn withheld_entries_are_marked_and_say_nothing_more() {
    let ring = Ring::with(&allowing_but(&["read"], &["read(private/**)", "read(*.key)"]), Limits::default());
    ring.put("a.key", "SECRET");
    ring.put("ok", "");
    ring.put("private/x", "");
    symlink("/etc/passwd", ring.path("link.key")).expect("a link");
    let reply = ring.call("fs_list", json!({"details": false}));
    assert_eq!(reply.text, "a.key (withheld)\nlink.key@ (withheld)\nok\nprivate/\n[4 entries; 2 withheld by the policy; complete=true]");
    assert_eq!(ring.call("fs_list", json!({"path": "private"})).text, "x (withheld)\n[1 entry; 1 withheld by the policy; complete=true]");
    assert_eq!(ring.call("fs_list", json!({"path": "a.key"})).kind, Some(ErrorKind::Denied));
}

#[test]
fn what_is_no_directory_or_outside_is_refused() {
    let ring = Ring::new();
    ring.put("file", "");
    for (path, kind) in [
        ("file", ErrorKind::InvalidInput),
        ("missing", ErrorKind::NotFound),
        ("../out", ErrorKind::Denied),
        ("../proj_evil", ErrorKind::Denied),
        ("", ErrorKind::InvalidInput),
    ] {
        let reply = ring.call("fs_list", json!({"path": path}));
        assert_eq!(reply.kind, Some(kind), "{path}: {}", reply.text);
    }
}

#[test]
fn without_a_path_several_allowed_directories_are_listed() {
    let place = tempfile::TempDir::new().expect("a place");
    let paths = ["one", "two"].map(|name| place.path().join(name));
    for path in &paths {
        std::fs::create_dir(path).expect("a directory");
    }
    std::fs::write(paths[1].join("x"), "").expect("a file");
    let directories = AllowedDirs::open(&paths).expect("directories");
    let names: Vec<_> = directories.iter().map(|directory| directory.path().to_owned()).collect();
    let ring = Ring::over(place, directories, &allowing(&["read"]), Limits::default());
    let reply = ring.call("fs_list", json!({}));
    assert_eq!(reply.text, format!("{}/\n{}/\n[2 allowed directories; complete=true]", names[0], names[1]));
    assert_eq!(ring.call("fs_list", json!({"path": names[1]})).body(), "x\n");
}

#[test]
fn strange_names_are_shown_escaped_and_can_be_sent_back() {
    let ring = Ring::new();
    let names: [&[u8]; 4] = [b"a\nb", "rtl\u{202E}".as_bytes(), b"bad\xFF", b"[0 entries; complete=true]"];
    for name in names {
        ring.put(std::ffi::OsStr::from_bytes(name), "x\n");
    }
    let reply = ring.call("fs_list", json!({}));
    assert_eq!(reply.body(), "<U+005B>0 entries; complete=true]\na<U+000A>b\nbad<0xFF>\nrtl<U+202E>\n");
    for name in reply.body().lines().skip(1) {
        assert!(ring.call("fs_read", json!({"path": name})).text.contains("\nx\n"), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn pages_hold_every_name_once_and_in_order(
        names in prop::collection::btree_set("(same prefix )?[a-zé.]{1,12}".prop_filter("a name", |name| !matches!(name.as_str(), "." | "..")), 1..80),
        tokens in 100_u32..200,
    ) {
        let ring = Ring::new();
        for name in &names {
            ring.put(name, "");
        }
        let (mut found, mut arguments) = (Vec::new(), json!({"max_tokens": tokens}));
        loop {
            let reply = ring.call("fs_list", arguments.clone());
            found.extend(reply.body().lines().map(str::to_owned));
            prop_assert!(reply.trailer().contains(&format!("{} entr", names.len())), "{}", reply.text);
            let Some(cursor) = reply.cursor() else { break };
            arguments["cursor"] = cursor.into();
        }
        prop_assert_eq!(found, names.into_iter().collect::<Vec<_>>());
    }
}
