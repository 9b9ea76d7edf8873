//! Our side of `bench http`: the facade with everything switched on, and an echo tool that is as
//! small as the one of the reference.
//!
//! `toolyard-http-echo CONFIG STATE_DIRECTORY WORKSPACE`: `http.listen` says where.

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use toolyard::{
    Toolyard,
    config::Settings,
    core::{Access, Answer, Context, Effect, Granted, Tool, ToolError, Toolset, Trailer},
    http::Metrics,
};

/// Gives the message back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What to give back.
    message: String,
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
        Ok(Answer::text(format!("{}\n", input.message), &Trailer::new().count(1, 1, "times")))
    }
}

#[expect(clippy::disallowed_methods, reason = "a program to measure, which reads its own configuration")]
fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let mut next = || args.next().context("CONFIG STATE_DIRECTORY WORKSPACE");
    let (config, state, workspace) = (next()?, next()?, next()?);
    let settings = Settings::from_json(&std::fs::read_to_string(config)?, workspace.as_ref(), &|_| None)?;
    let listen = settings.http().listen.clone().context("no `http.listen`")?;
    let http = settings.http().clone().config(listen, |_| Err("no secrets here".into()))?;
    let metrics = Metrics::new();
    let builder = Toolyard::builder().settings(settings).state_directory(state).workspace(workspace).tools(Toolset::new().with(Echo));
    // As the program does it: figures of calls and of the trail, and turns of callers.
    let yard = builder.metrics(&metrics).many_callers().build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(yard.serve_http(http, metrics, CancellationToken::new()))?;
    Ok(())
}
