//! Order of the lists, profiles, `only`, several accesses.

use toolyard_policy::{Access, Call, Decision, Effect::*, Outcome::*, Profile, RuleOrigin, Verdict};

use crate::{check, decide, linked, name, path, policy, tool};

#[track_caller]
fn verdict(decision: Decision) -> Verdict {
    match decision {
        Decision::Ask(verdict) | Decision::Deny(verdict) => *verdict,
        Decision::Allow(rule) => panic!("allowed by {rule}"),
    }
}

#[test]
fn profiles_are_what_they_say() {
    for (profile, outcomes) in [
        (Profile::ReadOnly, [Allow, Deny, Deny, Deny]),
        (Profile::Standard, [Allow, Allow, Ask, Ask]),
        (Profile::Locked, [Deny, Deny, Deny, Deny]),
    ] {
        let policy = policy(profile, &[]);
        for (effect, expect) in [Read, Write, Destroy, Execute].into_iter().zip(outcomes) {
            check(&policy, ("fs_x", effect, path("src/a.rs")), expect);
            check(&policy, ("git_x", effect, name("owner/repo")), expect);
            let call = Call { tool: tool("x", effect), accesses: &[] };
            assert_eq!(policy.decide(&call).outcome(), expect);
            assert_eq!(policy.could_permit(tool("x", effect)), expect != Deny);
        }
    }
}

#[test]
fn deny_beats_ask_beats_allow() {
    let policy = policy(Profile::Locked, &["allow fs", "ask fs_write(a/**)", "deny fs_write(a/b/**)"]);
    check(&policy, ("fs_write", Write, path("x")), Allow);
    check(&policy, ("fs_write", Write, path("a/x")), Ask);
    check(&policy, ("fs_write", Write, path("a/b/x")), Deny);
    check(&policy, ("fs_read", Read, path("a/b/x")), Allow);
    check(&policy, ("git_log", Read, path("a/b/x")), Deny);
}

#[test]
fn effect_rules_follow_the_access_and_not_the_tool() {
    let policy = policy(Profile::Standard, &["deny read(secrets/**)"]);
    let copy = |from: &str| {
        policy.decide(&Call {
            tool: tool("fs_copy", Write),
            accesses: &[Access { effect: Read, resource: path(from) }, Access { effect: Write, resource: path("public/a") }],
        })
    };
    assert_eq!(copy("secrets/a").rule(), "deny read(secrets/**)");
    assert_eq!(copy("docs/a"), Decision::Allow("allow write".into()));
    check(&policy, ("fs_write", Write, path("secrets/a")), Allow);
}

#[test]
fn the_strictest_access_decides() {
    let policy = policy(Profile::Standard, &["deny fs(no)", "ask fs(maybe)"]);
    for (paths, expect) in
        [(["yes", "yes"], Allow), (["yes", "maybe"], Ask), (["maybe", "yes"], Ask), (["no", "maybe"], Deny), (["maybe", "no"], Deny)]
    {
        let accesses = paths.map(|p| Access { effect: Read, resource: path(p) });
        let call = Call { tool: tool("fs_read", Read), accesses: &accesses };
        assert_eq!(policy.decide(&call).outcome(), expect, "{paths:?}");
    }
}

#[test]
fn a_symlink_hides_nothing() {
    let policy =
        policy(Profile::Locked, &["allow read(docs/**)", "allow read(src/**)", "deny read(docs/private/**)", "ask read(docs/old/**)"]);
    check(&policy, ("fs_read", Read, linked("docs/a", "src/a")), Allow);
    check(&policy, ("fs_read", Read, linked("other/a", "docs/a")), Deny);
    check(&policy, ("fs_read", Read, linked("docs/a", "other/a")), Deny);
    check(&policy, ("fs_read", Read, linked("docs/private/a", "docs/a")), Deny);
    check(&policy, ("fs_read", Read, linked("docs/a", "docs/private/a")), Deny);
    check(&policy, ("fs_read", Read, linked("docs/a", "docs/old/a")), Ask);
}

