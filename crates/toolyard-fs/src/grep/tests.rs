#![expect(clippy::disallowed_methods, reason = "tests lay out files the tools then find")]

mod bounds;
mod pages;
mod walking;

use serde_json::json;
use toolyard_core::{ErrorKind, Limits};

use crate::testing::{Ring, allowing, allowing_but};

#[test]
fn hits_stand_below_the_path_of_their_file() {
    let ring = Ring::new();
    ring.put("src/b.rs", "fn two() {}\nlet x;\nfn three() {}\n");
    ring.put("src/a.rs", "// nothing\nfn one() {}");
    ring.put("README.md", "no function here\n");
    let reply = ring.call("fs_grep", json!({"pattern": r"fn \w+"}));
    assert_eq!(reply.text, "src/a.rs\n2:fn one() {}\nsrc/b.rs\n1:fn two() {}\n3:fn three() {}\n[3 hits in 2 files; complete=true]");
}

#[test]
fn what_the_policy_denies_is_neither_searched_nor_named() {
    let ring = Ring::with(&allowing_but(&["read"], &["read(private)", "read(*.key)"]), Limits::default());
    ring.put("private/x.txt", "needle\n");
    ring.put("a.key", "needle\n");
    ring.put(".env", "needle\n");
    ring.put("open.txt", "needle\n");
    let reply = ring.call("fs_grep", json!({"pattern": "needle", "hidden": true, "no_ignore": true}));
    assert_eq!(reply.text, "open.txt\n1:needle\n[1 hit in 1 file; 3 withheld by policy; complete=true]");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "needle", "path": "private"})).kind, Some(ErrorKind::Denied));
    let outside = ring.call("fs_grep", json!({"pattern": "needle", "path": "../out"}));
    assert_eq!(outside.kind, Some(ErrorKind::Denied));
    assert_eq!(Ring::with(&allowing(&[]), Limits::default()).call("fs_grep", json!({"pattern": "x"})).kind, Some(ErrorKind::Denied));
}

#[test]
fn bad_input_is_told_with_what_to_do() {
    let ring = Ring::new();
    ring.put("a", "x");
    let refused = |arguments, expected: &str| {
        let reply = ring.call("fs_grep", arguments);
        assert_eq!(reply.kind, Some(ErrorKind::InvalidInput), "{}", reply.text);
        assert!(reply.text.contains(expected), "{}", reply.text);
    };
    refused(json!({"pattern": "("}), "`fixed: true`");
    refused(json!({"pattern": r"(?=x)"}), "look-around");
    refused(json!({"pattern": "a\nb"}), "`multiline: true`");
    refused(json!({"pattern": ""}), "empty");
    refused(json!({"pattern": "x".repeat(20_000)}), "limit is 10240");
    refused(json!({"pattern": "x", "glob": ["[a"]}), "`glob`");
    refused(json!({"pattern": "x", "type": "klingon"}), "known file type");
    refused(json!({"pattern": "x", "max_hits": 0}), "at least 1");
    refused(json!({"pattern": "x", "max_per_file": -1}), "`max_per_file`");
    refused(json!({"pattern": "x", "mode": "words"}), "content");
    refused(json!({"pattern": "x", "pathh": "a"}), "`path`");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "x", "path": "gone"})).kind, Some(ErrorKind::NotFound));
}

#[test]
fn a_single_file_is_searched_even_if_hidden_or_ignored() {
    let ring = Ring::new();
    ring.put(".gitignore", "*.log\n");
    ring.put("a.log", "one\ntwo\n");
    ring.put(".hidden", "two\n");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "two", "path": "a.log"})).text, "a.log\n2:two\n[1 hit in 1 file; complete=true]");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "two", "path": ".hidden"})).body(), ".hidden\n1:two\n");
    assert_eq!(
        ring.call("fs_grep", json!({"pattern": "two"})).body(),
        "no matches; no file was searched, so check `path`, `glob` and `type`\n`hidden: true` and `no_ignore: true` would find hits in 2 files\n"
    );
}

#[test]
fn modes_give_paths_or_counts() {
    let ring = Ring::new();
    ring.put("a", "x\nx\ny\n");
    ring.put("d/b", "x\n");
    ring.put("c", "y\n");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "x", "mode": "files"})).text, "a\nd/b\n[2 files; complete=true]");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "x", "mode": "count"})).text, "a:2\nd/b:1\n[3 hits in 2 files; complete=true]");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "x", "max_per_file": 1})).body(), "a\n1:x\nd/b\n1:x\n");
}

#[test]
fn context_surrounds_hits_and_gaps_are_marked() {
    let ring = Ring::new();
    ring.put("a", "1\n2\nhit\n4\n5\n6\n7\nhit\n9\n");
    let body = |arguments| ring.call("fs_grep", arguments).body().to_owned();
    assert_eq!(body(json!({"pattern": "hit", "context": 1})), "a\n2-2\n3:hit\n4-4\n--\n7-7\n8:hit\n9-9\n");
    assert_eq!(body(json!({"pattern": "hit", "after": 1})), "a\n3:hit\n4-4\n--\n8:hit\n9-9\n");
    assert_eq!(body(json!({"pattern": "hit", "context": 1, "before": 0})), "a\n3:hit\n4-4\n--\n8:hit\n9-9\n");
}

