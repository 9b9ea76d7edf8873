//! Rule sets, compiled once and asked often.

use std::sync::Arc;

use crate::explain;
use crate::index::Index;
use crate::judge::{Forms, Lens, Ruling};
use crate::rule::{self, BareRules, List, Rule};
use crate::segment::Mode;
use crate::self_test;
use crate::{Call, Decision, Effect, PolicyError, PolicySpec, Profile, RuleOrigin, RuleSpec, Selector, WalkFilter};

const MAX_RULES: usize = 10_000;

/// A compiled rule set.
#[derive(Debug)]
pub struct Policy {
    pub(crate) profile: Profile,
    /// Rules of `deny`, `ask`, `allow` and `only`, in this order; their numbers are positions here.
    pub(crate) rules: Vec<Rule>,
    /// The number of the first rule that is not a `deny`.
    pub(crate) first_ask: u32,
    /// Whether there is an `only` list.
    pub(crate) limited: bool,
    pub(crate) bare: BareLists,
    /// Patterns of `deny` and `ask`.
    pub(crate) strict: Index,
    /// Patterns of the operator's `ask`, for the question whether one names a secret.
    pub(crate) ask: Index,
    pub(crate) allow: Index,
    pub(crate) only: Index,
}

/// The rules without specifier, list by list.
#[derive(Debug, Default)]
pub(crate) struct BareLists {
    pub(crate) deny: BareRules,
    pub(crate) ask: BareRules,
    pub(crate) allow: BareRules,
    pub(crate) only: BareRules,
}

impl Policy {
    /// Compiles rules and checks their `match` and `not_match` examples.
    ///
    /// # Errors
    /// The first rule that can't be parsed, or whose examples don't hold.
    pub fn compile(spec: &PolicySpec) -> Result<Self, PolicyError> {
        let lists = [&spec.deny, &spec.ask, &spec.allow, &spec.only];
        if lists.iter().map(|list| list.len()).sum::<usize>() > MAX_RULES {
            return Err(PolicyError {
                place: "policy".into(),
                problem: format!("there are more than {MAX_RULES} rules; use wider patterns"),
            });
        }
        let ready = spec.profile.rules();
        let mut policy = Self { profile: spec.profile, limited: !spec.only.is_empty(), ..Self::locked() };
        policy.add_list(List::Deny, &spec.deny, ready.deny)?;
        policy.first_ask = policy.next_number();
        policy.add_list(List::Ask, &spec.ask, ready.ask)?;
        policy.add_list(List::Allow, &spec.allow, ready.allow)?;
        policy.add_list(List::Only, &spec.only, &[])?;
        Ok(policy)
    }

    /// The policy without rules, which denies everything.
    pub(crate) fn locked() -> Self {
        Self {
            profile: Profile::Locked,
            rules: Vec::new(),
            first_ask: 0,
            limited: false,
            bare: BareLists::default(),
            strict: Index::new(Mode::Strict),
            ask: Index::new(Mode::Exact),
            allow: Index::new(Mode::Exact),
            only: Index::new(Mode::Exact),
        }
    }

    /// Decides one call: the strictest answer over all its accesses.
    pub fn decide(&self, call: &Call<'_>) -> Decision {
        let mut decision = None;
        let mut judge = |effect: Effect, access| {
            let lens = Lens::new(self, &call.tool, effect);
            let forms = match access {
                None => Ok(Forms::Nothing),
                Some(resource) => Forms::of(resource),
            };
            let ruling = match &forms {
                Ok(forms) => lens.judge(forms, |number| self.applies(number, &call.tool, effect)),
                Err(problem) => Ruling::Malformed(problem),
            };
            match ruling {
                Ruling::Allow(rule) => {
                    if !matches!(decision, Some(Decision::Ask(_))) {
                        decision = Some(Decision::Allow(Arc::clone(&rule.text)));
                    }
                }
                Ruling::Ask(_) if matches!(decision, Some(Decision::Ask(_))) => {}
                Ruling::Ask(_) => {
                    let verdict = explain::verdict(self, &call.tool, effect, access, &ruling);
                    decision = Some(Decision::Ask(Box::new(verdict)));
                }
                _ => {
                    let verdict = explain::verdict(self, &call.tool, effect, access, &ruling);
                    decision = Some(Decision::Deny(Box::new(verdict)));
                    return false;
                }
            }
            true
        };
        if call.accesses.is_empty() {
            judge(call.tool.effect, None);
        }
        for access in call.accesses {
            if !judge(access.effect, Some(&access.resource)) {
                break;
            }
        }
        decision.unwrap_or_else(|| Decision::Deny(Box::new(explain::verdict(self, &call.tool, call.tool.effect, None, &Ruling::Nothing))))
    }

