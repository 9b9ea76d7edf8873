//! Tests of the matcher itself; the decisions are tested in `tests/it`.

use proptest::prelude::*;

use crate::built_in::{protected_paths, secret_paths};
use crate::fold::{bare_segment, fold_segment};
use crate::index::{Index, Probe};
use crate::pattern::Pattern;
use crate::segment::Mode;
use crate::subject::Subject;

/// Whether a pattern matches a path below `/home/me/project`.
#[track_caller]
fn check(mode: Mode, pattern: &str, path: &str, expect: bool) {
    let patterns = Pattern::parse(pattern).unwrap_or_default();
    assert!(!patterns.is_empty(), "`{pattern}` does not parse");
    let mut index = Index::new(mode);
    for pattern in patterns {
        index.add(0, pattern);
    }
    let subject = Subject::path("/home/me/project", path).map_err(str::to_owned);
    let found = subject.map(|subject| {
        let probe = Probe { subject: &subject, before: None, removed: false };
        index.find(probe, |_| true).is_some()
    });
    assert_eq!(found, Ok(expect), "`{pattern}` on `{path}` ({mode:?})");
}

#[test]
fn patterns_match_as_in_gitignore() {
    for (pattern, path, expect) in [
        ("a.rs", "a.rs", true),
        ("a.rs", "src/a.rs", true),
        ("a.rs", "src/a.rs/below", true),
        ("a.rs", "src/a.rss", false),
        ("/a.rs", "src/a.rs", false),
        ("./a.rs", "src/a.rs", false),
        ("/a.rs", "a.rs", true),
        ("docs/", "x/docs/y", true),
        ("docs/a", "docs/a/b/c", true),
        ("docs/a", "x/docs/a", false),
        ("docs/**", "docs", false),
        ("docs/**", "docs/a/b", true),
        ("**", "", true),
        ("*", "", false),
        ("**/x", "x", true),
        ("**/x", "a/b/x", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b/*.rs", "a/b/x/b/y.rs", true),
        ("a/**/b/*.rs", "a/b/x/y.rs", false),
        ("*.rs", "src/deep/x.rs", true),
        ("*.rs", "src/deep/x.rs.bak", false),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abcd", false),
        ("?.rs", "ä.rs", true),
        ("?.rs", "ab.rs", false),
        ("[a-c]x", "bx", true),
        ("[!a-c]x", "bx", false),
        ("[!a-c]x", "dx", true),
        ("{a,b}/{c,d}", "b/c", true),
        ("{a,b}/{c,d}", "c/b", false),
        (r"\[id\].tsx", "pages/[id].tsx", true),
        (r"\[id\].tsx", "pages/i.tsx", false),
        ("//home/me/project/docs", "docs/a", true),
        ("//home/me", "docs/a", true),
        ("//home/you", "docs/a", false),
        ("//**/docs", "docs/a", true),
        ("//home/*/project/*.md", "a.md", true),
    ] {
        check(Mode::Exact, pattern, path, expect);
        check(Mode::Strict, pattern, path, expect);
    }
}

#[test]
fn aliases_count_only_where_they_refuse() {
    for (pattern, path) in [
        ("secrets/**", "SECRETS/a"),
        ("Secrets/A", "secrets/a"),
        ("secrets/**", "se\u{200d}crets/a"),
        ("secrets/**", "secrets./a"),
        ("secrets/**", "secrets /a"),
        ("a.txt", "a.txt::$DATA"),
        ("*.key", "x.KEY. ."),
        ("straße", "STRASSE"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("\u{212a}ey", "key"),
        ("git", "\u{ff47}it"),
        ("[A-Z]x", "bx"),
        (".git", "GIT~1"),
    ] {
        check(Mode::Strict, pattern, path, true);
        check(Mode::Exact, pattern, path, false);
    }
}

#[test]
fn folding_names_one_file_in_one_way() {
    for (name, folded) in [
        ("ReadMe", "readme"),
        ("...", "..."),
        ("a. . .", "a"),
        ("\u{1e9e}", "ss"),
        ("\u{3c2}\u{3a3}", "\u{3c3}\u{3c3}"),
        ("e\u{200b}\u{301}", "\u{e9}"),
        ("x\u{2100}", "xac"),
    ] {
        assert_eq!(fold_segment(name), folded, "{name:?}");
    }
    for (folded, bare) in [
        ("git~1", ".git"),
        ("git~2", ".git"),
        ("git~x", "git~x"),
        ("mcp~1.jso", ".mcp.json"),
        ("env~1.loc", ".env.loc"),
        (".git::$index_allocation", ".git"),
        ("git~1:x", ".git"),
        (":x", ":x"),
    ] {
        assert_eq!(bare_segment(folded), bare, "{folded}");
    }
}

#[test]
fn built_in_patterns_parse() {
    for path in protected_paths().iter().chain(secret_paths()) {
        let patterns = Pattern::parse_built_in(path.pattern, path.unless);
        assert!(patterns.is_ok_and(|list| !list.is_empty()), "{}", path.pattern);
    }
}

#[test]
fn matching_is_bounded() {
    let long = "a".repeat(4000);
    let deep = "a/".repeat(4000) + "a";
    let started = std::time::Instant::now();
    for pattern in [
        "**/**/**/**/b".to_owned(),
        "**/a/**/a/**/a/**/a/**/a/**/b".to_owned(),
        format!("{}b", "*a".repeat(30)),
        format!("{}b", "?".repeat(900)),
        format!("**/{}/b", "a/".repeat(60).trim_end_matches('/')),
    ] {
        check(Mode::Strict, &pattern, &long, false);
        check(Mode::Strict, &pattern, &deep, false);
    }
    // Exponential work would take longer than the age of the universe.
    assert!(started.elapsed().as_secs() < 20);
}

const PIECES: &[&str] = &[
    "a", "A", "b", "*", "?", ".rs", ".RS", ".", " ", "**", "/", "/", "[a-b]", "[!A]", "e\u{301}", "\u{e9}", "\u{200d}", ":", "~1", "git",
    "ß", "ss", "\u{212a}", "k",
];

fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 1..7).prop_map(|list| list.concat())
}

