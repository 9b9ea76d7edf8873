//! Values as the JSON that goes over the wire.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use toolyard_server::{Reply, mcp::ErrorData};

use crate::tools::RED_PIXEL;

const SILENCE: &[u8] = include_bytes!("../../fixtures/silence.wav");

/// A value of the SDK from its JSON form.
pub(crate) fn made<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(format!("a fixture is malformed: {error}"), None))
}

/// A complete result; the SDK leaves the kind out where the handshake era does not know it.
pub(crate) fn result<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    value["resultType"] = json!("complete");
    made(value)
}

/// A complete result at once.
pub(crate) fn ready<'a, T: DeserializeOwned + Send + 'a>(value: Value) -> Reply<'a, T> {
    Box::pin(std::future::ready(result(value)))
}

pub(crate) fn done<'a>() -> Reply<'a, ()> {
    Box::pin(std::future::ready(Ok(())))
}

pub(crate) fn pixel() -> String {
    STANDARD.encode(RED_PIXEL)
}

pub(crate) fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

pub(crate) fn image() -> Value {
    json!({ "type": "image", "data": pixel(), "mimeType": "image/png" })
}

pub(crate) fn audio() -> Value {
    json!({ "type": "audio", "data": STANDARD.encode(SILENCE), "mimeType": "audio/wav" })
}

pub(crate) fn resource(uri: &str, mime: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": text } })
}
