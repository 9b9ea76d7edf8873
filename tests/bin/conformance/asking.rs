//! Fixtures that send the client something while a call runs: logs in both eras, questions in the
//! handshake era.

use std::time::Duration;

use serde_json::{Map, Value, json};
use toolyard_server::mcp::{ClientResult, ErrorData, RequestContext, RoleServer, ServerNotification, ServerRequest};

use crate::content::{made, text};

pub(crate) async fn log(context: &RequestContext<RoleServer>) -> Result<Value, ErrorData> {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        let params = json!({ "level": "info", "data": message });
        let notification = made::<ServerNotification>(json!({ "method": "notifications/message", "params": params }))?;
        context.peer.send_notification(notification).await.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(json!([text("logged three messages")]))
}

pub(crate) async fn sample(context: &RequestContext<RoleServer>, arguments: &Map<String, Value>) -> Result<Value, ErrorData> {
    let message = json!({ "role": "user", "content": { "type": "text", "text": arguments["prompt"] } });
    let reply = ask(context, "sampling/createMessage", json!({ "messages": [message], "maxTokens": 100 })).await?;
    Ok(json!([text(&format!("LLM response: {}", reply["content"]["text"]))]))
}

pub(crate) async fn elicit(context: &RequestContext<RoleServer>, message: &Value, properties: Value) -> Result<Value, ErrorData> {
    let names: Vec<_> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": names });
    let reply = ask(context, "elicitation/create", json!({ "message": message, "requestedSchema": schema })).await?;
    Ok(json!([text(&format!("Elicitation completed: action={}, content={}", reply["action"], reply["content"]))]))
}

/// Sends a request of ours to the client and waits for its answer.
async fn ask(context: &RequestContext<RoleServer>, method: &str, params: Value) -> Result<Value, ErrorData> {
    let request = made::<ServerRequest>(json!({ "method": method, "params": params }))?;
    let failed = |error: &dyn std::fmt::Display| ErrorData::internal_error(error.to_string(), None);
    let reply: ClientResult = context.peer.send_request(request).await.map_err(|error| failed(&error))?;
    serde_json::to_value(reply).map_err(|error| failed(&error))
}

pub(crate) fn contact_form() -> Value {
    json!({
        "username": { "type": "string", "description": "User's response" },
        "email": { "type": "string", "description": "User's email address" },
    })
}

pub(crate) fn form_with_defaults() -> Value {
    json!({
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true },
    })
}

pub(crate) fn form_with_enums() -> Value {
    let titled = |word: &str| {
        json!([
            { "const": "value1", "title": format!("First {word}") },
            { "const": "value2", "title": format!("Second {word}") },
            { "const": "value3", "title": format!("Third {word}") },
        ])
    };
    let plain = ["option1", "option2", "option3"];
    json!({
        "untitledSingle": { "type": "string", "enum": plain },
        "titledSingle": { "type": "string", "oneOf": titled("Option") },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"] },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
        "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
    })
}
