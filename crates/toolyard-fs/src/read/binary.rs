//! What can be said about a file that is no text.

use std::fmt::Write as _;

/// Bytes shown.
const SHOWN: usize = 32;

/// Beginnings of common formats.
const FORMATS: &[(&[u8], &str)] = &[
    (b"%PDF-", "PDF document"),
    (b"PK\x03\x04", "zip archive"),
    (b"\x1F\x8B", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xFD7zXZ\0", "xz data"),
    (b"\x28\xB5\x2F\xFD", "zstd data"),
    (b"7z\xBC\xAF\x27\x1C", "7z archive"),
    (b"\x7FELF", "ELF program or library"),
    (b"MZ", "Windows program or library"),
    (b"\xCF\xFA\xED\xFE", "Mach-O program or library"),
    (b"\xCA\xFE\xBA\xBE", "Java class or Mach-O"),
    (b"\0asm", "WebAssembly module"),
    (b"SQLite format 3\0", "SQLite database"),
    (b"OggS", "Ogg media"),
    (b"ID3", "MP3 audio"),
    (b"fLaC", "FLAC audio"),
    (b"RIFF", "RIFF media"),
    (b"wOFF", "web font"),
    (b"wOF2", "web font"),
    (b"\0\0\x01\0", "icon"),
    (b"II*\0", "TIFF image"),
    (b"MM\0*", "TIFF image"),
    (b"\0\0\0\0", "zeros"),
];

/// Kind, size and first bytes: `ELF program or library, 1,024 bytes, begins 7f 45 …`.
pub(super) fn describe(head: &[u8], size: u64) -> String {
    let kind = FORMATS.iter().find(|(start, _)| head.starts_with(start)).map_or("unknown format", |(_, kind)| kind);
    let mut text = format!("binary: {kind}, {} bytes, begins", super::grouped(size));
    for byte in head.iter().take(SHOWN) {
        let written = write!(text, " {byte:02x}");
        // Writing to a string can't fail.
        debug_assert!(written.is_ok());
    }
    text
}
