//! `fs_list`: the names in one directory.

use std::{ffi::OsStr, fmt::Write as _, os::unix::ffi::OsStrExt as _};

use rustix::fs::{FileType, RawDir};
use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Context, Effect, EntryPolicy, Granted, Stop, Tool, ToolError, Trailer,
    guard::{AllowedDirs, CheckedPath, Follow, GuardedDir, Kind, io_failed, names},
    rfc3339_seconds,
};

use crate::read::grouped;

/// Most entries held at once; of larger directories the rest is left out.
const MAX_ENTRIES: usize = 2_000_000;
/// Bytes of one read of a directory.
const READ_BYTES: usize = 64 * 1024;
/// Entries between two looks at whether anybody still waits.
const CHECKED_EVERY: usize = 512;

/// Lists one directory, sorted by name: `name/` is a directory, `name@ -> target` a symbolic link,
/// other names are files. `details` adds sizes and dates. Entries the policy withholds are marked.
/// For whole trees use fs_tree, to find files by name fs_glob.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Input {
    /// Default: the allowed directory, or all of them if several.
    path: Option<String>,
    /// List names that begin with a dot; default true.
    hidden: Option<bool>,
    /// Add sizes and dates.
    details: bool,
    max_tokens: Option<u32>,
    /// From the last answer.
    cursor: Option<String>,
}

/// The tool.
pub(crate) struct List {
    directories: AllowedDirs,
}

impl List {
    /// Over these directories.
    pub(crate) const fn new(directories: AllowedDirs) -> Self {
        Self { directories }
    }

    /// What the call names: one path, or every allowed directory.
    fn wanted<'a>(&'a self, input: &'a Input) -> Vec<&'a str> {
        match &input.path {
            Some(path) => vec![path],
            None if self.directories.iter().nth(1).is_none() => vec!["."],
            None => self.directories.iter().map(|directory| directory.path()).collect(),
        }
    }
}

impl Tool for List {
    const NAME: &'static str = "fs_list";
    const TITLE: &'static str = "List a directory";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        self.wanted(input).into_iter().map(|path| Ok(self.directories.resolve(path, Follow::Final)?.access(Effect::Read))).collect()
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let budget = granted.budget(input.max_tokens)?;
        if granted.accesses().len() > 1 {
            let names = self.directories.iter().map(|directory| format!("{}/\n", directory.path().trim_end_matches('/')));
            let trailer = Trailer::new().count(granted.accesses().len() as u64, granted.accesses().len() as u64, "allowed directories");
            return Ok(Answer::text(names.collect::<String>(), &trailer));
        }
        let path = self.directories.checked(&granted, 0)?;
        let query = digest(&input, &path);
        let after = input.cursor.as_ref().map(|cursor| granted.open_cursor(&query, cursor)).transpose()?;
        let job = Job {
            policy: granted.entry_policy(Effect::Read),
            hidden: input.hidden.unwrap_or(true),
            details: input.details,
            after,
            room: budget.bytes(),
            nested: self.directories.iter().nth(1).is_some(),
            path,
        };
        let page = granted.blocking(move |stop| job.run(stop)).await?;
        let mut trailer = Trailer::new().count(page.shown, page.total, if page.total == 1 { "entry" } else { "entries" });
        if page.withheld > 0 {
            trailer = trailer.note(format!("{} withheld by the policy", page.withheld));
        }
        if page.unlisted > 0 {
            trailer = trailer.note(format!("{} names that begin with a dot not listed", page.unlisted));
        }
        if page.cut {
            trailer = trailer.incomplete(format!("more than {} entries", grouped(MAX_ENTRIES as u64)));
        }
        if let Some(last) = &page.last {
            trailer = trailer.next(granted.seal_cursor(&query, last));
        }
        Ok(Answer::text(page.text, &trailer))
    }
}

fn digest(input: &Input, path: &CheckedPath) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(input.hidden.unwrap_or(true)), u8::from(input.details)]);
    hasher.update(path.display().as_bytes());
    *hasher.finalize().as_bytes()
}

/// One listing, on the blocking pool.
struct Job {
    path: CheckedPath,
    policy: EntryPolicy,
    hidden: bool,
    details: bool,
    /// Name the page before ended with.
    after: Option<Vec<u8>>,
    room: usize,
    /// Whether another allowed directory may lie in this one.
    nested: bool,
}

#[derive(Default)]
struct Page {
    text: String,
    shown: u64,
    total: u64,
    withheld: u64,
    unlisted: u64,
    cut: bool,
    last: Option<Vec<u8>>,
}

/// All names of a directory in one buffer.
#[derive(Default)]
struct Entries {
    names: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    /// Eight bytes that settle most comparisons.
    key: u64,
    start: usize,
    len: u16,
    kind: Option<Kind>,
}

impl Entries {
    fn push(&mut self, name: &[u8], kind: Option<Kind>) {
        self.places.push(Place { key: 0, start: self.names.len(), len: u16::try_from(name.len()).unwrap_or(u16::MAX), kind });
        self.names.extend_from_slice(name);
    }

    fn name(&self, place: &Place) -> &[u8] {
        &self.names[place.start..place.start + usize::from(place.len)]
    }

