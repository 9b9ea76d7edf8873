//! `toolyard policy`: what the rules come to.

use std::collections::BTreeMap;

use toolyard_core::{Context, Principal};
use toolyard_policy::{Decision, Outcome as Ruling};

use super::{
    Failure, Outcome,
    args::{ExplainArgs, PolicyCheckArgs},
    output, setup,
};
use crate::Toolyard;

pub(super) fn check(args: &PolicyCheckArgs) -> Result<Outcome, Failure> {
    let yard = setup::start(&args.check.server, &args.check.log)?;
    let caller = caller(&yard, &args.role);
    output::text(&summary(&yard, &caller))?;
    Ok(Outcome::Success)
}

/// A caller with these roles; a role that no rule names is probably a slip.
fn caller(yard: &Toolyard, roles: &[String]) -> Principal {
    for role in roles.iter().filter(|role| !yard.names_role(role)) {
        tracing::warn!("--role: no rule names the role `{role}`, so it makes no difference");
    }
    Principal::local().with_roles(roles.iter().map(String::as_str))
}

/// Profile, rule counts, and the answer for each tool on its own.
pub(super) fn summary(yard: &Toolyard, caller: &Principal) -> String {
    let spec = yard.policy();
    let mut text = format!(
        "profile {}; {} deny, {} ask and {} allow rules added to it; every example holds\n",
        spec.profile.as_str(),
        spec.deny.len(),
        spec.ask.len(),
        spec.allow.len()
    );
    if !spec.only.is_empty() {
        let rules: Vec<&str> = spec.only.iter().map(|rule| rule.rule.as_str()).collect();
        text += &format!("nothing but {}\n", rules.join(", "));
    }
    let listed: BTreeMap<&str, bool> = yard.dispatcher().tools(caller).map(|tool| (tool.definition.name, tool.asks)).collect();
    for name in yard.tool_names() {
        let answer = match listed.get(name) {
            Some(false) => "open  ",
            Some(true) => "asks  ",
            None => "hidden",
        };
        text += &format!("  {answer}  {name}\n");
    }
    text += "paths can change the answer; `toolyard policy explain TOOL JSON` shows it for one call";
    text
}

pub(super) fn explain(args: &ExplainArgs) -> Result<Outcome, Failure> {
    let yard = setup::start(&args.server, &args.log)?;
    let arguments = setup::arguments(args.arguments.as_deref())?;
    let cx = Context::new(caller(&yard, &args.role)).with_request("explain");
    let explained = yard.dispatcher().explain(&args.tool, arguments, &cx).map_err(Failure::setup)?;
    let explanation = match explained {
        Ok(explanation) => explanation,
        Err(error) => {
            output::note(&format!("`{}` would not get as far as the policy\n{error}", args.tool));
            return Ok(Outcome::Failed);
        }
    };
    let mut text = match explanation.decision.outcome() {
        Ruling::Allow => format!("allow: `{}` would run\n", args.tool),
        Ruling::Ask => format!("ask: `{}` would run after the user agreed\n", args.tool),
        Ruling::Deny => format!("deny: `{}` would not run\n", args.tool),
    };
    for access in &explanation.accesses {
        text += &format!("  touches: {access}\n");
    }
    text += &format!("  rule: {}\n", explanation.decision.rule());
    match &explanation.decision {
        Decision::Allow(_) => {}
        Decision::Ask(verdict) | Decision::Deny(verdict) => {
            text += &format!("  from: {}\n  reason: {}\n  to change it: {}\n", verdict.origin.as_str(), verdict.reason, verdict.remedy);
        }
    }
    output::text(&text)?;
    Ok(if explanation.decision.outcome() == Ruling::Deny { Outcome::Failed } else { Outcome::Success })
}
