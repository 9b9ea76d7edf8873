//! One loop over all tools: what each definition promises to hosts and models.
#![expect(clippy::disallowed_methods, reason = "the tests read the committed snapshots")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use toolyard_core::{CallOutcome, Context, ErrorKind, Principal, audit::NoAudit};
use toolyard_policy::Profile;

use crate::Toolyard;

const MAX_DESCRIPTION: usize = 900;
const MAX_LIST: usize = 12 * 1024;

fn yard(workspace: &Path, profile: Profile) -> Toolyard {
    Toolyard::builder().workspace(workspace).profile(profile).audit(Arc::new(NoAudit)).build().expect("a server")
}

/// All definitions, as hosts get them.
fn definitions() -> Vec<Value> {
    let workspace = tempfile::tempdir().expect("a directory");
    let definitions = yard(workspace.path(), Profile::Standard).server().definitions().expect("JSON");
    let all = definitions.as_array().expect("a list").clone();
    assert!(!all.is_empty(), "no tools");
    all
}

fn text<'a>(tool: &'a Value, key: &str) -> &'a str {
    tool[key].as_str().unwrap_or_default()
}

#[test]
fn each_definition_is_the_committed_one() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("snapshots/tools");
    let mut wrong = Vec::new();
    let mut expected = BTreeSet::new();
    for tool in definitions() {
        let file = format!("{}.json", text(&tool, "name"));
        let committed = fs::read_to_string(folder.join(&file)).unwrap_or_default();
        if serde_json::from_str::<Value>(&committed).ok().as_ref() != Some(&tool) {
            wrong.push(file.clone());
        }
        expected.insert(file);
    }
    let present: BTreeSet<String> = fs::read_dir(&folder)
        .expect("the snapshots")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    wrong.extend(present.difference(&expected).cloned());
    assert!(wrong.is_empty(), "not as committed: {wrong:?}; if the change is meant, run `cargo xtask generate` and commit what it writes");
}

#[test]
fn each_name_is_its_family_and_a_verb_and_no_two_are_alike() {
    let mut names = BTreeSet::new();
    for tool in definitions() {
        let name = text(&tool, "name").to_owned();
        let (family, verb) = name.split_once('_').expect("a family and a verb");
        assert!(family == "fs" && !verb.is_empty() && name.len() <= 40, "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert!(!text(&tool, "title").is_empty(), "{name} has no title");
        assert!(names.insert(name.clone()), "{name} stands twice");
    }
}

#[test]
fn each_effect_is_what_the_annotations_say() {
    let workspace = tempfile::tempdir().expect("a directory");
    let yard = yard(workspace.path(), Profile::Standard);
    let effects: Vec<(&str, &str)> =
        yard.dispatcher().tools(&Principal::local()).map(|tool| (tool.definition.name, tool.definition.effect.as_str())).collect();
    for (tool, (name, effect)) in definitions().iter().zip(effects) {
        assert_eq!(text(tool, "name"), name, "the order differs");
        let hints = &tool["annotations"];
        assert_eq!(hints["readOnlyHint"], json!(effect == "read"), "{name}");
        assert_eq!(hints["destructiveHint"], json!(effect == "destroy"), "{name}");
        assert!(hints["idempotentHint"].is_boolean(), "{name}");
        assert_eq!(hints["openWorldHint"], json!(false), "{name}: files are on this machine");
    }
}

#[test]
fn each_description_is_short_and_the_whole_list_is_small() {
    let all = definitions();
    for tool in &all {
        let length = text(tool, "description").len();
        assert!((20..=MAX_DESCRIPTION).contains(&length), "{}: {length} bytes", text(tool, "name"));
    }
    let length = serde_json::to_string(&all).expect("JSON").len();
    assert!(length <= MAX_LIST, "tools/list takes {length} bytes, the limit is {MAX_LIST}");
}

/// Parameters that mean the same in every tool and what they say; a description would cost tokens
/// in each session and tell nothing.
const SAID_BY_THE_NAME: &[&str] = &[
    "path",
    "content",
    "from",
    "to",
    "pattern",
    "hidden",
    "no_ignore",
    "overwrite",
    "before",
    "after",
    "max_hits",
    "max_per_file",
    "max_tokens",
];

#[test]
fn each_schema_is_one_flat_object_that_every_host_accepts() {
    for tool in definitions() {
        let name = text(&tool, "name");
        let schema = &tool["inputSchema"];
        assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)), "{name}");
        for key in ["anyOf", "oneOf", "allOf", "$schema", "$defs"] {
            assert!(schema.get(key).is_none(), "{name}: `{key}` at the root");
        }
        assert_plain(name, schema);
        for (parameter, described) in schema["properties"].as_object().expect("properties") {
            let description = described["description"].as_str().unwrap_or_default();
            let plain = SAID_BY_THE_NAME.contains(&parameter.as_str());
            assert!(plain || !description.is_empty(), "{name}: `{parameter}` has no description");
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            let required = required.as_str().expect("a name");
            assert!(schema["properties"].get(required).is_some(), "{name}: `{required}` is required and unknown");
        }
    }
}

fn assert_plain(name: &str, schema: &Value) {
    match schema {
        Value::Object(object) => {
            assert!(!object.contains_key("$ref"), "{name}: a reference in {schema}");
            assert!(object.get("type").is_none_or(|kind| kind.is_string() && kind != "null"), "{name}: a null union in {schema}");
            for (key, value) in object {
                // The names in `properties` are parameters, not keywords.
                match (key.as_str(), value) {
                    ("properties", Value::Object(properties)) => properties.values().for_each(|value| assert_plain(name, value)),
                    _ => assert_plain(name, value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| assert_plain(name, item)),
        _ => {}
    }
}

#[tokio::test]
async fn a_policy_that_denies_all_stops_each_tool_and_lists_none() {
    let workspace = tempfile::tempdir().expect("a directory");
    fs::write(workspace.path().join("a.txt"), "alpha\n").expect("a file");
    let yard = yard(workspace.path(), Profile::Locked);
    assert_eq!(yard.dispatcher().tools(&Principal::local()).count(), 0);
    let cx = Context::new(Principal::local());
    for tool in definitions() {
        let name = text(&tool, "name");
        let arguments = least(&tool["inputSchema"]);
        let outcome = yard.dispatcher().call(name, Some(arguments.clone()), &cx).await.expect("a known tool");
        let CallOutcome::Done(answer) = outcome else { panic!("{name} asked") };
        let said = answer.to_text();
        assert_eq!(answer.error_kind(), Some(ErrorKind::Denied), "{name} {arguments:?}: {said}");
        assert!(said.contains("hint: ") && !said.contains("alpha"), "{name}: {said}");
    }
    assert_eq!(fs::read_dir(workspace.path()).expect("a directory").count(), 1, "something was made or removed");
}

/// The least that a schema accepts, and the path where it may be left out.
fn least(schema: &Value) -> Map<String, Value> {
    let mut arguments = Map::new();
    if schema["properties"]["path"].is_object() {
        arguments.insert("path".to_owned(), json!("a.txt"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        arguments.insert(name.to_owned(), value(name, &schema["properties"][name]));
    }
    arguments
}

fn value(name: &str, schema: &Value) -> Value {
    match text(schema, "type") {
        "array" => json!([value(name, &schema["items"])]),
        "object" => Value::Object(least(schema)),
        "boolean" => json!(true),
        "integer" | "number" => json!(1),
        _ if name == "to" => json!("b.txt"),
        _ if name == "new" => json!("beta"),
        _ if name == "old" => json!("alpha"),
        _ => json!("a.txt"),
    }
}
