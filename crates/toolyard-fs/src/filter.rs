//! Glob patterns and file types, bounded and with errors that help.

use std::path::Path;

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use ignore::types::{Types, TypesBuilder};
use toolyard_core::ToolError;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 1_000;
/// Most `{…}` groups in one pattern.
const MAX_GROUPS: usize = 20;
/// Most patterns in one call.
const MAX_PATTERNS: usize = 100;

/// Which files a search looks into, by path.
#[derive(Debug, Default)]
pub(crate) struct FileFilter {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
    types: Option<Types>,
}

impl FileFilter {
    /// Patterns relative to the start, `!` in front of those that exclude, and a type name.
    pub(crate) fn new(globs: &[String], file_type: Option<&str>) -> Result<Self, ToolError> {
        if globs.len() > MAX_PATTERNS {
            return Err(ToolError::invalid_input(format!("`glob` holds {} patterns, the limit is {MAX_PATTERNS}", globs.len()))
                .with_hint("use wider patterns or `{a,b}`"));
        }
        let (exclude, include): (Vec<_>, Vec<_>) = globs.iter().map(String::as_str).partition(|glob| glob.starts_with('!'));
        let set = |globs: Vec<&str>| -> Result<Option<GlobSet>, ToolError> {
            if globs.is_empty() {
                return Ok(None);
            }
            let mut builder = GlobSetBuilder::new();
            for glob in globs {
                let glob = glob.strip_prefix('!').unwrap_or(glob);
                builder.add(compile(glob, "glob")?);
                // `dir/` means everything below it.
                if let Some(directory) = glob.strip_suffix('/') {
                    builder.add(compile(&format!("{directory}/**"), "glob")?);
                }
            }
            builder.build().map(Some).map_err(|error| bad_glob("glob", &error.to_string()))
        };
        Ok(Self { include: set(include)?, exclude: set(exclude)?, types: file_type.map(types).transpose()? })
    }

    /// Whether everything passes.
    pub(crate) const fn is_open(&self) -> bool {
        self.include.is_none() && self.exclude.is_none() && self.types.is_none()
    }

    /// Whether a file is looked into.
    pub(crate) fn wants(&self, path: &Path) -> bool {
        if self.is_open() {
            return true;
        }
        if self.types.as_ref().is_some_and(|types| !types.matched(path, false).is_whitelist()) {
            return false;
        }
        let candidate = Candidate::new(path);
        self.include.as_ref().is_none_or(|set| set.is_match_candidate(&candidate))
            && !self.exclude.as_ref().is_some_and(|set| set.is_match_candidate(&candidate))
    }

    /// Whether anything below a directory can be wanted.
    pub(crate) fn enters(&self, path: &Path) -> bool {
        !self.exclude.as_ref().is_some_and(|set| set.is_match(path))
    }
}

/// One pattern: without a slash it matches names at any depth, with one it begins at the start.
pub(crate) fn compile(pattern: &str, parameter: &str) -> Result<Glob, ToolError> {
    if pattern.is_empty() {
        return Err(ToolError::invalid_input(format!("`{parameter}` holds an empty pattern")).with_hint("give one like `**/*.rs`"));
    }
    if pattern.len() > MAX_PATTERN || pattern.matches('{').count() > MAX_GROUPS {
        return Err(ToolError::invalid_input(format!(
            "a pattern of `{parameter}` is longer than {MAX_PATTERN} bytes or has more than {MAX_GROUPS} `{{…}}` groups"
        ))
        .with_hint("use several shorter patterns"));
    }
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let anchored = pattern.trim_start_matches('/');
    let floating = pattern == anchored && !anchored.trim_end_matches('/').contains('/');
    let anchored = anchored.trim_end_matches('/');
    let whole = if floating { format!("**/{anchored}") } else { anchored.to_owned() };
    GlobBuilder::new(&whole)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| bad_glob(parameter, &error.kind().to_string()))
}

fn bad_glob(parameter: &str, problem: &str) -> ToolError {
    ToolError::invalid_input(format!("a pattern of `{parameter}` can't be used: {problem}"))
        .with_hint("use `*`, `**`, `?`, `[a-z]` and `{a,b}`; put `\\` before a special character that is meant literally")
}

fn types(name: &str) -> Result<Types, ToolError> {
    let mut builder = TypesBuilder::new();
    builder.add_defaults();
    builder.select(name);
    builder.build().map_err(|_| {
        let shown = toolyard_core::text::show(name);
        let error = ToolError::invalid_input(format!("`type` names no known file type: `{shown}`"));
        let extension = format!("*.{name}");
        let definitions = builder.definitions();
        let holding: Vec<_> =
            definitions.iter().filter(|known| known.globs().contains(&extension)).map(|known| format!("`{}`", known.name())).collect();
        if holding.is_empty() {
            error.with_hint("use a name such as `rust`, `py`, `ts`, `go`, `md`, or `glob` with an extension")
        } else {
            error.with_hint(format!("files with this extension have type {}", holding.join(" or ")))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{FileFilter, compile};

    fn filter(globs: &[&str], file_type: Option<&str>) -> FileFilter {
        let globs: Vec<_> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        FileFilter::new(&globs, file_type).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_pattern_without_a_slash_matches_names_and_one_with_a_slash_begins_at_the_start() {
        let names = filter(&["*.rs"], None);
        assert!(names.wants(Path::new("a.rs")) && names.wants(Path::new("x/y/a.rs")) && !names.wants(Path::new("a.rss")));
        let below = filter(&["src/*.rs"], None);
        assert!(below.wants(Path::new("src/a.rs")));
        assert!(!below.wants(Path::new("src/x/a.rs")) && !below.wants(Path::new("x/src/a.rs")));
        assert!(filter(&["docs/"], None).wants(Path::new("docs/x/y.md")));
    }

    #[test]
    fn excluding_wins_over_including_and_keeps_the_walk_out_of_directories() {
        let some = filter(&["*.rs", "!tests", "!gen_*"], None);
        assert!(some.wants(Path::new("a.rs")) && !some.wants(Path::new("gen_a.rs")));
        assert!(!some.enters(Path::new("x/tests")) && some.enters(Path::new("x")));
    }

    #[test]
    fn a_type_limits_the_files_and_an_unknown_one_names_those_with_its_extension() {
        let rust = filter(&[], Some("rust"));
        assert!(rust.wants(Path::new("x/a.rs")) && !rust.wants(Path::new("x/a.py")));
        let error = FileFilter::new(&[], Some("tsx")).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("`ts`"), "{error}");
    }

    #[test]
    fn a_pattern_bomb_is_refused_or_compiled_at_once() {
        let started = std::time::Instant::now();
        assert!(compile(&"{a,b}".repeat(40), "glob").is_err_and(|error| error.to_string().contains("groups")));
        for pattern in ["{a,b}".repeat(20), "**/".repeat(300) + "x", "[a-z]*".repeat(160), "{".repeat(20) + &"}".repeat(20)] {
            if let Ok(glob) = compile(&pattern, "glob") {
                glob.compile_matcher().is_match("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z".repeat(8));
            }
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
    }
}
