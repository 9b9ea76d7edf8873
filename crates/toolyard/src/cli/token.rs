//! `toolyard token`: bearer tokens for callers over HTTP.

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use toolyard_http::hash_token;

use super::{Failure, Outcome, args::TokenArgs, output};
use crate::{
    config::http::{check_role, check_token_name},
    token,
};

pub(super) fn new(args: &TokenArgs) -> Result<Outcome, Failure> {
    check_token_name(&args.name).map_err(|problem| Failure::Setup(anyhow!("--name: {problem}")))?;
    for role in &args.role {
        check_role(role).map_err(|problem| Failure::Setup(anyhow!("--role: {problem}")))?;
    }
    let token = token::fresh().context("there are no random numbers")?;
    output::text(&token)?;
    output::note(&format!(
        "this token is shown once; give it to `{}` and put this into `http.tokens` of the configuration:\n  {}",
        args.name,
        entry(args, &token)
    ));
    Ok(Outcome::Success)
}

/// The entry of the configuration, which does not tell the token.
fn entry(args: &TokenArgs, token: &str) -> Value {
    let mut entry = json!({ "name": args.name, "sha256": token::hex(&hash_token(token)) });
    if !args.role.is_empty() {
        entry["roles"] = json!(args.role);
    }
    entry
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{TokenArgs, entry};

    #[test]
    fn the_entry_holds_the_hash_and_the_roles_and_not_the_token() {
        let args = TokenArgs { name: "ci".into(), role: vec!["reader".into()] };
        let expected = json!({
            "name": "ci",
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "roles": ["reader"]
        });
        assert_eq!(entry(&args, "abc"), expected);
        assert_eq!(entry(&TokenArgs { name: "ci".into(), role: Vec::new() }, "abc").get("roles"), None);
    }
}
