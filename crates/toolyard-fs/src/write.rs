//! `fs_write`: a whole file, new or replaced.

use std::{borrow::Cow, io::Read as _};

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Context, Effect, Granted, Stop, Tool, ToolError, Trailer,
    guard::{
        AllowedDirs, Follow,
        replace::{Durability, FileChange},
    },
};

use crate::{
    etag,
    text_file::{Encoding, LineEndings},
};

/// Largest file that is looked at whole before it is replaced, in bytes.
const MAX_LOOKED_AT: u64 = 16 << 20;

/// Bytes that tell the encoding of a larger one.
const HEAD: usize = 64 << 10;

/// Writes a whole file. A new file needs only `path` and `content`; missing parent directories are
/// made. A file that exists is replaced only with its current `etag` (from fs_read) or with
/// `overwrite: true`; without either the answer says what is there. The file changes in one step,
/// or not at all, and keeps its mode and its encoding. To change part of a file use fs_edit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    path: String,
    content: String,
    /// Of the content to replace.
    etag: Option<String>,
    /// Replace whatever is there.
    #[serde(default)]
    overwrite: bool,
}

/// The tool.
pub(crate) struct Write {
    directories: AllowedDirs,
    durability: Durability,
}

impl Write {
    pub(crate) const fn new(directories: AllowedDirs, durability: Durability) -> Self {
        Self { directories, durability }
    }
}

impl Tool for Write {
    const NAME: &'static str = "fs_write";
    const TITLE: &'static str = "Write a file";
    const EFFECT: Effect = Effect::Write;
    const IDEMPOTENT: bool = true;

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(vec![self.directories.resolve(&input.path, Follow::Final)?.access(Effect::Write)])
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let path = self.directories.checked(&granted, 0)?;
        let durability = self.durability;
        granted
            .blocking(move |stop| {
                let change = FileChange::begin(&path, stop)?;
                replace(change, &path.display(), &input, durability, stop)
            })
            .await
    }
}

fn replace(change: FileChange, shown: &str, input: &Input, durability: Durability, stop: &Stop) -> Result<Answer, ToolError> {
    let Some(size) = change.size() else {
        if input.etag.is_some() {
            return Err(ToolError::conflict(format!("`{shown}` does not exist, so it has no etag"))
                .with_hint("leave `etag` out to create it, or list its directory: it may have been moved"));
        }
        let content = input.content.as_bytes();
        let written = change.put(&[content], stop, durability)?;
        let mut trailer = Trailer::new().count(1, 1, "file");
        if written.directories_made > 0 {
            trailer = trailer.note(format!("parent directories made: {}", written.directories_made));
        }
        return Ok(Answer::text(format!("created {shown} etag={} {} bytes", etag::of(content), written.size), &trailer));
    };
    let old = if size <= MAX_LOOKED_AT { Some(change.read(MAX_LOOKED_AT)?) } else { None };
    let (current, encoding) = match &old {
        Some(old) => (etag::of(old), Encoding::detect(old, true)),
        None => look_through(&change, shown, stop)?,
    };
    let encoding = encoding.unwrap_or(Encoding::Utf8);
    let content = encode(encoding, &input.content).map_err(|lost| {
        ToolError::conflict(format!(
            "`{shown}` is written in {}, which has no character `{lost}` (U+{:04X})",
            encoding.name(),
            u32::from(lost)
        ))
        .with_hint("leave such characters out, or delete the file first: a new file is written in utf-8")
    })?;
    if current == etag::of(&content) {
        return Ok(Answer::text(format!("unchanged {shown} etag={current} {size} bytes: it holds exactly this already"), &Trailer::new()));
    }
    match &input.etag {
        Some(wanted) if !etag::matches(wanted, &current) => {
            return Err(ToolError::conflict(format!(
                "`{shown}` has changed: its etag is {current} ({size} bytes), not the one you gave; nothing was written"
            ))
            .with_hint("read it again, then decide what to write"));
        }
        None if !input.overwrite => {
            return Err(ToolError::conflict(format!("`{shown}` exists, etag={current} ({size} bytes); nothing was written")).with_hint(
                "read it first and pass its `etag`, or pass `overwrite: true` to replace it unseen; to change a part use fs_edit",
            ));
        }
        _ => {}
    }
    let written = change.put(&[&content], stop, durability)?;
    let mut trailer = Trailer::new().count(1, 1, "file");
    if !written.owner_kept {
        trailer = trailer.note("the owner of the file is another one now");
    }
    if let Some(old) = old.filter(|old| encoding.unit() == 1 && !old.is_empty() && content.contains(&b'\n')) {
        let (before, after) = (LineEndings::of(&old), LineEndings::of(&content));
        if before != after {
            trailer = trailer.note(format!("line ends were {}, are {} now", before.name(), after.name()));
        }
    }
    let told = match encoding {
        Encoding::Utf8 => String::new(),
        encoding => format!(" {}", encoding.name()),
    };
    Ok(Answer::text(format!("replaced {shown} etag={} {} bytes{told}", etag::of(&content), written.size), &trailer))
}

/// Etag and encoding of a file that is too large to hold.
fn look_through(change: &FileChange, shown: &str, stop: &Stop) -> Result<(String, Option<Encoding>), ToolError> {
    let mut hasher = blake3::Hasher::new();
    let mut encoding = None;
    let mut buffer = vec![0; HEAD.max(256 << 10)];
    let Some(mut file) = change.file() else { return Ok((etag::finish(&hasher), None)) };
    let mut first = true;
    loop {
        stop.check()?;
        let read = match file.read(&mut buffer) {
            Ok(0) => return Ok((etag::finish(&hasher), encoding)),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ToolError::unavailable(format!("can't read `{shown}`")).with_source(error)),
        };
        if std::mem::take(&mut first) {
            encoding = Encoding::detect(&buffer[..read.min(HEAD)], false);
        }
        hasher.update(&buffer[..read]);
    }
}

/// The content as the file on the disk is written, its byte order mark included.
fn encode(encoding: Encoding, content: &str) -> Result<Cow<'_, [u8]>, char> {
    let content = match encoding.bom() {
        [] => content,
        _ => content.strip_prefix('\u{FEFF}').unwrap_or(content),
    };
    let encoded = encoding.encode(content)?;
    Ok(match encoding.bom() {
        [] => encoded,
        bom => [bom, &encoded].concat().into(),
    })
}

#[cfg(test)]
mod tests;
