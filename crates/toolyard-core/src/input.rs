//! Turning the arguments of a call into a tool's input, with errors that name the way out.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ToolError;

/// Other names models try, and the parameter they mean.
const ALIASES: &[(&str, &str)] = &[
    ("file", "path"),
    ("file_path", "path"),
    ("filename", "path"),
    ("filepath", "path"),
    ("dir", "path"),
    ("directory", "path"),
    ("files", "paths"),
    ("query", "pattern"),
    ("regex", "pattern"),
    ("limit", "max_tokens"),
    ("length", "max_tokens"),
    ("offset", "lines"),
    ("start_line", "lines"),
    ("view_range", "lines"),
    ("range", "lines"),
    ("source", "from"),
    ("destination", "to"),
    ("text", "content"),
    ("contents", "content"),
    ("old_string", "edits"),
    ("new_string", "edits"),
    ("old_str", "edits"),
    ("new_str", "edits"),
    ("include", "glob"),
    ("force", "overwrite"),
];

/// The parameters of a tool, known from its schema.
#[derive(Debug)]
pub(crate) struct Parameters {
    /// Sorted by name.
    known: Vec<(String, Kind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Number,
    Array,
    Object,
    String,
    Other,
}

impl Parameters {
    pub(crate) fn of(schema: &Map<String, Value>) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut known: Vec<_> = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let kind = match schema.get("type").and_then(Value::as_str) {
                    Some("boolean") => Kind::Boolean,
                    Some("integer") => Kind::Integer,
                    Some("number") => Kind::Number,
                    Some("array") => Kind::Array,
                    Some("object") => Kind::Object,
                    Some("string") => Kind::String,
                    _ => Kind::Other,
                };
                (name.clone(), kind)
            })
            .collect();
        known.sort_by(|a, b| a.0.cmp(&b.0));
        Self { known }
    }

    /// Reads the input. Text that spells a boolean, number, list or object is accepted where the
    /// schema wants one, and an explicit `null` counts as absent: hosts send both.
    pub(crate) fn parse<T: DeserializeOwned>(&self, mut arguments: Map<String, Value>) -> Result<T, ToolError> {
        for name in arguments.keys() {
            if self.kind(name).is_none() {
                return Err(self.unknown(name));
            }
        }
        arguments.retain(|_, value| !value.is_null());
        for (name, value) in &mut arguments {
            if let (Value::String(text), Some(kind)) = (&*value, self.kind(name))
                && let Some(meant) = kind.coerce(text)
            {
                *value = meant;
            }
        }
        serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
            let place = clipped(&error.path().to_string());
            let problem = plain_words(&error.inner().to_string());
            let message = if place == "." { problem } else { format!("`{place}`: {problem}") };
            ToolError::invalid_input(message).with_hint(format!("parameters are {}", self.names()))
        })
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        self.known.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok().and_then(|at| self.known.get(at)).map(|(_, kind)| *kind)
    }

    fn unknown(&self, name: &str) -> ToolError {
        let shown = clipped(name);
        let error = ToolError::invalid_input(format!("unknown parameter `{shown}`"));
        let meant = ALIASES.iter().find(|(alias, meant)| *alias == name && self.kind(meant).is_some()).map(|(_, meant)| *meant);
        match meant.or_else(|| nearest(name, self.known.iter().map(|(known, _)| known.as_str()))) {
            Some(meant) => error.with_hint(format!("did you mean `{meant}`? parameters are {}", self.names())),
            None if self.known.is_empty() => error.with_hint("this tool takes no parameters"),
            None => error.with_hint(format!("parameters are {}", self.names())),
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.known.iter().map(|(name, _)| format!("`{name}`")).collect();
        names.join(", ")
    }
}

impl Kind {
    fn coerce(self, text: &str) -> Option<Value> {
        let value: Value = match self {
            Self::Boolean => match text {
                "true" | "True" => true.into(),
                "false" | "False" => false.into(),
                _ => return None,
            },
            Self::Integer | Self::Number | Self::Array | Self::Object => serde_json::from_str(text.trim()).ok()?,
            Self::String | Self::Other => return None,
        };
        let fits = match self {
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
            Self::Boolean => true,
            Self::String | Self::Other => false,
        };
        fits.then_some(value)
    }
}

