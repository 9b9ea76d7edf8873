//! What the suite expects beyond our tools: prompts, resources, completion, logging, and tools
//! that ask the client. Values are written as the JSON that goes over the wire.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use toolyard_core::Sealer;
use toolyard_server::{
    Extension, Reply,
    mcp::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult, ErrorData, GetPromptRequestParams,
        GetPromptResponse, GetPromptResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, RequestContext, RoleServer, ServerCapabilities,
        SubscribeRequestParams, SubscriptionContext, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    },
};

use crate::{
    asking::{contact_form, elicit, form_with_defaults, form_with_enums, log, sample},
    changes::Changes,
    content::{audio, done, image, made, pixel, ready, resource, result, text},
    rounds,
};

pub(crate) struct Fixtures {
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) changes: Changes,
}

impl Extension for Fixtures {
    fn capabilities(&self, declared: ServerCapabilities) -> ServerCapabilities {
        made(json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "subscribe": true },
            "completions": {},
            "logging": {},
        }))
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
            ("test_missing_capability", nothing()),
            ("test_streaming_elicitation", nothing()),
            ("test_logging_tool", nothing()),
            ("test_trigger_tool_change", nothing()),
            ("test_trigger_prompt_change", nothing()),
            ("test_reconnection", nothing()),
            ("test_header_parameter", schema_with_header()),
            ("json_schema_2020_12_tool", schema_with_everything()),
        ];
        let tool =
            |(name, schema)| made(json!({ "name": name, "description": "A fixture of the conformance suite.", "inputSchema": schema }));
        let tools = tools.into_iter().chain(rounds::TOOLS.map(|name| (name, nothing())));
        tools.filter_map(|entry| tool(entry).ok()).collect()
    }

    fn danger_call_unguarded(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Reply<'_, CallToolResponse> {
        Box::pin(async move {
            if let Some(answer) = rounds::answer(&request, &context, &self.sealer)? {
                return Ok(answer);
            }
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
                "test_missing_capability" => needs_sampling(&context)?,
                "test_logging_tool" => match context.meta.log_level() {
                    Some(_) => log(&context).await?,
                    None => json!([text("nobody asked for logs")]),
                },
                "test_trigger_tool_change" => self.changes.tools(),
                "test_trigger_prompt_change" => self.changes.prompts(),
                "test_reconnection" => json!([text("nothing was interrupted")]),
                "test_header_parameter" => json!([text(&format!("region: {}", plain(&arguments, "region")))]),
                "json_schema_2020_12_tool" => json!([text("the schema is what matters")]),
                other => return Err(ErrorData::invalid_params(format!("unknown tool `{other}`"), None)),
            };
            result::<CallToolResult>(json!({ "content": content, "isError": false })).map(CallToolResponse::from)
        })
    }

    fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Reply<'_, ListPromptsResult> {
        let argument = |name: &str| json!({ "name": name, "description": "A test argument", "required": true });
        ready(json!({ "prompts": [
            { "name": "test_simple_prompt", "description": "Without arguments" },
            { "name": "test_prompt_with_arguments", "description": "With two arguments", "arguments": [argument("arg1"), argument("arg2")] },
            { "name": "test_prompt_with_embedded_resource", "description": "With a resource", "arguments": [argument("resourceUri")] },
            { "name": "test_prompt_with_image", "description": "With an image" },
            { "name": rounds::PROMPT, "description": "With a question to the user" },
        ] }))
    }

    fn get_prompt(&self, request: GetPromptRequestParams, _: RequestContext<RoleServer>) -> Reply<'_, GetPromptResponse> {
        if request.name == rounds::PROMPT {
            return Box::pin(std::future::ready(rounds::prompt(&request)));
        }
        let arguments = request.arguments.unwrap_or_default();
        let plain = |name: &str| plain(&arguments, name);
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
        let answer = result::<GetPromptResult>(json!({ "messages": messages })).map(GetPromptResponse::from);
        Box::pin(std::future::ready(answer))
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
        let answer = result::<ReadResourceResult>(json!({ "contents": [content] })).map(ReadResourceResponse::from);
        Box::pin(std::future::ready(answer))
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
    fn accepted_subscriptions(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(Changes::accepted(requested))
    }

    fn listen(&self, context: SubscriptionContext) -> Reply<'_, ()> {
        Box::pin(self.changes.tell(context))
    }
}

/// A string as it is, and anything else as its JSON.
fn plain(arguments: &Map<String, Value>, name: &str) -> String {
    let value = arguments.get(name);
    value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default()
}

fn needs_sampling(context: &RequestContext<RoleServer>) -> Result<Value, ErrorData> {
    if context.client_capabilities().is_some_and(|known| known.sampling.is_some()) {
        return Ok(json!([text("the client can sample")]));
    }
    Err(ErrorData::missing_required_client_capability(made(json!({ "sampling": {} }))?))
}

fn schema_with_header() -> Value {
    json!({
        "type": "object",
        "properties": { "region": { "type": "string", "x-mcp-header": "Region" } },
        "required": ["region"],
        "additionalProperties": false,
    })
}

/// The schema that the suite looks for, keyword by keyword.
fn schema_with_everything() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
        } },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}
