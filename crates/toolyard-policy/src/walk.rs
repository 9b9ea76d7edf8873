//! The question that a directory walk asks for each entry.

use std::sync::Arc;

use crate::judge::{Forms, Lens, Ruling};
use crate::subject::Subject;
use crate::{Effect, PathResource, Policy, Selector};

/// The part of a policy that a directory walk asks for each entry.
#[derive(Debug)]
pub struct WalkFilter<'a> {
    lens: Lens<'a>,
    /// Which rules are about this tool and effect, by number.
    applies: Vec<bool>,
    /// The ask rule the user has consented to for this call.
    consented: Option<Arc<str>>,
}

/// A [`WalkFilter`] for one allowed directory.
#[derive(Debug)]
pub struct Beneath<'d> {
    filter: &'d WalkFilter<'d>,
    directory: &'d str,
    before: Result<Arc<Subject<'d>>, &'static str>,
}

impl Beneath<'_> {
    /// Whether the entry with this canonical path may be touched without asking anyone.
    pub fn allows(&self, path: &str) -> bool {
        let before = self.before.clone();
        self.filter.judge(before.and_then(|before| Forms::below(self.directory, path, before)))
    }
}

impl<'a> WalkFilter<'a> {
    pub(crate) fn new(policy: &'a Policy, tool: Selector<'_>, effect: Effect) -> Self {
        Self {
            applies: policy.rules.iter().map(|rule| rule.target.matches(&tool, effect)).collect(),
            lens: Lens::new(policy, &tool, effect),
            consented: None,
        }
    }

    /// Counts entries under this very ask rule as allowed, and those under rules about every call
    /// of the tool: the user said yes to it for the directory the walk began in. Other ask rules
    /// with a specifier were not in the question, so they still stop the walk.
    #[must_use]
    pub fn consented(mut self, rule: Option<Arc<str>>) -> Self {
        self.consented = rule;
        self
    }

    /// Whether this entry may be touched without asking anyone.
    pub fn allows(&self, path: &PathResource) -> bool {
        self.judge(Forms::of_path(path))
    }

    /// The same question for a path that no symlink led to, without building a resource.
    pub fn allows_parts(&self, directory: &str, path: &str) -> bool {
        self.judge(Forms::of_parts(directory, path))
    }

    /// The same question for many entries of one allowed directory.
    pub fn beneath<'d>(&'d self, directory: &'d str) -> Beneath<'d> {
        Beneath { filter: self, directory, before: Subject::look_back(directory).map(Arc::new) }
    }

    fn judge(&self, forms: Result<Forms<'_>, &'static str>) -> bool {
        let applies = |number: u32| self.applies.get(number as usize).copied().unwrap_or(false);
        forms.is_ok_and(|forms| match self.lens.judge(&forms, applies) {
            Ruling::Allow(_) => true,
            Ruling::Ask(rule) => self.consented.as_ref().is_some_and(|consented| *consented == rule.text || !rule.text.contains('(')),
            _ => false,
        })
    }
}
