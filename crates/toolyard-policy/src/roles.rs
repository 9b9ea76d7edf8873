//! One policy for each set of roles a caller can have.
//!
//! Rules that name roles are left out for callers who have none of them. What is left is compiled
//! once per combination and kept, so a decision costs the same with roles as without.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use crate::{Policy, PolicyError, PolicySpec, RuleSpec};

/// Role names in one policy; each caller has some of them.
const MAX_ROLES: usize = 64;

/// Combinations of roles that are kept compiled; more are compiled each time.
const KEPT: usize = 256;

/// Compiled rule sets by the roles of the caller.
#[derive(Debug)]
pub struct RolePolicies {
    spec: PolicySpec,
    /// The roles that rules name; the bit of a role is its position.
    named: Vec<Box<str>>,
    /// For callers without any of them.
    everyone: Arc<Policy>,
    by_roles: RwLock<HashMap<u64, Arc<Policy>>>,
}

impl RolePolicies {
    /// Compiles rules and checks their examples, whatever roles they name.
    ///
    /// # Errors
    /// The first rule that can't be used, or the role name that can't.
    pub fn compile(spec: &PolicySpec) -> Result<Self, PolicyError> {
        // Every rule must hold its examples, also those that nobody without a role meets.
        let all = Policy::compile(spec)?;
        let mut named = BTreeSet::new();
        if let Some(position) = spec.only.iter().position(|rule| !rule.roles.is_empty()) {
            // Left out for callers without the role, it would open what it is there to close.
            return Err(PolicyError {
                place: format!("only[{position}].roles"),
                problem: "a ceiling holds for everyone; remove the roles".into(),
            });
        }
        for (key, rules) in [("deny", &spec.deny), ("ask", &spec.ask), ("allow", &spec.allow)] {
            for (position, rule) in rules.iter().enumerate() {
                for role in &rule.roles {
                    check_role(role).map_err(|problem| PolicyError { place: format!("{key}[{position}].roles"), problem })?;
                    named.insert(role.as_str());
                }
            }
        }
        if named.len() > MAX_ROLES {
            return Err(PolicyError { place: "policy".into(), problem: format!("the rules name more than {MAX_ROLES} roles; use fewer") });
        }
        let named: Vec<Box<str>> = named.into_iter().map(Box::from).collect();
        let everyone = if named.is_empty() { all } else { Policy::compile(&spec_for(spec, |_| false))? };
        Ok(Self { spec: spec.clone(), named, everyone: Arc::new(everyone), by_roles: RwLock::default() })
    }

    /// The policy for a caller with these roles; roles that no rule names make no difference.
    pub fn of<'r>(&self, roles: impl IntoIterator<Item = &'r str>) -> Arc<Policy> {
        if self.named.is_empty() {
            return Arc::clone(&self.everyone);
        }
        let bit = |role: &str| self.named.binary_search_by(|named| (**named).cmp(role)).map_or(0, |at| 1_u64 << at);
        let held = roles.into_iter().fold(0, |held, role| held | bit(role));
        if held == 0 {
            return Arc::clone(&self.everyone);
        }
        let kept = self.by_roles.read().unwrap_or_else(PoisonError::into_inner).get(&held).map(Arc::clone);
        kept.unwrap_or_else(|| self.compile_for(held, bit))
    }

    fn compile_for(&self, held: u64, bit: impl Fn(&str) -> u64) -> Arc<Policy> {
        let spec = spec_for(&self.spec, |role| bit(role) & held != 0);
        // All rules compiled together, so they do in part; if not, nothing is open.
        let policy = Arc::new(Policy::compile(&spec).unwrap_or_else(|_| Policy::locked()));
        let mut kept = self.by_roles.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.insert(held, Arc::clone(&policy));
        }
        policy
    }
}

impl From<Arc<Policy>> for RolePolicies {
    /// The same policy for every caller.
    fn from(policy: Arc<Policy>) -> Self {
        Self { spec: PolicySpec::default(), named: Vec::new(), everyone: policy, by_roles: RwLock::default() }
    }
}

/// The rules about everyone and about the roles held.
fn spec_for(spec: &PolicySpec, holds: impl Fn(&str) -> bool) -> PolicySpec {
    let applies = |rule: &&RuleSpec| rule.roles.is_empty() || rule.roles.iter().any(|role| holds(role));
    let part = |rules: &[RuleSpec]| rules.iter().filter(applies).cloned().collect();
    PolicySpec { profile: spec.profile, deny: part(&spec.deny), ask: part(&spec.ask), allow: part(&spec.allow), only: spec.only.clone() }
}

fn check_role(role: &str) -> Result<(), String> {
    if role.is_empty() || role.len() > 128 {
        return Err("a role has 1 to 128 bytes".into());
    }
    match role.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("the role holds the control character U+{:04X}; remove it", u32::from(c))),
        None => Ok(()),
    }
}
