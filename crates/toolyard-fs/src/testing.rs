//! The way every test of this crate goes: the real tools behind the real dispatch, a policy and a
//! temporary directory.
#![expect(clippy::disallowed_methods, reason = "tests lay out files the tools then find")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use toolyard_core::{
    ApprovalFallback, Block, CallOutcome, Context, Dispatcher, ErrorKind, Limits, NoApprover, Principal, guard::AllowedDirs,
};
use toolyard_policy::{Policy, PolicySpec, Profile, RuleSpec};

use crate::{FsConfig, toolset};

/// A temporary place with an allowed directory `proj`, a sibling `proj_evil` and a directory
/// `out` outside.
pub(crate) struct Ring {
    place: TempDir,
    dispatcher: Dispatcher,
    runtime: Runtime,
}

/// What a call gave back.
#[must_use]
#[derive(Debug)]
pub(crate) struct Reply {
    /// All text of the answer, the trailer included.
    pub(crate) text: String,
    /// Whether the call failed.
    pub(crate) is_error: bool,
    /// The kind of failure.
    pub(crate) kind: Option<ErrorKind>,
    /// The answer block by block.
    pub(crate) blocks: Vec<Block>,
}

impl Ring {
    /// Everything that is not protected or secret is allowed.
    pub(crate) fn new() -> Self {
        Self::with(&allowing(&["read", "write", "destroy"]), Limits::default())
    }

    /// With this policy and these limits.
    pub(crate) fn with(policy: &PolicySpec, limits: Limits) -> Self {
        let place = TempDir::new().expect("a temporary directory");
        for name in ["proj", "proj_evil", "out"] {
            std::fs::create_dir(place.path().join(name)).expect("an empty place");
        }
        let directories = AllowedDirs::open(&[place.path().join("proj")]).expect("an allowed directory");
        Self::over(place, directories, policy, limits)
    }

    /// Over these allowed directories, which the caller made in `place`.
    pub(crate) fn over(place: TempDir, directories: AllowedDirs, policy: &PolicySpec, limits: Limits) -> Self {
        let policy = Policy::compile(policy).expect("a policy that compiles");
        let tools = toolset(FsConfig { directories, durable: false });
        let dispatcher = Dispatcher::builder(tools, Arc::new(policy)).limits(limits).build().expect("well-formed tools");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { place, dispatcher, runtime }
    }

    /// Absolute path of something in the allowed directory.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.place.path().join("proj").join(relative)
    }

    /// Absolute path of something beside the allowed directory: `out/secret`, `proj_evil/x`.
    pub(crate) fn beside(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.place.path().join(relative)
    }

    /// Puts a file into the allowed directory, with its parents.
    pub(crate) fn put(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
        std::fs::write(path, content).expect("a written file");
    }

    /// What a file in the allowed directory holds now.
    pub(crate) fn get(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.path(relative)).expect("a readable file")
    }

    /// Calls a tool with a JSON object.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Reply {
        self.runtime.block_on(self.call_async(tool, arguments))
    }

    /// The same from within a future, for calls that run at once.
    pub(crate) async fn call_async(&self, tool: &str, arguments: Value) -> Reply {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        // The host behind the call consents to whatever is asked.
        let consenting = Context::new(Principal::local()).with_approver(Arc::new(NoApprover), ApprovalFallback::Host);
        let outcome = self.dispatcher.call(tool, Some(arguments), &consenting).await;
        match outcome.expect("a known tool") {
            CallOutcome::Done(answer) => {
                let (text, kind) = (answer.to_text(), answer.error_kind());
                Reply { text, is_error: kind.is_some(), kind, blocks: answer.into_parts().0 }
            }
            CallOutcome::NeedsApproval(request) => panic!("approval is never pending here: {request:?}"),
        }
    }

    /// The runtime that calls run on.
    pub(crate) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Reply {
    /// The text without the trailer line.
    pub(crate) fn body(&self) -> &str {
        self.text.rfind('\n').map_or("", |end| &self.text[..=end])
    }

    /// The trailer line.
    pub(crate) fn trailer(&self) -> &str {
        self.text.rsplit('\n').next().unwrap_or_default()
    }

    /// The cursor of the next page.
    pub(crate) fn cursor(&self) -> Option<&str> {
        let (_, rest) = self.trailer().split_once("next cursor=")?;
        rest.split([';', ']']).next()
    }
}

/// A policy that starts from nothing and allows these rules.
pub(crate) fn allowing(rules: &[&str]) -> PolicySpec {
    let allow = rules.iter().map(|rule| RuleSpec { rule: (*rule).to_owned(), ..RuleSpec::default() }).collect();
    PolicySpec { profile: Profile::Locked, allow, ..PolicySpec::default() }
}

/// The same with these denials.
pub(crate) fn allowing_but(allow: &[&str], deny: &[&str]) -> PolicySpec {
    let deny = deny.iter().map(|rule| RuleSpec { rule: (*rule).to_owned(), ..RuleSpec::default() }).collect();
    PolicySpec { deny, ..allowing(allow) }
}
