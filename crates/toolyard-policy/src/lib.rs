//! Pure policy decisions: rules and canonical accesses in, allow, ask or deny out.
//!
//! Order: deny, then ask, then allow; nothing matched is a denial; anything that goes wrong while
//! deciding is a denial. No IO, no clock, no async, no panics.
//!
//! Entry points: [`RolePolicies::compile`] for callers with roles, [`Policy::compile`],
//! [`Policy::decide`], [`Policy::walk_filter`].
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod decision;
mod spec;

mod policy;
mod roles;
mod walk;

mod explain;
mod judge;
mod self_test;

mod built_in;
mod rule;

mod index;
mod pattern;
mod segment;

mod fold;
mod subject;

#[cfg(test)]
mod tests;

pub use access::{Access, Call, Effect, PathResource, Resource, Selector};
pub use built_in::{BuiltInPath, protected_paths, secret_paths};
pub use decision::{Decision, Outcome, RuleOrigin, Verdict};
pub use policy::Policy;
pub use roles::RolePolicies;
pub use rule::ToolPattern;
pub use spec::{PolicyError, PolicySpec, Profile, ProfileRules, RuleSpec};
pub use walk::{Beneath, WalkFilter};
