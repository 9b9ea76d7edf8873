//! One worker of a walk: takes a directory, sorts out its entries, shows them to its visitor.

use std::{
    borrow::Cow,
    ffi::OsStr,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::{fs::OFlags, io::Errno};
use toolyard_policy::WalkFilter;

use crate::guard::{Kind, names, resolve};

use super::{
    Entry, Shared, Visitor, WalkCounts, entry,
    listing::Listing,
    rules::{Rules, Ruling},
};

/// Entries of one directory that are handed out as one task; the rest can be taken by others.
const STRETCH: usize = 256;
/// Directory handles kept open for directories that wait; beyond it they are opened anew.
const MAX_OPEN: usize = 128;

/// A stretch of work.
pub(super) struct Task {
    parent: Arc<Directory>,
    work: Work,
}

enum Work {
    /// List the parent itself.
    Start,
    /// Open and list this subdirectory of the parent.
    Enter(Box<[u8]>),
    /// Go on with the parent's entries from this one.
    Rest(Arc<Listing>, usize),
}

/// A directory that is being walked.
struct Directory {
    /// Given up when too many are open.
    handle: Option<Handle>,
    /// Path relative to the allowed directory, as bytes.
    path: Box<[u8]>,
    /// The path as the policy knows it, where it differs from the bytes.
    shown: Option<Box<str>>,
    /// The rules for its entries.
    rules: Option<Arc<Rules>>,
    depth: usize,
    reads_whole: bool,
}

/// An open directory, counted as long as it is open.
struct Handle {
    fd: OwnedFd,
    open: Arc<AtomicUsize>,
}

impl Handle {
    fn new(fd: OwnedFd, open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self { fd, open: Arc::clone(open) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) struct Worker<'s, 'w, V: Visitor> {
    shared: &'s Shared<'w, V::Part>,
    visitor: V,
    filter: WalkFilter<'s>,
    listing: Listing,
    /// Path of the entry at hand, relative to the allowed directory.
    path: Vec<u8>,
    /// The same as the policy knows it.
    shown: String,
    tasks: Vec<Task>,
    counts: WalkCounts,
}

/// Tells the others when this worker panics, so that nobody waits for it.
struct HaltOnPanic<'w, 's, P>(&'w Shared<'s, P>);

impl<P> Drop for HaltOnPanic<'_, '_, P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.halt();
        }
    }
}

impl Task {
    /// The first task: the start, whose handle, path and inherited rules are given.
    pub(super) fn start(fd: OwnedFd, open: &Arc<AtomicUsize>, path: &[u8], rules: Option<Arc<Rules>>) -> Self {
        let reads_whole = entry::reads_whole(fd.as_fd());
        let parent = Directory { handle: Some(Handle::new(fd, open)), path: path.into(), shown: shown(path), rules, depth: 0, reads_whole };
        Self { parent: Arc::new(parent), work: Work::Start }
    }
}

impl<'s, 'w, V: Visitor> Worker<'s, 'w, V> {
    pub(super) fn new(shared: &'s Shared<'w, V::Part>, visitor: V) -> Self {
        Self {
            shared,
            visitor,
            filter: shared.policy.filter(),
            listing: Listing::default(),
            path: Vec::with_capacity(256),
            shown: String::with_capacity(256),
            tasks: Vec::new(),
            counts: WalkCounts::default(),
        }
    }

    /// Works until nothing is left; gives what it counted.
    pub(super) fn run(mut self, number: usize) -> WalkCounts {
        let _guard = HaltOnPanic(self.shared);
        let mut next = self.shared.schedule.first(number);
        while let Some(task) = next {
            self.perform(task);
            if self.shared.is_over() {
                // What an interrupted task gave has gaps and is dropped.
                self.shared.schedule.halt();
                break;
            }
            let part = self.visitor.take();
            next = self.shared.schedule.next(number, part, &mut self.tasks);
        }
        self.counts
    }

