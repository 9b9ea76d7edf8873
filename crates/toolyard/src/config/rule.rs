//! A rule in the file: its text, or an object with examples.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use toolyard_policy::RuleSpec;

/// `"fs_write(docs/**)"`, or `{ "rule": …, "roles": […], "match": […], "not_match": […] }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleEntry(pub RuleSpec);

/// A rule with the roles it is about, and with calls that it must and must not match; those are
/// checked when the file is loaded.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleObject {
    /// `tool` or `tool(specifier)`.
    rule: String,
    /// Calls that the rule must match: `fs_write(docs/a.md)`.
    #[serde(default, rename = "match")]
    matches: Vec<String>,
    /// Calls that the rule must not match.
    #[serde(default, rename = "not_match")]
    not_matches: Vec<String>,
    /// Callers the rule is about: those with one of these roles; everyone when left out. Roles come
    /// with tokens over HTTP, see `http`; on stdio nobody has any.
    #[serde(default)]
    roles: Vec<String>,
}

impl<'de> Deserialize<'de> for RuleEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

// By hand and not `untagged`: that would say only that no variant fits, and not where.
struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = RuleEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule such as \"fs_write(docs/**)\", or an object with `rule`, `roles`, `match` and `not_match`")
    }

    fn visit_str<E>(self, rule: &str) -> Result<RuleEntry, E> {
        Ok(RuleEntry(RuleSpec::from(rule)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RuleEntry, A::Error> {
        let RuleObject { rule, matches, not_matches, roles } = RuleObject::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RuleEntry(RuleSpec { rule, matches, not_matches, roles }))
    }
}

impl JsonSchema for RuleEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "description": "`tool` or `tool(specifier)`." },
                RuleObject::json_schema(generator)
            ]
        })
    }
}
