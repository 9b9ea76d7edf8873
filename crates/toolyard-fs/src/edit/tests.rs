//! `fs_edit` through dispatch.
#![expect(clippy::disallowed_methods, reason = "tests look at what the tool left on the disk")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use proptest::prelude::*;
use serde_json::{Value, json};
use toolyard_core::{ErrorKind, Limits};

use crate::{
    etag,
    testing::{Reply, Ring, allowing, allowing_but},
};

fn edit(ring: &Ring, path: &str, edits: &[(&str, &str)]) -> Reply {
    ring.call("fs_edit", json!({ "path": path, "edits": list(edits) }))
}

fn list(edits: &[(&str, &str)]) -> Vec<Value> {
    edits.iter().map(|(old, new)| json!({ "old": old, "new": new })).collect()
}

/// The content after one edit that must succeed.
fn edited(before: impl AsRef<[u8]>, old: &str, new: &str) -> Vec<u8> {
    let ring = Ring::new();
    ring.put("f", before);
    let reply = edit(&ring, "f", &[(old, new)]);
    assert!(!reply.is_error, "{}", reply.text);
    ring.get("f")
}

/// The error of one edit that must fail and change nothing.
fn refused(before: &str, old: &str, new: &str) -> String {
    let ring = Ring::new();
    ring.put("f", before);
    let reply = edit(&ring, "f", &[(old, new)]);
    assert!(reply.is_error, "{}", reply.text);
    assert_eq!(ring.get("f"), before.as_bytes());
    reply.text
}

#[test]
fn several_edits_are_located_in_the_original_text_and_applied_together() {
    let ring = Ring::new();
    ring.put("src/a.rs", "let a = 1;\nlet b = 2;\nlet c = 3;\n");
    let reply = edit(&ring, "src/a.rs", &[("let c = 3;", "let c = a;"), ("let a = 1;", "let c = 3;")]);
    let now = b"let c = 3;\nlet b = 2;\nlet c = a;\n";
    assert_eq!(ring.get("src/a.rs"), now);
    assert_eq!(
        reply.text,
        format!(
            "edited src/a.rs etag={} 33 bytes utf-8 lf\n@@ -1,3 +1,3 @@\n-let a = 1;\n+let c = 3;\n let b = 2;\n-let c = 3;\n+let c = a;\n[2 edits; +2 -2 lines; complete=true]",
            etag::of(now)
        )
    );
}

#[test]
fn a_dry_run_shows_the_same_diff_and_writes_nothing() {
    let ring = Ring::new();
    ring.put("f", "one\ntwo\n");
    let before = std::fs::metadata(ring.path("f")).expect("a file");
    let dry = ring.call("fs_edit", json!({"path": "f", "edits": list(&[("two", "2")]), "dry_run": true}));
    let after = std::fs::metadata(ring.path("f")).expect("a file");
    assert_eq!((before.ino(), before.mtime_nsec(), before.ctime_nsec()), (after.ino(), after.mtime_nsec(), after.ctime_nsec()));
    assert_eq!(ring.get("f"), b"one\ntwo\n");
    assert!(dry.text.starts_with("would edit f etag="), "{}", dry.text);
    assert_eq!(dry.trailer(), "[1 edit; +1 -1 lines; nothing was written; complete=true]");
    let real = edit(&ring, "f", &[("two", "2")]);
    assert_eq!(real.body().replace("edited", "would edit"), dry.body());
}

#[test]
fn text_that_occurs_more_than_once_is_refused_with_every_line() {
    let text = refused("x = 1\ny\nx = 1;\n", "x = 1", "x = 2");
    assert!(text.contains("`old` occurs 2 times, so it is not clear which is meant:\n  1\tx = 1\n  3\tx = 1;"), "{text}");
    assert!(refused("aaa\n", "aa", "b").contains("occurs 2 times"));
}

#[test]
fn text_that_is_not_there_shows_the_nearest_lines_with_visible_space() {
    let text = refused("fn f() {\n\tlet x = 1;\n}\n", "fn f() {\n    let x = 1;\n}\n", "");
    assert!(text.contains("nearest lines 1-3, which differs only in white space"), "{text}");
    assert!(text.contains("\n  2\t\u{2192}let x = 1;"), "{text}");
    assert!(refused("Hello World\n", "hello world", "x").contains("differs only in upper and lower case"));
    assert!(refused("abc\n", "entirely different", "x").contains("nothing in it is similar"));
    assert!(refused("new text\n", "old text", "new text").contains("`new` is already there at line 1"));
}

#[test]
fn line_numbers_copied_from_a_read_are_recognised() {
    let text = refused("a\nb = 2\nc\n", "  2\tb = 2\n  3\tc", "x");
    assert!(text.contains("without them it matches at line 2"), "{text}");
}

