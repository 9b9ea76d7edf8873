//! `${NAME}` in the strings of the file.

use super::ConfigError;
use crate::json::Json;

/// Looks a variable up.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces `${NAME}` in every string; `$${` stands for `${` itself.
pub(super) fn expand(json: &mut Json, place: &str, variables: Variables<'_>) -> Result<(), ConfigError> {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        Json::Text(text) => {
            if text.contains("${") {
                *text = expanded(text, variables).map_err(|problem| ConfigError::at(place, problem))?;
            }
            Ok(())
        }
        Json::Array(items) => items.iter_mut().enumerate().try_for_each(|(i, item)| expand(item, &format!("{place}[{i}]"), variables)),
        // What is switched off needs no variables: one file can serve machines that have none.
        Json::Object(_) if place.starts_with("tools.") && json.get("enabled") == Some(&Json::Bool(false)) => Ok(()),
        Json::Object(entries) => entries.iter_mut().try_for_each(|(key, value)| {
            let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            expand(value, &place, variables)
        }),
    }
}

fn expanded(text: &str, variables: Variables<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = from[2..].split_once('}') else {
            return Err("`${` has no `}`; write `$${` for the characters themselves".into());
        };
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("`{name}` is no name of a variable; use letters, digits and `_`, or `$${{` for the characters themselves"));
        }
        let Some(value) = variables(name) else {
            return Err(format!("the environment variable `{name}` is not set; set it, or write the value here"));
        };
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