#[test]
fn names_are_anchored() {
    let policy = policy(Profile::Locked, &["allow github_*(owner/repo)", "allow git_push(origin main)", "deny github(owner/repo/private)"]);
    check(&policy, ("github_pr", Read, name("owner/repo")), Allow);
    check(&policy, ("github_pr", Read, name("owner/repo/pulls")), Allow);
    check(&policy, ("github_pr", Read, name("owner/REPO/Private")), Deny);
    check(&policy, ("github_pr", Read, name("Owner/repo")), Deny);
    check(&policy, ("git_push", Write, name("origin main")), Allow);
    check(&policy, ("git_push", Write, name("x/origin main")), Deny);
    check(&policy, ("git_push", Write, name("")), Deny);
}

#[test]
fn only_is_a_ceiling_and_counts_as_allow() {
    let limited = policy(Profile::Locked, &["only fs_read", "only fs_write(docs/**)"]);
    check(&limited, ("fs_read", Read, path("a")), Allow);
    check(&limited, ("fs_write", Write, path("docs/a")), Allow);
    let outside = verdict(decide(&limited, "fs_write", Write, path("src/a")));
    assert_eq!(outside.origin, RuleOrigin::CommandLine);
    assert_eq!(outside.remedy, "add `fs_write(src/a)` to `--allowed-tools`");
    let mixed = policy(Profile::Standard, &["only fs", "deny fs_write(a)", "ask fs_write(b)"]);
    check(&mixed, ("fs_write", Write, path("a")), Deny);
    check(&mixed, ("fs_write", Write, path("b")), Ask);
    check(&mixed, ("git_log", Read, path("c")), Deny);
    check(&mixed, ("fs_delete", Destroy, path("c")), Ask);
}

#[test]
fn a_rule_with_a_specifier_needs_a_resource() {
    let policy = policy(Profile::Locked, &["allow x_now(**)", "allow x_then"]);
    for (name, expect) in [("x_now", Deny), ("x_then", Allow)] {
        let call = Call { tool: tool(name, Read), accesses: &[] };
        assert_eq!(policy.decide(&call).outcome(), expect, "{name}");
    }
}

#[test]
fn tools_that_can_never_run_are_not_listed() {
    let rules = policy(Profile::Locked, &["allow fs", "ask git_*(x)", "deny fs_move", "deny write(a)", "deny execute"]);
    for (name, effect, expect) in [
        ("fs_read", Read, true),
        ("fs_write", Write, true),
        ("fs_move", Write, false),
        ("fs_run", Execute, false),
        ("git_log", Read, true),
        ("memory_get", Read, false),
    ] {
        assert_eq!(rules.could_permit(tool(name, effect)), expect, "{name}");
    }
    let limited = policy(Profile::Standard, &["only fs_read(docs/**)", "only memory"]);
    for (name, expect) in [("fs_read", true), ("fs_stat", false), ("memory_get", true)] {
        assert_eq!(limited.could_permit(tool(name, Read)), expect, "{name}");
    }
}

#[test]
fn verdicts_name_rule_reason_and_remedy() {
    let policy = policy(Profile::Standard, &["deny fs_write(secrets/**)", "ask fs_write(src/**)"]);
    let cases = [
        (("fs_write", Write, "secrets/a"), "deny fs_write(secrets/**)", RuleOrigin::Operator, "`policy.deny`"),
        (("fs_write", Write, "src/a"), "ask fs_write(src/**)", RuleOrigin::Operator, "`policy.ask`"),
        (("fs_delete", Destroy, "a"), "ask destroy", RuleOrigin::Profile, "`policy.profile`"),
        (("fs_write", Write, ".git/x"), "protected path .git", RuleOrigin::BuiltIn, "change the file yourself"),
        (("fs_read", Read, "a/.env"), "secret path .env", RuleOrigin::BuiltIn, "`fs_read(a/.env)`"),
        (("fs_read", Read, ".env"), "secret path .env", RuleOrigin::BuiltIn, "`fs_read(/.env)`"),
    ];
    for ((name, effect, file), rule, origin, remedy) in cases {
        let verdict = verdict(decide(&policy, name, effect, path(file)));
        assert_eq!((verdict.rule.as_str(), verdict.origin), (rule, origin));
        assert!(verdict.remedy.contains(remedy), "{verdict:?}");
        assert!(verdict.reason.contains(file) && verdict.reason.contains(name), "{verdict:?}");
    }
    let hostile = verdict(decide(&policy, "fs_write", Write, path("secrets/a\n\u{202e}b")));
    assert_eq!(hostile.reason, "changing `secrets/a<U+000A><U+202E>b` with `fs_write` is denied by the rule `deny fs_write(secrets/**)`");
}