#[test]
fn an_edit_that_can_not_be_meant_is_refused() {
    let ring = Ring::new();
    ring.put("f", "abcdef\n");
    for (edits, problem) in [
        (list(&[]), "`edits` holds 0 edits"),
        (list(&[("", "x")]), "`edits[0].old` is empty"),
        (list(&[("abc", "abc")]), "`edits[0]` changes nothing"),
        (list(&[("a", "b"); 201]), "1 to 200 are possible"),
    ] {
        let reply = ring.call("fs_edit", json!({"path": "f", "edits": edits}));
        assert_eq!(reply.kind, Some(ErrorKind::InvalidInput));
        assert!(reply.text.contains(problem), "{}", reply.text);
    }
    let overlapping = edit(&ring, "f", &[("abcd", "x"), ("cdef", "y")]);
    assert!(overlapping.text.contains("edits[0] and edits[1] overlap at line 1"), "{}", overlapping.text);
    let both_wrong = edit(&ring, "f", &[("zzz", "x"), ("a", "A"), ("qqq", "y")]);
    assert!(both_wrong.text.contains("2 of 3 edits") && both_wrong.text.contains("edits[2]:"), "{}", both_wrong.text);
    assert_eq!(ring.get("f"), b"abcdef\n");
    assert_eq!(edit(&ring, "none", &[("a", "b")]).kind, Some(ErrorKind::NotFound));
}

#[test]
fn special_text_is_taken_literally() {
    assert_eq!(edited("a\n", "a", "$& \\1 `x` $1"), b"$& \\1 `x` $1\n");
    assert_eq!(edited("a\n", "a", "\u{FEFF}b"), "\u{FEFF}b\n".as_bytes());
    assert_eq!(edited(b"a\0b\n", "a\0b", "c\0d"), b"c\0d\n");
    // The first edit makes the text the second one looks for; only the original counts.
    assert!(refused("one\n", "two", "three").contains("not in the file"));
}

#[test]
fn line_feeds_match_the_line_ends_of_the_file_and_new_text_takes_them_over() {
    assert_eq!(edited("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\nz\n"), b"x\r\ny\r\nz\r\nc\r\n");
    assert_eq!(edited("a\r\nb\r\n", "b", "b1\nb2"), b"a\r\nb1\r\nb2\r\n");
    assert_eq!(edited("a\nb\n", "b", "b1\r\nb2"), b"a\nb1\nb2\n");
    assert_eq!(edited("a\rb\rc", "a\nb", "x\ny"), b"x\ry\rc");
    // Mixed: each place keeps its own, untouched lines too.
    assert_eq!(edited("a\nb\r\nc\nd\r\n", "b\nc", "x\ny"), b"a\nx\r\ny\nd\r\n");
    assert_eq!(edited("a\nb\nc\r\n", "b", "b\nb2"), b"a\nb\nb2\nc\r\n");
    assert_eq!(edited("a\nb\r\nc\r\n", "c", "c\nc2"), b"a\nb\r\nc\r\nc2\r\n");
    let several = refused("p\nq\r\np\r\nq\n", "p\nq", "x");
    assert!(several.contains("occurs 2 times"), "{several}");
    assert!(refused("a\r\nb\r\n", "a\r\n", "a\n").contains("line ends stay those of the file"));
}

#[test]
fn a_missing_final_line_end_stays_missing() {
    assert_eq!(edited("a\nb", "b", "c"), b"a\nc");
    let ring = Ring::new();
    ring.put("f", "a\nb");
    assert!(edit(&ring, "f", &[("b", "c")]).text.contains("-b\n\\ no newline at end of file\n+c\n\\ no newline at end of file\n"));
}

#[test]
fn escapes_shown_by_a_read_stand_for_the_characters() {
    assert_eq!(edited("a\u{200B}b\n", "a<U+200B>b", "a<U+200B>c"), "a\u{200B}c\n".as_bytes());
    assert_eq!(edited("see <U+200B> here\n", "<U+200B>", "x"), b"see x here\n");
    assert_eq!(edited(b"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f a\xffb\n", "a<0xFF>b", "a<0xFF>c"), b"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f a\xffc\n");
}

