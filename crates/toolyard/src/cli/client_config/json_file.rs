//! A host's JSON file with one entry put in.

use super::NAME;
use crate::json::Json;

/// The text of the file with our entry in `section`, without its `stale` keys; `Err` says why the
/// file is left alone.
pub(super) fn merged(existing: Option<&str>, section: &str, stale: &[&str], entry: &[(&str, Json)]) -> Result<String, String> {
    let text = existing.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("{}");
    let mut document: Json =
        serde_json::from_str(text).map_err(|error| format!("not usable as JSON: {error}; put the entry in by hand"))?;
    let servers = child(&mut document, section).ok_or("the file is no JSON object; put the entry in by hand")?;
    let ours = child(servers, NAME).ok_or_else(|| format!("`{section}` is no JSON object; put the entry in by hand"))?;
    if let Json::Object(keys) = ours {
        keys.retain(|(key, _)| !stale.contains(&key.as_str()));
    }
    // What the user added to our entry, such as `env`, stays.
    for (key, value) in entry {
        let place = child(ours, key).ok_or_else(|| format!("`{section}.{NAME}` is no JSON object; put the entry in by hand"))?;
        *place = value.clone();
    }
    serde_json::to_string_pretty(&document).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// The value of a key, made as an empty object when it is not there; none when `json` is no object.
fn child<'a>(json: &'a mut Json, key: &str) -> Option<&'a mut Json> {
    let Json::Object(entries) = json else { return None };
    let at = entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
        entries.push((key.to_owned(), Json::Object(Vec::new())));
        entries.len() - 1
    });
    entries.get_mut(at).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::merged;
    use crate::json::Json;

    fn into(existing: &str) -> Result<Value, String> {
        let entry = [("command", Json::Text("toolyard".into())), ("args", Json::Array(vec![Json::Text("serve".into())]))];
        merged(Some(existing), "mcpServers", &["url"], &entry).map(|text| serde_json::from_str(&text).expect("JSON"))
    }

    #[test]
    fn our_entry_is_added_and_everything_else_stays() {
        let ours = json!({ "command": "toolyard", "args": ["serve"] });
        assert_eq!(into(""), Ok(json!({ "mcpServers": { "toolyard": ours } })));
        let existing = r#"{ "theme": "dark", "mcpServers": { "b": { "url": "u" } } }"#;
        assert_eq!(into(existing), Ok(json!({ "theme": "dark", "mcpServers": { "b": { "url": "u" }, "toolyard": ours } })));
    }

    #[test]
    fn what_the_user_added_to_our_entry_stays_and_the_command_is_renewed() {
        let existing = r#"{ "mcpServers": { "toolyard": { "command": "old", "env": { "A": "1" } } } }"#;
        let expected = json!({ "mcpServers": { "toolyard": { "command": "toolyard", "env": { "A": "1" }, "args": ["serve"] } } });
        assert_eq!(into(existing), Ok(expected));
    }

    #[test]
    fn keys_of_another_transport_go() {
        let existing = r#"{ "mcpServers": { "toolyard": { "url": "u", "trust": true }, "other": { "url": "v" } } }"#;
        let ours = json!({ "trust": true, "command": "toolyard", "args": ["serve"] });
        assert_eq!(into(existing), Ok(json!({ "mcpServers": { "toolyard": ours, "other": { "url": "v" } } })));
    }

    #[test]
    fn files_of_another_shape_are_left_alone() {
        for (existing, why) in [
            ("[]", "the file is no JSON object; put the entry in by hand"),
            (r#"{"mcpServers":[]}"#, "`mcpServers` is no JSON object; put the entry in by hand"),
            (r#"{"mcpServers":{"toolyard":1}}"#, "`mcpServers.toolyard` is no JSON object; put the entry in by hand"),
        ] {
            assert_eq!(into(existing), Err(why.to_owned()));
        }
        let comment = into("{ // theme\n}").expect_err("a comment is no JSON");
        assert!(comment.starts_with("not usable as JSON"), "{comment}");
    }
}
