//! What transports serve: the dispatcher, what it is called, and its tools as hosts see them.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use rmcp::model::{Implementation, MetaObject, ServerCapabilities, Tool};
use serde_json::Map;
use tokio_util::sync::CancellationToken;
use toolyard_core::{ApprovalFallback, Context, Dispatcher, Principal};

use crate::{Extension, approval::UsedStates, to_mcp};

/// A server of one dispatcher; clones are cheap and share everything.
#[derive(Clone)]
pub struct Server {
    pub(crate) shared: Arc<Shared>,
    pub(crate) callers: Callers,
    pub(crate) fallback: ApprovalFallback,
    pub(crate) ends: Ends,
}

/// Where a server learns who is calling.
#[derive(Clone, Debug)]
pub(crate) enum Callers {
    /// Everything on the connection comes from one caller.
    Fixed(Principal),
    /// The transport names the caller of each request.
    #[cfg(feature = "http")]
    PerRequest,
    /// The same, and this is what the transport calls the request or the stream.
    #[cfg(feature = "http")]
    Named(Principal, Option<Arc<str>>),
}

/// What ends the work for a connection before its own end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    /// Ends calls that ignore their own cancellation, once nobody can take their answer.
    pub(crate) abandoned: CancellationToken,
    /// Cancels calls that run for a session, which the SDK does only seconds after its end.
    pub(crate) session: Option<CancellationToken>,
    /// Lets subscriptions come to an orderly end.
    pub(crate) listening: Option<CancellationToken>,
}

pub(crate) struct Shared {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) used_states: UsedStates,
    pub(crate) extension: Option<Arc<dyn Extension>>,
    /// The tools of the extension.
    pub(crate) unguarded: Vec<Tool>,
    /// What the local user sees, converted once: a listing only clones.
    pub(crate) tools: Vec<Tool>,
    /// All tools with nothing but their schema, for checks of headers.
    pub(crate) schemas: HashMap<String, Tool>,
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

    /// The same server, with another answer to calls that need approval when the client can't ask
    /// its user.
    #[must_use]
    pub fn with_approval_fallback(&self, fallback: ApprovalFallback) -> Self {
        Self { fallback, ..self.clone() }
    }
}

impl Shared {
    /// The tools this caller sees, in the order of their registration.
    pub(crate) fn tools_of(&self, principal: &Principal) -> Vec<Tool> {
        let listed = self.dispatcher.tools(principal).map(|listed| to_mcp::tool(&listed));
        listed.chain(self.unguarded.iter().cloned()).collect()
    }

    pub(crate) fn is_unguarded(&self, tool: &str) -> bool {
        self.unguarded.iter().any(|unguarded| unguarded.name == tool)
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
        let mut capabilities = ServerCapabilities::builder().enable_tools().build();
        if let Some(extension) = &self.extension {
            capabilities = extension.capabilities(capabilities);
        }
        let guarded = self.dispatcher.definitions().map(|definition| (definition.name.to_owned(), to_mcp::schema(definition)));
        let unguarded = self.unguarded.iter().map(|tool| (tool.name.to_string(), tool.clone()));
        let schemas = guarded.chain(unguarded).collect();
        let mut implementation = Implementation::new(self.name, self.version);
        implementation.title = self.title;
        let mut shared = Shared {
            dispatcher: self.dispatcher,
            used_states: UsedStates::default(),
            extension: self.extension,
            unguarded: self.unguarded,
            tools: Vec::new(),
            schemas,
            capabilities,
            meta: to_mcp::server_meta(&implementation),
            implementation,
            instructions: self.instructions,
        };
        shared.tools = shared.tools_of(&Principal::local());
        let callers = Callers::Fixed(Principal::local());
        Server { shared: Arc::new(shared), callers, fallback: self.fallback, ends: Ends::default() }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.shared.implementation.name).finish_non_exhaustive()
    }
}
