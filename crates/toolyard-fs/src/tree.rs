//! `fs_tree`: what lies below a directory, as much of it as fits.

mod draw;

use std::{mem, ops::ControlFlow};

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Context, Effect, Granted, Tool, ToolError, Trailer,
    guard::{
        AllowedDirs, Follow, Kind,
        walk::{Entry, Visitor, WalkEnd, WalkOptions, walk},
    },
};

use crate::deadline;

use draw::{Folder, Tree};

pub(crate) struct DirectoryTree {
    directories: AllowedDirs,
}

/// Shows what lies below a directory as an indented tree. What does not fit is folded, deepest first; a folded directory `name/` says how many files it holds, and `path` looks into it. Symbolic links end with `@` and are not followed. Ignored (.gitignore) and hidden files are left out unless asked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Default: the allowed directory.
    #[serde(default)]
    path: Option<String>,
    /// Levels to show; default: as many as fit.
    #[serde(default)]
    depth: Option<u32>,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    no_ignore: bool,
    #[serde(default)]
    max_tokens: Option<u32>,
}

impl DirectoryTree {
    pub(crate) fn new(directories: AllowedDirs) -> Self {
        Self { directories }
    }
}

impl Tool for DirectoryTree {
    const NAME: &'static str = "fs_tree";
    const TITLE: &'static str = "Directory tree";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        let target = self.directories.resolve(input.path.as_deref().unwrap_or("."), Follow::Final)?;
        Ok(vec![target.access(Effect::Read)])
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let start = self.directories.checked(&granted, 0)?;
        let budget = granted.budget(input.max_tokens)?;
        if input.depth == Some(0) {
            return Err(
                ToolError::invalid_input("`depth` is 0, so nothing could be shown").with_hint("give 1 for the directory's own entries")
            );
        }
        let options = WalkOptions { hidden: input.hidden, no_ignore: input.no_ignore, ..WalkOptions::default() };
        let policy = granted.entry_policy(Effect::Read);
        let depth = input.depth.map_or(usize::MAX, |depth| depth as usize);
        granted
            .blocking(move |stop| {
                let (until, time) = deadline::for_search(stop);
                let mut folders = Vec::new();
                let walked = walk(&start, &policy, options, &until, Gatherer::default, |part| {
                    folders.push(part);
                    ControlFlow::Continue(())
                })?;
                let tree = Tree::new(folders);
                let display = start.display();
                let (files, directories) = tree.totals();
                let drawn = tree.draw(&display, depth, budget.bytes());
                let mut trailer = Trailer::new().count(drawn.files, files, "files").within(drawn.directories, directories, "directories");
                let counts = walked.counts;
                for (count, what) in [
                    (counts.ignored, "ignored"),
                    (counts.hidden, "hidden"),
                    (counts.withheld, "withheld by policy"),
                    (counts.unreadable, "unreadable directories"),
                    (counts.beyond, "directories beyond the limits"),
                    (counts.bad_rules, "ignore files not usable"),
                ] {
                    if count > 0 {
                        trailer = trailer.note(format!("{count} {what}"));
                    }
                }
                trailer = match walked.end {
                    WalkEnd::Late => trailer.incomplete(deadline::reason(time)),
                    _ if drawn.cut => trailer.incomplete("budget"),
                    _ if drawn.too_deep => trailer.incomplete("depth"),
                    _ => trailer,
                };
                Ok(Answer::text(drawn.text, &trailer))
            })
            .await
    }
}

/// Gathers the names of a directory.
#[derive(Default)]
struct Gatherer {
    folder: Folder,
}

impl Visitor for Gatherer {
    type Part = Folder;

    fn begin(&mut self, directory: &str, depth: usize) {
        self.folder = Folder::new(directory, depth);
    }

    fn visit(&mut self, entry: &Entry<'_>) -> ControlFlow<()> {
        let mark = match entry.kind() {
            Kind::Symlink => "@",
            Kind::Fifo => "|",
            Kind::Socket => "=",
            Kind::Device => "%",
            Kind::File | Kind::Directory => "",
        };
        self.folder.add(entry.shown_name(), mark);
        ControlFlow::Continue(())
    }

    fn take(&mut self) -> Option<(Folder, usize)> {
        let folder = mem::take(&mut self.folder);
        let size = folder.size();
        Some((folder, size))
    }
}

#[cfg(test)]
mod tests;
