//! What the bytes of a file mean: text in some encoding with some line endings, or binary.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

/// Bytes that decide whether a file is binary.
const SNIFFED: usize = 8 * 1024;

/// How the text of a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// UTF-8, ASCII included.
    Utf8,
    /// UTF-8 behind a byte order mark.
    Utf8Bom,
    /// Mostly UTF-8; the bytes that are not are shown as `<0xFF>`.
    Utf8Damaged,
    /// UTF-16, low byte first.
    Utf16Le {
        /// Whether a byte order mark says so.
        bom: bool,
    },
    /// UTF-16, high byte first.
    Utf16Be {
        /// Whether a byte order mark says so.
        bom: bool,
    },
    /// An older encoding, guessed from the bytes.
    Guessed(&'static encoding_rs::Encoding),
}

/// How the lines of a file end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEndings {
    /// Line feeds, or no line end at all.
    Lf,
    /// Carriage return and line feed.
    Crlf,
    /// Carriage returns alone.
    Cr,
    /// Some lines end with a line feed, others with both.
    Mixed,
}

impl Encoding {
    /// The encoding of text, or `None` for binary. `bytes` are the whole file, or its first part
    /// when `whole` is false: then the last character may be cut.
    pub(crate) fn detect(bytes: &[u8], whole: bool) -> Option<Self> {
        if bytes.starts_with(b"\xEF\xBB\xBF") && !looks_binary(bytes, true) {
            return Some(Self::Utf8Bom);
        }
        if bytes.starts_with(b"\xFF\xFE") && !bytes.starts_with(b"\xFF\xFE\0\0") {
            return Some(Self::Utf16Le { bom: true });
        }
        if bytes.starts_with(b"\xFE\xFF") {
            return Some(Self::Utf16Be { bom: true });
        }
        let head = &bytes[..bytes.len().min(SNIFFED)];
        if memchr::memchr(0, head).is_some() {
            return sniff_utf16(head);
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => return (!looks_binary(head, true)).then_some(Self::Utf8),
            Err(error) if !whole && error.error_len().is_none() => return (!looks_binary(head, true)).then_some(Self::Utf8),
            Err(_) => {}
        }
        if looks_binary(head, false) {
            return None;
        }
        if mostly_utf8(bytes) {
            return Some(Self::Utf8Damaged);
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, whole);
        Some(Self::Guessed(detector.guess(None, Utf8Detection::Deny)))
    }

    /// Its name in answers.
    pub(crate) fn name(self) -> Cow<'static, str> {
        match self {
            Self::Utf8 => "utf-8".into(),
            Self::Utf8Bom => "utf-8-bom".into(),
            Self::Utf8Damaged => "utf-8 with invalid bytes".into(),
            Self::Utf16Le { .. } => "utf-16le".into(),
            Self::Utf16Be { .. } => "utf-16be".into(),
            Self::Guessed(encoding) => format!("{} (guessed)", encoding.name().to_ascii_lowercase()).into(),
        }
    }

    /// The byte order mark in front of the text.
    pub(crate) const fn bom(self) -> &'static [u8] {
        match self {
            Self::Utf8Bom => b"\xEF\xBB\xBF",
            Self::Utf16Le { bom: true } => b"\xFF\xFE",
            Self::Utf16Be { bom: true } => b"\xFE\xFF",
            Self::Utf8 | Self::Utf8Damaged | Self::Utf16Le { .. } | Self::Utf16Be { .. } | Self::Guessed(_) => b"",
        }
    }

    /// Bytes of the smallest unit: a line feed takes that many.
    pub(crate) const fn unit(self) -> usize {
        match self {
            Self::Utf16Le { .. } | Self::Utf16Be { .. } => 2,
            Self::Utf8 | Self::Utf8Bom | Self::Utf8Damaged | Self::Guessed(_) => 1,
        }
    }

    /// The text of bytes that begin behind the byte order mark. What can't be decoded is shown:
    /// as `<0xFF>` in UTF-8, as U+FFFD elsewhere.
    pub(crate) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 | Self::Utf8Bom | Self::Utf8Damaged => decode_utf8(bytes),
            Self::Utf16Le { .. } => decode_utf16(bytes, u16::from_le_bytes).into(),
            Self::Utf16Be { .. } => decode_utf16(bytes, u16::from_be_bytes).into(),
            Self::Guessed(encoding) => encoding.decode_without_bom_handling(bytes).0,
        }
    }

    /// The bytes of text, without a byte order mark.
    ///
    /// # Errors
    /// The first character that this encoding has no form for.
    pub(crate) fn encode(self, text: &str) -> Result<Cow<'_, [u8]>, char> {
        match self {
            Self::Utf8 | Self::Utf8Bom | Self::Utf8Damaged => Ok(text.as_bytes().into()),
            Self::Utf16Le { .. } => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().into()),
            Self::Utf16Be { .. } => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>().into()),
            Self::Guessed(encoding) => {
                let (bytes, _, unmappable) = encoding.encode(text);
                if unmappable {
                    let lost = text.chars().find(|c| encoding.encode(c.encode_utf8(&mut [0; 4])).2);
                    return Err(lost.unwrap_or('\u{FFFD}'));
                }
                Ok(bytes)
            }
        }
    }
}