/// What the deserialiser says, in words for people who don't know the types behind a parameter.
fn plain_words(problem: &str) -> String {
    const WHOLE: &[(&str, &str)] = &[
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number of 0 or more"),
        ("usize", "a whole number of 0 or more"),
        ("i32", "a whole number"),
        ("i64", "a whole number"),
        ("f64", "a number"),
    ];
    // A wrong value is quoted in full; what was expected stands behind it.
    let Some((given, expected)) = problem.rsplit_once(", expected ") else { return clipped(problem) };
    let expected = match expected {
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => WHOLE.iter().find(|(name, _)| *name == other).map_or(other, |(_, words)| words),
    };
    format!("{}, expected {}", clipped(given), clipped(expected))
}

/// The beginning of somebody's text, hidden characters shown.
fn clipped(text: &str) -> String {
    const MOST: usize = 120;
    let end = text.floor_char_boundary(MOST);
    let shown = crate::text::show(&text[..end]);
    if end < text.len() { format!("{shown}…") } else { shown.into_owned() }
}

/// The candidate that differs least from `name`, if any is near.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names are short; comparing against absurdly long ones would only waste time.
    if name.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()).div_ceil(2).min(4))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::{Map, Value, json};

    use crate::{ToolError, schema};

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Input {
        path: String,
        numbers: Option<bool>,
        max_tokens: Option<u32>,
        paths: Vec<String>,
    }

    fn parse(arguments: Value) -> Result<Input, ToolError> {
        let (_, _, parameters) = schema::of::<Input>();
        let arguments = match arguments {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        parameters.parse(arguments)
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_nearest_name() {
        let hint = |arguments| parse(arguments).err().and_then(|e| e.hint().map(str::to_owned)).unwrap_or_default();
        assert!(hint(json!({"pth": "a"})).starts_with("did you mean `path`?"));
        assert!(hint(json!({"file_path": "a"})).starts_with("did you mean `path`?"));
        assert!(hint(json!({"max_token": 3})).starts_with("did you mean `max_tokens`?"));
        assert!(hint(json!({"completely_else": 3})).starts_with("parameters are"));
    }

    #[test]
    fn text_is_read_as_what_the_schema_wants_and_null_as_absent() {
        let input = parse(json!({"path": "12", "numbers": "true", "max_tokens": "12", "paths": "[\"a\"]"})).ok();
        assert_eq!(input, Some(Input { path: "12".into(), numbers: Some(true), max_tokens: Some(12), paths: vec!["a".into()] }));
        assert_eq!(parse(json!({"path": "a", "numbers": null})).ok().and_then(|i| i.numbers), None);
    }

    #[test]
    fn a_wrong_type_names_the_parameter_and_the_problem() {
        let message = |arguments| parse(arguments).err().map(|e| e.message().to_owned()).unwrap_or_default();
        assert_eq!(message(json!({"path": 5})), "`path`: invalid type: integer `5`, expected a string");
        assert_eq!(
            message(json!({"max_tokens": -1})),
            "`max_tokens`: invalid value: integer `-1`, expected a whole number from 0 to 4294967295"
        );
        assert_eq!(message(json!({"paths": ["a", 1]})), "`paths[1]`: invalid type: integer `1`, expected a string");
        assert_eq!(message(json!({"paths": "no list"})), "`paths`: invalid type: string \"no list\", expected a list");
    }

    #[test]
    fn a_huge_or_hidden_value_is_not_echoed_whole() {
        let huge = "x\u{200B}".repeat(1 << 20);
        for arguments in [json!({"max_tokens": huge}), json!({huge: 1})] {
            let message = parse(arguments).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(message.len() < 1200, "{} bytes", message.len());
            assert!(!message.replace('\n', "").chars().any(crate::text::is_hidden), "{message}");
        }
    }
}
