//! The parts of the protocol that Toolyard's tools don't use, for servers that do.

use futures::future::BoxFuture;

use crate::from_mcp::method_not_found;

/// The SDK's types, for extensions only.
pub mod mcp {
    pub use rmcp::{
        ErrorData, RoleServer,
        model::*,
        service::{Peer, RequestContext, ServiceError, SubscriptionContext},
    };
}

use mcp::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, ErrorData, GetPromptRequestParams, GetPromptResponse,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, RequestContext, RoleServer, ServerCapabilities, SubscribeRequestParams, SubscriptionContext, SubscriptionFilter,
    Tool, UnsubscribeRequestParams,
};

/// The future an extension answers with.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, ErrorData>>;

fn absent<'a, T: Send + 'a>(method: &'static str) -> Reply<'a, T> {
    Box::pin(std::future::ready(Err(method_not_found(method))))
}

/// Prompts, resources and other parts of the protocol beside the tools of the dispatcher; what is
/// not implemented answers "method not found".
///
/// # Danger
/// Nothing here passes the policy, the limits or the audit trail. A tool belongs into the
/// dispatcher; [`danger_unguarded_tools`](Self::danger_unguarded_tools) is for test servers and for
/// hosts that bring their own guard.
#[expect(unused_variables, reason = "the names document the parameters")]
pub trait Extension: Send + Sync + 'static {
    /// What is declared, starting from what Toolyard declares itself.
    fn capabilities(&self, declared: ServerCapabilities) -> ServerCapabilities {
        declared
    }

    /// Tools that no policy judges and no trail records, listed behind the dispatcher's. None may
    /// have the name of a tool of the dispatcher, permitted or not. Asked for once.
    fn danger_unguarded_tools(&self) -> Vec<Tool> {
        Vec::new()
    }

    /// Calls one of [`danger_unguarded_tools`](Self::danger_unguarded_tools): without policy, audit,
    /// deadline or size limit.
    fn danger_call_unguarded(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, CallToolResponse> {
        absent("tools/call")
    }

    /// Answers `prompts/list`.
    fn list_prompts(&self, request: Option<PaginatedRequestParams>, context: RequestContext<RoleServer>) -> Reply<'_, ListPromptsResult> {
        absent("prompts/list")
    }

    /// Answers `prompts/get`.
    fn get_prompt(&self, request: GetPromptRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, GetPromptResponse> {
        absent("prompts/get")
    }

    /// Answers `resources/list`.
    fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Reply<'_, ListResourcesResult> {
        absent("resources/list")
    }

    /// Answers `resources/templates/list`.
    fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Reply<'_, ListResourceTemplatesResult> {
        absent("resources/templates/list")
    }

    /// Answers `resources/read`.
    fn read_resource(&self, request: ReadResourceRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, ReadResourceResponse> {
        absent("resources/read")
    }

    /// Answers `completion/complete`.
    fn complete(&self, request: CompleteRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, CompleteResult> {
        absent("completion/complete")
    }

    /// Answers `logging/setLevel`, of the handshake era.
    #[expect(deprecated, reason = "old clients still set a level")]
    fn set_level(&self, request: mcp::SetLevelRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, ()> {
        absent("logging/setLevel")
    }

    /// Answers `resources/subscribe`, of the handshake era.
    fn subscribe(&self, request: SubscribeRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, ()> {
        absent("resources/subscribe")
    }

    /// Answers `resources/unsubscribe`, of the handshake era.
    fn unsubscribe(&self, request: UnsubscribeRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, ()> {
        absent("resources/unsubscribe")
    }

    /// The part of a `subscriptions/listen` filter that is served; `None` leaves the method out.
    fn accepted_subscriptions(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        None
    }

    /// Runs one subscription until it is cancelled.
    fn listen(&self, context: SubscriptionContext) -> Reply<'_, ()> {
        Box::pin(async move {
            context.cancelled().await;
            Ok(())
        })
    }
}
