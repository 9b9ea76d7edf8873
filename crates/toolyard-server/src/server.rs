//! What transports serve: the dispatcher, what it is called, and its tools as hosts see them.

use std::{collections::HashSet, fmt, sync::Arc};

use rmcp::model::{Implementation, MetaObject, ServerCapabilities, Tool};
use serde_json::Map;
use tokio_util::sync::CancellationToken;
use toolyard_core::{ApprovalFallback, Context, Dispatcher, Principal};

use crate::{Extension, approval::UsedStates, to_mcp};

/// A server of one dispatcher; clones are cheap and share everything.
#[derive(Clone)]
pub struct Server {
    pub(crate) shared: Arc<Shared>,
    /// Ends calls that ignore their own cancellation, once nobody can take their answer.
    pub(crate) abandoned: CancellationToken,
}

pub(crate) struct Shared {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) principal: Principal,
    pub(crate) fallback: ApprovalFallback,
    pub(crate) used_states: UsedStates,
    pub(crate) extension: Option<Arc<dyn Extension>>,
    /// Names of the tools of the extension.
    pub(crate) unguarded: HashSet<String>,
    /// Converted once: a listing only clones.
    pub(crate) tools: Vec<Tool>,
    pub(crate) capabilities: ServerCapabilities,
    pub(crate) implementation: Implementation,
    /// The `_meta` of results of the stateless era, which name the server in each.
    pub(crate) meta: MetaObject,
    pub(crate) instructions: Option<String>,
}

/// Puts a [`Server`] together.
pub struct ServerBuilder {
    dispatcher: Arc<Dispatcher>,
    name: String,
    title: Option<String>,
    version: String,
    instructions: Option<String>,
    fallback: ApprovalFallback,
    extension: Option<Arc<dyn Extension>>,
    unguarded: Vec<Tool>,
}

/// A tool of an extension has a name that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the unguarded tool `{0}` of the extension has the name of another tool; rename it")]
pub struct NameTaken(pub String);

impl Server {
    /// Starts from the tools to serve.
    pub fn builder(dispatcher: Arc<Dispatcher>) -> ServerBuilder {
        ServerBuilder {
            dispatcher,
            name: "toolyard".into(),
            title: None,
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: None,
            fallback: ApprovalFallback::default(),
            extension: None,
            unguarded: Vec::new(),
        }
    }

    /// The tools as `tools/list` sends them.
    ///
    /// # Errors
    /// Never with well-formed definitions; it is the serialiser's.
    pub fn definitions(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(&self.shared.tools)
    }

    /// The dispatcher behind it.
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.shared.dispatcher
    }
}

impl ServerBuilder {
    /// The name hosts are told; `toolyard` by default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The name people read.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The version hosts are told; that of this crate by default.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// How the tools are best used together, for the model; hosts cut it at about 2 KB.
    #[must_use]
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(instructions.into());
        self
    }

    /// What happens to a call that needs approval when the client can't ask its user; denied by
    /// default.
    #[must_use]
    pub fn approval_fallback(mut self, fallback: ApprovalFallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Adds prompts, resources and other parts of the protocol that Toolyard's tools don't use.
    /// Nothing of it is guarded; see [`Extension`].
    ///
    /// # Errors
    /// When one of its tools has the name of another, be that one permitted or not.
    pub fn extension(mut self, extension: Arc<dyn Extension>) -> Result<Self, NameTaken> {
        self.unguarded = extension.danger_unguarded_tools();
        let mut seen = HashSet::new();
        for tool in &self.unguarded {
            // Tools that the policy hides are not listed, but they can be explained.
            let known = self.dispatcher.explain(&tool.name, Map::new(), &Context::new(Principal::local()));
            if known.is_ok() || !seen.insert(&*tool.name) {
                return Err(NameTaken(tool.name.to_string()));
            }
        }
        self.extension = Some(extension);
        Ok(self)
    }

    /// Converts the tools and finishes.
    pub fn build(self) -> Server {
        let mut tools: Vec<_> = self.dispatcher.tools(&Principal::local()).map(|listed| to_mcp::tool(&listed)).collect();
        let mut capabilities = ServerCapabilities::builder().enable_tools().build();
        if let Some(extension) = &self.extension {
            capabilities = extension.capabilities(capabilities);
        }
        let unguarded = self.unguarded.iter().map(|tool| tool.name.to_string()).collect();
        tools.extend(self.unguarded);
        let mut implementation = Implementation::new(self.name, self.version);
        implementation.title = self.title;
        Server {
            shared: Arc::new(Shared {
                dispatcher: self.dispatcher,
                principal: Principal::local(),
                fallback: self.fallback,
                used_states: UsedStates::default(),
                extension: self.extension,
                unguarded,
                tools,
                capabilities,
                meta: to_mcp::server_meta(&implementation),
                implementation,
                instructions: self.instructions,
            }),
            abandoned: CancellationToken::new(),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.shared.implementation.name).finish_non_exhaustive()
    }
}
