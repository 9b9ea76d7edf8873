//! Where the lines of a large file are: the number of line ends before every 64 KiB block, counted
//! once, as far as somebody asked, and kept while the file stays the same.

use std::{
    fs::File,
    io,
    sync::{Mutex, PoisonError},
};

use toolyard_core::guard::Stat;

use crate::read::{Bytes, Fault};

/// Files remembered.
const REMEMBERED: usize = 16;
/// Bytes between two counts, in files up to 8 GiB.
const BLOCK: u64 = 64 * 1024;
/// Counts kept of one file, 8 bytes each; in larger files they stand farther apart.
const MAX_COUNTS: usize = 128 * 1024;
/// Bytes counted in one go.
const BUFFER: usize = 256 * 1024;

/// What tells one state of a file from another. Before Linux 6.13, a second change within one tick
/// of the clock that keeps the size goes unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    dev: u64,
    ino: u64,
    size: u64,
    mtime: (i64, u32),
    ctime: (i64, u32),
}

impl Identity {
    /// The state of an open file now.
    pub(crate) fn now(file: &File) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let found = file.metadata()?;
        Ok(Self {
            dev: found.dev(),
            ino: found.ino(),
            size: found.size(),
            mtime: (found.mtime(), nanos(found.mtime_nsec())),
            ctime: (found.ctime(), nanos(found.ctime_nsec())),
        })
    }

    /// Size in bytes.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// A short digest to carry in a cursor.
    pub(crate) fn fingerprint(&self) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new();
        for number in [self.dev, self.ino, self.size, self.mtime.0.cast_unsigned(), self.ctime.0.cast_unsigned()] {
            hasher.update(&number.to_be_bytes());
        }
        hasher.update(&self.mtime.1.to_be_bytes()).update(&self.ctime.1.to_be_bytes());
        let mut short = [0; 8];
        hasher.finalize_xof().fill(&mut short);
        short
    }
}

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Self {
        Self { dev: stat.dev, ino: stat.ino, size: stat.size, mtime: stat.mtime, ctime: stat.ctime }
    }
}

fn nanos(nanos: i64) -> u32 {
    u32::try_from(nanos).unwrap_or(0)
}

/// The line ends of one file, counted up to some place.
#[derive(Debug)]
pub(crate) struct LineIndex {
    terminator: u8,
    /// Bytes between two counts.
    block: u64,
    /// Line ends before each block.
    before: Vec<u64>,
    /// Bytes counted so far.
    scanned: u64,
    /// Line ends in them.
    ends: u64,
    /// Number of lines, once everything is counted.
    total: Option<u64>,
}

impl LineIndex {
    /// Nothing is counted yet.
    pub(crate) const fn new(terminator: u8) -> Self {
        Self { terminator, block: BLOCK, before: Vec::new(), scanned: 0, ends: 0, total: None }
    }

    /// The number of lines, if everything was counted; a last line without line end counts.
    pub(crate) const fn total(&self) -> Option<u64> {
        self.total
    }

    /// Counts all lines.
    pub(crate) fn count(&mut self, bytes: &Bytes<'_>) -> Result<u64, Fault> {
        self.advance(bytes, u64::MAX)?;
        Ok(self.total.unwrap_or(self.ends))
    }

    /// Where line `line` starts; `None` when the file has fewer.
    pub(crate) fn start_of(&mut self, bytes: &Bytes<'_>, line: u64) -> Result<Option<u64>, Fault> {
        let wanted = line.saturating_sub(1);
        if wanted == 0 {
            return Ok(Some(0));
        }
        self.advance(bytes, wanted)?;
        if self.ends < wanted || self.total.is_some_and(|total| line > total) {
            return Ok(None);
        }
        let block = self.before.partition_point(|before| *before < wanted).saturating_sub(1);
        let mut missing = wanted - self.before.get(block).copied().unwrap_or(0);
        let mut offset = block as u64 * self.block;
        let mut buffer = vec![0; BLOCK as usize];
        loop {
            let read = bytes.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Ok(None);
            }
            let chunk = &buffer[..read];
            let nth = usize::try_from(missing - 1).unwrap_or(usize::MAX);
            match memchr::memchr_iter(self.terminator, chunk).nth(nth) {
                // A line end that is the last byte of the file starts no further line.
                Some(end) => {
                    let start = offset + end as u64 + 1;
                    return Ok((self.total.is_none() || start < self.scanned).then_some(start));
                }
                None => {
                    missing -= memchr::memchr_iter(self.terminator, chunk).count() as u64;
                    offset += read as u64;
                }
            }
        }
    }

    /// Counts on until `ends` line ends are passed or the file ends.
    fn advance(&mut self, bytes: &Bytes<'_>, ends: u64) -> Result<(), Fault> {
        if self.total.is_some() || self.ends >= ends {
            return Ok(());
        }
        let mut buffer = vec![0; BUFFER];
        let mut last = None;
        while self.ends < ends {
            let read = bytes.read_at(&mut buffer, self.scanned)?;
            for chunk in buffer[..read].chunks(BLOCK as usize) {
                if self.scanned.is_multiple_of(self.block) {
                    self.note();
                }
                self.ends += memchr::memchr_iter(self.terminator, chunk).count() as u64;
                self.scanned += chunk.len() as u64;
                last = chunk.last().copied();
            }
            if read < buffer.len() {
                let open_end = match last {
                    Some(byte) => byte != self.terminator,
                    // This run began at the very end; what stood there is in the file.
                    None => self.scanned > 0 && bytes.read(self.scanned - 1, 1)?.first() != Some(&self.terminator),
                };
                self.total = Some(self.ends + u64::from(open_end));
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self) {
        if self.before.len() >= MAX_COUNTS {
            let mut at = 0;
            self.before.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.block *= 2;
        }
        self.before.push(self.ends);
    }
}

/// The line ends of the files read last.
#[derive(Debug, Default)]
pub(crate) struct LineIndexes {
    /// Least recently used first.
    kept: Mutex<Vec<(Identity, LineIndex)>>,
}

impl LineIndexes {
    /// Takes the index of a file in exactly this state, or a fresh one.
    pub(crate) fn take(&self, identity: &Identity, terminator: u8) -> LineIndex {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().position(|(known, index)| known == identity && index.terminator == terminator) {
            Some(at) => kept.remove(at).1,
            None => LineIndex::new(terminator),
        }
    }

    /// Puts an index back; states of the file that are over are forgotten.
    pub(crate) fn keep(&self, identity: Identity, index: LineIndex) {
        if index.scanned == 0 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Another call may have counted the same file at the same time.
        if kept.iter().any(|(known, other)| *known == identity && other.scanned > index.scanned) {
            return;
        }
        kept.retain(|(known, _)| (known.dev, known.ino) != (identity.dev, identity.ino));
        if kept.len() >= REMEMBERED {
            kept.remove(0);
        }
        kept.push((identity, index));
    }
}
