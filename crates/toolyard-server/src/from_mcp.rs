//! From the wire to messages: which lines are requests, and what is wrong with those that are not.

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequest, CallToolRequestParams, ClientJsonRpcMessage, ClientRequest, CustomRequest, ErrorCode, GetMeta as _, JsonRpcError,
        JsonRpcMessage, JsonRpcRequest, ProtocolVersion, RequestId,
    },
    service::RequestContext,
};
use serde::Deserialize;

/// Methods of any protocol version; the SDK takes one with malformed parameters for a foreign one.
pub(crate) const KNOWN_METHODS: [&str; 19] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/update",
    "tools/call",
    "tools/list",
    "elicitation/create",
];

/// What is wrong with a cursor that [`has_malformed_cursor`].
pub(crate) const MALFORMED_CURSOR: &str = "malformed parameters of `tools/list`: `cursor` is no string";

/// The two shapes of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// `initialize` first; the server may send requests of its own.
    Handshake,
    /// Every request carries version and capabilities; the server only answers.
    Stateless,
}

/// The era a request belongs to.
pub(crate) fn era(context: &RequestContext<RoleServer>) -> Era {
    match context.protocol_version() {
        Some(version) if !version.has_initialize() => Era::Stateless,
        Some(_) | None => Era::Handshake,
    }
}

/// What a line turned out to be.
pub(crate) enum Incoming {
    Message(Box<ClientJsonRpcMessage>),
    /// Answered without troubling anyone.
    Refused(JsonRpcError),
}

/// Reads the lines of one connection.
#[derive(Default)]
pub(crate) struct Reader {
    /// The `initialize` that unlocked the connection.
    initialized_by: Option<RequestId>,
    /// The transport has no part in the stateless era.
    handshake_only: bool,
}

impl Reader {
    /// For a transport of the handshake era alone.
    #[cfg(feature = "http")]
    pub(crate) fn handshake_only() -> Self {
        Self { handshake_only: true, ..Self::default() }
    }

    /// `None` for lines that get no answer: blank ones, what is not JSON at all, and malformed
    /// notifications.
    pub(crate) fn read(&mut self, line: &[u8]) -> Option<Incoming> {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        match read_call(line).map_or_else(|| serde_json::from_slice(line), Ok) {
            Ok(message) => match malformed_cursor(line, &message) {
                Some(refused) => Some(refused),
                None => self.check_start(message),
            },
            Err(error) => explain(line, &error),
        }
    }

    /// A request was answered with an error; an `initialize` that failed unlocks nothing.
    pub(crate) fn note_failure(&mut self, id: Option<&RequestId>) {
        if id.is_some() && self.initialized_by.as_ref() == id {
            self.initialized_by = None;
        }
    }

    /// Before `initialize`, a request must say itself which version it speaks.
    fn check_start(&mut self, message: ClientJsonRpcMessage) -> Option<Incoming> {
        if self.handshake_only
            && let JsonRpcMessage::Request(JsonRpcRequest { id, request, .. }) = &message
            && let Some(refused) = foreign_era(id, request)
        {
            return Some(refused);
        }
        if self.initialized_by.is_none()
            && let JsonRpcMessage::Request(JsonRpcRequest { id, request, .. }) = &message
        {
            match request {
                ClientRequest::InitializeRequest(_) => self.initialized_by = Some(id.clone()),
                _ if matches!(request.method(), "initialize" | "ping" | "server/discover") => {}
                _ => {
                    let missing = request.get_meta().missing_required_keys(&ProtocolVersion::V_2026_07_28);
                    if !missing.is_empty() {
                        let what = format!("send `initialize` first, or name in `_meta` of the request: {}", missing.join(", "));
                        return Some(refused(Some(id.clone()), ErrorCode::INVALID_PARAMS, what));
                    }
                }
            }
        }
        Some(Incoming::Message(Box::new(message)))
    }
}

/// Refuses what only the stateless era has.
fn foreign_era(id: &RequestId, request: &ClientRequest) -> Option<Incoming> {
    let method = request.method();
    if matches!(method, "server/discover" | "subscriptions/listen") {
        return Some(Incoming::Refused(JsonRpcError::new(Some(id.clone()), method_not_found(method))));
    }
    let what = "this transport serves protocol versions up to 2025-11-25, which `initialize` settles; leave the version out of `_meta`";
    request.get_meta().protocol_version().map(|_| refused(Some(id.clone()), ErrorCode::INVALID_REQUEST, what.into()))
}

