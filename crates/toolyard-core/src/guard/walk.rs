//! Walking below a granted directory: in parallel, in path order, with ignore rules, and with the
//! policy asked for each entry.
//!
//! Every directory is opened relative to the open handle of its parent and follows no symlink, so
//! the walk stays where it began whatever others rename. An entry the policy withholds is neither
//! opened nor named; it is only counted.

mod entry;
mod hints;
mod listing;
mod rules;
mod schedule;
mod worker;

use std::{
    ffi::OsStr,
    ops::ControlFlow,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use rustix::fs::OFlags;

use crate::{EntryPolicy, Stop, ToolError};

use super::{CheckedPath, Kind, dirs::Home, names};

pub use entry::{Content, Entry};

use listing::Special;
use rules::Rules;
use schedule::Schedule;
use worker::{Task, Worker};

/// Threads of one walk.
const MAX_THREADS: usize = 8;

/// How a walk goes.
#[derive(Clone, Copy, Debug)]
pub struct WalkOptions {
    /// Whether entries whose names begin with a dot are visited; default false.
    pub hidden: bool,
    /// Whether ignore rules are left aside; default false. `.git` is visited only with both.
    pub no_ignore: bool,
    /// Threads, at most 8; default one per core.
    pub threads: usize,
    /// Levels below the start; default 1,000.
    pub max_depth: usize,
    /// Entries looked at before the walk gives up; default 10,000,000.
    pub max_entries: u64,
}

impl Default for WalkOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(MAX_THREADS);
        Self { hidden: false, no_ignore: false, threads, max_depth: 1_000, max_entries: 10_000_000 }
    }
}

/// What one worker does with the entries it is shown.
///
/// Workers are independent. What one gathers from a stretch of entries leaves it as a part; parts
/// reach the collector in path order: the entries of a directory that are no directories by name,
/// then each subdirectory with all below it.
pub trait Visitor: Send {
    /// What a stretch of entries gave.
    type Part: Send;

    /// Entries of a directory follow; its path is as it is shown and relative to the start, its
    /// depth 0 for the start. A large directory comes in several stretches.
    fn begin(&mut self, _directory: &str, _depth: usize) {}

    /// Whether an entry that is no directory is of interest, by its path relative to the start;
    /// asked before the policy is.
    fn wants(&mut self, _path: &[u8], _kind: Kind) -> bool {
        true
    }

    /// An entry that is no directory; `Break` ends the walk and drops the part.
    fn visit(&mut self, entry: &Entry<'_>) -> ControlFlow<()>;

    /// Whether to walk below this directory.
    fn enters(&mut self, _directory: &Entry<'_>) -> bool {
        true
    }

    /// Hands over what the entries since `begin` gave, with its size in bytes.
    fn take(&mut self) -> Option<(Self::Part, usize)>;
}

/// What was met on a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkCounts {
    /// Entries shown to the visitors that are no directories.
    pub files: u64,
    /// Directories that were opened, the start included.
    pub directories: u64,
    /// Entries left out by ignore rules; a directory counts as one.
    pub ignored: u64,
    /// Entries left out because their names begin with a dot.
    pub hidden: u64,
    /// Entries of interest that the policy withholds.
    pub withheld: u64,
    /// Directories that could not be read.
    pub unreadable: u64,
    /// Directories below the depth limit, and parts of directories beyond the entry limits.
    pub beyond: u64,
    /// Rule files that could not be used: not regular, larger than 1 MiB, or too complex.
    pub bad_rules: u64,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// Everything was visited.
    Whole,
    /// The collector had enough.
    Enough,
    /// The deadline passed.
    Late,
}

/// Counts and end of a walk.
#[derive(Clone, Copy, Debug)]
pub struct Walked {
    /// What was met.
    pub counts: WalkCounts,
    /// How it ended.
    pub end: WalkEnd,
}

/// What the workers of one walk share.
struct Shared<'w, P> {
    schedule: Schedule<'w, Task, P>,
    options: WalkOptions,
    policy: &'w EntryPolicy,
    home: &'w Home,
    /// Whether another allowed directory may lie below the start, so that paths have to be renamed.
    nested: bool,
    stop: &'w Stop,
    /// The start, to open directories whose handles were given up.
    start: OwnedFd,
    /// Bytes of an entry's path that come before the part below the start.
    prefix: usize,
    /// The same of the path as it is shown.
    shown_prefix: usize,
    halted: Arc<AtomicBool>,
    late: AtomicBool,
    /// Directory handles that are open.
    open: Arc<AtomicUsize>,
    entries: AtomicU64,
}