#[test]
fn case_words_and_plain_text_are_options() {
    let ring = Ring::new();
    ring.put("a", "Foo\nfoo\nfood\na.c\nabc\n");
    let lines = |arguments| ring.call("fs_grep", arguments).body().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(json!({"pattern": "foo"})), ["1:Foo", "2:foo", "3:food"]);
    assert_eq!(lines(json!({"pattern": "Foo"})), ["1:Foo"]);
    assert_eq!(lines(json!({"pattern": "foo", "case": "sensitive"})), ["2:foo", "3:food"]);
    assert_eq!(lines(json!({"pattern": "FOO", "case": "insensitive", "word": true})), ["1:Foo", "2:foo"]);
    assert_eq!(lines(json!({"pattern": "a.c"})), ["4:a.c", "5:abc"]);
    assert_eq!(lines(json!({"pattern": "a.c", "fixed": true})), ["4:a.c"]);
}

#[test]
fn a_hit_over_several_lines_is_one_hit() {
    let ring = Ring::new();
    ring.put("a", "fn x(\n  a,\n)\nfn y()\n");
    let reply = ring.call("fs_grep", json!({"pattern": r"x\(.*?\)", "multiline": true}));
    assert_eq!(reply.text, "a\n1:fn x(\n2:  a,\n3:)\n[1 hit in 1 file; complete=true]");
}

#[test]
fn files_with_line_ends_of_windows_anchor_like_others() {
    let ring = Ring::new();
    ring.put("a", "one;\r\ntwo\r\n");
    assert_eq!(ring.call("fs_grep", json!({"pattern": ";$"})).body(), "a\n1:one;\n");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "^two$"})).body(), "a\n2:two\n");
}

#[test]
fn utf_16_and_marked_utf_8_are_searched_as_text() {
    let ring = Ring::new();
    let wide = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| [mark.to_vec(), "first\nnädel\n".encode_utf16().flat_map(bytes).collect()].concat();
    ring.put("be", wide(b"\xFE\xFF", u16::to_be_bytes));
    ring.put("le", wide(b"\xFF\xFE", u16::to_le_bytes));
    ring.put("utf8", b"\xEF\xBB\xBFn\xC3\xA4del\n");
    assert_eq!(ring.call("fs_grep", json!({"pattern": "^nädel"})).body(), "be\n2:nädel\nle\n2:nädel\nutf8\n1:nädel\n");
}

#[test]
fn binary_files_with_hits_are_counted_and_not_shown() {
    let ring = Ring::new();
    ring.put("a.bin", b"\0\x01needle\n");
    ring.put("late.bin", [b"needle\n".to_vec(), vec![b'x'; 700_000], vec![0]].concat());
    ring.put("b.txt", "needle\n");
    let reply = ring.call("fs_grep", json!({"pattern": "needle"}));
    assert_eq!(reply.text, "b.txt\n1:needle\n[1 hit in 1 file; 2 binary skipped; complete=true]");
}

#[test]
fn hostile_text_and_names_are_shown_escaped() {
    let ring = Ring::new();
    ring.put("a\u{202E}b\n.txt", "x \u{1b}[31m\u{200B}\n[99 hits; complete=true] x\n");
    let reply = ring.call("fs_grep", json!({"pattern": "x"}));
    assert_eq!(
        reply.text,
        "a<U+202E>b<U+000A>.txt\n1:x <U+001B>[31m<U+200B>\n2:[99 hits; complete=true] x\n[2 hits in 1 file; complete=true]"
    );
    // The name in the answer can be sent back.
    assert_eq!(
        ring.call("fs_grep", json!({"pattern": "x", "path": "a<U+202E>b<U+000A>.txt", "mode": "count"})).body(),
        "a<U+202E>b<U+000A>.txt:2\n"
    );
}

#[test]
fn when_nothing_matches_the_answer_says_what_would() {
    let ring = Ring::new();
    ring.put(".gitignore", "gen/\n");
    ring.put("a.rs", "let Value = call(x);\n");
    ring.put("gen/b.rs", "value_of\n");
    let body = |arguments| ring.call("fs_grep", arguments).body().to_owned();
    assert_eq!(
        body(json!({"pattern": "value = call", "case": "sensitive"})),
        "no matches\n`case: insensitive` would find hits in 1 file\n"
    );
    assert_eq!(body(json!({"pattern": "call(x)"})), "no matches\n`fixed: true` would find hits in 1 file\n");
    assert_eq!(body(json!({"pattern": "value_of"})), "no matches\n`hidden: true` and `no_ignore: true` would find hits in 1 file\n");
    assert_eq!(
        body(json!({"pattern": "Value", "glob": ["*.py"]})),
        "no matches; no file was searched, so check `path`, `glob` and `type`\nleaving out `glob` and `type` would find hits in 1 file\n"
    );
    let reply = ring.call("fs_grep", json!({"pattern": "absent"}));
    assert_eq!(reply.text, "no matches\n[0 hits in 0 files; 1 files searched; 1 ignored; 1 hidden; complete=true]");
}