#[test]
fn text_the_encoding_lacks_is_refused_by_name() {
    let ring = Ring::new();
    let latin = b"Stra\xdfe und \xdcbung, gr\xfcn und sch\xf6n, na\xefve caf\xe9\n";
    ring.put("f", latin);
    let reply = edit(&ring, "f", &[("und sch", "\u{4e2d}")]);
    assert!(reply.text.contains("`new` holds `\u{4e2d}` (U+4E2D), which windows-1252"), "{}", reply.text);
    assert_eq!(ring.get("f"), latin);
    assert!(!edit(&ring, "f", &[("Stra\u{df}e", "G\u{e4}sse")]).is_error);
    assert_eq!(ring.get("f"), b"G\xe4sse und \xdcbung, gr\xfcn und sch\xf6n, na\xefve caf\xe9\n");
}

#[test]
fn the_second_byte_of_a_character_is_no_match() {
    // In Shift JIS the second byte of `ソ` is a backslash, so only the real one is found.
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode("これは日本語の文章です。ソフト \\ 終わり。\n");
    let ring = Ring::new();
    ring.put("f", &bytes);
    let reply = edit(&ring, "f", &[("\\", "/")]);
    assert!(!reply.is_error, "{}", reply.text);
    let (expected, _, _) = encoding_rs::SHIFT_JIS.encode("これは日本語の文章です。ソフト / 終わり。\n");
    assert_eq!(ring.get("f"), expected.as_ref());
}

#[test]
fn a_stale_etag_is_no_error_while_every_old_text_is_unique() {
    let ring = Ring::new();
    ring.put("f", "a\nb\nc\n");
    let seen = etag::of(&ring.get("f"));
    let call = |old: &str, new: &str| ring.call("fs_edit", json!({"path": "f", "edits": list(&[(old, new)]), "etag": seen}));
    assert_eq!(call("a", "A").trailer(), "[1 edit; +1 -1 lines; complete=true]");
    let stale = call("b", "B");
    assert!(stale.trailer().contains("the file had changed since that etag"), "{}", stale.text);
    assert_eq!(ring.get("f"), b"A\nB\nc\n");
    let gone = call("a", "x");
    assert_eq!(gone.kind, Some(ErrorKind::Conflict));
    assert!(gone.text.contains(&format!("it is {} now", etag::of(b"A\nB\nc\n"))), "{}", gone.text);
    // Changed and changed back, touched, or replaced by the same bytes: the content decides.
    ring.put("f", "a\nb\nc\n");
    assert_eq!(call("c", "C").trailer(), "[1 edit; +1 -1 lines; complete=true]");
}

#[test]
fn mode_and_attributes_survive_and_a_symlink_stays_one() {
    let ring = Ring::new();
    ring.put("real", "a\n");
    std::fs::set_permissions(ring.path("real"), std::fs::Permissions::from_mode(0o751)).expect("a mode");
    rustix::fs::setxattr(ring.path("real"), "user.note", b"kept", rustix::fs::XattrFlags::empty()).expect("an attribute");
    symlink("real", ring.path("link")).expect("a link");
    assert!(!edit(&ring, "link", &[("a", "b")]).is_error);
    assert_eq!(ring.get("real"), b"b\n");
    assert_eq!(std::fs::read_link(ring.path("link")).expect("still a link"), std::path::Path::new("real"));
    assert_eq!(std::fs::metadata(ring.path("real")).expect("a file").permissions().mode() & 0o7777, 0o751);
    let mut value = [0_u8; 16];
    let length = rustix::fs::getxattr(ring.path("real"), "user.note", &mut value[..]).expect("the attribute");
    assert_eq!(&value[..length], b"kept");
}

#[test]
fn edits_of_different_lines_at_once_all_survive() {
    let ring = Ring::new();
    let lines: String = (0..32).map(|n| format!("line {n:02} old\n")).collect();
    ring.put("f", &lines);
    let calls = (0..32).map(|n| {
        let edits = list(&[(&format!("line {n:02} old"), &format!("line {n:02} new"))]);
        ring.call_async("fs_edit", json!({"path": "f", "edits": edits}))
    });
    let replies = ring.runtime().block_on(async { futures_join(calls).await });
    for reply in replies {
        assert!(!reply.is_error, "{}", reply.text);
    }
    assert_eq!(String::from_utf8(ring.get("f")).expect("text"), lines.replace("old", "new"));
}

#[test]
fn of_edits_of_the_same_line_at_once_one_wins() {
    let ring = Ring::new();
    ring.put("f", "value = 0\n");
    let calls = (1..=8).map(|n| ring.call_async("fs_edit", json!({"path": "f", "edits": list(&[("value = 0", &format!("value = {n}"))])})));
    let replies = ring.runtime().block_on(async { futures_join(calls).await });
    assert_eq!(replies.iter().filter(|reply| !reply.is_error).count(), 1);
    assert!(replies.iter().filter(|reply| reply.is_error).all(|reply| reply.kind == Some(ErrorKind::Conflict)));
}

