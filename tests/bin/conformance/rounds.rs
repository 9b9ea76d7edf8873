//! Fixtures of the stateless era that need more than one round: they ask, and the client calls
//! again with the answers and the sealed state.

use serde_json::{Value, json};
use toolyard_core::{Principal, Sealer};
use toolyard_server::mcp::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
    InputRequests, InputRequiredResult, InputResponses, RequestContext, RoleServer,
};

use crate::content::{made, result, text};

/// The tools of this file.
pub(crate) const TOOLS: [&str; 8] = [
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
];

/// The prompt of this file.
pub(crate) const PROMPT: &str = "test_input_required_result_prompt";

/// How long a state holds, in milliseconds.
const TTL: u64 = 60_000;

/// The answer of a tool of this file, or `None` for all others.
pub(crate) fn answer(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    sealer: &Sealer,
) -> Result<Option<CallToolResponse>, ErrorData> {
    let round = Round { name: &request.name, replies: request.input_responses.as_ref(), state: request.request_state.as_deref(), sealer };
    let answer = match &*request.name {
        "test_streaming_elicitation" => round.ask(json!({ "user_name": name_form("What is your name?") }), None),
        "test_input_required_result_elicitation" => round.elicitation(),
        "test_input_required_result_sampling" => round.sampling(),
        "test_input_required_result_list_roots" => round.roots(),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => round.with_state(),
        "test_input_required_result_multiple_inputs" => round.several(),
        "test_input_required_result_multi_round" => round.one_after_the_other(),
        "test_input_required_result_capabilities" => round.within_capabilities(context),
        _ => return Ok(None),
    };
    answer.map(Some)
}

/// The answer of the prompt of this file.
pub(crate) fn prompt(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let replies = request.input_responses.as_ref();
    match replies.and_then(|replies| replies.get("user_context")).map(|reply| accepted(reply, "context")).transpose()? {
        Some(context) => {
            let message = json!({ "role": "user", "content": text(&format!("Prompt with context: {context}")) });
            result::<GetPromptResult>(json!({ "messages": [message] })).map(GetPromptResponse::from)
        }
        None => asked(json!({ "user_context": form("What context should the prompt use?", "context", "string") }), None).map(Into::into),
    }
}

/// One call of a tool, with what came back from the round before.
struct Round<'a> {
    name: &'a str,
    replies: Option<&'a InputResponses>,
    state: Option<&'a str>,
    sealer: &'a Sealer,
}

