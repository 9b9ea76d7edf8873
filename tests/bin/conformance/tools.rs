//! The suite's tools that our own tool trait can express, and one that fails badly.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{Access, Answer, Block, Context, Effect, Granted, Tool, ToolError, Toolset, Trailer};

pub(crate) const RED_PIXEL: &[u8] = include_bytes!("../../fixtures/red.png");

pub(crate) fn toolset() -> Toolset {
    Toolset::new().with(SimpleText).with(ImageContent).with(ErrorHandling).with(WithProgress).with(Panics)
}

/// Takes nothing and answers with something fixed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

struct SimpleText;

impl Tool for SimpleText {
    const NAME: &'static str = "test_simple_text";
    const TITLE: &'static str = "Simple text";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Nothing;

    fn access(&self, _: &Nothing, _: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(Vec::new())
    }

    async fn call(&self, _: Nothing, _: Granted<'_>) -> Result<Answer, ToolError> {
        Ok(Answer::text("This is a simple text response for testing.", &Trailer::new()))
    }
}

struct ImageContent;

impl Tool for ImageContent {
    const NAME: &'static str = "test_image_content";
    const TITLE: &'static str = "Image content";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Nothing;

    fn access(&self, _: &Nothing, _: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(Vec::new())
    }

    async fn call(&self, _: Nothing, _: Granted<'_>) -> Result<Answer, ToolError> {
        let image = Block::Image { data: RED_PIXEL.to_vec(), mime: "image/png" };
        Ok(Answer::text("one red pixel", &Trailer::new()).with_block(image))
    }
}

struct ErrorHandling;

impl Tool for ErrorHandling {
    const NAME: &'static str = "test_error_handling";
    const TITLE: &'static str = "Error handling";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Nothing;

    fn access(&self, _: &Nothing, _: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(Vec::new())
    }

    async fn call(&self, _: Nothing, _: Granted<'_>) -> Result<Answer, ToolError> {
        Err(ToolError::unavailable("This tool intentionally returns an error for testing"))
    }
}

struct WithProgress;

impl Tool for WithProgress {
    const NAME: &'static str = "test_tool_with_progress";
    const TITLE: &'static str = "Progress";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Nothing;

    fn access(&self, _: &Nothing, _: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(Vec::new())
    }

    async fn call(&self, _: Nothing, granted: Granted<'_>) -> Result<Answer, ToolError> {
        for done in [0, 50, 100] {
            granted.progress(done, Some(100), "");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Answer::text("done", &Trailer::new()))
    }
}

struct Panics;

impl Tool for Panics {
    const NAME: &'static str = "test_panics";
    const TITLE: &'static str = "Panics";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Nothing;

    fn access(&self, _: &Nothing, _: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(Vec::new())
    }

    async fn call(&self, _: Nothing, _: Granted<'_>) -> Result<Answer, ToolError> {
        panic!("the payload of the panic")
    }
}