const PATH_PIECES: &[&str] =
    &["a", "A", "b", ".rs", ".RS", ".", " ", "/", "/", "e\u{301}", "\u{c9}", "\u{200d}", ":", "~1", "GIT", "ß", "SS", "\u{212a}", "K"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_a_linear_search(
        patterns in prop::collection::vec(text(PIECES), 1..6),
        path in text(PATH_PIECES),
        requested_removed in any::<bool>(),
        strict in any::<bool>(),
    ) {
        let mode = if strict { Mode::Strict } else { Mode::Exact };
        let mut index = Index::new(mode);
        for (rule, pattern) in (0_u32..).zip(&patterns) {
            for pattern in Pattern::parse(pattern).unwrap_or_default() {
                index.add(rule, pattern);
            }
        }
        if let Ok(subject) = Subject::path("/home/A", &path) {
            let probe = Probe { subject: &subject, before: None, removed: requested_removed };
            prop_assert_eq!(index.find(probe, |_| true), index.find_linearly(probe));
        }
    }

    #[test]
    fn what_matches_exactly_matches_strictly(pattern in text(PIECES), path in text(PATH_PIECES)) {
        let (mut exact, mut strict) = (Index::new(Mode::Exact), Index::new(Mode::Strict));
        for pattern in Pattern::parse(&pattern).unwrap_or_default() {
            exact.add(0, pattern.clone());
            strict.add(0, pattern);
        }
        if let Ok(subject) = Subject::path("/home/A", &path) {
            let probe = Probe { subject: &subject, before: None, removed: false };
            if exact.find(probe, |_| true).is_some() {
                prop_assert_eq!(strict.find(probe, |_| true), Some(0));
            }
        }
    }

    #[test]
    fn any_text_can_be_parsed_or_refused(pattern in "\\PC{0,40}", path in "\\PC{0,40}") {
        if let (Ok(patterns), Ok(subject)) = (Pattern::parse(&pattern), Subject::path("/x", &path)) {
            let split = subject.split(None);
            for pattern in patterns {
                let exact = pattern.matches(&split, Mode::Exact, crate::pattern::Extent::Whole);
                let covered = pattern.matches(&split, Mode::Strict, crate::pattern::Extent::Covered);
                prop_assert!(!exact || covered);
            }
        }
    }
}
