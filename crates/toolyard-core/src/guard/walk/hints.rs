//! Tells at a glance that no pattern of a rule file can match an entry.
//!
//! Nearly all entries match nothing, and most patterns end in a plain name or an extension, so one
//! look-up saves the whole matching. A hint may be wrong only by asking for it.

use std::collections::HashSet;

/// Endings and beginnings are compared one by one; with more of them the full matching is better.
const MAX_LIST: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Some pattern can match any name.
    any: bool,
    /// Last components without wildcards.
    names: HashSet<Box<[u8]>>,
    /// For each first byte of those, one bit for each length that occurs: most names are not hashed.
    screen: Vec<u64>,
    /// Patterns like `lib/*.js` and `*.log`: directory and what follows the star.
    endings: Vec<(Top, Box<[u8]>)>,
    /// Patterns like `tmp*`: directory and what precedes the star.
    beginnings: Vec<(Top, Box<[u8]>)>,
    /// Directories of patterns like `.yarn/*`, which match only below them.
    tops: Vec<Top>,
}

/// The components in front of the first wildcard; empty for patterns that match at any depth.
#[derive(Debug)]
struct Top(Box<[u8]>);

impl Top {
    fn holds(&self, path: &[u8]) -> bool {
        self.0.is_empty() || path.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

impl Hints {
    /// Takes in one line of a rule file.
    pub(super) fn add(&mut self, line: &str) {
        if line.starts_with('#') || line.trim().is_empty() {
            return;
        }
        if line.contains(['\\', '[', ']', '{', '}', '?']) {
            self.any = true;
            return;
        }
        let pattern = line.strip_prefix('!').unwrap_or(line).trim_end();
        let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
        let anchored = pattern.contains('/');
        let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
        let (above, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let wild = above.find('*').and_then(|star| above.get(..star));
        let top = match wild {
            Some(before) => before.rsplit_once('/').map_or("", |(top, _)| top),
            None if anchored => above,
            None => "",
        };
        let own = |text: &str| Box::from(text.as_bytes());
        let top = Top(own(top));
        match (last.strip_prefix('*'), last.strip_suffix('*')) {
            (None, None) if !last.is_empty() && !last.contains('*') => {
                self.names.insert(own(last));
                let (first, length) = place(last.as_bytes());
                self.screen.resize(256, 0);
                if let Some(lengths) = self.screen.get_mut(first) {
                    *lengths |= length;
                }
            }
            (Some(ending), None) if !ending.contains('*') && self.endings.len() < MAX_LIST => self.endings.push((top, own(ending))),
            (None, Some(beginning)) if !beginning.contains('*') && self.beginnings.len() < MAX_LIST => {
                self.beginnings.push((top, own(beginning)));
            }
            _ if !top.0.is_empty() && self.tops.len() < MAX_LIST => self.tops.push(top),
            _ => self.any = true,
        }
    }

    /// Whether some pattern may match; `path` is relative to the rule file's directory.
    pub(super) fn may_match(&self, path: &[u8]) -> bool {
        if self.any {
            return true;
        }
        let name = match memchr::memrchr(b'/', path) {
            Some(at) => path.get(at + 1..).unwrap_or_default(),
            None => path,
        };
        let (first, length) = place(name);
        self.screen.get(first).is_some_and(|lengths| lengths & length != 0) && self.names.contains(name)
            || self.endings.iter().any(|(top, ending)| name.ends_with(ending) && top.holds(path))
            || self.beginnings.iter().any(|(top, beginning)| name.starts_with(beginning) && top.holds(path))
            || self.tops.iter().any(|top| top.holds(path))
    }
}

/// First byte and length of a name, as the screen has them.
fn place(name: &[u8]) -> (usize, u64) {
    (name.first().copied().unwrap_or_default().into(), 1 << name.len().min(63))
}

#[cfg(test)]
mod tests {
    use ignore::gitignore::GitignoreBuilder;
    use proptest::prelude::*;

    use super::Hints;

    fn hints(lines: &[&str]) -> Hints {
        let mut hints = Hints::default();
        lines.iter().for_each(|line| hints.add(line));
        hints
    }

    #[test]
    fn plain_names_endings_and_tops_rule_out_other_entries() {
        let hints = hints(&["# comment", "", "node_modules", "*.log", "/build/", "!keep.me", "tmp*", ".yarn/*", "a/**/b", "/lib/*.js"]);
        for path in ["node_modules", "x/node_modules", "a.log", "x/build", "keep.me", "tmp1", ".yarn/x", "x/b", "lib/a.js"] {
            assert!(hints.may_match(path.as_bytes()), "{path}");
        }
        for path in ["src", "src/a.rs", "x/node_modules2", "b.yarn", "x/.yarnrc", "a.js", "x/lib/a.js"] {
            assert!(!hints.may_match(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn an_entry_that_a_rule_matches_is_never_ruled_out(
            lines in proptest::collection::vec("!?/?(\\*\\*/)?[ab.*?/]{0,6}[ab]?(/|/\\*|/\\*\\*| )?", 1..5),
            path in "[ab.]{1,3}(/[ab.]{1,3}){0,3}",
            is_directory: bool,
        ) {
            let mut builder = GitignoreBuilder::new("");
            for line in &lines {
                // A line that can't be compiled matches nothing.
                drop(builder.add_line(None, line));
            }
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            if let Ok(rules) = builder.build()
                && !rules.matched(&path, is_directory).is_none()
            {
                prop_assert!(hints(&lines).may_match(path.as_bytes()), "{:?} {}", lines, path);
            }
        }
    }
}
