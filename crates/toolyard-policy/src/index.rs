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
    names: Shelf,
    extensions: Shelf,
    heads: QuickMap<u8, Vec<(Box<str>, u32)>>,
    /// Whether a byte is a key of `heads`.
    begins: [bool; 256],
    /// Directories whose removal removes what a pattern is about.
    parents: Shelf,
    rest: Vec<u32>,
    absolute: Vec<u32>,
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
            names: Shelf::default(),
            extensions: Shelf::default(),
            heads: QuickMap::default(),
            begins: [false; 256],
            parents: Shelf::default(),
            rest: Vec::new(),
            absolute: Vec::new(),
        }
    }

    /// Files the pattern of a rule.
    pub(crate) fn add(&mut self, rule: u32, pattern: Pattern) {
        let Ok(id) = u32::try_from(self.entries.len()) else {
            return;
        };
        if pattern.anchor() == Anchor::Root && !pattern.is_everything() {
            self.absolute.push(id);
        } else {
            if self.mode == Mode::Strict {
                pattern.parents().for_each(|name| self.parents.add(name, id));
            }
            match pattern.key(self.mode) {
                Some(Key::Name(name)) => self.names.add(&name, id),
                Some(Key::Extension(extension)) => self.extensions.add(&extension, id),
                Some(Key::Head(head)) => {
                    let byte = head.bytes().next().unwrap_or_default();
                    if let Some(begins) = self.begins.get_mut(usize::from(byte)) {
                        *begins = true;
                    }
                    self.heads.entry(byte).or_default().push((head.into(), id));
                }
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
        let mut search = Search { index: self, probe, split: None, best: None, applies };
        for subject in probe.before.into_iter().chain([probe.subject]) {
            match self.mode {
                Mode::Exact => search.look_up(subject.exact()),
                Mode::Strict => subject.lookups().into_iter().flatten().for_each(|text| search.look_up(text)),
            }
        }
        if probe.removed && self.mode == Mode::Strict {
            for text in probe.subject.lookups().into_iter().flatten() {
                let last = text.rsplit('/').next().unwrap_or(text);
                search.consider_parents(self.parents.get(last));
            }
        }
        search.consider(&self.rest);
        if !self.absolute.is_empty() {
            search.consider_absolute(&self.absolute);
        }
        search.best
    }

    /// The same answer from every pattern in turn, to test the look-up against.
    #[cfg(test)]
    pub(crate) fn find_linearly(&self, probe: Probe<'_>) -> Option<u32> {
        let split = probe.subject.split(probe.before);
        let absolute = probe.subject.absolute().unwrap_or_default();
        let absolute = Subject::path("/", &absolute).ok();
        let absolute = absolute.as_ref().map(|subject| subject.split(None));
        self.entries
            .iter()
            .filter(|entry| {
                let split = match entry.pattern.anchor() {
                    Anchor::Root => absolute.as_ref().unwrap_or(&split),
                    Anchor::Floating | Anchor::Directory => &split,
                };
                entry.pattern.is_everything()
                    || entry.pattern.matches(split, self.mode, Extent::Covered)
                    || (self.mode == Mode::Strict && probe.removed && entry.pattern.leads_below(split, self.mode))
            })
            .map(|entry| entry.rule)
            .min()
    }

    /// Whether a pattern that spells out a file name matches exactly this path.
    pub(crate) fn names(&self, subject: &Subject<'_>, applies: impl Fn(u32) -> bool) -> Option<u32> {
        let split = subject.split(None);
        let absolute = subject.absolute();
        let absolute = absolute.as_deref().and_then(|text| Subject::path("/", text).ok());
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
        let (mut start, mut dot) = (0, None);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'/' => {
                    self.look_up_segment(text.get(start..at), dot.and_then(|dot| text.get(dot..at)));
                    (start, dot) = (at + 1, None);
                }
                b'.' => dot = Some(at + 1),
                _ => {}
            }
        }
        self.look_up_segment(text.get(start..), dot.and_then(|dot| text.get(dot..)));
    }

    fn look_up_segment(&mut self, segment: Option<&str>, extension: Option<&str>) {
        let index = self.index;
        let Some(segment) = segment else { return };
        let ids = index.names.get(segment);
        if !ids.is_empty() {
            self.consider(ids);
        }
        if let Some(extension) = extension {
            let ids = index.extensions.get(extension);
            if !ids.is_empty() {
                self.consider(ids);
            }
        }
        if let Some(byte) = segment.as_bytes().first()
            && index.begins.get(usize::from(*byte)) == Some(&true)
            && let Some(heads) = index.heads.get(byte)
        {
            for (head, id) in heads {
                if segment.starts_with(&**head) {
                    self.consider(std::slice::from_ref(id));
                }
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
            if entry.pattern.is_everything() || entry.pattern.matches(split, index.mode, Extent::Covered) {
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
        let subject = Subject::path("/", &text);
        let split = subject.as_ref().map(|subject| subject.split(None));
        for entry in ids.iter().filter_map(|id| index.entries.get(*id as usize)) {
            let Ok(split) = &split else {
                // What can't be judged is refused, so every rule that refuses counts.
                if index.mode == Mode::Strict && self.could_improve(entry) {
                    self.best = Some(entry.rule);
                }
                continue;
            };
            if self.could_improve(entry)
                && (entry.pattern.matches(split, index.mode, Extent::Covered)
                    || (self.probe.removed && index.mode == Mode::Strict && entry.pattern.leads_below(split, index.mode)))
            {
                self.best = Some(entry.rule);
            }
        }
    }

    fn could_improve(&self, entry: &Entry) -> bool {
        self.best.is_none_or(|best| entry.rule < best) && (self.applies)(entry.rule)
    }
}

/// Pattern numbers by a text, with a screen in front that turns most texts away unhashed.
#[derive(Debug)]
struct Shelf {
    map: QuickMap<Box<str>, Vec<u32>>,
    /// For each first byte, one bit for each length that occurs.
    screen: [u32; 256],
}

impl Default for Shelf {
    fn default() -> Self {
        Self { map: QuickMap::default(), screen: [0; 256] }
    }
}

impl Shelf {
    fn add(&mut self, text: &str, id: u32) {
        let (first, length) = Self::place(text);
        if let Some(lengths) = self.screen.get_mut(first) {
            *lengths |= length;
        }
        match self.map.get_mut(text) {
            Some(ids) => ids.push(id),
            None => {
                self.map.insert(text.into(), vec![id]);
            }
        }
    }

    fn get(&self, text: &str) -> &[u32] {
        let (first, length) = Self::place(text);
        match self.screen.get(first) {
            Some(lengths) if lengths & length != 0 => self.map.get(text).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    fn place(text: &str) -> (usize, u32) {
        let first = text.as_bytes().first().copied().unwrap_or_default();
        (usize::from(first), 1 << text.len().min(31))
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
            (Some(low), Some(high)) => u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << 32,
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
