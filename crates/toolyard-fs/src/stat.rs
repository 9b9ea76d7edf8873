//! `fs_stat`: facts about files without their content.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Deserialize;
use toolyard_core::{
    Access, Answer, Context, Effect, ErrorKind, Granted, Stop, Tool, ToolError, Trailer,
    guard::{AllowedDirs, CheckedPath, Follow, Kind, Stat as Facts},
    rfc3339_seconds,
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
    path: Option<String>,
    /// Several instead of one.
    paths: Option<Vec<String>>,
    /// Compute etags, which reads the files; default true.
    etag: Option<bool>,
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
        line(&mut text, "modified", &rfc3339_seconds(facts.mtime.0));
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

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests lay out files the tool then finds")]

    use std::{
        fs::{File, Permissions},
        os::unix::fs::{PermissionsExt as _, symlink},
        time::{Duration, UNIX_EPOCH},
    };

    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use serde_json::json;
    use toolyard_core::{ErrorKind, Limits};

    use crate::testing::{Ring, allowing_but};

    #[test]
    fn a_file_is_described_with_its_etag() {
        let ring = Ring::new();
        ring.put("a", "hello");
        let file = File::options().write(true).open(ring.path("a")).expect("a file");
        file.set_modified(UNIX_EPOCH + Duration::from_millis(1_795_248_930_123)).expect("a date");
        file.set_permissions(Permissions::from_mode(0o640)).expect("a mode");
        let tag = crate::etag::of(b"hello");
        let reply = ring.call("fs_stat", json!({"path": "a"}));
        let facts = "path: a\ntype: file\nsize: 5\nmode: 0640\nmodified: 2026-11-21T08:15:30Z\n";
        assert_eq!(reply.text, format!("{facts}etag: {tag}\n[1 path; complete=true]"));
        assert_eq!(ring.call("fs_stat", json!({"path": "a", "etag": false})).body(), facts);
        std::fs::hard_link(ring.path("a"), ring.path("b")).expect("a link");
        assert!(ring.call("fs_stat", json!({"path": "b"})).text.contains("\nlinks: 2, so it is never"));
    }

    #[test]
    fn large_files_are_hashed_up_to_a_limit() {
        let ring = Ring::new();
        ring.put("big", vec![7; 3 << 20]);
        let tag = crate::etag::of(&vec![7; 3 << 20]);
        assert!(ring.call("fs_stat", json!({"path": "big"})).text.contains(&format!("\netag: {tag}\n")));
        File::create(ring.path("vast")).and_then(|file| file.set_len(10 << 30)).expect("a sparse file");
        assert!(ring.call("fs_stat", json!({"path": "vast"})).text.contains("\netag: - (larger than 67,108,864 bytes)\n"));
    }

    #[test]
    fn symbolic_links_say_where_they_lead_if_that_is_inside() {
        let ring = Ring::new();
        ring.put("dir/a", "");
        std::fs::write(ring.beside("out/secret"), "").expect("a file");
        symlink(ring.path("dir/a"), ring.path("absolute")).expect("a link");
        symlink("dir", ring.path("relative")).expect("a link");
        symlink(ring.beside("out/secret"), ring.path("outside")).expect("a link");
        symlink("nowhere", ring.path("dangling")).expect("a link");
        for (path, target) in [
            ("absolute", "dir/a (file)"),
            ("relative", "dir (directory)"),
            ("outside", "outside the allowed directories"),
            ("dangling", "nowhere (missing)"),
        ] {
            let reply = ring.call("fs_stat", json!({"path": path}));
            assert!(reply.text.contains("type: symbolic link\n"), "{}", reply.text);
            assert!(reply.text.contains(&format!("\ntarget: {target}\n")), "{path}: {}", reply.text);
        }
    }

    #[test]
    fn special_files_and_directories_are_described_without_being_opened() {
        let ring = Ring::new();
        mknodat(CWD, ring.path("pipe"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
        std::fs::create_dir(ring.path("dir")).expect("a directory");
        let reply = ring.call("fs_stat", json!({"paths": ["pipe", "dir"]}));
        assert!(reply.text.contains("path: pipe\ntype: named pipe\nmode: 0"), "{}", reply.text);
        assert!(reply.text.contains("path: dir\ntype: directory\nmode: 0"), "{}", reply.text);
        assert_eq!(reply.trailer(), "[2 paths; complete=true]");
    }

    #[test]
    fn one_missing_path_does_not_hide_the_others_but_a_denied_one_stops_the_call() {
        let ring = Ring::with(&allowing_but(&["read"], &["read(private/**)"]), Limits::default());
        ring.put("a", "");
        ring.put("private/x", "");
        let reply = ring.call("fs_stat", json!({"paths": ["missing", "a"]}));
        assert!(!reply.is_error && reply.text.starts_with("path: missing\nnot found: "), "{}", reply.text);
        assert!(reply.text.contains("path: a\ntype: file\n"));
        assert_eq!(ring.call("fs_stat", json!({"path": "missing"})).kind, Some(ErrorKind::NotFound));
        assert_eq!(ring.call("fs_stat", json!({"paths": ["a", "private/x"]})).kind, Some(ErrorKind::Denied));
        assert_eq!(ring.call("fs_stat", json!({"path": "../out"})).kind, Some(ErrorKind::Denied));
        assert_eq!(ring.call("fs_stat", json!({"pth": "a"})).kind, Some(ErrorKind::InvalidInput));
    }

    #[test]
    fn an_answer_beyond_the_budget_says_what_is_left_out() {
        let ring = Ring::new();
        ring.put("a", "");
        let reply = ring.call("fs_stat", json!({"paths": vec!["a"; 50], "max_tokens": 200}));
        assert!(reply.trailer().contains(" of 50 paths; complete=false: budget"), "{}", reply.text);
        assert!(reply.text.len() <= 660);
    }
}
