//! `toolyard tools`: what hosts will see.

use toolyard_core::Principal;

use super::{Failure, Outcome, args::ToolsArgs, output, setup};

pub(super) fn run(args: &ToolsArgs) -> Result<Outcome, Failure> {
    let yard = setup::start(&args.server, &args.log)?;
    if args.json {
        output::text(&serde_json::to_string_pretty(&yard.server().definitions()?)?)?;
        return Ok(Outcome::Success);
    }
    let mut text = String::new();
    for tool in yard.dispatcher().tools(&Principal::local()) {
        let definition = tool.definition;
        let asks = if tool.asks { " (asks)" } else { "" };
        text += &format!("{:<10} {:<8} {}{asks}\n", definition.name, definition.effect.as_str(), definition.title);
    }
    if text.is_empty() {
        output::note("the policy leaves no tool open; `toolyard policy check` shows the rules");
    } else {
        output::text(&text)?;
    }
    Ok(Outcome::Success)
}
