//! What the suite expects beyond our tools: prompts, resources, completion, logging, and tools
//! that ask the client. Values are written as the JSON that goes over the wire.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use toolyard_server::{
    Extension, Reply,
    mcp::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientResult, CompleteRequestParams, CompleteResult, ErrorData,
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, RequestContext, RoleServer,
        ServerCapabilities, ServerNotification, ServerRequest, SubscribeRequestParams, Tool, UnsubscribeRequestParams,
    },
};

use crate::tools::RED_PIXEL;

const SILENCE: &[u8] = include_bytes!("../../fixtures/silence.wav");

pub(crate) struct Fixtures;

/// A value of the SDK from its JSON form.
fn made<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(format!("a fixture is malformed: {error}"), None))
}

fn ready<'a, T: DeserializeOwned + Send + 'a>(value: Value) -> Reply<'a, T> {
    Box::pin(std::future::ready(made(value)))
}

fn done<'a>() -> Reply<'a, ()> {
    Box::pin(std::future::ready(Ok(())))
}

fn pixel() -> String {
    STANDARD.encode(RED_PIXEL)
}

impl Extension for Fixtures {
    fn capabilities(&self, declared: ServerCapabilities) -> ServerCapabilities {
        made(json!({ "tools": {}, "prompts": {}, "resources": { "subscribe": true }, "completions": {}, "logging": {} }))
            .unwrap_or(declared)
    }

