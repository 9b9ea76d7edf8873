//! `fs_stat`: facts about files without their content.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Context, Effect, ErrorKind, Granted, Stop, Tool, ToolError, Trailer,
    guard::{AllowedDirs, CheckedPath, Follow, Kind, Stat as Facts},
};

use crate::read::{Bytes, Fault, grouped, hash, one_or_many};

/// Largest file whose etag is computed.
const MAX_HASHED: u64 = 64 << 20;
/// Files up to this size are read on the protocol thread when they are in memory.
const INLINE: u64 = 128 * 1024;

/// Facts about files and directories: type, size, mode, time of the last change, hard links,
/// where a symbolic link leads, and the etag that fs_write wants (files up to 64 MiB).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Input {
    /// What to look at.
    path: Option<String>,
    /// Several paths instead of one.
    paths: Option<Vec<String>>,
    /// Whether to compute etags, which reads the files; true by default.
    etag: Option<bool>,
    /// Size of the answer, 6000 by default.
    max_tokens: Option<u32>,
}

/// The tool.
pub(crate) struct Stat {
    directories: AllowedDirs,
}

impl Stat {
    /// Over these directories.
    pub(crate) const fn new(directories: AllowedDirs) -> Self {
        Self { directories }
    }

    async fn describe(&self, granted: &Granted<'_>, path: CheckedPath, asked: &str, etag: bool) -> Result<String, ToolError> {
        let facts = path.stat()?;
        let mut text = format!("path: {}\n", path.display());
        line(&mut text, "type", kind(facts.kind));
        if facts.kind == Kind::File {
            line(&mut text, "size", &facts.size.to_string());
        }
        line(&mut text, "mode", &format!("{:04o}", facts.mode & 0o7777));
        line(&mut text, "modified", &rfc3339(facts.mtime));
        match facts.kind {
            Kind::File if facts.nlink > 1 => {
                line(&mut text, "links", &format!("{}, so it is never written in place through this name", facts.nlink));
            }
            Kind::Symlink => line(&mut text, "target", &self.target(asked)),
            Kind::File | Kind::Directory | Kind::Fifo | Kind::Socket | Kind::Device => {}
        }
        if etag && facts.kind == Kind::File {
            let tag = if facts.size > MAX_HASHED {
                format!("- (larger than {} bytes)", grouped(MAX_HASHED))
            } else {
                match self.etag(granted, path, &facts).await {
                    Ok(tag) => tag,
                    Err(error) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout) => return Err(error),
                    Err(error) => format!("- ({})", error.message()),
                }
            };
            line(&mut text, "etag", &tag);
        }
        Ok(text)
    }

    async fn etag(&self, granted: &Granted<'_>, path: CheckedPath, facts: &Facts) -> Result<String, ToolError> {
        let file = path.open_file()?;
        if facts.size <= INLINE {
            match Bytes::inline(file.file()).read(0, usize::try_from(facts.size).unwrap_or(usize::MAX)) {
                Ok(content) => return Ok(crate::etag::of(&content)),
                Err(Fault::Wait) => {}
                Err(fault) => return Err(fault.into_error(&path.display())),
            }
        }
        let work = move |stop: &Stop| hash(&Bytes::on_pool(file.file(), stop)).map_err(|fault| fault.into_error(&path.display()));
        granted.blocking(work).await
    }

    /// Where a symbolic link leads, if that is anybody's business.
    fn target(&self, asked: &str) -> String {
        match self.directories.resolve(asked, Follow::Final) {
            Ok(target) => match target.kind() {
                Some(found) => format!("{} ({})", target.display(), kind(found)),
                None => format!("{} (missing)", target.display()),
            },
            Err(error) if error.kind() == ErrorKind::Denied => "outside the allowed directories".to_owned(),
            Err(_) => "leads nowhere".to_owned(),
        }
    }
}

impl Tool for Stat {
    const NAME: &'static str = "fs_stat";
    const TITLE: &'static str = "File facts";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;

    type Input = Input;

    fn access(&self, input: &Input, _cx: &Context) -> Result<Vec<Access>, ToolError> {
        let paths = one_or_many(input.path.as_deref(), input.paths.as_deref())?;
        paths.iter().map(|path| Ok(self.directories.resolve(path, Follow::NotFinal)?.access(Effect::Read))).collect()
    }

    async fn call(&self, input: Input, granted: Granted<'_>) -> Result<Answer, ToolError> {
        let budget = granted.budget(input.max_tokens)?;
        let paths = one_or_many(input.path.as_deref(), input.paths.as_deref())?;
        let (mut text, mut shown) = (String::new(), 0);
        for (at, asked) in paths.iter().enumerate() {
            let path = self.directories.checked(&granted, at)?;
            let name = path.display();
            let part = match self.describe(&granted, path, asked, input.etag.unwrap_or(true)).await {
                Ok(part) => part,
                Err(error) if paths.len() == 1 || matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout) => return Err(error),
                Err(error) => format!("path: {name}\n{error}\n"),
            };
            if !text.is_empty() {
                if text.len() + part.len() > budget.bytes() {
                    break;
                }
                text.push('\n');
            }
            text.push_str(&part);
            shown += 1;
        }
        let total = paths.len() as u64;
        let trailer = Trailer::new().count(shown, total, if total == 1 { "path" } else { "paths" });
        let trailer = if shown < total { trailer.incomplete("budget, ask for the other paths in another call") } else { trailer };
        Ok(Answer::text(text, &trailer))
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    let written = writeln!(text, "{key}: {value}");
    // Writing to a string can't fail.
    debug_assert!(written.is_ok());
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symbolic link",
        Kind::Fifo => "named pipe",
        Kind::Socket => "socket",
        Kind::Device => "device",
    }
}

/// RFC 3339 in UTC, to the second: `2026-11-21T08:15:30Z`.
pub(crate) fn rfc3339((seconds, _): (i64, u32)) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Eras of 400 years that begin on 1 March, so that a leap day is the last day of its year.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let date = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}
