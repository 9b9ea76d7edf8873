//! JSON Schemas that every host accepts.
//!
//! Generated schemas hold references, `null` unions, unsigned formats and unions of constants;
//! some hosts drop a tool, or every request, because of them. They are cleaned once, here.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::input::Parameters;

/// Description, clean schema and parameter list of an input type.
pub(crate) fn of<T: JsonSchema>() -> (String, Map<String, Value>, Parameters) {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut value = settings.into_generator().into_root_schema_for::<T>().to_value();
    clean(&mut value);
    let mut root = match value {
        Value::Object(root) => root,
        _ => Map::new(),
    };
    root.remove("title");
    let description = match root.remove("description") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    root.insert("type".into(), "object".into());
    root.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    root.insert("additionalProperties".into(), false.into());
    let parameters = Parameters::of(&root);
    (description, root, parameters)
}

fn clean(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(object) => {
            object.values_mut().for_each(clean);
            drop_null(object);
            collapse_constants(object);
            if object.get("format").and_then(Value::as_str).is_some_and(is_number_format) {
                object.remove("format");
            }
            // Every optional parameter defaults to absent. Saying `null` invites hosts to send it, and
            // saying `false` or `[]` tells a model nothing that it pays for.
            let absent = |default: &Value| match default {
                Value::Null | Value::Bool(false) => true,
                Value::Array(items) => items.is_empty(),
                _ => false,
            };
            if object.get("default").is_some_and(absent) {
                object.remove("default");
            }
        }
        _ => {}
    }
}

fn is_number_format(format: &str) -> bool {
    matches!(format, "uint" | "uint8" | "uint16" | "uint32" | "uint64" | "int8" | "int16" | "int32" | "int64" | "int" | "float" | "double")
}

/// `["integer","null"]` becomes `integer`, and `anyOf [X, null]` becomes X.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [single] = types.as_slice() {
            let single = single.clone();
            object.insert("type".into(), single);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    for union in ["anyOf", "oneOf"] {
        let Some(Value::Array(options)) = object.get_mut(union) else { continue };
        options.retain(|option| option.get("type").and_then(Value::as_str) != Some("null"));
        if options.len() == 1
            && let Some(Value::Array(mut options)) = object.remove(union)
            && let Some(Value::Object(only)) = options.pop()
        {
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// A union of string constants becomes one `enum`; what each means moves into the description.
fn collapse_constants(object: &mut Map<String, Value>) {
    let Some(Value::Array(options)) = object.get("oneOf") else { return };
    let mut names = Vec::new();
    let mut meanings = Vec::new();
    for option in options {
        let single = option.get("enum").and_then(Value::as_array).filter(|all| all.len() == 1).and_then(|all| all.first());
        let Some(name) = option.get("const").or(single).and_then(Value::as_str) else { return };
        if let Some(meaning) = option.get("description").and_then(Value::as_str) {
            meanings.push(format!("{name}: {meaning}"));
        }
        names.push(Value::from(name));
    }
    object.remove("oneOf");
    object.insert("type".into(), "string".into());
    object.insert("enum".into(), Value::Array(names));
    if !meanings.is_empty() {
        let described = object.get("description").and_then(Value::as_str).unwrap_or_default();
        let separator = if described.is_empty() { "" } else { " " };
        let described = format!("{described}{separator}{}", meanings.join("; "));
        object.insert("description".into(), described.into());
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    /// Looks at things.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Input {
        /// Where.
        path: String,
        /// How many.
        max: Option<u32>,
        /// How.
        #[serde(default)]
        mode: Mode,
        nested: Option<Vec<Nested>>,
    }

    #[derive(Default, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        /// all of it
        #[default]
        Whole,
        /// a part
        Part,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Nested {
        old: String,
    }

    #[test]
    fn a_schema_is_flat_and_has_no_nulls_formats_or_references() {
        let (description, schema, _) = super::of::<Input>();
        assert_eq!(description, "Looks at things.");
        assert_eq!(
            serde_json::Value::Object(schema),
            json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["path"],
                "properties": {
                    "path": { "type": "string", "description": "Where." },
                    "max": { "type": "integer", "minimum": 0, "description": "How many." },
                    "mode": { "type": "string", "enum": ["whole", "part"], "description": "How. whole: all of it; part: a part" },
                    "nested": { "type": "array", "items": { "type": "object", "properties": { "old": { "type": "string" } }, "required": ["old"] } },
                }
            })
        );
    }
}