    /// Whether some call of this tool could be allowed or asked for; `tools/list` shows only those.
    ///
    /// A call is taken to have an access with the tool's own effect, or no accesses at all.
    pub fn could_permit(&self, tool: Selector<'_>) -> bool {
        if self.bare.deny.find(&tool, tool.effect).is_some() {
            return false;
        }
        let concerns = |bare: &BareRules, index: &Index| {
            bare.find(&tool, tool.effect).is_some() || index.rules().any(|rule| self.applies(rule, &tool, tool.effect))
        };
        if self.limited {
            return concerns(&self.bare.only, &self.only);
        }
        concerns(&self.bare.allow, &self.allow) || concerns(&self.bare.ask, &self.ask)
    }

    /// Whether some call of this tool could need consent. Its accesses have at most the tool's own
    /// effect, in the order read, write, destroy, execute.
    pub fn could_ask(&self, tool: Selector<'_>) -> bool {
        let effects = [Effect::Read, Effect::Write, Effect::Destroy, Effect::Execute];
        effects
            .into_iter()
            .filter(|effect| *effect <= tool.effect)
            .any(|effect| self.bare.ask.find(&tool, effect).is_some() || self.ask.rules().any(|rule| self.applies(rule, &tool, effect)))
    }

    /// Prepares the question that a walk asks for each entry.
    pub fn walk_filter<'a>(&'a self, tool: Selector<'_>, effect: Effect) -> WalkFilter<'a> {
        WalkFilter::new(self, tool, effect)
    }

    pub(crate) fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(number as usize)
    }

    pub(crate) fn applies(&self, number: u32, tool: &Selector<'_>, effect: Effect) -> bool {
        self.rule(number).is_some_and(|rule| rule.target.matches(tool, effect))
    }

    fn next_number(&self) -> u32 {
        u32::try_from(self.rules.len()).unwrap_or(u32::MAX)
    }

    fn add_list(&mut self, list: List, own: &[RuleSpec], ready: &[&str]) -> Result<(), PolicyError> {
        // The operator's rules come first, so that messages name them rather than the profile.
        for (position, spec) in own.iter().enumerate() {
            let place = format!("{}[{position}]", list.key());
            self.add_rule(list, &spec.rule, RuleOrigin::Operator).map_err(|problem| PolicyError { place: place.clone(), problem })?;
            self_test::check(list, spec, &place)?;
        }
        for text in ready {
            self.add_rule(list, text, RuleOrigin::Profile)
                .map_err(|problem| PolicyError { place: format!("profile {}", self.profile.as_str()), problem })?;
        }
        Ok(())
    }

    fn add_rule(&mut self, list: List, text: &str, origin: RuleOrigin) -> Result<(), String> {
        let parsed = rule::parse(text)?;
        let number = self.next_number();
        let (bare, index) = match list {
            List::Deny => (&mut self.bare.deny, &mut self.strict),
            List::Ask => (&mut self.bare.ask, &mut self.strict),
            List::Allow => (&mut self.bare.allow, &mut self.allow),
            List::Only => (&mut self.bare.only, &mut self.only),
        };
        match parsed.patterns {
            None => bare.add(number, &parsed.target),
            Some(patterns) => {
                for pattern in patterns {
                    if list == List::Ask {
                        self.ask.add(number, pattern.clone());
                    }
                    index.add(number, pattern);
                }
            }
        }
        self.rules.push(Rule {
            text: format!("{} {text}", list.label()).into(),
            origin: match list {
                List::Only => RuleOrigin::CommandLine,
                List::Deny | List::Ask | List::Allow => origin,
            },
            target: parsed.target,
        });
        Ok(())
    }
}
