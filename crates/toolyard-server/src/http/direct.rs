//! Calls of the stateless era, answered without a connection of their own.
//!
//! The SDK makes channels and three tasks for each request, and reads it as every message it might
//! be. A plain call needs none of that: its answer is one JSON object. Whatever is unusual about a
//! request is left to the SDK, which answers the same.

use std::{
    collections::HashSet,
    future::{Future, ready},
    io,
    sync::OnceLock,
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use rmcp::{
    RoleServer, ServerHandler as _,
    model::{ClientJsonRpcMessage, ProtocolVersion, RequestMetaObject, ServerJsonRpcMessage, ServerResult},
    service::{Peer, RequestContext, serve_directly},
    transport::Transport,
};
use tokio_util::sync::CancellationToken;

use super::{
    HttpBody,
    peek::{Peek, PeekKind},
    refusal::Refusal,
    sessions::Caller,
};
use crate::{Server, from_mcp, server::Callers};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// By this, parameters have to be repeated in headers, which the SDK compares.
const HEADER_ANNOTATION: &str = "x-mcp-header";

pub(super) struct Direct {
    server: Server,
    /// Tools of the dispatcher without parameters in headers.
    tools: HashSet<&'static str>,
    /// A client that can't be asked anything; none needs to be in this era.
    nobody: OnceLock<Peer<RoleServer>>,
    stop: CancellationToken,
}

impl Direct {
    pub(super) fn new(server: Server, stop: CancellationToken) -> Self {
        let plain = server.dispatcher().definitions().filter(|definition| {
            let schema = serde_json::to_string(&definition.input_schema);
            schema.is_ok_and(|schema| !schema.contains(HEADER_ANNOTATION))
        });
        let tools = plain.map(|definition| definition.name).collect();
        Self { server, tools, nobody: OnceLock::new(), stop }
    }

    /// The answer to a plain call; `None` for anything else.
    pub(super) async fn call(&self, headers: &HeaderMap, asked: &Peek<'_>, body: &[u8], caller: &Caller) -> Option<Response<HttpBody>> {
        let tool = asked.tool.filter(|tool| asked.kind == PeekKind::Request && self.tools.contains(tool))?;
        let as_usual = is_once(headers, &PROTOCOL_VERSION, ProtocolVersion::V_2026_07_28.as_str())
            && is_once(headers, &METHOD, "tools/call")
            && is_once(headers, &NAME, tool);
        if !as_usual {
            return None;
        }
        let (id, mut params) = from_mcp::call_parameters(body)?;
        let meta = params.meta.take().filter(is_plain)?;
        let mut context = RequestContext::new(id.clone(), self.nobody().clone());
        context.ct = self.stop.child_token();
        context.meta = meta;
        // A client that goes away drops this future, but what its call did is still found out.
        let _cancel = context.ct.clone().drop_guard();
        let server = Server { callers: Callers::Named(caller.principal.clone(), caller.request.clone()), ..self.server.clone() };
        let mut call = Box::pin(async move { server.call_tool(params, context).await });
        let result = match futures::poll!(&mut call) {
            Poll::Ready(result) => result,
            Poll::Pending => match tokio::spawn(call).await {
                Ok(result) => result,
                Err(failed) => {
                    tracing::error!(%failed, "a call failed; this is a defect of the server");
                    return Some(Refusal::internal().to(Some(asked)));
                }
            },
        };
        Some(json(&match result {
            Ok(response) => ServerJsonRpcMessage::response(ServerResult::from(response), id),
            Err(error) => ServerJsonRpcMessage::error(error, Some(id)),
        }))
    }

    fn nobody(&self) -> &Peer<RoleServer> {
        self.nobody.get_or_init(|| serve_directly(self.server.clone(), Nobody, None).peer().clone())
    }
}

/// Complete, and without a wish for progress, which would need a stream.
fn is_plain(meta: &RequestMetaObject) -> bool {
    meta.protocol_version() == Some(ProtocolVersion::V_2026_07_28)
        && meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
        && meta.get_progress_token().is_none()
}

fn is_once(headers: &HeaderMap, name: &HeaderName, expected: &str) -> bool {
    let mut values = headers.get_all(name).into_iter();
    values.next().is_some_and(|value| value == expected) && values.next().is_none()
}

fn json(message: &ServerJsonRpcMessage) -> Response<HttpBody> {
    let Ok(body) = serde_json::to_vec(message) else {
        tracing::error!("an answer can't be serialised");
        return Refusal::internal().to(None);
    };
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A connection that has ended.
struct Nobody;

impl Transport<RoleServer> for Nobody {
    type Error = io::Error;

    fn send(&mut self, _: ServerJsonRpcMessage) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        None
    }

    fn close(&mut self) -> impl Future<Output = Result<(), io::Error>> + Send {
        ready(Ok(()))
    }
}
