//! The shape of a tool. One type carries its name, effect, schema, description and code.

use std::{future::Future, sync::Arc};

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toolyard_policy::{Access, Effect, Selector};

use crate::{Answer, Context, Granted, ToolError, input::Parameters, schema};

/// A tool. The doc comment of its `Input` is the description the model reads.
///
/// Only [`Dispatcher`](crate::Dispatcher) calls one: `access` first, then the policy, then `call`.
pub trait Tool: Send + Sync + 'static {
    /// Family, then verb: `fs_read`. Snake case, at most 40 characters, no dots.
    const NAME: &'static str;
    /// What people read in a list: `Read files`.
    const TITLE: &'static str;
    /// What it does; one tool, one effect.
    const EFFECT: Effect;
    /// Whether repeating a call changes nothing further.
    const IDEMPOTENT: bool;
    /// Whether it reaches beyond this machine.
    const OPEN_WORLD: bool = false;
    /// Largest answer a host may show whole, in characters, where it should differ from the
    /// host's own bound.
    const MAX_RESULT_CHARS: Option<u32> = None;

    /// The parameters; unknown ones are refused.
    type Input: DeserializeOwned + JsonSchema + Send + 'static;

    /// Names everything the call will touch, in canonical form. Resolves, never acts.
    ///
    /// # Errors
    /// When an argument can't be resolved; the call ends with this error.
    fn access(&self, input: &Self::Input, cx: &Context) -> Result<Vec<Access>, ToolError>;

    /// Does the work, touching only what was granted.
    fn call(&self, input: Self::Input, granted: Granted<'_>) -> impl Future<Output = Result<Answer, ToolError>> + Send;
}

/// What hosts are told about a tool; made once at registration.
#[derive(Clone, Debug)]
pub struct ToolDefinition {
    /// Its name.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The doc comment of its input.
    pub description: String,
    /// Its effect.
    pub effect: Effect,
    /// Whether repeating a call changes nothing further.
    pub idempotent: bool,
    /// Whether it reaches beyond this machine.
    pub open_world: bool,
    /// See [`Tool::MAX_RESULT_CHARS`].
    pub max_result_chars: Option<u32>,
    /// JSON Schema 2020-12 of the parameters, flat and without references.
    pub input_schema: Arc<Map<String, Value>>,
}

impl ToolDefinition {
    /// The part of the name before the first underscore.
    pub fn family(&self) -> &'static str {
        self.name.split_once('_').map_or(self.name, |(family, _)| family)
    }

    /// What some host would refuse about this definition.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.description.is_empty() || self.description.len() > 900 {
            return Err(format!("has a description of {} bytes; 1 to 900 are possible", self.description.len()));
        }
        for key in ["anyOf", "oneOf", "allOf", "not", "if", "$defs"] {
            if self.input_schema.contains_key(key) {
                return Err(format!("has `{key}` at the root of its schema; make its input a plain struct without recursion"));
            }
        }
        if self.input_schema.contains_key("$ref") || self.input_schema.values().any(has_reference) {
            return Err("has `$ref` in its schema; make its input a struct without recursion".into());
        }
        Ok(())
    }

    /// The tool as the policy sees it.
    pub fn selector(&self) -> Selector<'static> {
        Selector { tool: self.name, family: self.family(), effect: self.effect }
    }
}

fn has_reference(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.contains_key("$ref") || object.values().any(has_reference),
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}

/// The tools of one family, in the order hosts see them.
#[derive(Default)]
pub struct Toolset {
    pub(crate) tools: Vec<Arc<dyn DynTool>>,
}

impl Toolset {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool behind those already there.
    #[must_use]
    pub fn with<T: Tool>(mut self, tool: T) -> Self {
        let (description, input_schema, parameters) = schema::of::<T::Input>();
        let definition = ToolDefinition {
            name: T::NAME,
            title: T::TITLE,
            description,
            effect: T::EFFECT,
            idempotent: T::IDEMPOTENT,
            open_world: T::OPEN_WORLD,
            max_result_chars: T::MAX_RESULT_CHARS,
            input_schema: Arc::new(input_schema),
        };
        self.tools.push(Arc::new(Registered { tool, definition, parameters }));
        self
    }

    /// What hosts will be told about each tool, in order.
    pub fn definitions(&self) -> impl Iterator<Item = &ToolDefinition> {
        self.tools.iter().map(|tool| tool.definition())
    }

    /// Adds the tools of another set behind those already there.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.tools.extend(other.tools);
        self
    }
}

/// The object-safe twin of [`Tool`].
pub(crate) trait DynTool: Send + Sync {
    fn definition(&self) -> &ToolDefinition;
    fn parse(&self, arguments: Map<String, Value>) -> Result<Box<dyn ParsedCall + '_>, ToolError>;
}

/// A call whose arguments were accepted.
pub(crate) trait ParsedCall: Send {
    fn access(&self, cx: &Context) -> Result<Vec<Access>, ToolError>;
    fn run<'a>(self: Box<Self>, granted: Granted<'a>) -> BoxFuture<'a, Result<Answer, ToolError>>
    where
        Self: 'a;
}

struct Registered<T> {
    tool: T,
    definition: ToolDefinition,
    parameters: Parameters,
}

struct Parsed<'t, T: Tool> {
    tool: &'t T,
    input: T::Input,
}

impl<T: Tool> DynTool for Registered<T> {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    fn parse(&self, arguments: Map<String, Value>) -> Result<Box<dyn ParsedCall + '_>, ToolError> {
        let input = self.parameters.parse(arguments)?;
        Ok(Box::new(Parsed { tool: &self.tool, input }))
    }
}

impl<T: Tool> ParsedCall for Parsed<'_, T> {
    fn access(&self, cx: &Context) -> Result<Vec<Access>, ToolError> {
        self.tool.access(&self.input, cx)
    }

    fn run<'a>(self: Box<Self>, granted: Granted<'a>) -> BoxFuture<'a, Result<Answer, ToolError>>
    where
        Self: 'a,
    {
        let Self { tool, input } = *self;
        Box::pin(tool.call(input, granted))
    }
}
