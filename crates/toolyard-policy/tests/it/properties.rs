//! What holds for every rule set.

use proptest::prelude::*;
use toolyard_policy::{Effect, Outcome, Policy, PolicySpec, Profile, Resource, RuleSpec, protected_paths};

use crate::{decide, linked, name, path, policy};

const RULES: &[&str] = &[
    "*",
    "fs",
    "fs_read",
    "fs_*",
    "read",
    "write",
    "destroy",
    "git(a/**)",
    "fs(a)",
    "fs(a/**)",
    "read(*.rs)",
    "*(b/?)",
    "write(/a)",
    "fs_write({a,b})",
    "*(//home/me/project/a)",
    "*(**)",
    "execute(a)",
    "fs([!a])",
];
const TEXTS: &[&str] = &["", "a", "a/b", "b/a", "b/x.rs", "A", "c", "a/.env", ".git/x", "c/d/e.rs", "a/../b", "b/\u{200b}a"];
const TOOLS: &[&str] = &["fs_read", "fs_write", "git_log", "memory_get"];

fn rules() -> impl Strategy<Value = Vec<RuleSpec>> {
    prop::collection::vec(prop::sample::select(RULES).prop_map(RuleSpec::from), 0..5)
}

fn profile() -> impl Strategy<Value = Profile> {
    prop::sample::select(vec![Profile::ReadOnly, Profile::Standard, Profile::Locked])
}

fn effect() -> impl Strategy<Value = Effect> {
    prop::sample::select(vec![Effect::Read, Effect::Write, Effect::Destroy, Effect::Execute])
}

prop_compose! {
    fn spec()(profile in profile(), deny in rules(), ask in rules(), allow in rules(), only in rules()) -> PolicySpec {
        PolicySpec { profile, deny, ask, allow, only }
    }
}

fn resource() -> impl Strategy<Value = Resource> {
    let text = || prop::sample::select(TEXTS);
    prop_oneof![
        4 => text().prop_map(path),
        2 => (text(), text()).prop_map(|(a, b)| linked(a, b)),
        1 => text().prop_map(name),
    ]
}

fn call() -> impl Strategy<Value = (&'static str, Effect, Resource)> {
    (prop::sample::select(TOOLS), effect(), resource())
}

fn outcome(spec: &PolicySpec, call: &(&str, Effect, Resource)) -> Outcome {
    let policy = Policy::compile(spec).expect("the rules compile");
    decide(&policy, call.0, call.1, call.2.clone()).outcome()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deny_always_wins(mut spec in spec(), call in call(), rule in prop::sample::select(RULES)) {
        let mut alone = PolicySpec { profile: Profile::Locked, ..PolicySpec::default() };
        alone.ask.push(rule.into());
        let matched = outcome(&alone, &call) == Outcome::Ask;
        spec.deny.push(rule.into());
        if matched {
            prop_assert_eq!(outcome(&spec, &call), Outcome::Deny);
        }
    }

    #[test]
    fn the_order_of_rules_is_irrelevant(spec in spec(), call in call(), turn in 0_usize..5) {
        let mut turned = spec.clone();
        for list in [&mut turned.deny, &mut turned.ask, &mut turned.allow, &mut turned.only] {
            list.reverse();
            let by = turn % list.len().max(1);
            list.rotate_left(by);
        }
        prop_assert_eq!(outcome(&spec, &call), outcome(&turned, &call));
    }

    #[test]
    fn adding_a_deny_or_an_ask_never_widens(spec in spec(), call in call(), rule in prop::sample::select(RULES)) {
        let mut more = spec.clone();
        more.deny.push(rule.into());
        prop_assert!(outcome(&more, &call) >= outcome(&spec, &call));
    }

    #[test]
    fn an_error_is_a_denial(spec in spec(), tool in prop::sample::select(TOOLS), effect in effect(), bad in prop::sample::select(vec!["..", "a/../b", "a//b", "/a", "a\0", "a/"])) {
        for resource in [path(bad), linked(bad, "a"), linked("a", bad), name(bad)] {
            prop_assert_eq!(outcome(&spec, &(tool, effect, resource)), Outcome::Deny);
        }
    }

    #[test]
    fn an_empty_rule_set_allows_nothing(call in call()) {
        let spec = PolicySpec { profile: Profile::Locked, ..PolicySpec::default() };
        prop_assert_eq!(outcome(&spec, &call), Outcome::Deny);
    }

    #[test]
    fn a_walk_gets_the_answer_of_decide(spec in spec(), call in call()) {
        let policy = Policy::compile(&spec).expect("the rules compile");
        if let Resource::Path(path) = &call.2 {
            let filter = policy.walk_filter(crate::tool(call.0, call.1), call.1);
            prop_assert_eq!(filter.allows(path), outcome(&spec, &call) == Outcome::Allow);
        }
    }

    #[test]
    fn a_listed_tool_is_all_that_can_be_permitted(spec in spec(), call in call()) {
        let policy = Policy::compile(&spec).expect("the rules compile");
        if outcome(&spec, &call) != Outcome::Deny {
            prop_assert!(policy.could_permit(crate::tool(call.0, call.1)));
        }
    }

    #[test]
    fn no_spelling_of_a_protected_path_is_writable(
        which in 0..protected_paths().len(),
        upper in any::<u64>(),
        at in any::<prop::sample::Index>(),
        ignorable in prop::sample::select(vec!["", "\u{200b}", "\u{200c}", "\u{200d}", "\u{ad}", "\u{feff}", "\u{2060}", "\u{fe0f}", "\u{e0041}"]),
        tail in prop::sample::select(vec!["", ".", " ", ". .", "::$DATA", ":x"]),
        before in prop::sample::select(vec!["", "a/", "a/b/"]),
        below in prop::sample::select(vec!["", "/x", "/x/y"]),
    ) {
        let pattern = protected_paths()[which].pattern;
        // The first alternative of each group, and a name for each star.
        let mut plain = String::new();
        let mut skip = false;
        for c in pattern.chars() {
            match c {
                '{' => {}
                ',' => skip = true,
                '}' => skip = false,
                '*' => plain.push_str("star"),
                _ if skip => {}
                c => plain.push(c),
            }
        }
        let mut spelled: Vec<String> = plain
            .chars()
            .enumerate()
            .map(|(n, c)| if upper >> (n % 64) & 1 == 1 { c.to_uppercase().to_string() } else { c.to_string() })
            .collect();
        let place = at.index(spelled.len() + 1);
        spelled.insert(place, ignorable.to_owned());
        let file = format!("{before}{}{tail}{below}", spelled.concat());
        let policy = policy(Profile::Standard, &["allow *", "allow *(**)"]);
        for effect in [Effect::Write, Effect::Destroy, Effect::Execute] {
            prop_assert_eq!(decide(&policy, "fs_write", effect, path(&file)).outcome(), Outcome::Deny, "{}", file);
        }
    }
}
