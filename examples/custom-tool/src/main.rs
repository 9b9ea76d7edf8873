//! A server with one tool of its own, behind a policy of its own.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use toolyard_core::{Access, Answer, Context, Dispatcher, Effect, Granted, Tool, ToolError, Toolset, Trailer};
use toolyard_policy::{Policy, PolicySpec, Profile};
use toolyard_server::Server;

/// Gives the message back, as often as asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What to give back.
    message: String,
    /// How often, 1 to 100. Default 1.
    times: Option<u8>,
}

struct Echo;

impl Tool for Echo {
    const NAME: &'static str = "demo_echo";
    const TITLE: &'static str = "Echo a message";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Input;

    fn access(&self, _: &Input, _: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(Vec::new()) // It touches nothing, so the policy judges the tool alone.
    }

    async fn call(&self, input: Input, _: Granted<'_>) -> Result<Answer, ToolError> {
        let times = input.times.unwrap_or(1);
        if !(1..=100).contains(&times) {
            return Err(ToolError::invalid_input(format!("`times` is {times}")).with_hint("give a number from 1 to 100"));
        }
        let body = format!("{}\n", input.message).repeat(times.into());
        Ok(Answer::text(body, &Trailer::new().count(times.into(), times.into(), "times")))
    }
}

fn main() -> anyhow::Result<()> {
    // Nothing is allowed but this one tool; `deny` and `ask` would win over `allow`.
    let rules = PolicySpec { profile: Profile::Locked, allow: vec!["demo_echo".into()], ..PolicySpec::default() };
    let policy = Arc::new(Policy::compile(&rules)?);
    let dispatcher = Dispatcher::builder(Toolset::new().with(Echo), policy).build()?;
    let server = Server::builder(Arc::new(dispatcher)).name("custom-tool").instructions("Use demo_echo to try the connection.").build();
    toolyard_stdio::run_blocking(&server, CancellationToken::new())?;
    Ok(())
}
