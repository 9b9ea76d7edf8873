//! Mounts below an allowed directory: one that shows a part of an allowed directory a second time
//! would get round rules about paths.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

/// Bytes of the mount table that are looked at; beyond it the answer is the safe one.
const TABLE_BYTES: usize = 4 << 20;

/// One line of the mount table.
struct Mount<'t> {
    id: u64,
    device: &'t str,
    /// Which part of the file system is mounted.
    root: Vec<u8>,
    point: Vec<u8>,
}

/// Whether mount `id` shows again what lies in the directory `path` of mount `own`, or holds it.
/// True when that can't be told.
pub(super) fn is_alias(id: u64, own: u64, path: &[u8]) -> bool {
    let Ok(table) = read_table() else { return true };
    let Ok(table) = String::from_utf8(table) else { return true };
    let find = |id| table.lines().filter_map(parse).find(|mount| mount.id == id);
    let (Some(other), Some(own)) = (find(id), find(own)) else { return true };
    if other.device != own.device {
        return false;
    }
    let Some(below) = strip(path, &own.point) else { return true };
    let mut inside = own.root.strip_suffix(b"/").unwrap_or(&own.root).to_vec();
    if !below.is_empty() {
        inside.push(b'/');
        inside.extend_from_slice(below);
    }
    strip(&inside, &other.root).is_some() || strip(&other.root, &inside).is_some()
}

fn read_table() -> Result<Vec<u8>, Errno> {
    let table: OwnedFd = rustix::fs::open("/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 8192];
    loop {
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&table, &mut buffer))?;
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if count == 0 {
            return Ok(bytes);
        }
        if bytes.len() > TABLE_BYTES {
            return Err(Errno::FBIG);
        }
    }
}

fn parse(line: &str) -> Option<Mount<'_>> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let device = fields.nth(1)?;
    Some(Mount { id, device, root: unescape(fields.next()?), point: unescape(fields.next()?) })
}

/// The table writes blanks and backslashes as `\040`.
fn unescape(field: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = (first == b'\\').then(|| after.first_chunk::<3>()).flatten();
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    bytes
}

/// What is left of `path` below `above`, compared by whole components.
fn strip<'p>(path: &'p [u8], above: &[u8]) -> Option<&'p [u8]> {
    let above = above.strip_suffix(b"/").unwrap_or(above);
    let rest = path.strip_prefix(above)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}

#[cfg(test)]
mod tests {
    use super::{parse, strip};

    #[test]
    fn a_line_of_the_mount_table_is_read_with_its_escapes() {
        let mount = parse(r"36 35 98:0 /mnt\0401 /a\134b rw,noatime master:1 - ext3 /dev/root rw").map(|m| (m.id, m.root, m.point));
        assert_eq!(mount, Some((36, b"/mnt 1".to_vec(), br"/a\b".to_vec())));
    }

    #[test]
    fn paths_are_compared_by_component() {
        assert_eq!(strip(b"/a/b", b"/"), Some(&b"a/b"[..]));
        assert_eq!(strip(b"/a/b", b"/a/b"), Some(&b""[..]));
        assert_eq!(strip(b"/ab", b"/a"), None);
    }
}
