//! `fs_mkdir`: directories.

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Context, Effect, Granted, Tool, ToolError, Trailer,
    guard::{
        AllowedDirs, Follow,
        replace::{Durability, make_directory},
    },
};

/// Makes a directory, and those above it that are missing. One that is there already is no error.
/// fs_write makes the parents of a new file by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    path: String,
}

/// The tool.
pub(crate) struct MakeDirectory {
    directories: AllowedDirs,
    durability: Durability,
}

impl MakeDirectory {
    pub(crate) const fn new(directories: AllowedDirs, durability: Durability) -> Self {
        Self { directories, durability }
    }
}

impl Tool for MakeDirectory {
    const NAME: &'static str = "fs_mkdir";
    const TITLE: &'static str = "Make a directory";
    const EFFECT: Effect = Effect::Write;
    const IDEMPOTENT: bool = true;

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(vec![self.directories.resolve(&input.path, Follow::Final)?.access(Effect::Write)])
    }

    async fn call(&self, _input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let path = self.directories.checked(&granted, 0)?;
        let durability = self.durability;
        granted
            .blocking(move |stop| {
                let shown = path.display();
                let made = make_directory(&path, durability, stop)? as u64;
                let said = if made == 0 { format!("{shown}/ is there already") } else { format!("made {shown}/") };
                Ok(Answer::text(said, &Trailer::new().count(made, made, "directories made")))
            })
            .await
    }
}

#[cfg(test)]
mod tests;