    fn danger_unguarded_tools(&self) -> Vec<Tool> {
        let text = |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name] });
        let nothing = || json!({ "type": "object", "additionalProperties": false });
        let tools = [
            ("test_audio_content", nothing()),
            ("test_embedded_resource", nothing()),
            ("test_multiple_content_types", nothing()),
            ("test_tool_with_logging", nothing()),
            ("test_sampling", text("prompt")),
            ("test_elicitation", text("message")),
            ("test_elicitation_sep1034_defaults", nothing()),
            ("test_elicitation_sep1330_enums", nothing()),
        ];
        let tool =
            |(name, schema)| made(json!({ "name": name, "description": "A fixture of the conformance suite.", "inputSchema": schema }));
        tools.into_iter().filter_map(|entry| tool(entry).ok()).collect()
    }

    fn danger_call_unguarded(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, CallToolResponse> {
        Box::pin(async move {
            let arguments = request.arguments.unwrap_or_default();
            let content = match &*request.name {
                "test_audio_content" => json!([audio()]),
                "test_embedded_resource" => {
                    json!([resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")])
                }
                "test_multiple_content_types" => json!([
                    text("Multiple content types test:"),
                    image(),
                    resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
                ]),
                "test_tool_with_logging" => log(&context).await?,
                "test_sampling" => sample(&context, &arguments).await?,
                "test_elicitation" => elicit(&context, &arguments["message"], contact_form()).await?,
                "test_elicitation_sep1034_defaults" => elicit(&context, &json!("Check the defaults"), form_with_defaults()).await?,
                "test_elicitation_sep1330_enums" => elicit(&context, &json!("Choose"), form_with_enums()).await?,
                other => return Err(ErrorData::invalid_params(format!("unknown tool `{other}`"), None)),
            };
            made::<CallToolResult>(json!({ "content": content, "isError": false })).map(CallToolResponse::from)
        })
    }

    fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Reply<'_, ListPromptsResult> {
        let argument = |name: &str| json!({ "name": name, "description": "A test argument", "required": true });
        ready(json!({ "prompts": [
            { "name": "test_simple_prompt", "description": "Without arguments" },
            { "name": "test_prompt_with_arguments", "description": "With two arguments", "arguments": [argument("arg1"), argument("arg2")] },
            { "name": "test_prompt_with_embedded_resource", "description": "With a resource", "arguments": [argument("resourceUri")] },
            { "name": "test_prompt_with_image", "description": "With an image" },
        ] }))
    }

    fn get_prompt(&self, request: GetPromptRequestParams, _: RequestContext<RoleServer>) -> Reply<'_, GetPromptResponse> {
        let arguments = request.arguments.unwrap_or_default();
        let argument = |name: &str| arguments.get(name).map(ToString::to_string).unwrap_or_default();
        let plain = |name: &str| arguments.get(name).and_then(|value| value.as_str()).map_or_else(|| argument(name), str::to_owned);
        let contents = match &*request.name {
            "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
            "test_prompt_with_arguments" => {
                vec![text(&format!("Prompt with arguments: arg1='{}', arg2='{}'", plain("arg1"), plain("arg2")))]
            }
            "test_prompt_with_embedded_resource" => vec![
                resource(&plain("resourceUri"), "text/plain", "Embedded resource content for testing."),
                text("Please process the embedded resource above."),
            ],
            "test_prompt_with_image" => vec![image(), text("Please analyze the image above.")],
            other => {
                let error = ErrorData::invalid_params(format!("unknown prompt `{other}`"), None);
                return Box::pin(std::future::ready(Err(error)));
            }
        };
        let messages: Vec<_> = contents.into_iter().map(|content| json!({ "role": "user", "content": content })).collect();
        let result = made::<GetPromptResult>(json!({ "messages": messages })).map(GetPromptResponse::from);
        Box::pin(std::future::ready(result))
    }

    fn list_resources(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Reply<'_, ListResourcesResult> {
        let entry =
            |name: &str, mime: &str| json!({ "uri": format!("test://{name}"), "name": name, "description": "A fixture", "mimeType": mime });
        ready(json!({ "resources": [
            entry("static-text", "text/plain"),
            entry("static-binary", "image/png"),
            entry("watched-resource", "text/plain"),
        ] }))
    }

    fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Reply<'_, ListResourceTemplatesResult> {
        ready(json!({ "resourceTemplates": [
            { "uriTemplate": "test://template/{id}/data", "name": "template", "description": "A fixture", "mimeType": "application/json" },
        ] }))
    }

    fn read_resource(&self, request: ReadResourceRequestParams, _: RequestContext<RoleServer>) -> Reply<'_, ReadResourceResponse> {
        let uri = request.uri;
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let content = match (&*uri, id) {
            ("test://static-text", _) => {
                json!({ "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource." })
            }
            ("test://static-binary", _) => json!({ "uri": uri, "mimeType": "image/png", "blob": pixel() }),
            ("test://watched-resource", _) => json!({ "uri": uri, "mimeType": "text/plain", "text": "watched" }),
            (_, Some(id)) => {
                let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
                json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() })
            }
            _ => {
                let error = ErrorData::resource_not_found("resource not found", Some(json!({ "uri": uri })));
                return Box::pin(std::future::ready(Err(error)));
            }
        };
        let result = made::<ReadResourceResult>(json!({ "contents": [content] })).map(ReadResourceResponse::from);
        Box::pin(std::future::ready(result))
    }

    fn complete(&self, _: CompleteRequestParams, _: RequestContext<RoleServer>) -> Reply<'_, CompleteResult> {
        ready(json!({ "completion": { "values": ["paris", "park", "party"], "total": 3, "hasMore": false } }))
    }

    #[expect(deprecated, reason = "the suite still tests what the newest version removed")]
    fn set_level(&self, _: toolyard_server::mcp::SetLevelRequestParams, _: RequestContext<RoleServer>) -> Reply<'_, ()> {
        done()
    }

    fn subscribe(&self, _: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Reply<'_, ()> {
        done()
    }

    fn unsubscribe(&self, _: UnsubscribeRequestParams, _: RequestContext<RoleServer>) -> Reply<'_, ()> {
        done()
    }
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn image() -> Value {
    json!({ "type": "image", "data": pixel(), "mimeType": "image/png" })
}

fn audio() -> Value {
    json!({ "type": "audio", "data": STANDARD.encode(SILENCE), "mimeType": "audio/wav" })
}

fn resource(uri: &str, mime: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": text } })
}

async fn log(context: &RequestContext<RoleServer>) -> Result<Value, ErrorData> {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        let params = json!({ "level": "info", "data": message });
        let notification = made::<ServerNotification>(json!({ "method": "notifications/message", "params": params }))?;
        context.peer.send_notification(notification).await.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(json!([text("logged three messages")]))
}

async fn sample(context: &RequestContext<RoleServer>, arguments: &Map<String, Value>) -> Result<Value, ErrorData> {
    let message = json!({ "role": "user", "content": { "type": "text", "text": arguments["prompt"] } });
    let reply = ask(context, "sampling/createMessage", json!({ "messages": [message], "maxTokens": 100 })).await?;
    Ok(json!([text(&format!("LLM response: {}", reply["content"]["text"]))]))
}

async fn elicit(context: &RequestContext<RoleServer>, message: &Value, properties: Value) -> Result<Value, ErrorData> {
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

fn contact_form() -> Value {
    json!({
        "username": { "type": "string", "description": "User's response" },
        "email": { "type": "string", "description": "User's email address" },
    })
}

fn form_with_defaults() -> Value {
    json!({
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true },
    })
}

fn form_with_enums() -> Value {
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
