//! Rules that name roles.

use toolyard_policy::{Effect, Outcome, Policy, PolicySpec, Profile, RolePolicies, RuleSpec};

use crate::{decide, path, tool};

fn for_roles(rule: &str, roles: &[&str]) -> RuleSpec {
    RuleSpec { roles: roles.iter().map(|role| (*role).to_owned()).collect(), ..RuleSpec::from(rule) }
}

fn outcome(policy: &Policy, name: &str, effect: Effect, at: &str) -> Outcome {
    decide(policy, name, effect, path(at)).outcome()
}

/// Everyone reads, writers write below `docs`, maintainers destroy after consent, guests never see `private`.
fn policies() -> RolePolicies {
    RolePolicies::compile(&PolicySpec {
        profile: Profile::Locked,
        deny: vec![for_roles("read(private/**)", &["guest"])],
        ask: vec![for_roles("destroy", &["maintainer"])],
        allow: vec!["read".into(), for_roles("write(docs/**)", &["writer", "maintainer"])],
        only: Vec::new(),
    })
    .expect("the rules compile")
}

#[test]
fn a_rule_with_roles_is_only_about_callers_who_have_one_of_them() {
    let policies = policies();
    let cases: [(&[&str], Outcome, Outcome, Outcome); 6] = [
        (&[], Outcome::Deny, Outcome::Deny, Outcome::Allow),
        (&["stranger"], Outcome::Deny, Outcome::Deny, Outcome::Allow),
        (&["writer"], Outcome::Allow, Outcome::Deny, Outcome::Allow),
        (&["maintainer"], Outcome::Allow, Outcome::Ask, Outcome::Allow),
        (&["guest"], Outcome::Deny, Outcome::Deny, Outcome::Deny),
        (&["writer", "guest", "stranger"], Outcome::Allow, Outcome::Deny, Outcome::Deny),
    ];
    for (roles, write, destroy, read) in cases {
        let policy = policies.of(roles.iter().copied());
        assert_eq!(outcome(&policy, "fs_write", Effect::Write, "docs/a.md"), write, "{roles:?} write");
        assert_eq!(outcome(&policy, "fs_delete", Effect::Destroy, "docs/a.md"), destroy, "{roles:?} destroy");
        assert_eq!(outcome(&policy, "fs_read", Effect::Read, "private/a.md"), read, "{roles:?} read");
    }
}

#[test]
fn tools_that_only_a_role_opens_are_hidden_from_the_others() {
    let policies = policies();
    assert!(!policies.of([]).could_permit(tool("fs_write", Effect::Write)));
    assert!(policies.of(["writer"]).could_permit(tool("fs_write", Effect::Write)));
}

#[test]
fn the_same_roles_in_another_order_or_twice_get_the_same_policy() {
    let policies = policies();
    let one = policies.of(["writer", "guest"]);
    assert!(std::sync::Arc::ptr_eq(&one, &policies.of(["guest", "writer", "writer", "stranger"])));
    assert!(!std::sync::Arc::ptr_eq(&one, &policies.of(["writer"])));
}

#[test]
fn role_names_are_compared_exactly() {
    let policies = policies();
    for role in ["Writer", "writer ", " writer", "write", "writers", ""] {
        assert_eq!(outcome(&policies.of([role]), "fs_write", Effect::Write, "docs/a.md"), Outcome::Deny, "{role:?}");
    }
}

#[test]
fn rules_that_nobody_present_meets_are_still_checked() {
    let error = |spec: &PolicySpec| RolePolicies::compile(spec).expect_err("it can't be used").to_string();
    let bad = PolicySpec { allow: vec![for_roles("fs_read(", &["x"])], ..PolicySpec::default() };
    assert_eq!(error(&bad), "allow[0]: the rule does not end with `)`; write `tool(specifier)`");
    let example = RuleSpec { matches: vec!["fs_read(b)".into()], ..for_roles("fs_read(a)", &["x"]) };
    assert!(error(&PolicySpec { allow: vec![example], ..PolicySpec::default() }).starts_with("allow[0].match[0]: "));
    let empty = PolicySpec { deny: vec![for_roles("read", &[""])], ..PolicySpec::default() };
    assert_eq!(error(&empty), "deny[0].roles: a role has 1 to 128 bytes");
    let many: Vec<_> = (0..65).map(|n| for_roles("fs_read", &[&format!("r{n}")])).collect();
    assert_eq!(error(&PolicySpec { allow: many, ..PolicySpec::default() }), "policy: the rules name more than 64 roles; use fewer");
}

#[test]
fn a_ceiling_for_some_roles_only_is_refused_since_it_would_open_everything_to_the_others() {
    let spec = PolicySpec { only: vec![for_roles("fs_read", &["guest"])], ..PolicySpec::default() };
    let error = RolePolicies::compile(&spec).expect_err("it can't be used");
    assert_eq!(error.to_string(), "only[0].roles: a ceiling holds for everyone; remove the roles");
}

#[test]
fn more_combinations_than_are_kept_are_decided_alike() {
    let allow = (0..10).map(|n| for_roles(&format!("fs_write(d{n}/**)"), &[&format!("r{n}")])).collect();
    let policies = RolePolicies::compile(&PolicySpec { profile: Profile::Locked, allow, ..PolicySpec::default() }).expect("rules");
    for held in 0..1024_u32 {
        let roles: Vec<String> = (0..10).filter(|n| held >> n & 1 == 1).map(|n| format!("r{n}")).collect();
        let policy = policies.of(roles.iter().map(String::as_str));
        for n in 0..10 {
            let expected = if held >> n & 1 == 1 { Outcome::Allow } else { Outcome::Deny };
            assert_eq!(outcome(&policy, "fs_write", Effect::Write, &format!("d{n}/a")), expected, "{roles:?} d{n}");
        }
    }
}