/// The one message that matters for speed, read in a single pass; the SDK tries all its variants
/// in turn. Whatever is unusual about a line is left to the SDK.
fn read_call(line: &[u8]) -> Option<ClientJsonRpcMessage> {
    // Other messages are short; trying them as a call first would only read them twice.
    if !line.starts_with(b"{") || memchr::memmem::find(line, b"\"tools/call\"").is_none() {
        return None;
    }
    let (id, mut params) = call_parameters(line)?;
    let meta = params.meta.take();
    let mut request = CallToolRequest::new(params);
    if let Some(meta) = meta {
        request.extensions.insert(meta);
    }
    Some(JsonRpcMessage::request(ClientRequest::CallToolRequest(request), id))
}

/// The parts of a `tools/call` that is spelt as usual.
pub(crate) fn call_parameters(line: &[u8]) -> Option<(RequestId, CallToolRequestParams)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Call<'a> {
        jsonrpc: &'a str,
        id: RequestId,
        method: &'a str,
        params: CallToolRequestParams,
    }
    match serde_json::from_slice(line).ok()? {
        Call { jsonrpc: "2.0", id, method: "tools/call", params } => Some((id, params)),
        Call { .. } => None,
    }
}

/// The SDK takes a cursor that is no string for none at all, and would answer with the first page.
fn malformed_cursor(line: &[u8], message: &ClientJsonRpcMessage) -> Option<Incoming> {
    let JsonRpcMessage::Request(JsonRpcRequest { id, request: ClientRequest::ListToolsRequest(_), .. }) = message else {
        return None;
    };
    has_malformed_cursor(line).then(|| refused(Some(id.clone()), ErrorCode::INVALID_PARAMS, MALFORMED_CURSOR.into()))
}

/// Whether the parameters of a list have a cursor that is no string.
pub(crate) fn has_malformed_cursor(message: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        params: Option<Page>,
    }
    #[derive(Deserialize)]
    struct Page {
        cursor: Option<serde_json::Value>,
    }
    let envelope = serde_json::from_slice::<Envelope>(message).ok();
    envelope.and_then(|envelope| envelope.params?.cursor).is_some_and(|cursor| !cursor.is_string())
}

/// Answers well-formed JSON that is no message, and requests that are nested too deeply or hold
/// broken escapes. What is no JSON at all may be an echo of our own answers, so it gets none.
fn explain(line: &[u8], error: &serde_json::Error) -> Option<Incoming> {
    #[derive(Deserialize)]
    struct Envelope {
        id: Option<serde_json::Value>,
        method: Option<String>,
    }
    let envelope = if line.starts_with(b"{") { serde_json::from_slice::<Envelope>(line).ok() } else { None };
    let id = envelope.as_ref().and_then(|envelope| serde_json::from_value(envelope.id.clone()?).ok());
    match (envelope, id) {
        (Some(Envelope { method: Some(_), id: None }), _) => {
            tracing::debug!("a malformed notification was ignored");
            None
        }
        (Some(Envelope { method: Some(method), .. }), Some(id)) if !error.is_data() => {
            Some(refused(Some(id), ErrorCode::INVALID_PARAMS, format!("the parameters of `{method}` can't be read: {error}")))
        }
        (_, id) if error.is_data() => Some(refused(id, ErrorCode::INVALID_REQUEST, "not a JSON-RPC request of this protocol".into())),
        _ => {
            tracing::debug!(%error, "a line that is no JSON was ignored");
            None
        }
    }
}

fn refused(id: Option<RequestId>, code: ErrorCode, what: String) -> Incoming {
    Incoming::Refused(JsonRpcError::new(id, ErrorData::new(code, what, None)))
}

/// Those that the stateless era has no more.
const REMOVED_METHODS: [&str; 5] = ["initialize", "logging/setLevel", "ping", "resources/subscribe", "resources/unsubscribe"];

/// The answer to a request that the SDK did not recognise.
pub(crate) fn unrecognized(request: &CustomRequest, era: Era) -> ErrorData {
    let method = request.method.as_str();
    if !KNOWN_METHODS.contains(&method) || (era == Era::Stateless && REMOVED_METHODS.contains(&method)) {
        return method_not_found(method);
    }
    let parameters = || request.params.clone().unwrap_or_default();
    let why = match method {
        "tools/call" => serde_json::from_value::<CallToolRequestParams>(parameters()).err(),
        _ => None,
    };
    let why = why.map(|error| format!(": {error}")).unwrap_or_default();
    ErrorData::invalid_params(format!("malformed parameters of `{method}`{why}"), None)
}

pub(crate) fn method_not_found(method: &str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("unknown method `{method}`"), None)
}
