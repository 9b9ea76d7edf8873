//! The question that a directory walk asks for each entry.

use crate::judge::{Forms, Lens, Ruling};
use crate::{Effect, PathResource, Policy, Selector};

/// The part of a policy that a directory walk asks for each entry.
#[derive(Debug)]
pub struct WalkFilter<'a> {
    lens: Lens<'a>,
    /// Which rules are about this tool and effect, by number.
    applies: Vec<bool>,
}

impl<'a> WalkFilter<'a> {
    pub(crate) fn new(policy: &'a Policy, tool: Selector<'_>, effect: Effect) -> Self {
        Self {
            applies: policy.rules.iter().map(|rule| rule.target.matches(&tool, effect)).collect(),
            lens: Lens::new(policy, &tool, effect),
        }
    }

    /// Whether this entry may be touched without asking anyone.
    pub fn allows(&self, path: &PathResource) -> bool {
        self.judge(Forms::of_path(path))
    }

    /// The same question for a path that no symlink led to, without building a resource.
    pub fn allows_parts(&self, directory: &str, path: &str) -> bool {
        self.judge(Forms::of_parts(directory, path))
    }

    fn judge(&self, forms: Result<Forms<'_>, &'static str>) -> bool {
        let applies = |number: u32| self.applies.get(number as usize).copied().unwrap_or(false);
        forms.is_ok_and(|forms| matches!(self.lens.judge(&forms, applies), Ruling::Allow(_)))
    }
}
