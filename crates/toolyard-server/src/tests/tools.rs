//! Small tools that misbehave in one way each.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use toolyard_core::{Access, Answer, Block, Context, Effect, Granted, Stop, Tool, ToolError, Toolset, Trailer};

pub(super) fn toolset() -> Toolset {
    Toolset::new().with(Echo).with(Wait).with(Block_).with(Panic).with(Steps).with(Drop_).with(Picture).with(Table).with(Huge)
}

/// Parameters of tools that need one text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    /// Any text.
    text: String,
}

/// No parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

macro_rules! tool {
    ($type:ident, $name:literal, $effect:ident, $input:ty, |$given:ident, $granted:ident| $body:expr) => {
        pub(super) struct $type;

        impl Tool for $type {
            const NAME: &'static str = $name;
            const TITLE: &'static str = $name;
            const EFFECT: Effect = Effect::$effect;
            const IDEMPOTENT: bool = true;
            const MAX_RESULT_CHARS: Option<u32> = if matches!(Effect::$effect, Effect::Destroy) { Some(100) } else { None };
            type Input = $input;

            fn access(&self, _: &$input, _: &Context) -> Result<Vec<Access>, ToolError> {
                Ok(Vec::new())
            }

            async fn call(&self, $given: $input, $granted: Granted<'_>) -> Result<Answer, ToolError> {
                $body
            }
        }
    };
}

fn plain(text: &str) -> Result<Answer, ToolError> {
    Ok(Answer::text(text, &Trailer::new()))
}

/// Blocks until it is told to stop, and says so.
pub(super) struct Watch {
    says: mpsc::UnboundedSender<&'static str>,
}

impl Watch {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<&'static str>) {
        let (says, heard) = mpsc::unbounded_channel();
        (Self { says }, heard)
    }
}

impl Tool for Watch {
    const NAME: &'static str = "demo_watch";
    const TITLE: &'static str = "demo_watch";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Nothing;

    fn access(&self, _: &Nothing, _: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(Vec::new())
    }

    async fn call(&self, _: Nothing, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let says = self.says.clone();
        let watch = move |stop: &Stop| {
            says.send("started").map_err(|gone| ToolError::internal("nobody listens").with_source(gone))?;
            let until = Instant::now() + Duration::from_secs(5);
            while stop.check().is_ok() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            says.send("stopped").map_err(|gone| ToolError::internal("nobody listens").with_source(gone))?;
            stop.check()
        };
        granted.blocking(watch).await?;
        plain("never stopped")
    }
}

tool!(Echo, "demo_echo", Read, Text, |input, _granted| plain(&input.text));

tool!(Wait, "demo_wait", Read, Nothing, |_input, _granted| {
    tokio::time::sleep(Duration::from_secs(600)).await;
    plain("waited")
});

tool!(Block_, "demo_block", Read, Nothing, |_input, granted| {
    granted
        .blocking(|_| {
            std::thread::sleep(Duration::from_secs(2));
            Ok(())
        })
        .await?;
    plain("blocked")
});

tool!(Panic, "demo_panic", Read, Nothing, |_input, _granted| panic!("secret payload"));

tool!(Steps, "demo_steps", Read, Nothing, |_input, granted| {
    let progress = granted.progress_handle();
    granted
        .blocking(move |_| {
            for (done, message) in [(1, "one"), (3, "three"), (2, "late"), (4, "")] {
                if let Some(progress) = &progress {
                    progress.report(done, Some(4), message);
                }
            }
            Ok(())
        })
        .await?;
    plain("done")
});

tool!(Drop_, "demo_drop", Destroy, Text, |input, _granted| plain(&format!("dropped {}", input.text)));

tool!(Picture, "demo_picture", Read, Nothing, |_input, _granted| {
    Ok(Answer::structured(json!({"size": 3})).with_block(Block::Image { data: vec![1, 2, 3], mime: "image/png" }))
});

tool!(Table, "demo_table", Read, Nothing, |_input, _granted| Ok(Answer::structured(json!({"rows": [1, 2]}))));

tool!(Huge, "demo_huge", Read, Nothing, |_input, _granted| plain(&"0123456789 ".repeat(5000)));
