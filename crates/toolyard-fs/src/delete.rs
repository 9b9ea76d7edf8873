//! `fs_delete`: files, symlinks and directories, for good.

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Budget, Context, Effect, EntryPolicy, Granted, Stop, Tool, ToolError, Trailer,
    guard::{
        AllowedDirs, CheckedPath, Follow, Kind, names,
        replace::{Durability, Tree, remove},
    },
};

use crate::MAX_TREE_ENTRIES;

/// Most paths of one call.
const MAX_PATHS: usize = 100;

/// Deletes files, symlinks (never what they point to) and empty directories, for good: nothing
/// keeps a copy. A directory that is not empty needs `recursive`; then everything below it must be
/// allowed, or nothing is deleted. Use `dry_run` first to see what would go.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Input {
    path: Option<String>,
    /// Several instead, at most 100.
    paths: Option<Vec<String>>,
    /// Directories with everything in them.
    recursive: bool,
    /// Only list what would go.
    dry_run: bool,
    max_tokens: Option<u32>,
}

/// The tool.
pub(crate) struct Delete {
    directories: AllowedDirs,
    durability: Durability,
}

impl Delete {
    pub(crate) const fn new(directories: AllowedDirs, durability: Durability) -> Self {
        Self { directories, durability }
    }
}

impl Tool for Delete {
    const NAME: &'static str = "fs_delete";
    const TITLE: &'static str = "Delete";
    const EFFECT: Effect = Effect::Destroy;
    const IDEMPOTENT: bool = false;

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        let paths: Vec<&String> = input.path.iter().chain(input.paths.iter().flatten()).collect();
        if paths.is_empty() || paths.len() > MAX_PATHS {
            return Err(ToolError::invalid_input(format!("{} paths were given; 1 to {MAX_PATHS} are possible", paths.len()))
                .with_hint("give `path`, or several `paths`"));
        }
        paths.into_iter().map(|path| Ok(self.directories.resolve(path, Follow::NotFinal)?.access(Effect::Destroy))).collect()
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let budget = granted.budget(input.max_tokens)?;
        let paths = (0..granted.accesses().len()).map(|at| self.directories.checked(&granted, at)).collect::<Result<Vec<_>, _>>()?;
        let policy = granted.entry_policy(Effect::Destroy);
        let durability = self.durability;
        granted
            .blocking(move |stop| {
                let planned = plan(paths, input.recursive, &policy, stop)?;
                if input.dry_run { Ok(describe(&planned, budget)) } else { delete(&planned, durability, stop) }
            })
            .await
    }
}

/// One path that will go, with everything below it.
struct Planned {
    path: CheckedPath,
    kind: Kind,
    tree: Option<Tree>,
}

impl Planned {
    fn count(&self) -> u64 {
        1 + self.tree.as_ref().map_or(0, |tree| tree.entries().len() as u64)
    }
}

/// Judges everything before anything is touched.
fn plan(paths: Vec<CheckedPath>, recursive: bool, policy: &EntryPolicy, stop: &Stop) -> Result<Vec<Planned>, ToolError> {
    let filter = policy.filter();
    let mut planned: Vec<Planned> = Vec::with_capacity(paths.len());
    let mut room = MAX_TREE_ENTRIES;
    for path in paths {
        if planned.iter().any(|other| is_same_or_below(&path, &other.path)) {
            continue;
        }
        planned.retain(|other| !is_same_or_below(&other.path, &path));
        let kind = path.stat()?.kind;
        let mut tree = None;
        if kind == Kind::Directory {
            let listed = Tree::list(&path, room, stop)?;
            if !listed.entries().is_empty() {
                if !recursive {
                    return Err(ToolError::conflict(format!(
                        "`{}` is a directory with {} entries below it; nothing was deleted",
                        path.display(),
                        listed.entries().len()
                    ))
                    .with_hint("pass `recursive: true` to delete all of them, `dry_run: true` to see them first"));
                }
                listed.judge(&path, &filter, "delete")?;
                room = room.saturating_sub(listed.entries().len());
                tree = Some(listed);
            }
        }
        planned.push(Planned { path, kind, tree });
    }
    Ok(planned)
}

fn is_same_or_below(path: &CheckedPath, above: &CheckedPath) -> bool {
    let (path, above) = (path.resource(), above.resource());
    path.directory == above.directory
        && path.path.strip_prefix(above.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above.path.is_empty())
}

fn delete(planned: &[Planned], durability: Durability, stop: &Stop) -> Result<Answer, ToolError> {
    let total: u64 = planned.iter().map(Planned::count).sum();
    let mut done = 0_u64;
    let mut said = String::new();
    let (mut stopped, mut unsynced) = (None, None);
    for one in planned {
        let shown = one.path.display();
        let result = stop.check().and_then(|()| match &one.tree {
            None => remove(&one.path, durability, stop).map(|removed| {
                unsynced = unsynced.take().or(removed.unsynced);
                1
            }),
            Some(tree) => tree.remove(durability, stop).map(|progress| {
                let count = progress.done();
                stopped = progress.stopped;
                unsynced = unsynced.take().or(progress.unsynced);
                count
            }),
        });
        match result {
            Ok(count) => done += count,
            // Nothing is gone yet, so this is the plain error of the call.
            Err(error) if done == 0 => return Err(error),
            Err(error) => stopped = Some(error),
        }
        if let Some(why) = &stopped {
            said.push_str(&format!("stopped at {shown}: {}\n", why.message()));
            break;
        }
        said.push_str(&format!("deleted {shown}{}\n", if one.kind == Kind::Directory { "/" } else { "" }));
    }
    let mut trailer = Trailer::new().count(done, total, "entries deleted");
    if let Some(why) = unsynced {
        trailer = trailer.note(why.message().to_owned());
    }
    if let Some(why) = stopped {
        trailer = trailer.incomplete(why.message().to_owned());
    }
    Ok(Answer::text(said, &trailer))
}

/// What would go, as far as it fits.
fn describe(planned: &[Planned], budget: Budget) -> Answer {
    let total: u64 = planned.iter().map(Planned::count).sum();
    let mut said = String::from("would delete\n");
    let mut shown = 0_u64;
    let mut add = |line: &str| {
        let fits = said.len() + line.len() < budget.bytes();
        if fits {
            said.push_str(line);
            said.push('\n');
            shown += 1;
        }
        fits
    };
    'all: for one in planned {
        let base = one.path.display();
        let mut above = vec![base.clone()];
        if !add(&format!("{base}{}", if one.kind == Kind::Directory { "/" } else { "" })) {
            break;
        }
        for entry in one.tree.iter().flat_map(|tree| tree.entries()) {
            above.truncate(entry.depth + 1);
            let parent = above.last().map_or("", String::as_str);
            let path = format!("{parent}/{}", names::show_name(&entry.name));
            let line = match entry.kind {
                Kind::Directory => format!("{path}/"),
                Kind::File => format!("{path} ({} bytes)", entry.size),
                _ => path.clone(),
            };
            if !add(&line) {
                break 'all;
            }
            if entry.kind == Kind::Directory {
                above.push(path);
            }
        }
    }
    let mut trailer = Trailer::new().count(shown, total, "entries").note("nothing was deleted");
    if shown < total {
        trailer = trailer.incomplete("budget");
    }
    Answer::text(said, &trailer)
}

#[cfg(test)]
mod tests;
