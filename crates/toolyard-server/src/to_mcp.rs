//! From our types to the wire.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rmcp::{
    ErrorData,
    model::{CallToolResult, ContentBlock, Implementation, MetaObject, Tool, ToolAnnotations},
};
use serde_json::{Value, json};
use toolyard_core::{Answer, Block, CallError, Effect, ListedTool, ToolDefinition};

/// A tool as `tools/list` shows it. All four hints are set, since each default is the worst case.
pub(crate) fn tool(listed: &ListedTool<'_>) -> Tool {
    let definition = listed.definition;
    let annotations = ToolAnnotations::new()
        .read_only(definition.effect == Effect::Read)
        .destructive(matches!(definition.effect, Effect::Destroy | Effect::Execute))
        .idempotent(definition.idempotent)
        .open_world(definition.open_world);
    let tool = Tool::new(definition.name, definition.description.clone(), definition.input_schema.clone())
        .with_title(definition.title)
        .with_annotations(annotations);
    let mut meta = MetaObject::new();
    if let Some(characters) = definition.max_result_chars {
        meta.insert("anthropic/maxResultSizeChars".into(), json!(characters));
    }
    if listed.asks {
        meta.insert("anthropic/requiresUserInteraction".into(), json!(true));
    }
    if meta.is_empty() { tool } else { tool.with_meta(meta) }
}

/// A tool with nothing but its schema, cheap to clone.
pub(crate) fn schema(definition: &ToolDefinition) -> Tool {
    Tool::new(definition.name, "", definition.input_schema.clone())
}

/// The `_meta` by which results of the stateless era say who made them.
pub(crate) fn server_meta(implementation: &Implementation) -> MetaObject {
    let mut meta = MetaObject::new();
    meta.insert("io.modelcontextprotocol/serverInfo".into(), serde_json::to_value(implementation).unwrap_or(Value::Null));
    meta
}

/// The result of a call.
pub(crate) fn result(answer: Answer) -> CallToolResult {
    let failed = answer.error_kind().is_some();
    let (blocks, structured) = answer.into_parts();
    // Hosts that see a structured form show the model nothing else, so an image would be lost.
    let structured = structured.filter(|_| blocks.iter().all(|block| matches!(block, Block::Text(_))));
    let content = blocks.into_iter().map(content).collect();
    let mut result = if failed { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = structured;
    result
}

fn content(block: Block) -> ContentBlock {
    match block {
        Block::Text(text) => ContentBlock::text(text),
        Block::Image { data, mime } => ContentBlock::image(STANDARD.encode(data), mime),
    }
}

/// A call that reached no tool.
pub(crate) fn call_error(error: &CallError) -> ErrorData {
    ErrorData::invalid_params(error.to_string(), None)
}
