//! Rules that can't be used, and examples that don't hold.

use std::sync::Arc;

use toolyard_policy::{Effect, Outcome, PathResource, Policy, PolicySpec, Profile, Resource, RuleSpec};

use crate::{check, policy};

fn example(rule: &str, matches: &[&str], not_matches: &[&str]) -> RuleSpec {
    let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    RuleSpec { rule: rule.to_owned(), matches: own(matches), not_matches: own(not_matches), roles: Vec::new() }
}

fn compile(deny: Vec<RuleSpec>) -> Result<(), String> {
    let spec = PolicySpec { deny, ..PolicySpec::default() };
    Policy::compile(&spec).map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn a_bad_rule_says_where_it_stands_and_how_to_write_it() {
    let long = format!("fs({})", "x".repeat(1000));
    let stars = format!("fs({})", "*a".repeat(40));
    let braces = format!("fs({})", "{a,b,c}".repeat(5));
    for (rule, problem) in [
        ("", "names no tool"),
        ("(a)", "names no tool"),
        ("fs_write()", "leave out the parentheses"),
        ("fs_write(a", "does not end with `)`"),
        ("fs_write a)", "no `(`"),
        ("fs_write(a) ", "does not end with `)`"),
        ("fs_write(a))", "not balanced"),
        ("fs_write((a)", "not balanced"),
        (r"fs_write(a\)", "not balanced"),
        ("Fs_Write", "write `fs_write`"),
        ("fs.write", "`.` can't stand"),
        (" fs_write", "` ` can't stand"),
        ("fs(../a)", "`..` segment"),
        ("fs(a/../b)", "`..` segment"),
        ("fs(a//b)", "empty segment"),
        ("fs(a\0b)", "U+0000"),
        ("fs(a\u{200b}b)", "U+200B"),
        ("fs(/)", "names nothing"),
        ("fs(~/x)", "//home/you/x"),
        ("fs([a)", "not closed"),
        ("fs(a])", r"\]"),
        ("fs([])", "empty"),
        ("fs([z-a])", "backwards"),
        ("fs({a)", "not closed"),
        ("fs(a})", r"\}"),
        ("fs({a,{b}})", "inside"),
        ("fs({a/b,c})", "inside"),
        (r"fs(a\b)", "escapes nothing"),
        ("fs( a)", "space"),
        (&long, "1004 bytes"),
        (&stars, "too complicated"),
        (&braces, "more than 64"),
    ] {
        let result = compile(vec!["fs_read(x)".into(), rule.into()]);
        let message = result.expect_err(rule);
        assert!(message.starts_with("deny[1]: "), "{message}");
        assert!(message.contains(problem), "`{rule}`: {message}");
    }
    let many = vec![RuleSpec::from("fs(a)"); 10_001];
    assert_eq!(compile(many), Err("policy: there are more than 10000 rules; use wider patterns".to_owned()));
}

#[test]
fn unusual_rules_are_fine() {
    for rule in [
        "*",
        "**",
        "*(a)",
        "fs",
        "fs_*",
        "*_read(x)",
        "read",
        "read(**)",
        "app-x_y(z)",
        "fs(app/(group)/page.tsx)",
        r"fs(a\(b)",
        r"fs(\[id\])",
        "fs({a,b}.{c,d})",
        "fs([!a-z]*)",
        "fs(//)x)",
        "git_push(origin main)",
        "fs(ü)",
        "fs(./a)",
    ] {
        let expect = if rule == "fs(//)x)" { Err(()) } else { Ok(()) };
        assert_eq!(compile(vec![rule.into()]).map_err(|_| ()), expect, "{rule}");
    }
}

#[test]
fn examples_are_checked() {
    for rule in [
        example("fs_write(docs/**)", &["fs_write(docs/a.md)", "fs_write(Docs/a)"], &["fs_write(docs)", "fs_read(docs/a)", "fs_write"]),
        example("read(secrets/**)", &["read(secrets/a)"], &["read(src/a)", "write(secrets/a)", "fs_read(src/a)"]),
        example("fs", &["fs_read", "fs_read(a)"], &["git_log"]),
        example("*(//etc/**)", &["fs_read(/etc/passwd)", "read(/etc/passwd)"], &["fs_read(etc/passwd)"]),
        example("execute", &["execute"], &["read"]),
    ] {
        assert_eq!(compile(vec![rule.clone()]), Ok(()), "{rule:?}");
    }
    for (rule, problem) in [
        (example("fs(a)", &["fs_read(b)"], &[]), "deny[0].match[0]: `fs_read(b)`: the rule `fs(a)` does not match its resource"),
        (example("fs(a)", &["fs_read(a)", "git_log(a)"], &[]), "deny[0].match[1]: `git_log(a)`: the rule `fs(a)` is about other tools"),
        (example("fs(a)", &[], &["fs_read(a)"]), "deny[0].not_match[0]: `fs_read(a)`: the rule `fs(a)` matches it"),
        (example("fs(a)", &["fs_read"], &[]), "needs an example with a resource"),
        (example("read(a)", &["fs_read(a)"], &[]), "use an effect word such as `read(a.txt)`"),
        (example("read(a)", &[], &["fs_read(a)"]), "use an effect word such as `read(a.txt)`"),
        (example("fs(a)", &["fs_read(../a)"], &[]), "`.` or `..` segment"),
        (example("fs(a)", &["fs_*(a)"], &[]), "names one tool"),
    ] {
        let message = compile(vec![rule]).expect_err(problem);
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn an_absolute_rule_holds_when_the_whole_path_cannot_be_judged() {
    let policy = policy(Profile::Standard, &["deny read(//etc/**)", "allow read(//srv/**)"]);
    let at = |directory: &str, file: &str| {
        Resource::Path(PathResource { directory: Arc::from(directory), path: file.to_owned(), requested: None })
    };
    check(&policy, ("fs_read", Effect::Read, at("/", "etc/passwd")), Outcome::Deny);
    check(&policy, ("fs_read", Effect::Read, at("/", "ETC/passwd")), Outcome::Deny);
    check(&policy, ("fs_read", Effect::Read, at("/", "")), Outcome::Allow);
    check(&policy, ("fs_read", Effect::Read, at("/etc", "")), Outcome::Allow);
    check(&policy, ("fs_read", Effect::Read, at("/etc", "passwd")), Outcome::Deny);
    check(&policy, ("fs_read", Effect::Read, at("/srv//x/y/z", "a")), Outcome::Deny);
    let long = "x".repeat(8192);
    check(&policy, ("fs_read", Effect::Read, at("/srv", &long)), Outcome::Deny);
}

#[test]
fn an_example_of_an_allow_rule_has_to_be_spelled_exactly() {
    let spec = PolicySpec { allow: vec![example("fs(docs/**)", &["fs_read(Docs/a)"], &[])], ..PolicySpec::default() };
    let error = Policy::compile(&spec).expect_err("another spelling");
    assert_eq!(error.place, "allow[0].match[0]");
}
