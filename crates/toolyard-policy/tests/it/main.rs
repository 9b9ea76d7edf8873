//! Decisions of the policy, as tables and as properties.

mod decisions;
mod documents;
mod paths;
mod properties;
mod roles;
mod rules;

use std::sync::Arc;

use toolyard_policy::{Access, Call, Decision, Effect, Outcome, PathResource, Policy, PolicySpec, Profile, Resource, RuleSpec, Selector};

const DIRECTORY: &str = "/home/me/project";

/// A policy from rules written as `deny x`, `ask x`, `allow x` or `only x`.
#[track_caller]
fn policy(profile: Profile, rules: &[&str]) -> Policy {
    let mut spec = PolicySpec { profile, ..PolicySpec::default() };
    for rule in rules {
        let (list, rule) = rule.split_once(' ').expect("list and rule");
        let list = match list {
            "deny" => &mut spec.deny,
            "ask" => &mut spec.ask,
            "allow" => &mut spec.allow,
            "only" => &mut spec.only,
            other => panic!("no list `{other}`"),
        };
        list.push(RuleSpec::from(rule));
    }
    Policy::compile(&spec).expect("the rules compile")
}

fn path(path: &str) -> Resource {
    Resource::Path(PathResource { directory: Arc::from(DIRECTORY), path: path.to_owned(), requested: None })
}

fn linked(to: &str, requested: &str) -> Resource {
    Resource::Path(PathResource { directory: Arc::from(DIRECTORY), path: to.to_owned(), requested: Some(requested.to_owned()) })
}

fn name(text: &str) -> Resource {
    Resource::Name { kind: "repository", text: text.to_owned() }
}

fn tool(tool: &str, effect: Effect) -> Selector<'_> {
    Selector { tool, family: tool.split('_').next().unwrap_or(tool), effect }
}

/// The decision about one access with the tool's own effect.
fn decide(policy: &Policy, name: &str, effect: Effect, resource: Resource) -> Decision {
    policy.decide(&Call { tool: tool(name, effect), accesses: &[Access { effect, resource }] })
}

/// Checks one access, and that a walk gets the same answer.
#[track_caller]
fn check(policy: &Policy, call: (&str, Effect, Resource), expect: Outcome) {
    let (name, effect, resource) = call;
    let decision = decide(policy, name, effect, resource.clone());
    assert_eq!(decision.outcome(), expect, "{name} {effect:?} {resource:?}: {decision:?}");
    if let Resource::Path(resource) = &resource {
        let filter = policy.walk_filter(tool(name, effect), effect);
        assert_eq!(filter.allows(resource), expect == Outcome::Allow);
        if resource.requested.is_none() {
            assert_eq!(filter.allows_parts(&resource.directory, &resource.path), expect == Outcome::Allow);
        }
    }
}
