//! `fs_copy`: a second file or directory like the first.

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Context, Effect, Granted, Stop, Tool, ToolError, Trailer,
    guard::{
        AllowedDirs, CheckedPath, Follow, Kind,
        replace::{Durability, FileChange, Tree},
    },
};

use crate::MAX_TREE_ENTRIES;

/// Copies a file, or a directory with everything in it. `to` is the whole new path, not the
/// directory to copy into; missing parents are made. Something at `to` is an error, unless
/// `overwrite` is set and both are files; directories are never merged. Each file appears whole or
/// not at all and keeps its mode; symlinks below a directory are copied as symlinks. Everything
/// below must be readable, and allowed under its new name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    from: String,
    to: String,
    #[serde(default)]
    overwrite: bool,
    /// Only say what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// The tool.
pub(crate) struct Copy {
    directories: AllowedDirs,
    durability: Durability,
}

impl Copy {
    pub(crate) const fn new(directories: AllowedDirs, durability: Durability) -> Self {
        Self { directories, durability }
    }
}

impl Tool for Copy {
    const NAME: &'static str = "fs_copy";
    const TITLE: &'static str = "Copy";
    const EFFECT: Effect = Effect::Write;
    const IDEMPOTENT: bool = false;

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        let from = self.directories.resolve(&input.from, Follow::Final)?;
        let to = self.directories.resolve(&input.to, Follow::NotFinal)?;
        Ok(vec![from.access(Effect::Read), to.access(Effect::Write)])
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let from = self.directories.checked(&granted, 0)?;
        let to = self.directories.checked(&granted, 1)?;
        let (reading, writing) = (granted.entry_policy(Effect::Read), granted.entry_policy(Effect::Write));
        let durability = self.durability;
        granted
            .blocking(move |stop| match from.stat()?.kind {
                Kind::Directory => {
                    let tree = Tree::list(&from, MAX_TREE_ENTRIES, stop)?;
                    tree.judge(&from, &reading.filter(), "read")?;
                    tree.judge(&to, &writing.filter(), "create")?;
                    copy_tree(&tree, &from, &to, input.dry_run, durability, stop)
                }
                _ => copy_file(&from, &to, &input, durability, stop),
            })
            .await
    }
}

fn copy_file(from: &CheckedPath, to: &CheckedPath, input: &Input, durability: Durability, stop: &Stop) -> Result<Answer, ToolError> {
    let (from_shown, to_shown) = (from.display(), to.display());
    if from.resource().directory == to.resource().directory && from.resource().path == to.resource().path {
        return Err(ToolError::invalid_input(format!("`from` and `to` are the same path, `{to_shown}`")).with_hint("give another `to`"));
    }
    let source = from.open_file()?;
    let change = FileChange::begin(to, stop)?;
    if let Some(size) = change.size()
        && !input.overwrite
    {
        return Err(ToolError::conflict(format!("`{to_shown}` exists ({size} bytes); nothing was copied"))
            .with_hint("choose another `to`, or pass `overwrite: true` to replace it"));
    }
    let bytes = source.stat().size;
    let mut trailer = Trailer::new().count(bytes, bytes, "bytes").within(1, 1, "file");
    if input.dry_run {
        return Ok(Answer::text(format!("would copy {from_shown} to {to_shown}"), &trailer.note("nothing was changed")));
    }
    let written = change.put_copy(source.file(), stop, durability)?;
    if !written.created {
        trailer = trailer.note("replaced the file that was there");
    }
    if written.directories_made > 0 {
        trailer = trailer.note(format!("parent directories made: {}", written.directories_made));
    }
    Ok(Answer::text(format!("copied {from_shown} to {to_shown}"), &trailer))
}

fn copy_tree(
    tree: &Tree,
    from: &CheckedPath,
    to: &CheckedPath,
    dry_run: bool,
    durability: Durability,
    stop: &Stop,
) -> Result<Answer, ToolError> {
    let (from_shown, to_shown) = (from.display(), to.display());
    let total = tree.entries().len() as u64 + 1;
    if dry_run {
        tree.check_copy(to)?;
        let trailer = Trailer::new().count(total, total, "entries").note("nothing was changed");
        return Ok(Answer::text(format!("would copy {from_shown}/ to {to_shown}/"), &trailer));
    }
    let done = tree.copy(to, durability, stop)?;
    let count = done.done();
    let mut trailer = Trailer::new()
        .count(count, total, "entries")
        .note(format!("{} files, {} directories, {} symlinks, {} bytes", done.files, done.directories, done.others, done.bytes));
    if done.skipped > 0 {
        trailer = trailer.note(format!("{} FIFOs, sockets or devices left out", done.skipped));
    }
    if done.links_outside > 0 {
        trailer = trailer.note(format!("{} symlinks point out of the directory and were copied as they are", done.links_outside));
    }
    if let Some(why) = &done.unsynced {
        trailer = trailer.note(why.message().to_owned());
    }
    let said = match &done.stopped {
        None => format!("copied {from_shown}/ to {to_shown}/"),
        Some(why) => {
            trailer = trailer.incomplete(format!("{}: what was copied is at {to_shown}", why.message()));
            format!("copied a part of {from_shown}/ to {to_shown}/, then stopped: {}", why.message())
        }
    };
    Ok(Answer::text(said, &trailer))
}

#[cfg(test)]
mod tests;