impl LineEndings {
    /// How the lines of this text end.
    pub(crate) fn of(text: &[u8]) -> Self {
        if memchr::memchr(b'\r', text).is_none() {
            return Self::Lf;
        }
        let feeds = memchr::memchr_iter(b'\n', text).count();
        let pairs = memchr::memmem::find_iter(text, b"\r\n").count();
        match (feeds, pairs) {
            (0, _) => Self::Cr,
            (_, 0) => Self::Lf,
            (feeds, pairs) if feeds == pairs => Self::Crlf,
            _ => Self::Mixed,
        }
    }

    /// Its name in answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::Crlf => "crlf",
            Self::Cr => "cr",
            Self::Mixed => "mixed lf and crlf",
        }
    }

    /// The byte that ends a line.
    pub(crate) const fn terminator(self) -> u8 {
        match self {
            Self::Cr => b'\r',
            Self::Lf | Self::Crlf | Self::Mixed => b'\n',
        }
    }
}

/// Too many control characters for text, or a format that only looks like text at its beginning.
fn looks_binary(head: &[u8], valid: bool) -> bool {
    let head = &head[..head.len().min(SNIFFED)];
    if head.starts_with(b"%PDF-") || memchr::memchr(0, head).is_some() {
        return true;
    }
    // Text without any is the rule, and this form of the question is the fastest.
    if !head.iter().fold(false, |found, &b| found | ((b < 0x20) & (b != b'\n') & (b != b'\t') & (b != b'\r')) | (b == 0x7F)) {
        return false;
    }
    let controls = head.iter().filter(|b| matches!(b, 0x01..=0x07 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F | 0x7F)).count();
    // Valid UTF-8 is text even with a good deal of them; other bytes are given less credit.
    controls * 100 > head.len() * if valid { 30 } else { 5 }
}

/// ASCII written as UTF-16 has a zero in nearly every other byte.
fn sniff_utf16(head: &[u8]) -> Option<Encoding> {
    let pairs = head.len() / 2;
    let (even, odd) =
        head.chunks_exact(2).fold((0, 0), |(even, odd), pair| (even + usize::from(pair[0] == 0), odd + usize::from(pair[1] == 0)));
    let guess = if odd * 10 >= pairs * 4 && even * 50 <= pairs {
        Encoding::Utf16Le { bom: false }
    } else if even * 10 >= pairs * 4 && odd * 50 <= pairs {
        Encoding::Utf16Be { bom: false }
    } else {
        return None;
    };
    let text = guess.decode(&head[..pairs * 2]);
    let strange = text.chars().filter(|c| *c == '\u{FFFD}' || c.is_control() && !matches!(c, '\t' | '\n' | '\r')).count();
    (pairs >= 2 && strange * 50 <= pairs).then_some(guess)
}

/// Whether a few bytes are broken in what is otherwise UTF-8: guessing another encoding would
/// garble everything that is right.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().bytes().filter(|b| *b >= 0xC0).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good >= bad.saturating_mul(4)
}

