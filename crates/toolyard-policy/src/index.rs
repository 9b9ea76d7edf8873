//! Finds the few patterns that can match a path, out of many.
//!
//! A pattern is filed under one segment that every path it matches must have: a whole name, an
//! extension or a first byte. Each segment of a path is looked up once; what is found there is
//! then matched in full.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::pattern::{Anchor, Extent, Key, Pattern};
use crate::segment::Mode;
use crate::subject::{Split, Subject};

/// A map whose keys come from the operator, so it needs no protection against chosen keys.
pub(crate) type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<QuickHasher>>;

/// Patterns filed for quick look-up, each with the number of its rule.
#[derive(Debug)]
pub(crate) struct Index {
    mode: Mode,
    entries: Vec<Entry>,
    names: QuickMap<Box<str>, Vec<u32>>,
    extensions: QuickMap<Box<str>, Vec<u32>>,
    heads: QuickMap<u8, Vec<u32>>,
    rest: Vec<u32>,
    absolute: Vec<u32>,
    parents: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    rule: u32,
    pattern: Pattern,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'s> {
    /// The text to match.
    pub(crate) subject: &'s Subject<'s>,
    /// The end of the allowed directory's own path, for built-in patterns.
    pub(crate) before: Option<&'s Subject<'s>>,
    /// Whether the thing is removed, so that patterns below it match as well.
    pub(crate) removed: bool,
}

impl Index {
    /// An empty index.
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            entries: Vec::new(),
            names: QuickMap::default(),
            extensions: QuickMap::default(),
            heads: QuickMap::default(),
            rest: Vec::new(),
            absolute: Vec::new(),
            parents: Vec::new(),
        }
    }

    /// Files the pattern of a rule.
    pub(crate) fn add(&mut self, rule: u32, pattern: Pattern) {
        let Ok(id) = u32::try_from(self.entries.len()) else {
            return;
        };
        if self.mode == Mode::Strict && pattern.has_parents() && pattern.anchor() != Anchor::Root {
            self.parents.push(id);
        }
        if pattern.anchor() == Anchor::Root && !pattern.is_everything() {
            self.absolute.push(id);
        } else {
            match pattern.key(self.mode) {
                Some(Key::Name(name)) => self.names.entry(name.into()).or_default().push(id),
                Some(Key::Extension(ext)) => self.extensions.entry(ext.into()).or_default().push(id),
                Some(Key::Head(byte)) => self.heads.entry(byte).or_default().push(id),
                None => self.rest.push(id),
            }
        }
        self.entries.push(Entry { rule, pattern });
    }

    /// The rules that have patterns here, in no order, with repetitions.
    pub(crate) fn rules(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().map(|entry| entry.rule)
    }

    /// The lowest-numbered rule that applies and matches.
    pub(crate) fn find(&self, probe: Probe<'_>, applies: impl Fn(u32) -> bool) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let mut search = Search {
            index: self,
            probe,
            split: None,
            best: None,
            applies,
        };
        for subject in probe.before.into_iter().chain([probe.subject]) {
            match self.mode {
                Mode::Exact => search.look_up(subject.exact()),
                Mode::Strict => subject
                    .lookups()
                    .into_iter()
                    .flatten()
                    .for_each(|text| search.look_up(text)),
            }
        }
        search.consider(&self.rest);
        if probe.removed {
            search.consider_parents(&self.parents);
        }
        if !self.absolute.is_empty() {
            search.consider_absolute(&self.absolute);
        }
        search.best
    }

    /// Whether a pattern that spells out a file name matches exactly this path.
    pub(crate) fn names(&self, subject: &Subject<'_>, applies: impl Fn(u32) -> bool) -> Option<u32> {
        let split = subject.split(None);
        let absolute = subject.absolute();
        let absolute = absolute.as_deref().and_then(|text| Subject::name(text).ok());
        let absolute = absolute.as_ref().map(|subject| subject.split(None));
        self.entries
            .iter()
            .filter(|entry| entry.pattern.names_leaf() && applies(entry.rule))
            .find(|entry| {
                let split = match entry.pattern.anchor() {
                    Anchor::Root => absolute.as_ref(),
                    Anchor::Floating | Anchor::Directory => Some(&split),
                };
                split.is_some_and(|split| entry.pattern.matches(split, Mode::Exact, Extent::Whole))
            })
            .map(|entry| entry.rule)
    }
}

struct Search<'s, F> {
    index: &'s Index,
    probe: Probe<'s>,
    split: Option<Split<'s>>,
    best: Option<u32>,
    applies: F,
}

impl<F: Fn(u32) -> bool> Search<'_, F> {
    fn look_up(&mut self, text: &str) {
        let index = self.index;
        for segment in text.split('/') {
            if let Some(ids) = index.names.get(segment) {
                self.consider(ids);
            }
            if !index.extensions.is_empty()
                && let Some((_, extension)) = segment.rsplit_once('.')
                && let Some(ids) = index.extensions.get(extension)
            {
                self.consider(ids);
            }
            if !index.heads.is_empty()
                && let Some(byte) = segment.as_bytes().first()
                && let Some(ids) = index.heads.get(byte)
            {
                self.consider(ids);
            }
        }
    }

    fn consider(&mut self, ids: &[u32]) {
        let (index, probe) = (self.index, self.probe);
        for entry in ids.iter().filter_map(|id| index.entries.get(*id as usize)) {
            if !self.could_improve(entry) {
                continue;
            }
            let split = self.split.get_or_insert_with(|| probe.subject.split(probe.before));
            if entry.pattern.is_everything()
                || entry.pattern.matches(split, index.mode, Extent::Covered)
            {
                self.best = Some(entry.rule);
            }
        }
    }

    fn consider_parents(&mut self, ids: &[u32]) {
        let (index, probe) = (self.index, self.probe);
        for entry in ids.iter().filter_map(|id| index.entries.get(*id as usize)) {
            if !self.could_improve(entry) {
                continue;
            }
            let split = self.split.get_or_insert_with(|| probe.subject.split(probe.before));
            if entry.pattern.leads_below(split, index.mode) {
                self.best = Some(entry.rule);
            }
        }
    }

    fn consider_absolute(&mut self, ids: &[u32]) {
        let index = self.index;
        let Some(text) = self.probe.subject.absolute() else {
            return;
        };
        let Ok(subject) = Subject::name(&text) else {
            return;
        };
        let split = subject.split(None);
        for entry in ids.iter().filter_map(|id| index.entries.get(*id as usize)) {
            if self.could_improve(entry)
                && (entry.pattern.matches(&split, index.mode, Extent::Covered)
                    || (self.probe.removed
                        && index.mode == Mode::Strict
                        && entry.pattern.leads_below(&split, index.mode)))
            {
                self.best = Some(entry.rule);
            }
        }
    }

    fn could_improve(&self, entry: &Entry) -> bool {
        self.best.is_none_or(|best| entry.rule < best) && (self.applies)(entry.rule)
    }
}

/// A small multiplicative hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QuickHasher(u64);

impl QuickHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let tail = match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
            (Some(low), Some(high)) => {
                u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << 32
            }
            _ => rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        self.mix(tail ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, byte: u8) {
        // `str` ends its bytes with 0xff, which the length already stands for.
        if byte != 0xff {
            self.mix(u64::from(byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
