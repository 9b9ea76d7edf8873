//! The bytes of an open file, read without waiting or, on the blocking pool, until they are there.

use std::{cell::Cell, fs::File, io, io::IoSliceMut, os::unix::fs::FileExt as _};

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use toolyard_core::{Stop, ToolError};

use crate::etag;

/// Most bytes that one call reads on the protocol thread.
const INLINE: usize = 256 * 1024;
/// Most bytes read there when the file system can't promise not to wait. The open that came
/// before would have waited as well.
const INLINE_UNPROMISED: usize = 64 * 1024;
/// Largest single read.
const STEP: usize = 256 * 1024;

/// Why bytes were not read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It would take too long for the protocol thread.
    Wait,
    /// The system's answer.
    Io(io::Error),
    /// The call ends with this error: it was stopped, or asks for what is not there.
    Failed(ToolError),
}

/// An open file to read from.
#[derive(Debug)]
pub(crate) struct Bytes<'a> {
    file: &'a File,
    patience: Patience<'a>,
}

#[derive(Debug)]
enum Patience<'a> {
    /// Only what is in memory already, and no more than so many bytes.
    Inline { left: Cell<usize> },
    /// As long as the call lives.
    Pool { stop: &'a Stop },
}

impl<'a> Bytes<'a> {
    /// Reads that never wait; [`Fault::Wait`] says to go to the blocking pool.
    pub(crate) const fn inline(file: &'a File) -> Self {
        Self { file, patience: Patience::Inline { left: Cell::new(INLINE) } }
    }

    /// Reads that wait, and look at `stop` now and then.
    pub(crate) const fn on_pool(file: &'a File, stop: &'a Stop) -> Self {
        Self { file, patience: Patience::Pool { stop } }
    }

    /// The file itself.
    pub(crate) const fn file(&self) -> &'a File {
        self.file
    }

    /// Asks for the blocking pool when the work at hand is not for the protocol thread.
    pub(crate) const fn need_pool(&self) -> Result<(), Fault> {
        match self.patience {
            Patience::Inline { .. } => Err(Fault::Wait),
            Patience::Pool { .. } => Ok(()),
        }
    }

    /// Fills `buffer` from `offset`; fewer bytes only at the end of the file.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
        let mut filled = 0;
        while filled < buffer.len() {
            let end = buffer.len().min(filled + STEP);
            match self.step(&mut buffer[filled..end], offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Up to `len` bytes from `offset`.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, Fault> {
        if let Patience::Inline { left } = &self.patience
            && len > left.get()
        {
            return Err(Fault::Wait);
        }
        let mut buffer = vec![0; len];
        let read = self.read_at(&mut buffer, offset)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    fn step(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
        match &self.patience {
            Patience::Inline { left } => {
                let remaining = left.get().checked_sub(buffer.len()).ok_or(Fault::Wait)?;
                left.set(remaining);
                match preadv2(self.file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
                    Ok(read) => Ok(read),
                    Err(Errno::OPNOTSUPP | Errno::NOSYS) if buffer.len() <= INLINE_UNPROMISED => {
                        self.file.read_at(buffer, offset).map_err(Fault::Io)
                    }
                    Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::NOSYS) => Err(Fault::Wait),
                    Err(error) => Err(Fault::Io(error.into())),
                }
            }
            Patience::Pool { stop } => loop {
                stop.check().map_err(Fault::Failed)?;
                match self.file.read_at(buffer, offset) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => return other.map_err(Fault::Io),
                }
            },
        }
    }
}

impl Fault {
    /// The error of the call; `name` is the file as the answer names it.
    pub(crate) fn into_error(self, name: &str) -> ToolError {
        match self {
            Self::Failed(error) => error,
            Self::Io(error) => {
                ToolError::unavailable(format!("`{name}` can't be read")).with_hint("look at it with fs_stat").with_source(error)
            }
            Self::Wait => ToolError::internal("a read asked for the blocking pool twice"),
        }
    }
}

/// The etag of a whole file, read in steps.
pub(crate) fn hash(bytes: &Bytes<'_>) -> Result<String, Fault> {
    bytes.need_pool()?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; STEP];
    let mut offset = 0;
    loop {
        let read = bytes.read_at(&mut buffer, offset)?;
        hasher.update(buffer.get(..read).unwrap_or_default());
        offset += read as u64;
        if read < buffer.len() {
            return Ok(etag::finish(&hasher));
        }
    }
}
