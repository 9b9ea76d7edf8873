//! The one decision procedure: one access of one tool.

use std::sync::Arc;

use crate::built_in::{BuiltInPath, BuiltIns, protected_paths, secret_paths};
use crate::index::{Index, Probe};
use crate::rule::{BareRules, Rule};
use crate::subject::Subject;
use crate::{Effect, PathResource, Policy, Resource, Selector};

/// What was decided about one access.
#[derive(Debug)]
pub(crate) enum Ruling<'p> {
    Allow(&'p Rule),
    Ask(&'p Rule),
    Deny(&'p Rule),
    Protected(&'static BuiltInPath),
    Secret(&'static BuiltInPath),
    /// Outside `--allowed-tools`.
    OutsideOnly,
    /// No rule matched.
    Nothing,
    /// The access is not canonical.
    Malformed(&'static str),
}

/// Everything an access is matched by.
#[derive(Debug)]
pub(crate) enum Forms<'a> {
    /// A call that touches nothing nameable.
    Nothing,
    Name(Subject<'a>),
    Path {
        path: Subject<'a>,
        requested: Option<Subject<'a>>,
        /// The end of the allowed directory's own path.
        before: Arc<Subject<'a>>,
    },
}

impl<'a> Forms<'a> {
    pub(crate) fn of(resource: &'a Resource) -> Result<Self, &'static str> {
        match resource {
            Resource::Path(path) => Self::of_path(path),
            Resource::Name { text, .. } => Ok(Self::Name(Subject::name(text)?)),
        }
    }

    pub(crate) fn of_path(path: &'a PathResource) -> Result<Self, &'static str> {
        let forms = Self::of_parts(&path.directory, &path.path)?;
        match (&path.requested, forms) {
            (Some(text), Self::Path { path: subject, before, .. }) => {
                Ok(Self::Path { path: subject, requested: Some(Subject::path(&path.directory, text)?), before })
            }
            (_, forms) => Ok(forms),
        }
    }

    pub(crate) fn of_parts(directory: &'a str, path: &'a str) -> Result<Self, &'static str> {
        Self::below(directory, path, Arc::new(Subject::look_back(directory)?))
    }

    /// The same where what is known of the directory is at hand.
    pub(crate) fn below(directory: &'a str, path: &'a str, before: Arc<Subject<'a>>) -> Result<Self, &'static str> {
        Ok(Self::Path { path: Subject::path(directory, path)?, requested: None, before })
    }

    fn subjects(&self) -> impl Iterator<Item = &Subject<'a>> {
        let (first, second) = match self {
            Self::Nothing => (None, None),
            Self::Name(name) => (Some(name), None),
            Self::Path { path, requested, .. } => (Some(path), requested.as_ref()),
        };
        first.into_iter().chain(second)
    }
}

/// A policy as seen by one tool with one effect.
#[derive(Debug)]
pub(crate) struct Lens<'p> {
    policy: &'p Policy,
    effect: Effect,
    deny: Option<&'p Rule>,
    ask: Option<&'p Rule>,
    allow: Option<&'p Rule>,
    only: Option<&'p Rule>,
}

impl<'p> Lens<'p> {
    pub(crate) fn new(policy: &'p Policy, tool: &Selector<'_>, effect: Effect) -> Self {
        let bare = &policy.bare;
        let find = |list: &BareRules| list.find(tool, effect).and_then(|number| policy.rule(number));
        Self { deny: find(&bare.deny), ask: find(&bare.ask), allow: find(&bare.allow), only: find(&bare.only), policy, effect }
    }

    /// Decides one access, given which rules are about this tool and effect.
    pub(crate) fn judge(&self, forms: &Forms<'_>, applies: impl Fn(u32) -> bool + Copy) -> Ruling<'p> {
        let policy = self.policy;
        // A listing judges tools without paths, and start-up must not wait for the lists.
        let built_ins = match forms {
            Forms::Nothing | Forms::Name(_) => None,
            Forms::Path { .. } => match BuiltIns::get() {
                None => return Ruling::Malformed("can't be checked against the protected paths"),
                lists => lists,
            },
        };
        if self.effect != Effect::Read
            && let Some(built_ins) = built_ins
            && let Some(path) = self.built_in(&built_ins.protected, protected_paths(), forms)
        {
            return Ruling::Protected(path);
        }
        if let Some(rule) = self.deny {
            return Ruling::Deny(rule);
        }
        let strict = forms.subjects().filter_map(|subject| policy.strict.find(self.probe(subject), applies)).min();
        if let Some(number) = strict.filter(|number| *number < policy.first_ask)
            && let Some(rule) = policy.rule(number)
        {
            return Ruling::Deny(rule);
        }
        let only = self.only.or_else(|| self.on_all_forms(&policy.only, forms, applies));
        if policy.limited && only.is_none() {
            return Ruling::OutsideOnly;
        }
        if let Some(built_ins) = built_ins
            && let Some(path) = self.built_in(&built_ins.secret, secret_paths(), forms)
            && !self.names_secrets(&built_ins.secret, forms, applies)
        {
            return Ruling::Secret(path);
        }
        if let Some(rule) = strict.and_then(|number| policy.rule(number)).or(self.ask) {
            return Ruling::Ask(rule);
        }
        match self.allow.or(only).or_else(|| self.on_all_forms(&policy.allow, forms, applies)) {
            Some(rule) => Ruling::Allow(rule),
            None => Ruling::Nothing,
        }
    }

    /// The rule for the first form, when every form has one.
    fn on_all_forms(&self, index: &Index, forms: &Forms<'_>, applies: impl Fn(u32) -> bool + Copy) -> Option<&'p Rule> {
        let mut first = None;
        for subject in forms.subjects() {
            let number = index.find(self.probe(subject), applies)?;
            first = first.or(Some(number));
        }
        self.policy.rule(first?)
    }

    fn built_in(&self, index: &Index, list: &'static [BuiltInPath], forms: &Forms<'_>) -> Option<&'static BuiltInPath> {
        let Forms::Path { before, .. } = forms else {
            return None;
        };
        let number = forms.subjects().find_map(|subject| {
            let probe = Probe { before: Some(before), ..self.probe(subject) };
            index.find(probe, |_| true)
        })?;
        list.get(number as usize)
    }

    /// Whether rules that say yes spell out every form that is a secret.
    fn names_secrets(&self, secret: &Index, forms: &Forms<'_>, applies: impl Fn(u32) -> bool + Copy) -> bool {
        let Forms::Path { before, .. } = forms else {
            return false;
        };
        let policy = self.policy;
        forms.subjects().all(|subject| {
            let probe = Probe { before: Some(before), ..self.probe(subject) };
            secret.find(probe, |_| true).is_none()
                || [&policy.allow, &policy.ask, &policy.only].into_iter().any(|index| index.names(subject, applies).is_some())
        })
    }

    fn probe<'s>(&self, subject: &'s Subject<'s>) -> Probe<'s> {
        Probe { subject, before: None, removed: self.effect == Effect::Destroy }
    }
}