/// Runs all futures at once on the current task.
async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut all = true;
        for (future, output) in &mut pending {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => all = false,
                }
            }
        }
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

#[test]
fn editing_needs_both_reading_and_writing() {
    for (policy, path) in [
        (allowing(&["read"]), "f"),
        (allowing(&["write"]), "f"),
        (allowing_but(&["read", "write"], &["read(f)"]), "f"),
        (allowing(&["read", "write"]), ".mcp.json"),
        (allowing(&["read", "write"]), ".env"),
    ] {
        let ring = Ring::with(&policy, Limits::default());
        ring.put(path, "a\n");
        let reply = edit(&ring, path, &[("a", "b")]);
        assert_eq!(reply.kind, Some(ErrorKind::Denied), "{policy:?}: {}", reply.text);
        assert_eq!(ring.get(path), b"a\n");
    }
}

#[test]
fn a_long_diff_is_cut_at_the_budget_and_says_so() {
    let ring = Ring::new();
    let lines: String = (0..2_000).map(|n| format!("line number {n}\n")).collect();
    ring.put("f", &lines);
    let new: String = (0..2_000).map(|n| format!("another line {n}\n")).collect();
    let reply = ring.call("fs_edit", json!({"path": "f", "edits": list(&[(&lines, &new)]), "max_tokens": 300}));
    assert!(reply.text.len() <= 990, "{} bytes", reply.text.len());
    assert!(reply.trailer().contains("+2000 -2000 lines") && reply.trailer().contains("complete=false:"), "{}", reply.trailer());
    assert_eq!(ring.get("f"), new.as_bytes());
}

#[test]
fn hunks_far_apart_have_their_own_line_numbers() {
    let ring = Ring::new();
    let lines: String = (1..=100).map(|n| format!("{n}\n")).collect();
    ring.put("f", &lines);
    let reply = edit(&ring, "f", &[("\n10\n", "\n10\n10b\n"), ("\n90\n", "\n")]);
    assert!(reply.text.contains("@@ -8,6 +8,7 @@\n 8\n 9\n 10\n+10b\n 11\n 12\n 13\n@@ -87,7 +88,6 @@\n 87\n"), "{}", reply.text);
}

fn encodings() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["utf-8", "utf-8-bom", "utf-16le", "utf-16be", "latin1", "gbk", "shift_jis", "bytes"])
}

fn encode(label: &str, text: &str) -> Vec<u8> {
    match label {
        "utf-8" | "bytes" => text.as_bytes().to_vec(),
        "utf-8-bom" => [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        "utf-16le" => [b"\xFF\xFE".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat(),
        "utf-16be" => [b"\xFE\xFF".to_vec(), text.encode_utf16().flat_map(u16::to_be_bytes).collect()].concat(),
        label => encoding_rs::Encoding::for_label(label.as_bytes()).expect("a label").encode(text).0.into_owned(),
    }
}

fn without_bom(label: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let bom = encode(label, "").len();
    bytes.drain(..bom);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn bytes_outside_the_edit_never_change(
        label in encodings(),
        lines in prop::collection::vec(("[a-zA-Z0-9 ,.éüß]{0,12}", "\n|\r\n|\r"), 0..12),
        more in prop::collection::vec(("[a-zA-Z0-9 ,.éüß]{0,12}", "\n|\r\n|\r"), 0..12),
        raw in prop::collection::vec(any::<u8>(), 0..40),
        final_end in any::<bool>(),
        new in "[a-z <>$&]{0,10}",
    ) {
        const MARK: &str = "MARK#1234";
        let join = |lines: &[(String, String)]| lines.iter().map(|(line, end)| format!("{line}{end}")).collect::<String>();
        let mut before = encode(label, &join(&lines));
        let mut after = without_bom(label, encode(label, &join(&more)));
        if label == "bytes" {
            before.extend_from_slice(&raw);
            after.extend(raw.iter().rev());
        }
        if final_end {
            after.extend(without_bom(label, encode(label, "\n")));
        }
        let mark = without_bom(label, encode(label, MARK));
        let content = [before.as_slice(), &mark, &after].concat();
        let ring = Ring::new();
        ring.put("f", &content);
        let reply = edit(&ring, "f", &[(MARK, &new)]);
        let expected = [before.as_slice(), &without_bom(label, encode(label, &new)), &after].concat();
        let now = ring.get("f");
        if label == "bytes" && reply.is_error {
            // Bytes can happen to look like UTF-16; then the text is not there.
            prop_assert_eq!(now, content);
        } else {
            prop_assert!(!reply.is_error, "{}", reply.text);
            prop_assert_eq!(now, expected);
        }
    }
}
