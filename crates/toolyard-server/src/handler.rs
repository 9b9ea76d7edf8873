//! Answers the requests of the protocol.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, CustomRequest, CustomResult,
        DiscoverResult, GetPromptRequestParams, GetPromptResponse, InitializeRequestParams, InitializeResult, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use tokio_util::sync::CancellationToken;
use toolyard_core::{CallOutcome, Context, Principal};

use crate::{
    Extension, Server,
    approval::{self, ClientApprover},
    from_mcp::{self, Era, method_not_found},
    progress,
    server::Callers,
    to_mcp,
};

/// How long a client may keep the list of tools; it changes only when the server is started anew.
const LIST_TTL_MILLIS: u64 = 300_000;

impl Server {
    fn extension(&self, method: &str) -> Result<&dyn Extension, ErrorData> {
        self.shared.extension.as_deref().ok_or_else(|| method_not_found(method))
    }

    async fn call(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        if self.shared.is_unguarded(&request.name) {
            return self.extension("tools/call")?.danger_call_unguarded(request, context).await;
        }
        match context.meta.get_progress_token() {
            None => self.dispatch(request, context, None).await,
            Some(token) => {
                let peer = context.peer.clone();
                progress::with_progress(peer, token, |reporter| self.dispatch(request, context, Some(reporter))).await
            }
        }
    }

    async fn dispatch(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
        reporter: Option<Arc<progress::Reporter>>,
    ) -> Result<CallToolResponse, ErrorData> {
        let era = from_mcp::era(&context);
        let principal = self.caller(&context)?;
        let cancel = context.ct.clone();
        let mut cx = Context::new(principal.clone()).with_request(self.request_name(&context)).with_cancel(cancel.clone());
        if let Some(reporter) = reporter {
            cx = cx.with_progress(reporter);
        }
        let CallToolRequestParams { name, arguments, input_responses, request_state, .. } = request;
        let approver = ClientApprover { shared: Arc::clone(&self.shared), principal, context, request_state, input_responses };
        let cx = cx.with_approver(Arc::new(approver), self.fallback);
        let call = self.shared.dispatcher.call(&name, arguments, &cx);
        match self.while_session_lasts(call, &cancel).await {
            Ok(CallOutcome::Done(answer)) => {
                let mut result = to_mcp::result(answer);
                if era == Era::Stateless {
                    result.meta = Some(self.shared.meta.clone());
                }
                Ok(result.into())
            }
            Ok(CallOutcome::NeedsApproval(request)) => Ok(approval::input_required(&self.shared, cx.principal(), &request).into()),
            Err(error) => Err(to_mcp::call_error(&error)),
        }
    }
}

impl Server {
    /// Who sent this request. A transport that names no caller is a defect, and nobody's call.
    #[cfg_attr(not(feature = "http"), expect(unused_variables, reason = "only HTTP names a caller per request"))]
    fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Principal, ErrorData> {
        match &self.callers {
            Callers::Fixed(principal) => Ok(principal.clone()),
            #[cfg(feature = "http")]
            Callers::Named(principal, _) => Ok(principal.clone()),
            #[cfg(feature = "http")]
            Callers::PerRequest => crate::http::caller(context).ok_or_else(|| {
                tracing::error!("a request came without its caller; the transport has to name one");
                ErrorData::internal_error("the server failed; this is a defect", None)
            }),
        }
    }

    /// What the trail calls this request: over HTTP first what the transport calls it, since
    /// clients choose the same ids.
    fn request_name(&self, context: &RequestContext<RoleServer>) -> String {
        match &self.callers {
            Callers::Fixed(_) => context.id.to_string(),
            #[cfg(feature = "http")]
            Callers::Named(_, Some(name)) => format!("{name}/{}", context.id),
            #[cfg(feature = "http")]
            Callers::Named(_, None) => context.id.to_string(),
            #[cfg(feature = "http")]
            Callers::PerRequest => crate::http::request_name(context),
        }
    }

    /// Cancels the call when its session ends, and waits for what it then says.
    async fn while_session_lasts<T>(&self, call: impl Future<Output = T>, cancel: &CancellationToken) -> T {
        let Some(session) = &self.ends.session else {
            return call.await;
        };
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            done = &mut call => return done,
            () = session.cancelled() => cancel.cancel(),
        }
        call.await
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let shared = &self.shared;
        let mut config = ServerConfig::new(shared.capabilities.clone()).with_server_info(shared.implementation.clone());
        config.instructions.clone_from(&shared.instructions);
        config
    }

    async fn initialize(
        &self,
        mut request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let result = self.negotiate_initialize(&request)?;
        request.protocol_version = result.protocol_version.clone();
        context.peer.set_peer_info(request);
        Ok(result)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = ProtocolVersion::KNOWN_VERSIONS.to_vec();
        Ok(DiscoverResult::from_server_info(versions, self.get_info()).with_ttl_ms(LIST_TTL_MILLIS).with_cache_scope(CacheScope::Private))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|page| page.cursor.is_some()) {
            return Err(ErrorData::invalid_params("`cursor` is not one this server gave: all tools come in one page", None));
        }
        let tools = match &self.callers {
            Callers::Fixed(principal) if *principal == Principal::local() => self.shared.tools.clone(),
            _ => self.shared.tools_of(&self.caller(&context)?),
        };
        let mut result = ListToolsResult::with_all_items(tools);
        if from_mcp::era(&context) == Era::Stateless {
            // Private, since the policy decides what is listed.
            result = result.with_ttl_ms(LIST_TTL_MILLIS).with_cache_scope(CacheScope::Private);
            result.meta = Some(self.shared.meta.clone());
        }
        Ok(result)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shared.schemas.get(name).cloned()
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        // A handler that panics would never answer.
        let call = AssertUnwindSafe(self.call(request, context)).catch_unwind();
        tokio::select! {
            biased;
            done = call => done.unwrap_or_else(|_| Err(ErrorData::internal_error("the server failed; this is a defect", None))),
            () = self.ends.abandoned.cancelled() => Err(ErrorData::internal_error("the connection ended", None)),
        }
    }

    async fn on_custom_request(&self, request: CustomRequest, context: RequestContext<RoleServer>) -> Result<CustomResult, ErrorData> {
        Err(from_mcp::unrecognized(&request, from_mcp::era(&context)))
    }

    async fn on_initialized(&self, _: NotificationContext<RoleServer>) {}

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.extension("prompts/list")?.list_prompts(request, context).await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.extension("prompts/get")?.get_prompt(request, context).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.extension("resources/list")?.list_resources(request, context).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.extension("resources/templates/list")?.list_resource_templates(request, context).await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.extension("resources/read")?.read_resource(request, context).await
    }

    async fn complete(&self, request: CompleteRequestParams, context: RequestContext<RoleServer>) -> Result<CompleteResult, ErrorData> {
        self.extension("completion/complete")?.complete(request, context).await
    }

    #[expect(deprecated, reason = "old clients still set a level")]
    async fn set_level(&self, request: rmcp::model::SetLevelRequestParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.extension("logging/setLevel")?.set_level(request, context).await
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.extension("resources/subscribe")?.subscribe(request, context).await
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.extension("resources/unsubscribe")?.unsubscribe(request, context).await
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.shared.extension.as_deref()?.accepted_subscriptions(requested)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let listening = self.extension("subscriptions/listen")?.listen(context);
        match &self.ends.listening {
            None => listening.await,
            Some(closing) => tokio::select! {
                ended = listening => ended,
                () = closing.cancelled() => Ok(()),
            },
        }
    }
}