    fn perform(&mut self, task: Task) {
        if self.shared.check_deadline() {
            return;
        }
        let Task { parent, work } = task;
        match work {
            Work::Rest(listing, from) => self.show_files(&parent, &listing, from),
            Work::Start => {
                if let Some(directory) = Arc::into_inner(parent) {
                    self.list(directory);
                }
            }
            Work::Enter(name) => match self.open(&parent, &name) {
                Ok((fd, same_mount)) => {
                    let reads_whole = if same_mount { parent.reads_whole } else { entry::reads_whole(fd.as_fd()) };
                    let path: Box<[u8]> = if parent.path.is_empty() { name } else { [&parent.path, &b"/"[..], &name].concat().into() };
                    let shown = shown(&path);
                    let rules = parent.rules.clone();
                    let depth = parent.depth + 1;
                    // The parent's handle is closed as early as possible.
                    drop(parent);
                    self.list(Directory { handle: Some(Handle::new(fd, &self.shared.open)), path, shown, rules, depth, reads_whole });
                }
                Err(_) => self.counts.unreadable += 1,
            },
        }
    }

    /// Opens a subdirectory relative to its parent, or from the start when the parent's handle was
    /// given up.
    fn open(&self, parent: &Directory, name: &[u8]) -> Result<(OwnedFd, bool), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let home = self.shared.home;
        match &parent.handle {
            Some(handle) => entry::open(home, handle.fd.as_fd(), name, flags),
            None => {
                let below = parent.path.get(self.shared.prefix..).unwrap_or_default();
                let path = if below.is_empty() { name.to_vec() } else { [below, b"/", name].concat() };
                home.open_at(self.shared.start.as_fd(), &path, flags).map(|fd| (fd, false))
            }
        }
    }

    fn list(&mut self, mut directory: Directory) {
        let shared = self.shared;
        let mut listing = std::mem::take(&mut self.listing);
        let filled = directory.handle.as_ref().map(|handle| listing.fill(&handle.fd));
        let seen = shared.entries.fetch_add(listing.len() as u64, Ordering::Relaxed);
        if !matches!(filled, Some(Ok(()))) {
            self.counts.unreadable += 1;
            self.listing = listing;
            return;
        }
        self.counts.directories += 1;
        self.counts.beyond += u64::from(listing.cut);
        if seen > shared.options.max_entries {
            self.counts.beyond += 1;
            self.listing = listing;
            return;
        }
        if !shared.options.no_ignore
            && let Some(handle) = &directory.handle
        {
            let base = if directory.path.is_empty() { 0 } else { directory.path.len() + 1 };
            let above = directory.rules.take();
            directory.rules = Rules::below(above, handle.fd.as_fd(), base, listing.holds, &mut self.counts.bad_rules);
        }
        let directory = Arc::new(directory);
        if listing.file_count() <= STRETCH || shared.options.threads <= 1 {
            self.show_files(&directory, &listing, 0);
            self.queue_directories(&directory, &listing);
            self.listing = listing;
        } else {
            self.show_files(&directory, &listing, 0);
            let listing = Arc::new(listing);
            for from in (STRETCH..listing.file_count()).step_by(STRETCH) {
                self.tasks.push(Task { parent: Arc::clone(&directory), work: Work::Rest(Arc::clone(&listing), from) });
            }
            self.queue_directories(&directory, &listing);
        }
    }

    /// Shows one stretch of the entries that are no directories.
    fn show_files(&mut self, directory: &Directory, listing: &Listing, from: usize) {
        let Some(handle) = &directory.handle else { return };
        let base = self.go_to(directory);
        let below = self.shown.get(self.shared.shown_prefix..).unwrap_or_default();
        self.visitor.begin(below.strip_suffix('/').unwrap_or(below), directory.depth);
        let to = if self.shared.options.threads <= 1 { listing.file_count() } else { listing.file_count().min(from + STRETCH) };
        for at in from..to {
            let Some((name, kind)) = listing.file(at) else { return };
            let over = if at % 64 == 63 { self.shared.check_deadline() } else { self.shared.is_over() };
            if over {
                return;
            }
            self.step_to(base, name);
            if !self.passes(directory, name, false)
                || !self.visitor.wants(self.path.get(self.shared.prefix..).unwrap_or_default(), kind)
                || !self.is_allowed()
            {
                continue;
            }
            self.counts.files += 1;
            let met = Entry {
                home: self.shared.home,
                directory: handle.fd.as_fd(),
                name,
                path: self.path.get(self.shared.prefix..).unwrap_or_default(),
                shown: self.shown.get(self.shared.shown_prefix..).unwrap_or_default(),
                kind,
                depth: directory.depth + 1,
                reads_whole: directory.reads_whole,
            };
            if self.visitor.visit(&met).is_break() {
                // It may have stopped because of the deadline.
                self.shared.check_deadline();
                self.shared.halt();
                return;
            }
        }
    }

    fn queue_directories(&mut self, directory: &Arc<Directory>, listing: &Listing) {
        let Some(handle) = &directory.handle else { return };
        let base = self.go_to(directory);
        let too_deep = directory.depth >= self.shared.options.max_depth;
        let first = self.tasks.len();
        for at in 0.. {
            let Some(name) = listing.directory(at) else { break };
            if self.shared.is_over() {
                return;
            }
            self.step_to(base, name);
            if !self.passes(directory, name, true) || !self.is_allowed() {
                continue;
            }
            let depth = directory.depth + 1;
            let met = Entry {
                home: self.shared.home,
                directory: handle.fd.as_fd(),
                name,
                path: self.path.get(self.shared.prefix..).unwrap_or_default(),
                shown: self.shown.get(self.shared.shown_prefix..).unwrap_or_default(),
                kind: Kind::Directory,
                depth,
                reads_whole: directory.reads_whole,
            };
            if !self.visitor.enters(&met) {
                continue;
            }
            if too_deep {
                self.counts.beyond += 1;
                continue;
            }
            self.tasks.push(Task { parent: Arc::clone(directory), work: Work::Enter(name.into()) });
        }
        if self.tasks.len() == first {
            return;
        }
        // A deep or wide tree must not use up the process's descriptors.
        if self.shared.open.load(Ordering::Relaxed) >= MAX_OPEN {
            let closed = Arc::new(Directory {
                handle: None,
                path: directory.path.clone(),
                shown: directory.shown.clone(),
                rules: directory.rules.clone(),
                depth: directory.depth,
                reads_whole: directory.reads_whole,
            });
            for task in self.tasks.iter_mut().skip(first) {
                task.parent = Arc::clone(&closed);
            }
        }
    }

    /// Whether names and rules let the entry at hand through; counts it when they don't.
    fn passes(&mut self, directory: &Directory, name: &[u8], is_directory: bool) -> bool {
        let options = self.shared.options;
        let ruling = match &directory.rules {
            Some(rules) => rules.judge(&self.path, is_directory),
            None => Ruling::Nothing,
        };
        if ruling == Ruling::Ignored {
            self.counts.ignored += 1;
            return false;
        }
        if name.first() == Some(&b'.') && !options.hidden && ruling != Ruling::Wanted
            || name == b".git" && !(options.hidden && options.no_ignore)
        {
            self.counts.hidden += 1;
            return false;
        }
        true
    }

    /// Asks the policy about the entry at hand; counts it when it is withheld.
    fn is_allowed(&mut self) -> bool {
        let home = self.shared.home;
        let allowed = if !self.shared.nested && self.shown.as_bytes() == self.path {
            self.filter.allows_parts(home.dir.path(), &self.shown)
        } else {
            let (dir, path) = home.shared.innermost(&home.dir, self.path.clone());
            resolve::resource(dir, &path, None).is_some_and(|resource| self.filter.allows(&resource))
        };
        self.counts.withheld += u64::from(!allowed);
        allowed
    }

    /// Prepares the paths for the entries of a directory.
    fn go_to(&mut self, directory: &Directory) -> (usize, usize) {
        self.path.clear();
        self.shown.clear();
        if !directory.path.is_empty() {
            self.path.extend_from_slice(&directory.path);
            self.path.push(b'/');
            match (&directory.shown, std::str::from_utf8(&directory.path)) {
                (Some(shown), _) => self.shown.push_str(shown),
                (None, text) => self.shown.push_str(text.unwrap_or_default()),
            }
            self.shown.push('/');
        }
        (self.path.len(), self.shown.len())
    }

    fn step_to(&mut self, (path, shown): (usize, usize), name: &[u8]) {
        self.path.truncate(path);
        self.path.extend_from_slice(name);
        self.shown.truncate(shown);
        match std::str::from_utf8(name) {
            // Nearly all names are shown as they are.
            Ok(plain) if name.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~') & (*byte != b'<')) => {
                self.shown.push_str(plain);
            }
            _ => self.shown.push_str(&names::show_name(OsStr::from_bytes(name))),
        }
    }
}

/// A path as the policy knows it, where that differs from its bytes.
fn shown(path: &[u8]) -> Option<Box<str>> {
    match names::show_name(OsStr::from_bytes(path)) {
        Cow::Borrowed(_) => None,
        Cow::Owned(shown) => Some(shown.into()),
    }
}