/// Walks below a granted directory on this thread and helpers of its own; call it where blocking
/// is allowed. `visitor` makes one visitor per worker, `collect` takes the parts in path order and
/// can end the walk.
///
/// # Errors
/// When the start can't be opened, or the call was cancelled.
pub fn walk<V, F>(
    start: &CheckedPath,
    policy: &EntryPolicy,
    options: WalkOptions,
    stop: &Stop,
    visitor: F,
    mut collect: impl FnMut(V::Part) -> ControlFlow<()> + Send,
) -> Result<Walked, ToolError>
where
    V: Visitor,
    F: Fn() -> V + Sync,
{
    let home = start.home();
    let handle = start.open_dir()?.fd().try_clone_to_owned().map_err(unreadable)?;
    let raw = start.bytes();
    let mut counts = WalkCounts::default();
    let rules = if options.no_ignore { None } else { rules_above(home, raw, &mut counts.bad_rules) };
    let after = |length: usize| if length == 0 { 0 } else { length + 1 };
    let open = Arc::new(AtomicUsize::new(0));
    let first = Task::start(handle.try_clone().map_err(unreadable)?, &open, raw, rules);
    let halted = Arc::new(AtomicBool::new(false));
    let halt = Arc::clone(&halted);
    let shared = Shared {
        schedule: Schedule::new(first, move |part| {
            let flow = collect(part);
            // Whoever searches a large file right now has to learn of it as well.
            halt.store(flow.is_break(), Ordering::Relaxed);
            flow
        }),
        options,
        policy,
        home,
        nested: home.shared.directories.len() > 1,
        stop,
        start: handle,
        prefix: after(raw.len()),
        shown_prefix: after(names::show_name(OsStr::from_bytes(raw)).len()),
        halted,
        late: AtomicBool::new(false),
        open,
        entries: AtomicU64::new(0),
    };
    let threads = options.threads.clamp(1, MAX_THREADS);
    let gathered: Vec<WalkCounts> = std::thread::scope(|scope| {
        let (shared, visitor) = (&shared, &visitor);
        let helpers: Vec<_> = (1..threads)
            .filter_map(|number| {
                let work = move || Worker::new(shared, visitor()).run(number);
                std::thread::Builder::new().name("walk".into()).spawn_scoped(scope, work).ok()
            })
            .collect();
        let own = Worker::new(shared, visitor()).run(0);
        // The dispatch reports a panic, wherever it was.
        let helped = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        helped.chain([own]).collect()
    });
    for other in gathered {
        counts.add(&other);
    }
    if stop.is_raised() {
        return Err(ToolError::cancelled());
    }
    let end = if shared.late.load(Ordering::Relaxed) {
        WalkEnd::Late
    } else if shared.halted.load(Ordering::Relaxed) {
        WalkEnd::Enough
    } else {
        WalkEnd::Whole
    };
    Ok(Walked { counts, end })
}

impl<P> Shared<'_, P> {
    fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
        self.schedule.halt();
    }

    /// Whether everybody should go home; cheap enough for each entry.
    fn is_over(&self) -> bool {
        self.halted.load(Ordering::Relaxed) || self.stop.is_raised()
    }

    /// The same with a look at the clock.
    fn check_deadline(&self) -> bool {
        if self.stop.is_late() {
            self.late.store(true, Ordering::Relaxed);
            self.halt();
        }
        self.is_over()
    }
}

impl WalkCounts {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.directories += other.directories;
        self.ignored += other.ignored;
        self.hidden += other.hidden;
        self.withheld += other.withheld;
        self.unreadable += other.unreadable;
        self.beyond += other.beyond;
        self.bad_rules += other.bad_rules;
    }
}

/// The rules of the directories between the allowed directory and the start.
fn rules_above(home: &Home, path: &[u8], skipped: &mut u64) -> Option<Arc<Rules>> {
    let mut rules = None;
    let mut base = 0;
    while base < path.len() {
        let above = path.get(..base.saturating_sub(1)).unwrap_or_default();
        match home.open(above, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => rules = Rules::below(rules, directory.as_fd(), base, Special::UNKNOWN, skipped),
            Err(_) => *skipped += 1,
        }
        let name = path.iter().skip(base).position(|byte| *byte == b'/').unwrap_or(path.len());
        base = base.saturating_add(name).saturating_add(1);
    }
    rules
}

fn unreadable(error: std::io::Error) -> ToolError {
    ToolError::unavailable("the directory can't be read").with_source(error)
}
