//! Moving bytes and attributes from one open file to another.

use std::{
    fs::File,
    io::{IoSlice, Write as _},
};

use rustix::{
    fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr},
    io::Errno,
};

use crate::{Stop, ToolError};

/// Bytes copied between two looks at the stop flag.
const COPY_STEP: usize = 4 << 20;

/// Largest list of attribute names, and largest value, that Linux has.
const ATTRIBUTE_BYTES: usize = 64 << 10;

/// Writes pieces with as few calls as the system allows.
pub(super) fn write_pieces(mut file: &File, pieces: &[&[u8]]) -> std::io::Result<()> {
    const AT_ONCE: usize = 64;
    for group in pieces.chunks(AT_ONCE) {
        let mut slices: Vec<IoSlice<'_>> = group.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Copies access list and extended attributes, but not those that a write takes away.
pub(super) fn copy_attributes(from: &File, to: &File) -> Result<(), Errno> {
    // Few files have any, and then only a few.
    let mut few = [0_u8; 512];
    let mut many = Vec::new();
    let names = match flistxattr(from, &mut few[..]) {
        Ok(0) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
        Ok(filled) => few.get(..filled).unwrap_or_default(),
        Err(Errno::RANGE) => {
            many.resize(ATTRIBUTE_BYTES, 0_u8);
            let filled = flistxattr(from, &mut many[..])?;
            many.get(..filled).unwrap_or_default()
        }
        Err(errno) => return Err(errno),
    };
    let mut value = vec![0_u8; ATTRIBUTE_BYTES];
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if name == b"security.capability" {
            continue;
        }
        let copied = fgetxattr(from, name, &mut value[..])
            .and_then(|length| fsetxattr(to, name, value.get(..length).unwrap_or_default(), XattrFlags::empty()));
        match copied {
            Ok(()) => {}
            // Labels and the like are the system's to give.
            Err(_) if !name.starts_with(b"user.") && !name.starts_with(b"system.posix_acl") => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Copies a whole file, in the kernel where it can; `failed` words what the system refuses.
pub(super) fn copy_content(source: &File, target: &File, failed: impl Fn(Errno) -> ToolError, stop: &Stop) -> Result<(), ToolError> {
    let mut offset = 0_u64;
    loop {
        stop.check()?;
        match rustix::fs::copy_file_range(source, Some(&mut offset), target, None, COPY_STEP) {
            Ok(0) => break,
            Ok(_) => {}
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => break,
            Err(errno) => return Err(failed(errno)),
        }
    }
    // Some file systems report an early end, so what is left, if anything, is read.
    let mut buffer = vec![0_u8; 256 << 10];
    let mut target = target;
    loop {
        let read = match rustix::io::pread(source, &mut buffer[..], offset) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(failed(errno)),
        };
        stop.check()?;
        let written = target.write_all(buffer.get(..read).unwrap_or_default());
        written.map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        offset = offset.saturating_add(read as u64);
    }
}
