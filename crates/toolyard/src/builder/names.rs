//! Names that fit no tool.

use std::collections::BTreeSet;

use toolyard_core::Toolset;
use toolyard_policy::PolicySpec;

use super::{Builder, SetupError, Toolyard};
use crate::config::ConfigError;

/// Families that rules may name although this program has no such tools yet.
const LATER_FAMILIES: [&str; 4] = ["git", "github", "cosmos", "memory"];

impl Toolyard {
    /// Whether a rule in force is about callers with this role.
    #[cfg(feature = "cli")]
    pub(crate) fn names_role(&self, role: &str) -> bool {
        roles_of(&self.policy).any(|(_, named)| named == role)
    }
}

/// The roles that rules name, with the place of their rule.
#[cfg(any(feature = "cli", feature = "http"))]
pub(super) fn roles_of(spec: &PolicySpec) -> impl Iterator<Item = (String, &str)> {
    let lists = [("deny", &spec.deny), ("ask", &spec.ask), ("allow", &spec.allow)];
    lists.into_iter().flat_map(|(list, rules)| {
        rules
            .iter()
            .enumerate()
            .flat_map(move |(i, rule)| rule.roles.iter().map(move |role| (format!("policy.{list}[{i}].roles"), role.as_str())))
    })
}

impl Builder {
    /// Names that fit no tool: an error on the command line and in the limits, else a warning.
    pub(super) fn check_names(&self, tools: &Toolset, spec: &PolicySpec) -> Result<Vec<String>, SetupError> {
        let mut known: BTreeSet<&str> = BTreeSet::from(["read", "write", "destroy", "execute"]);
        known.extend(LATER_FAMILIES);
        for definition in tools.definitions() {
            known.insert(definition.name);
            known.insert(definition.family());
        }
        let flags = [("--allowed-tools", &self.allowed_tools), ("--disallowed-tools", &self.disallowed_tools)];
        for (place, rules) in flags {
            if let Some(problem) = rules.iter().find_map(|rule| unknown_name(rule, &known)) {
                return Err(ConfigError::at(place, problem).into());
            }
        }
        for tool in self.settings.limits.tool_timeouts.keys() {
            if !tools.definitions().any(|definition| definition.name == tool) {
                let problem = format!("there is no tool `{tool}`{}", suggestion(tool, &known));
                return Err(ConfigError::at(format!("limits.toolTimeoutsSeconds.{tool}"), problem).into());
            }
        }
        let lists =
            [("deny", &spec.deny, self.settings.policy.deny.len()), ("ask", &spec.ask, usize::MAX), ("allow", &spec.allow, usize::MAX)];
        let mut warnings = Vec::new();
        for (list, rules, from_file) in lists {
            for (i, rule) in rules.iter().enumerate().take(from_file) {
                if let Some(problem) = unknown_name(&rule.rule, &known) {
                    warnings.push(format!("policy.{list}[{i}]: {problem}"));
                }
            }
        }
        #[cfg(feature = "http")]
        warnings.extend(self.check_http_names(spec, &known));
        Ok(warnings)
    }
}

/// What is wrong with the tool part of a rule when it fits no tool.
pub(super) fn unknown_name(rule: &str, known: &BTreeSet<&str>) -> Option<String> {
    let name = rule.split('(').next().unwrap_or(rule);
    let later = LATER_FAMILIES.iter().any(|family| name.strip_prefix(family).is_some_and(|rest| rest.starts_with('_')));
    if later || name.contains('*') || known.contains(name) {
        return None;
    }
    Some(format!("there is no tool or family `{name}`{}", suggestion(name, known)))
}

fn suggestion(name: &str, known: &BTreeSet<&str>) -> String {
    let nearest = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    match nearest {
        Some((distance, nearest)) if distance <= 3 => format!("; did you mean `{nearest}`?"),
        _ => "; `toolyard tools` lists them".to_owned(),
    }
}
