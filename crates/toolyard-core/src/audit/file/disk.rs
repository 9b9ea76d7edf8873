//! Where the trail lies: real files, or those of a test that fails on command.

use std::{
    fmt,
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::Arc,
};

use crate::clock;

pub(super) trait Disk: Send + Sync + fmt::Debug {
    /// Milliseconds since 1970, which name the daily file.
    fn now(&self) -> u64;

    /// Opens the file of a day, `2026-11-21`.
    fn open(&self, day: &str) -> io::Result<Opened>;
}

/// A file, or a directory of which only the entries matter.
pub(super) trait Sheet: Send + Sync + fmt::Debug {
    /// Appends a part, and says how much of it.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    fn sync(&self) -> io::Result<()>;
}

#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<dyn Sheet>,
    /// The directories that have a new entry.
    pub(super) changed: Vec<Arc<dyn Sheet>>,
}

/// Daily files in one directory.
#[derive(Debug)]
pub(super) struct Directory(pub(super) PathBuf);

impl Disk for Directory {
    fn now(&self) -> u64 {
        clock::unix_millis()
    }

    fn open(&self, day: &str) -> io::Result<Opened> {
        let new_directory = !self.0.try_exists()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let path = self.0.join(format!("{day}.jsonl"));
        let mut options = OpenOptions::new();
        options.append(true).mode(0o600);
        let mut changed: Vec<Arc<dyn Sheet>> = Vec::new();
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = options.create(true).open(&path)?;
                changed.push(Arc::new(File::open(&self.0)?));
                if let Some(parent) = self.0.parent().filter(|_| new_directory) {
                    changed.push(Arc::new(File::open(parent)?));
                }
                file
            }
            opened => opened?,
        };
        Ok(Opened { file: Arc::new(file), changed })
    }
}

impl Sheet for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
