//! Pages add up to the whole, whatever their size.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use toolyard_core::{ErrorKind, Limits};

use crate::testing::{Ring, allowing};

fn wide() -> Ring {
    Ring::with(&allowing(&["read"]), Limits { max_tokens: 10_000_000, ..Limits::default() })
}

/// All pages of a search: `path`, then its lines, as the whole answer has them.
fn all_pages(ring: &Ring, arguments: &Value) -> (String, usize) {
    let mut whole = String::new();
    let mut last_heading = String::new();
    let mut arguments = arguments.clone();
    for pages in 1..10_000 {
        let reply = ring.call("fs_grep", arguments.clone());
        assert!(!reply.is_error, "{}", reply.text);
        for line in reply.body().lines() {
            let is_heading = !line.starts_with(|c: char| c.is_ascii_digit()) && line != "--";
            // A page that begins inside a file repeats its heading.
            if is_heading && line == last_heading {
                continue;
            }
            if is_heading {
                last_heading = line.to_owned();
            }
            whole.push_str(line);
            whole.push('\n');
        }
        match reply.cursor() {
            Some(cursor) => arguments["cursor"] = cursor.into(),
            None => return (whole, pages),
        }
    }
    panic!("the pages never end");
}

#[test]
fn a_page_says_the_totals_and_leads_to_the_next_one() {
    let ring = wide();
    for file in 0..40 {
        ring.put(format!("d{}/f{file:02}", file % 4), "needle in a line\nother\n".repeat(5));
    }
    let first = ring.call("fs_grep", json!({"pattern": "needle", "max_tokens": 400}));
    assert!(first.trailer().contains(" of 200 hits in ") && first.trailer().contains(" of 40 files"), "{}", first.trailer());
    assert!(first.trailer().ends_with("complete=false: budget]"), "{}", first.trailer());
    assert!(first.text.len() < 400 * 33 / 10, "{} bytes", first.text.len());
    let cursor = first.cursor().expect("a cursor");
    let second = ring.call("fs_grep", json!({"pattern": "needle", "max_tokens": 400, "cursor": cursor}));
    assert!(second.trailer().contains(" of 200 hits in "), "{}", second.trailer());
    let whole = ring.call("fs_grep", json!({"pattern": "needle", "max_tokens": 1_000_000}));
    let (pages, count) = all_pages(&ring, &json!({"pattern": "needle", "max_tokens": 400}));
    assert_eq!(pages, whole.body());
    assert!(count > 3, "{count}");
}

#[test]
fn a_limit_of_hits_ends_the_search_and_a_cursor_goes_on() {
    let ring = wide();
    for file in 0..10 {
        ring.put(format!("f{file}"), "x\nx\nx\n");
    }
    let reply = ring.call("fs_grep", json!({"pattern": "x", "max_hits": 4}));
    assert_eq!(reply.body(), "f0\n1:x\n2:x\n3:x\nf1\n1:x\n");
    assert!(reply.trailer().ends_with("complete=false: max_hits]"), "{}", reply.trailer());
    let (pages, count) = all_pages(&ring, &json!({"pattern": "x", "max_hits": 4}));
    assert_eq!(pages, ring.call("fs_grep", json!({"pattern": "x"})).body());
    assert_eq!(count, 8);
    assert!(ring.call("fs_grep", json!({"pattern": "x", "max_hits": 30})).trailer().contains("complete=true"));
}

#[test]
fn a_cursor_that_was_changed_or_belongs_to_another_search_is_refused() {
    let ring = wide();
    for file in 0..10 {
        ring.put(format!("f{file}"), "x\ny\n");
    }
    let cursor = ring.call("fs_grep", json!({"pattern": "x", "max_hits": 1})).cursor().expect("a cursor").to_owned();
    let refused = |arguments| {
        let reply = ring.call("fs_grep", arguments);
        assert_eq!(reply.kind, Some(ErrorKind::InvalidInput), "{}", reply.text);
        assert!(reply.text.contains("without `cursor`") || reply.text.contains("leave `cursor` out"), "{}", reply.text);
    };
    let mut changed = cursor.clone().into_bytes();
    changed[20] ^= 1;
    refused(json!({"pattern": "x", "max_hits": 1, "cursor": String::from_utf8_lossy(&changed)}));
    refused(json!({"pattern": "y", "max_hits": 1, "cursor": cursor}));
    refused(json!({"pattern": "x", "max_hits": 1, "path": "f1", "cursor": cursor}));
    refused(json!({"pattern": "x", "max_hits": 1, "cursor": "AAAA"}));
    assert_eq!(wide().call("fs_grep", json!({"pattern": "x", "max_hits": 1, "cursor": cursor})).kind, Some(ErrorKind::InvalidInput));
}

/// What a look at every line finds, in the order of the walk.
fn naive(files: &[(String, String)], needle: &str) -> String {
    let mut files = files.to_vec();
    files.sort();
    files.dedup_by(|a, b| a.0 == b.0);
    let depth_first = |path: &str| {
        let mut parts: Vec<_> = path.split('/').map(str::to_owned).collect();
        let name = parts.pop().unwrap_or_default();
        (parts, name)
    };
    files.sort_by_key(|(path, _)| depth_first(path));
    let mut found = String::new();
    for (path, content) in &files {
        let hits: Vec<_> = content.split_terminator('\n').zip(1..).filter(|(line, _)| line.contains(needle)).collect();
        if !hits.is_empty() {
            writeln!(found, "{path}").expect("a string");
            for (line, number) in hits {
                writeln!(found, "{number}:{}", line.strip_suffix('\r').unwrap_or(line)).expect("a string");
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_search_finds_what_a_look_at_every_line_finds_and_pages_add_up_to_it(
        files in proptest::collection::vec(("([a-c]{1,2}/){0,3}[x-z]{1,2}\\.t", "([ab ]{0,6}\r?\n){0,12}[ab]{0,3}"), 1..20),
        needle in "[ab]{1,3}",
        tokens in 160_u32..400,
    ) {
        let ring = wide();
        let mut kept: Vec<(String, String)> = Vec::new();
        for (path, content) in files {
            if !kept.iter().any(|(known, _)| *known == path) {
                ring.put(&path, &content);
                kept.push((path, content));
            }
        }
        let arguments = json!({"pattern": needle, "fixed": true, "max_tokens": tokens});
        let expected = naive(&kept, &needle);
        let whole = ring.call("fs_grep", json!({"pattern": needle, "fixed": true, "max_tokens": 1_000_000}));
        if expected.is_empty() {
            prop_assert!(whole.body().starts_with("no matches\n"), "{}", whole.text);
        } else {
            prop_assert_eq!(whole.body(), &expected);
            prop_assert_eq!(all_pages(&ring, &arguments).0, expected);
        }
    }
}
