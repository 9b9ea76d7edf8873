//! `fs_move`: another name or place for a file or directory.

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Context, Effect, Granted, Tool, ToolError, Trailer,
    guard::{
        AllowedDirs, Follow, Kind,
        replace::{Durability, Tree, check_rename, rename},
    },
};

use crate::MAX_TREE_ENTRIES;

/// Moves or renames a file, a symlink itself, or a directory with everything in it, in one step.
/// `to` is the whole new path, not the directory to move into; missing parents are made. Something
/// at `to` is an error, unless `overwrite` is set and it is a file. Nothing below a moved directory
/// may be protected, under its old name or under its new one.
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
pub(crate) struct Move {
    directories: AllowedDirs,
    durability: Durability,
}

impl Move {
    pub(crate) const fn new(directories: AllowedDirs, durability: Durability) -> Self {
        Self { directories, durability }
    }
}

impl Tool for Move {
    const NAME: &'static str = "fs_move";
    const TITLE: &'static str = "Move or rename";
    const EFFECT: Effect = Effect::Write;
    const IDEMPOTENT: bool = false;

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        let from = self.directories.resolve(&input.from, Follow::NotFinal)?;
        let to = self.directories.resolve(&input.to, Follow::NotFinal)?;
        Ok(vec![from.access(Effect::Write), to.access(Effect::Write)])
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let from = self.directories.checked(&granted, 0)?;
        let to = self.directories.checked(&granted, 1)?;
        let policy = granted.entry_policy(Effect::Write);
        let durability = self.durability;
        granted
            .blocking(move |stop| {
                let (from_shown, to_shown) = (from.display(), to.display());
                let kind = from.stat()?.kind;
                let mut entries = 0;
                if kind == Kind::Directory {
                    let tree = Tree::list(&from, MAX_TREE_ENTRIES, stop)?;
                    let filter = policy.filter();
                    tree.judge(&from, &filter, "move")?;
                    tree.judge(&to, &filter, "create")?;
                    entries = tree.entries().len() as u64;
                }
                let mut trailer = Trailer::new();
                if kind == Kind::Directory {
                    trailer = trailer.count(entries, entries, "entries below it");
                }
                if input.dry_run {
                    check_rename(&from, &to, input.overwrite, stop)?;
                    return Ok(Answer::text(format!("would move {from_shown} to {to_shown}"), &trailer.note("nothing was changed")));
                }
                let moved = rename(&from, &to, input.overwrite, durability, stop)?;
                if moved.replaced {
                    trailer = trailer.note("replaced the file that was there");
                }
                if moved.copied {
                    trailer = trailer.note("copied to another file system, then removed here");
                }
                if moved.directories_made > 0 {
                    trailer = trailer.note(format!("parent directories made: {}", moved.directories_made));
                }
                if kind == Kind::Symlink {
                    trailer = trailer.note("the symlink itself was moved; a relative one may point elsewhere now");
                }
                Ok(Answer::text(format!("moved {from_shown} to {to_shown}"), &trailer))
            })
            .await
    }
}

#[cfg(test)]
mod tests;
