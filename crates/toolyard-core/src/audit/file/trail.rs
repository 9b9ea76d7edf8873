//! The files of the trail and what is on its way into them, in record order.

use std::{io, sync::Arc};

use super::{
    disk::{Disk, Opened, Sheet},
    record::Header,
};
use crate::clock;

const DAY_MILLIS: u64 = 86_400_000;

/// Records that can't be written are kept up to this size, in bytes.
const KEPT_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Trail {
    /// For the records that are not buffered.
    pub(super) header: Header,
    /// Whole records that are not in the file yet; they go before all later ones.
    pending: Vec<u8>,
    /// The day the file is for, counted from 1970.
    file: Option<(u64, Arc<dyn Sheet>)>,
    /// A record was cut: the file does not end with a newline.
    torn: bool,
    /// Files and directories that are to be synced.
    unsynced: Vec<Arc<dyn Sheet>>,
}

impl Trail {
    /// Puts the buffered records behind those that wait already.
    pub(super) fn take(&mut self, buffer: &mut Vec<u8>) {
        if self.pending.is_empty() {
            std::mem::swap(&mut self.pending, buffer);
        } else {
            self.pending.append(buffer);
        }
    }

    pub(super) fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Writes what waits. After a failure whole records still wait, the cut one among them.
    pub(super) fn write(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let file = self.file_of_today(disk)?;
        let mut written = 0;
        let result = self.write_part(file.as_ref(), &mut written);
        let whole = memchr::memrchr(b'\n', self.pending.get(..written).unwrap_or_default()).map_or(0, |at| at + 1);
        self.torn |= written > whole;
        self.pending.drain(..whole);
        result
    }

    fn write_part(&mut self, file: &dyn Sheet, written: &mut usize) -> io::Result<()> {
        if self.torn {
            write_all(file, b"\n", &mut 0)?;
            self.torn = false;
        }
        write_all(file, &self.pending, written)
    }

    /// A record that was refused must not get into the file later.
    pub(super) fn forget_last(&mut self) {
        let before = self.pending.len().saturating_sub(1);
        let start = memchr::memrchr(b'\n', self.pending.get(..before).unwrap_or_default()).map_or(0, |at| at + 1);
        self.pending.truncate(start);
    }

    /// Whether more waits than is kept; it is given up then.
    pub(super) fn give_up(&mut self) -> bool {
        let too_much = self.pending.len() > KEPT_BYTES;
        if too_much {
            self.pending.clear();
        }
        too_much
    }

    /// The file written last has to be synced.
    pub(super) fn mark_unsynced(&mut self) {
        if let Some((_, file)) = &self.file
            && !self.unsynced.iter().any(|other| Arc::ptr_eq(other, file))
        {
            self.unsynced.push(Arc::clone(file));
        }
    }

    pub(super) fn take_unsynced(&mut self) -> Vec<Arc<dyn Sheet>> {
        std::mem::take(&mut self.unsynced)
    }

    /// What could not be synced is tried again with the next intent.
    pub(super) fn put_back(&mut self, mut failed: Vec<Arc<dyn Sheet>>) {
        self.unsynced.append(&mut failed);
    }

    fn file_of_today(&mut self, disk: &dyn Disk) -> io::Result<Arc<dyn Sheet>> {
        let now = disk.now();
        let day = now / DAY_MILLIS;
        if let Some((opened, file)) = &self.file
            && *opened == day
        {
            return Ok(Arc::clone(file));
        }
        let name = clock::rfc3339(now);
        let Opened { file, mut changed } = disk.open(name.split('T').next().unwrap_or("audit"))?;
        self.unsynced.append(&mut changed);
        self.file = Some((day, Arc::clone(&file)));
        self.torn = false;
        Ok(file)
    }
}

fn write_all(file: &dyn Sheet, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