impl Round<'_> {
    fn elicitation(&self) -> Result<CallToolResponse, ErrorData> {
        match self.accepted("user_name", "name")? {
            Some(name) => said(&format!("Hello, {name}!")),
            None => self.ask(json!({ "user_name": name_form("What is your name?") }), None),
        }
    }

    fn sampling(&self) -> Result<CallToolResponse, ErrorData> {
        match self.reply("capital_question") {
            Some(reply) => said(&format!("The model said: {}", string(reply, "/content/text")?)),
            None => self.ask(json!({ "capital_question": sample("What is the capital of France?") }), None),
        }
    }

    fn roots(&self) -> Result<CallToolResponse, ErrorData> {
        match self.reply("client_roots") {
            Some(reply) => said(&format!("The first root is {}", string(reply, "/roots/0/uri")?)),
            None => self.ask(json!({ "client_roots": list_roots() }), None),
        }
    }

    fn with_state(&self) -> Result<CallToolResponse, ErrorData> {
        let Some(reply) = self.reply("confirm") else {
            return self.ask(json!({ "confirm": form("Please confirm", "ok", "boolean") }), Some("confirm"));
        };
        if self.opened()? != "confirm" || reply["content"]["ok"] != true {
            return Err(ErrorData::invalid_params("the round before was another one", None));
        }
        said("state-ok: the state came back as it was sealed")
    }

    fn several(&self) -> Result<CallToolResponse, ErrorData> {
        let replies = (self.accepted("user_name", "name")?, self.reply("greeting"), self.reply("client_roots"));
        let (Some(name), Some(greeting), Some(roots)) = replies else {
            let questions = json!({
                "user_name": name_form("What is your name?"),
                "greeting": sample("Generate a greeting"),
                "client_roots": list_roots(),
            });
            return self.ask(questions, Some("several"));
        };
        if self.opened()? != "several" {
            return Err(ErrorData::invalid_params("the round before was another one", None));
        }
        said(&format!("{} {name} works in {}", string(greeting, "/content/text")?, string(roots, "/roots/0/uri")?))
    }

    fn one_after_the_other(&self) -> Result<CallToolResponse, ErrorData> {
        if let Some(color) = self.accepted("step2", "color")? {
            let name = self.opened()?;
            return said(&format!("{name} likes {color}"));
        }
        if let Some(name) = self.accepted("step1", "name")? {
            if self.opened()? != "step 1" {
                return Err(ErrorData::invalid_params("the round before was another one", None));
            }
            return self.ask(json!({ "step2": form("Step 2: What is your favorite color?", "color", "string") }), Some(&name));
        }
        self.ask(json!({ "step1": name_form("Step 1: What is your name?") }), Some("step 1"))
    }

    fn within_capabilities(&self, context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        let declared = context.client_capabilities();
        let mut questions = json!({});
        if declared.as_ref().is_some_and(|declared| declared.sampling.is_some()) {
            questions["question"] = sample("What can you do?");
        }
        if declared.as_ref().is_some_and(|declared| declared.elicitation.is_some()) {
            questions["user_name"] = name_form("What is your name?");
        }
        self.ask(questions, None)
    }

    fn reply(&self, key: &str) -> Option<&Value> {
        self.replies?.get(key)
    }

    /// A field of a form that the user filled in; a reply of another shape is an error.
    fn accepted(&self, key: &str, field: &str) -> Result<Option<String>, ErrorData> {
        self.reply(key).map(|reply| accepted(reply, field)).transpose()
    }

    fn ask(&self, questions: Value, state: Option<&str>) -> Result<CallToolResponse, ErrorData> {
        let state = state.map(|state| self.sealer.seal(self.name, &Principal::local(), state.as_bytes(), TTL));
        asked(questions, state).map(Into::into)
    }

    fn opened(&self) -> Result<String, ErrorData> {
        let invalid = || ErrorData::invalid_params("the `requestState` is not valid here", None);
        let opened = self.sealer.open(self.name, &Principal::local(), self.state.unwrap_or_default()).map_err(|_| invalid())?;
        String::from_utf8(opened).map_err(|_| invalid())
    }
}

fn asked(questions: Value, state: Option<String>) -> Result<InputRequiredResult, ErrorData> {
    made::<InputRequests>(questions).map(|questions| InputRequiredResult::new(Some(questions), state))
}

fn said(answer: &str) -> Result<CallToolResponse, ErrorData> {
    result::<CallToolResult>(json!({ "content": [text(answer)], "isError": false })).map(CallToolResponse::from)
}

fn accepted(reply: &Value, field: &str) -> Result<String, ErrorData> {
    if reply["action"] != "accept" {
        return Err(ErrorData::invalid_params("the question was not answered with a form", None));
    }
    string(reply, &format!("/content/{field}"))
}

fn string(reply: &Value, pointer: &str) -> Result<String, ErrorData> {
    let found = reply.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| ErrorData::invalid_params(format!("the reply has no text at `{pointer}`"), None))
}

fn name_form(message: &str) -> Value {
    form(message, "name", "string")
}

fn form(message: &str, field: &str, kind: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { field: { "type": kind } }, "required": [field] });
    json!({ "method": "elicitation/create", "params": { "message": message, "requestedSchema": schema } })
}

fn sample(question: &str) -> Value {
    let messages = json!([{ "role": "user", "content": text(question) }]);
    json!({ "method": "sampling/createMessage", "params": { "messages": messages, "maxTokens": 100 } })
}

fn list_roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}
