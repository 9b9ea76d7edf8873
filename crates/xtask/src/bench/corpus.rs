//! What the comparisons work on: a repository of 25,000 source files, made from a fixed seed.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

const FILES: u32 = 25_000;
const WORDS: &[&str] = &[
    "alpha", "buffer", "cursor", "delta", "error", "filter", "global", "handle", "index", "join", "kernel", "layer", "merge", "node",
    "object", "parse", "query", "result", "stream", "token", "update", "value", "worker", "const", "return", "export", "import",
    "function", "async", "await",
];
const RARE: &str = "needleInTheHaystack";
const COMMON: &str = "const ";
const REGEX: &str = r"\b(?:get|set|has)[A-Z]\w+\([^)]*\)\s*\{";

/// The directory everything lies in, inside the git-ignored cache.
pub(super) struct Corpus {
    root: PathBuf,
    tree: PathBuf,
}

impl Corpus {
    /// Makes what is missing.
    pub(super) fn prepare(repository: &Path, tree: Option<&Path>) -> Result<Self> {
        let root = repository.join(".cache/bench");
        let corpus = match tree {
            Some(tree) => Self { root: tree.to_path_buf(), tree: tree.to_path_buf() },
            None => Self { tree: root.join("tree"), root: root.clone() },
        };
        std::fs::create_dir_all(&root)?;
        if tree.is_none() && !root.join("tree.done").exists() {
            eprintln!("making a repository of {FILES} files");
            corpus.make_tree()?;
            File::create(root.join("tree.done"))?;
        }
        let files = corpus.files();
        std::fs::create_dir_all(&files)?;
        for (file, bytes) in [(corpus.small_file(), 10_000), (corpus.large_file(), 1_000_000)] {
            std::fs::write(&file, text(bytes as u64, bytes))?;
        }
        Ok(corpus)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn root_str(&self) -> Result<&str> {
        self.root.to_str().context("the directory is not UTF-8")
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.tree.clone()
    }

    /// Outside the allowed directory, as the server demands.
    pub(super) fn state(&self) -> PathBuf {
        std::env::temp_dir().join(format!("toolyard-bench-{}", std::process::id()))
    }

    fn files(&self) -> PathBuf {
        self.root.join("bench-files")
    }

    pub(super) fn small_file(&self) -> PathBuf {
        self.files().join("10k.txt")
    }

    pub(super) fn large_file(&self) -> PathBuf {
        self.files().join("1m.txt")
    }

    /// 100 MB in lines of about 90 bytes.
    pub(super) fn huge_file(&self) -> Result<PathBuf> {
        let path = self.files().join("100m.txt");
        if !path.exists() {
            let mut out = BufWriter::new(File::create(&path)?);
            for line in 0..1_100_000_u32 {
                writeln!(out, "    let value_{line:08} = cursor.advance(buffer, {line}); // the same length on every line")?;
            }
            out.flush()?;
        }
        Ok(path)
    }

    pub(super) fn patterns(&self) -> [(&'static str, &'static str, bool); 3] {
        let rare = if self.tree == self.root { "skipTransparentExprWrapperNodes" } else { RARE };
        [("rare literal", rare, true), ("common literal", COMMON, true), ("regex", REGEX, false)]
    }

    /// Calls for the endurance run, changes included.
    pub(super) fn mix(&self) -> Result<Vec<(&'static str, Value)>> {
        let (small, large) = (self.small_file(), self.large_file());
        let scratch = self.files().join("scratch.txt");
        std::fs::write(&scratch, "one\ntwo\n")?;
        let edit = |old: &str, new: &str| ("fs_edit", json!({ "path": scratch, "edits": [{ "old": old, "new": new }] }));
        Ok(vec![
            ("fs_read", json!({ "path": small })),
            ("fs_stat", json!({ "path": large })),
            edit("one", "three"),
            ("fs_read", json!({ "path": large, "lines": "100-200" })),
            ("fs_list", json!({ "path": self.files() })),
            edit("three", "one"),
            ("fs_write", json!({ "path": self.files().join("written.txt"), "content": "text", "overwrite": true })),
            ("fs_grep", json!({ "path": small, "pattern": "const" })),
            ("fs_glob", json!({ "path": self.files(), "pattern": "*.txt" })),
        ])
    }

    fn make_tree(&self) -> Result<()> {
        for i in 0..FILES {
            let directory = self.tree.join(format!("packages/package-{:03}/src/part-{:02}", i / 150, i / 25 % 6));
            if i % 25 == 0 {
                std::fs::create_dir_all(&directory)?;
            }
            let mut body = text(u64::from(i), 400 + (i as usize * 7919) % 4_000);
            if i % 5_003 == 0 {
                writeln!(body, "export function {RARE}() {{ return {i}; }}")?;
            }
            std::fs::write(directory.join(format!("file-{i:05}.js")), body)?;
        }
        std::fs::write(self.tree.join(".gitignore"), "node_modules/\n*.log\n/dist\n")?;
        Ok(())
    }
}

/// Code-like lines from a seed, a multiplicative congruential sequence.
fn text(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15) | 1;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        WORDS[(state >> 33) as usize % WORDS.len()]
    };
    let mut out = String::with_capacity(bytes + 100);
    let mut line = 0;
    while out.len() < bytes {
        line += 1;
        let (a, b, c, d) = (word(), word(), word(), word());
        match line % 9 {
            0 => out.push_str(&format!("  get{}{c}({b}) {{ return this.{d}; }}\n", a[..1].to_uppercase())),
            _ => out.push_str(&format!("  {a} {b}_{line} = {c}.{d}({line});\n")),
        }
    }
    out
}

/// The bare work of reading a range: count line ends until it begins.
pub(super) fn scan_lines(file: &Path, first: usize, count: usize) -> Result<usize> {
    let mut input = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut line = Vec::new();
    for _ in 1..first {
        line.clear();
        input.read_until(b'\n', &mut line)?;
    }
    let mut bytes = 0;
    for _ in 0..count {
        line.clear();
        bytes += input.read_until(b'\n', &mut line)?;
    }
    Ok(bytes)
}