    /// Sorts by the bytes of the names.
    fn sort(&mut self) {
        // What all names begin with settles nothing, so the keys are taken from behind it.
        let Some(first) = self.places.first().map(|place| self.name(place)) else { return };
        let same = |name: &[u8]| first.iter().zip(name).take_while(|(a, b)| a == b).count();
        let common = self.places.iter().map(|place| same(self.name(place))).min().unwrap_or(0);
        let mut places = std::mem::take(&mut self.places);
        for place in &mut places {
            let mut key = [0; 8];
            for (to, from) in key.iter_mut().zip(self.name(place).iter().skip(common)) {
                *to = *from;
            }
            place.key = u64::from_be_bytes(key);
        }
        places.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| self.name(a).cmp(self.name(b))));
        self.places = places;
    }
}

impl Job {
    fn run(self, stop: &Stop) -> Result<Page, ToolError> {
        let dir = self.path.open_dir()?;
        let mut page = Page::default();
        let mut entries = self.entries(&dir, &mut page, stop)?;
        entries.sort();
        page.total = entries.places.len() as u64;
        let first = match &self.after {
            Some(after) => entries.places.partition_point(|place| entries.name(place) <= after.as_slice()),
            None => 0,
        };
        let rest = &entries.places[first..];
        page.text.reserve(self.room.min(entries.names.len() + 4 * rest.len()) + 600);
        let filter = self.policy.filter();
        let mut child = self.path.resource();
        let directory = child.directory.clone();
        let beneath = filter.beneath(&directory);
        if !child.path.is_empty() {
            child.path.push('/');
        }
        let base = child.path.len();
        // Where nothing is escaped, joining the texts gives the canonical path of an entry.
        let plain = !self.nested && !child.path.contains('<');
        for (at, place) in rest.iter().enumerate() {
            if at.is_multiple_of(CHECKED_EVERY) {
                stop.check()?;
            }
            let name = OsStr::from_bytes(entries.name(place));
            let before = page.text.len();
            let shown = names::show_name(name);
            let withheld = if plain && shown.as_bytes() == name.as_bytes() {
                child.path.truncate(base);
                child.path.push_str(&shown);
                !beneath.allows(&child.path)
            } else {
                self.path.join(name).check(&filter).is_none()
            };
            page.text.push_str(&shown);
            self.push_facts(&dir, name, place.kind, withheld, &mut page.text);
            if page.text.len() > self.room && page.shown > 0 {
                page.text.truncate(before);
                page.last = at.checked_sub(1).and_then(|at| rest.get(at)).map(|last| entries.name(last).to_vec());
                break;
            }
            page.withheld += u64::from(withheld);
            page.shown += 1;
        }
        Ok(page)
    }

    fn entries(&self, dir: &GuardedDir, page: &mut Page, stop: &Stop) -> Result<Entries, ToolError> {
        let mut entries = Entries::default();
        let mut buffer = Vec::with_capacity(READ_BYTES);
        let mut listing = RawDir::new(dir.fd(), buffer.spare_capacity_mut());
        let mut met = 0_usize;
        while let Some(entry) = listing.next() {
            let entry = entry.map_err(|errno| io_failed(&self.path.display(), "list", errno.into()))?;
            met += 1;
            if met.is_multiple_of(CHECKED_EVERY) {
                stop.check()?;
            }
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if !self.hidden && name.starts_with(b".") {
                page.unlisted += 1;
            } else if entries.places.len() >= MAX_ENTRIES {
                page.cut = true;
                break;
            } else {
                entries.push(name, kind_of(entry.file_type()));
            }
        }
        Ok(entries)
    }

    /// Appends what is said behind a name.
    fn push_facts(&self, dir: &GuardedDir, name: &OsStr, kind: Option<Kind>, withheld: bool, out: &mut String) {
        let stat = if self.details || kind.is_none() { dir.stat_child(name).ok() } else { None };
        let kind = kind.or_else(|| stat.map(|stat| stat.kind));
        match kind {
            Some(Kind::Directory) => out.push('/'),
            Some(Kind::Symlink) => {
                out.push('@');
                // Where a withheld link leads is withheld as well.
                if let (false, Ok(target)) = (withheld, rustix::fs::readlinkat(dir.fd(), name, Vec::new())) {
                    out.push_str(" -> ");
                    out.push_str(&names::show_name(OsStr::from_bytes(target.as_bytes())));
                }
            }
            Some(Kind::Fifo) => out.push_str(" (named pipe)"),
            Some(Kind::Socket) => out.push_str(" (socket)"),
            Some(Kind::Device) => out.push_str(" (device)"),
            Some(Kind::File) | None => {}
        }
        if let (true, Some(stat)) = (self.details, stat) {
            let written = match stat.kind {
                Kind::File => write!(out, "\t{}\t{}", stat.size, rfc3339_seconds(stat.mtime.0)),
                _ => write!(out, "\t-\t{}", rfc3339_seconds(stat.mtime.0)),
            };
            // Writing to a string can't fail.
            debug_assert!(written.is_ok());
        }
        if withheld {
            out.push_str(" (withheld)");
        }
        out.push('\n');
    }
}

/// What the listing itself says about an entry; not every file system does.
const fn kind_of(found: FileType) -> Option<Kind> {
    match found {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Directory),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Fifo => Some(Kind::Fifo),
        FileType::Socket => Some(Kind::Socket),
        FileType::CharacterDevice | FileType::BlockDevice => Some(Kind::Device),
        FileType::Unknown => None,
    }
}

#[cfg(test)]
mod tests;
