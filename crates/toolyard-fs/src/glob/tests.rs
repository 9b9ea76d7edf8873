use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use toolyard_core::{ErrorKind, Limits};

use crate::testing::{Ring, allowing, allowing_but};

/// Files, the first one changed last.
fn ring(files: &[&str]) -> Ring {
    let ring = Ring::with(&allowing_but(&["read"], &["read(private)"]), Limits { max_tokens: 1_000_000, ..Limits::default() });
    for (age, file) in files.iter().enumerate() {
        ring.put(file, "x");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - age as u64);
        std::fs::File::options().append(true).open(ring.path(file)).and_then(|file| file.set_modified(modified)).expect("a time");
    }
    ring
}

fn paths(ring: &Ring, arguments: Value) -> Vec<String> {
    let reply = ring.call("fs_glob", arguments);
    assert!(!reply.is_error, "{}", reply.text);
    reply.body().lines().map(str::to_owned).collect()
}

#[test]
fn files_are_listed_newest_first() {
    let ring = ring(&["z.rs", "src/m.rs", "src/deep/a.rs", "b.py"]);
    let reply = ring.call("fs_glob", json!({"pattern": "*.rs"}));
    assert_eq!(reply.text, "z.rs\nsrc/m.rs\nsrc/deep/a.rs\n[3 files; complete=true]");
}

#[test]
fn patterns_with_a_slash_begin_at_the_path() {
    let ring = ring(&["src/m.rs", "src/deep/a.rs", "x/src/n.rs", "src2/o.rs"]);
    assert_eq!(paths(&ring, json!({"pattern": "src/*.rs"})), ["src/m.rs"]);
    assert_eq!(paths(&ring, json!({"pattern": "src/**/*.rs"})), ["src/m.rs", "src/deep/a.rs"]);
    assert_eq!(paths(&ring, json!({"pattern": "**/src/*.rs"})), ["src/m.rs", "x/src/n.rs"]);
    assert_eq!(paths(&ring, json!({"pattern": "*.rs", "path": "x"})), ["x/src/n.rs"]);
    assert_eq!(paths(&ring, json!({"pattern": "src/n.{rs,py}", "path": "x"})), ["x/src/n.rs"]);
    assert_eq!(paths(&ring, json!({"pattern": ring.path("src/*.rs")})), ["src/m.rs"]);
    assert_eq!(paths(&ring, json!({"pattern": "./src/m.rs"})), ["src/m.rs"]);
}

#[test]
fn ignored_and_hidden_files_are_left_out_and_told() {
    let ring = ring(&["a.log", "b.txt", ".github/w.yml", "gen/c.txt"]);
    ring.put(".gitignore", "*.log\ngen/\n");
    assert_eq!(paths(&ring, json!({"pattern": "*.txt"})), ["b.txt"]);
    assert_eq!(paths(&ring, json!({"pattern": ".github/*"})), [".github/w.yml"]);
    assert_eq!(paths(&ring, json!({"pattern": "*.txt", "no_ignore": true})), ["b.txt", "gen/c.txt"]);
    assert_eq!(
        ring.call("fs_glob", json!({"pattern": "*.log"})).text,
        "no file matches; 1 hidden or ignored files do: set `hidden` and `no_ignore`\n[0 files; 2 ignored; 2 hidden; complete=true]"
    );
}

#[test]
fn what_the_policy_denies_is_not_listed() {
    let ring = ring(&["private/a.txt", "b.txt", ".env"]);
    let reply = ring.call("fs_glob", json!({"pattern": "**", "hidden": true}));
    assert_eq!(reply.text, "b.txt\n[1 file; 2 withheld by policy; complete=true]");
    assert_eq!(ring.call("fs_glob", json!({"pattern": "private/*"})).kind, Some(ErrorKind::Denied));
    assert_eq!(ring.call("fs_glob", json!({"pattern": "../out/*"})).kind, Some(ErrorKind::Denied));
    assert_eq!(ring.call("fs_glob", json!({"pattern": "/etc/*"})).kind, Some(ErrorKind::Denied));
}

#[test]
fn bad_patterns_and_missing_places_are_told() {
    let ring = ring(&["a"]);
    for pattern in ["", "[a", "{a", &"{a,b}".repeat(40), &"x".repeat(2_000)] {
        let reply = ring.call("fs_glob", json!({"pattern": pattern}));
        assert_eq!(reply.kind, Some(ErrorKind::InvalidInput), "{pattern}: {}", reply.text);
    }
    assert_eq!(ring.call("fs_glob", json!({"pattern": "*", "path": "gone"})).kind, Some(ErrorKind::NotFound));
    let reply = ring.call("fs_glob", json!({"pattern": "gone/*.rs"}));
    assert!(reply.text.starts_with("no file matches; ") && reply.text.contains("gone") && !reply.is_error, "{}", reply.text);
    let started = Instant::now();
    assert_eq!(paths(&ring, json!({"pattern": "**/".repeat(300) + "a"})), ["a"]);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn pages_add_up_to_the_whole_and_a_foreign_cursor_is_refused() {
    let names: Vec<_> = (0..300).map(|n| format!("d{}/file_{n:03}.txt", n % 7)).collect();
    let ring = ring(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let whole = paths(&ring, json!({"pattern": "*.txt", "max_tokens": 1_000_000}));
    assert_eq!(whole, names);
    let mut pages = Vec::new();
    let mut arguments = json!({"pattern": "*.txt", "max_tokens": 300});
    loop {
        let reply = ring.call("fs_glob", arguments.clone());
        assert!(reply.trailer().contains(" of 300 files"), "{}", reply.trailer());
        pages.extend(reply.body().lines().map(str::to_owned));
        match reply.cursor() {
            Some(cursor) => arguments["cursor"] = cursor.into(),
            None => break,
        }
    }
    assert_eq!(pages, whole);
    arguments["pattern"] = "*".into();
    assert_eq!(ring.call("fs_glob", arguments).kind, Some(ErrorKind::InvalidInput));
    assert_eq!(Ring::with(&allowing(&[]), Limits::default()).call("fs_glob", json!({"pattern": "*"})).kind, Some(ErrorKind::Denied));
}