fn decode_utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("<0x{byte:02X}>"));
        }
    }
    text.into()
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let pairs = bytes.chunks_exact(2);
    let cut = !pairs.remainder().is_empty();
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len() / 2 + 3);
    text.extend(char::decode_utf16(units).map(|c| c.unwrap_or('\u{FFFD}')));
    if cut {
        text.push('\u{FFFD}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Encoding, LineEndings};

    fn detected(bytes: &[u8]) -> Option<(Encoding, String)> {
        let encoding = Encoding::detect(bytes, true)?;
        Some((encoding, encoding.decode(&bytes[encoding.bom().len()..]).into_owned()))
    }

    fn encoded(encoding: Encoding, text: &str) -> Vec<u8> {
        [encoding.bom(), &encoding.encode(text).expect("characters it has")].concat()
    }

    #[test]
    fn unicode_in_all_its_forms_is_known_and_decoded() {
        for encoding in [
            Encoding::Utf8,
            Encoding::Utf8Bom,
            Encoding::Utf16Le { bom: true },
            Encoding::Utf16Be { bom: true },
            Encoding::Utf16Le { bom: false },
            Encoding::Utf16Be { bom: false },
        ] {
            let text = "fn main() {}\r\n// na\u{ef}ve \u{1F642}\n";
            assert_eq!(detected(&encoded(encoding, text)), Some((encoding, text.to_owned())), "{encoding:?}");
        }
    }

    #[test]
    fn older_encodings_are_guessed_and_written_back_unchanged() {
        for (label, text) in [
            ("windows-1252", "Stra\u{df}e und \u{dc}bung, gr\u{fc}n und sch\u{f6}n, na\u{ef}ve caf\u{e9}\n"),
            ("shift_jis", "\u{3053}\u{308c}\u{306f}\u{65e5}\u{672c}\u{8a9e}\u{306e}\u{6587}\u{7ae0}\u{3067}\u{3059}\u{3002}\n"),
            ("gbk", "\u{8fd9}\u{662f}\u{4e00}\u{4e2a}\u{4e2d}\u{6587}\u{6587}\u{4ef6}\u{ff0c}\u{7528}\u{6765}\u{6d4b}\u{8bd5}\u{3002}\n"),
            (
                "windows-1251",
                "\u{42d}\u{442}\u{43e} \u{440}\u{443}\u{441}\u{441}\u{43a}\u{438}\u{439} \u{442}\u{435}\u{43a}\u{441}\u{442} \u{432} \u{444}\u{430}\u{439}\u{43b}\u{435}\n",
            ),
        ] {
            let bytes = encoding_rs::Encoding::for_label(label.as_bytes()).expect("a label").encode(text).0.into_owned();
            let (encoding, decoded) = detected(&bytes).expect("text");
            assert_eq!(decoded, text, "{label} read as {encoding:?}");
            assert_eq!(encoding.encode(&decoded).expect("the same characters").as_ref(), bytes);
        }
    }

    #[test]
    fn a_character_the_encoding_lacks_is_named() {
        assert_eq!(Encoding::Guessed(encoding_rs::WINDOWS_1252).encode("a\u{4e2d}b").err(), Some('\u{4e2d}'));
    }

    #[test]
    fn a_broken_byte_in_utf8_is_shown_and_the_rest_is_kept() {
        let bytes = [" \u{e4}\u{f6}\u{fc} \u{4e2d}\u{6587} ".as_bytes(), b"\xFF", b" end\n"].concat();
        assert_eq!(detected(&bytes), Some((Encoding::Utf8Damaged, " \u{e4}\u{f6}\u{fc} \u{4e2d}\u{6587} <0xFF> end\n".to_owned())));
    }

    #[test]
    fn zeros_controls_and_pdf_are_binary_and_escapes_are_not() {
        for bytes in [b"a\0b".as_slice(), b"\x7fELF\x02\x01\x01\0", b"%PDF-1.7\n", b"\x01\x02\x03\x04", b"\xff\xfe\0\0", &[0; 9000]] {
            assert_eq!(detected(bytes), None, "{bytes:?}");
        }
        assert_eq!(detected(b"\x1b[31mred\x1b[0m\n").map(|(e, _)| e), Some(Encoding::Utf8));
        assert_eq!(detected(b""), Some((Encoding::Utf8, String::new())));
    }

    #[test]
    fn a_character_cut_at_the_end_of_a_sample_is_no_error() {
        let text = "\u{e9}".repeat(9).into_bytes();
        assert_eq!(Encoding::detect(&text[..5], false), Some(Encoding::Utf8));
        assert_ne!(Encoding::detect(&text[..5], true), Some(Encoding::Utf8));
    }

    #[test]
    fn line_endings_are_told_apart() {
        let cases: [(&[u8], LineEndings); 6] = [
            (b"a\nb\n", LineEndings::Lf),
            (b"a\r\nb\r\n", LineEndings::Crlf),
            (b"a\rb\r", LineEndings::Cr),
            (b"a\r\nb\n", LineEndings::Mixed),
            (b"50%\r100%\n", LineEndings::Lf),
            (b"", LineEndings::Lf),
        ];
        for (text, endings) in cases {
            assert_eq!(LineEndings::of(text), endings, "{text:?}");
        }
    }
}
