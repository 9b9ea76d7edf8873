//! What a call will touch.

use std::sync::Arc;

/// What a tool, or one access of it, can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Looks, and changes nothing.
    Read,
    /// Creates or changes something that can be put back.
    Write,
    /// Removes something, or changes it beyond putting back.
    Destroy,
    /// Starts a program or lets something else act.
    Execute,
}

impl Effect {
    /// The word for this effect in rules, audit and definitions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destroy => "destroy",
            Self::Execute => "execute",
        }
    }
}

/// One thing a call will touch, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// What will be done to it.
    pub effect: Effect,
    /// The thing.
    pub resource: Resource,
}

/// A thing that can be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A file or directory.
    Path(PathResource),
    /// Anything else with a canonical name: a repository, a branch, a container, a memory scope.
    Name {
        /// What sort of thing it is, for messages: `repository`, `container`.
        kind: &'static str,
        /// Its canonical name, segments separated by `/`.
        text: String,
    },
}

/// A path as the guard resolved it; the file need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathResource {
    /// Absolute path of the allowed directory, without a trailing slash (`/` for the root).
    pub directory: Arc<str>,
    /// Path below it without symlinks, `.` or `..`, separated by `/`; empty for the directory itself.
    pub path: String,
    /// The path as the caller spelled it, lexically cleaned, when a symlink made it differ.
    pub requested: Option<String>,
}

/// The tool a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector<'a> {
    /// Full tool name: `fs_read`.
    pub tool: &'a str,
    /// Its family: `fs`.
    pub family: &'a str,
    /// Its effect.
    pub effect: Effect,
}

/// One call to decide.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The tool.
    pub tool: Selector<'a>,
    /// Everything it will touch; empty for a tool that touches nothing nameable.
    pub accesses: &'a [Access],
}
