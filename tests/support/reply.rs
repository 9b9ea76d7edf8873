//! One answer of the server, with the assertions tests make about it.

use serde_json::Value;

/// The answer to one request, whole.
#[derive(Clone, Debug)]
#[must_use = "an answer that nobody looks at proves nothing"]
pub struct Reply {
    message: Value,
}

impl Reply {
    /// Wraps a JSON-RPC response.
    pub fn new(message: Value) -> Self {
        Self { message }
    }

    /// The result; a protocol error fails the test.
    #[must_use]
    #[track_caller]
    pub fn result(&self) -> &Value {
        match self.message.get("result") {
            Some(result) => result,
            None => panic!("expected a result, got {}", self.message),
        }
    }

    /// The text of a successful tool call.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> String {
        let result = self.result();
        assert_ne!(result["isError"], true, "the call failed: {}", joined(result));
        joined(result)
    }

    /// The text of a tool call that was answered with `isError`.
    #[must_use]
    #[track_caller]
    pub fn failure(&self) -> String {
        let result = self.result();
        assert_eq!(result["isError"], true, "the call succeeded: {}", joined(result));
        joined(result)
    }

    /// The message of a protocol error with exactly this code.
    #[track_caller]
    pub fn error(&self, code: i64) -> String {
        let error = &self.message["error"];
        assert_eq!(error["code"], code, "expected error {code}, got {}", self.message);
        error["message"].as_str().expect("an error message").to_owned()
    }

    /// The data of a protocol error; null when there is none.
    #[must_use]
    pub fn error_data(&self) -> &Value {
        &self.message["error"]["data"]
    }
}

/// All text blocks of a tool result, one after the other.
#[must_use]
pub fn joined(result: &Value) -> String {
    let blocks = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<_> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    texts.join("\n")
}
