//! One spelling for all the names a file system might take for the same file.
//!
//! Case-insensitive, normalising and name-shortening file systems open one file under many names.
//! A deny rule compares folded names, so that none of them gets round it.

use unicode_normalization::UnicodeNormalization;

/// Longest path or name that is judged, in bytes; longer ones are denied.
pub(crate) const MAX_TEXT: usize = 8192;

/// How much work it takes to fold a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Already folded.
    Plain,
    /// Only ASCII upper-case letters have to change.
    Upper,
    /// Needs the whole procedure.
    Odd,
}

/// Looks at a `/`-separated text once; `Err` says why it is not canonical.
pub(crate) fn scan(text: &str) -> Result<Shape, &'static str> {
    const UPPER: u8 = 1;
    const ODD: u8 = 2;
    const NUL: u8 = 4;
    if text.len() > MAX_TEXT {
        return Err("is too long");
    }
    let mut flags = 0_u8;
    let mut previous = b'/';
    for &byte in text.as_bytes() {
        match byte {
            b'/' => {
                if previous == b'/' {
                    return Err("has an empty segment");
                }
                if matches!(previous, b'.' | b' ') {
                    flags |= ODD;
                }
            }
            b'A'..=b'Z' => flags |= UPPER,
            b':' | b'~' | 0x80.. => flags |= ODD,
            0 => flags |= NUL,
            _ => {}
        }
        previous = byte;
    }
    match previous {
        b'/' if !text.is_empty() => return Err("has an empty segment"),
        b'.' | b' ' => flags |= ODD,
        _ => {}
    }
    if flags & NUL != 0 {
        return Err("holds a NUL character");
    }
    if flags & ODD != 0 {
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err("has a `.` or `..` segment");
        }
        return Ok(Shape::Odd);
    }
    Ok(if flags & UPPER != 0 { Shape::Upper } else { Shape::Plain })
}

/// Folds a run of text: compatibility composition, full case, no ignorable characters.
pub(crate) fn fold_run(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars()
        .filter(|c| !is_ignorable(*c))
        .nfkd()
        // A compatibility form may hold a slash, which must not split a segment.
        .filter(|c| !is_ignorable(*c) && *c != '/')
        // Down, up and down again comes close to full case folding: `ẞ`, `ß` and `SS` are one.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .filter(|c| !is_ignorable(*c))
        .collect()
}

/// Folds a whole segment: as a run, and without the dots and spaces that Windows drops at its end.
pub(crate) fn fold_segment(segment: &str) -> String {
    let mut folded = fold_run(segment);
    folded.truncate(trimmed_length(&folded));
    folded
}

/// What a folded segment means without an NTFS stream (`x::$DATA`) and without a short (8.3) name.
pub(crate) fn bare_segment(folded: &str) -> String {
    let name = match folded.split_once(':') {
        Some((name, _)) if !name.is_empty() => name.get(..trimmed_length(name)).unwrap_or(name),
        _ => folded,
    };
    long_name(name).unwrap_or_else(|| name.to_owned())
}

fn trimmed_length(segment: &str) -> usize {
    match segment.trim_end_matches(['.', ' ']).len() {
        0 => segment.len(),
        length => length,
    }
}

/// The protected name that Windows shortens to this one, if any: `git~1` is `.git`.
fn long_name(name: &str) -> Option<String> {
    let (base, rest) = name.split_once('~')?;
    let (number, extension) = rest.split_once('.').unwrap_or((rest, ""));
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if base == "env" && !extension.is_empty() {
        return Some(format!(".env.{extension}"));
    }
    SHORT_NAMES.iter().find(|(short, ext, _)| *short == base && *ext == extension).map(|(_, _, long)| (*long).to_owned())
}

/// Base and extension of a short name, and the name it stands for.
const SHORT_NAMES: &[(&str, &str, &str)] = &[
    ("git", "", ".git"),
    ("gitmod", "", ".gitmodules"),
    ("gitcon", "", ".gitconfig"),
    ("git-cr", "", ".git-credentials"),
    ("github", "", ".github"),
    ("githoo", "", ".githooks"),
    ("gitlab", "yml", ".gitlab-ci.yml"),
    ("hg", "", ".hg"),
    ("svn", "", ".svn"),
    ("claude", "", ".claude"),
    ("claude", "jso", ".claude.json"),
    ("mcp", "jso", ".mcp.json"),
    ("mcp-co", "jso", "mcp-config.json"),
    ("codex", "", ".codex"),
    ("gemini", "", ".gemini"),
    ("cursor", "", ".cursor"),
    ("vscode", "", ".vscode"),
    ("idea", "", ".idea"),
    ("devcon", "", ".devcontainer"),
    ("husky", "", ".husky"),
    ("circle", "", ".circleci"),
    ("azure-", "yml", "azure-pipelines.yml"),
    ("jenkin", "", "jenkinsfile"),
    ("workfl", "", "workflows"),
    ("env", "", ".env"),
    ("envrc", "", ".envrc"),
    ("ssh", "", ".ssh"),
    ("gnupg", "", ".gnupg"),
    ("aws", "", ".aws"),
    ("kube", "", ".kube"),
    ("docker", "", ".docker"),
    ("creden", "", "credentials"),
    ("creden", "jso", "credentials.json"),
    ("netrc", "", ".netrc"),
    ("npmrc", "", ".npmrc"),
    ("pypirc", "", ".pypirc"),
    ("htpass", "", ".htpasswd"),
    ("vault-", "", ".vault-token"),
    ("bashrc", "", ".bashrc"),
    ("bash_p", "", ".bash_profile"),
    ("bash_l", "", ".bash_login"),
    ("profil", "", ".profile"),
    ("zshrc", "", ".zshrc"),
    ("zprofi", "", ".zprofile"),
    ("zshenv", "", ".zshenv"),
];

/// Whether a character is invisible and dropped by some file systems when names are compared.
pub(crate) const fn is_ignorable(c: char) -> bool {
    // Unicode's Default_Ignorable_Code_Point, and the annotation characters beside it.
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}
