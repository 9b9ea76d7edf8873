//! One canonical text that rules are matched against, with all its aliases.

use crate::fold::{Shape, bare_segment, fold_segment, scan};

/// How many names at the end of the allowed directory's own path built-in patterns look back on.
const LOOK_BACK: usize = 2;

/// A path or a name, checked to be canonical.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    exact: &'a str,
    alias: Alias,
    directory: Option<&'a str>,
}

#[derive(Debug)]
enum Alias {
    Same,
    Lower(String),
    Folded(Box<Folded>),
}

/// The aliases of a text that is not plain ASCII; each has as many segments as the text.
#[derive(Debug)]
struct Folded {
    lower: String,
    folded: String,
    bare: String,
}

/// One segment with its aliases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'s> {
    /// As it is.
    pub(crate) exact: &'s str,
    /// Folded.
    pub(crate) folded: &'s str,
    /// Folded, without stream and short name.
    pub(crate) bare: &'s str,
}

/// A subject cut into segments.
#[derive(Debug)]
pub(crate) struct Split<'s> {
    /// The segments, those of the allowed directory's own name first when they were asked for.
    pub(crate) segments: Vec<Segment<'s>>,
    /// How many segments belong to the path below the allowed directory.
    pub(crate) own: usize,
    /// Whether patterns without a slash match at any depth.
    pub(crate) floats: bool,
}

impl<'a> Subject<'a> {
    /// A path below an allowed directory; `Err` says what is malformed.
    pub(crate) fn path(directory: &'a str, path: &'a str) -> Result<Self, &'static str> {
        Ok(Self { exact: path, alias: Alias::of(path, scan(path)?), directory: Some(directory) })
    }

    /// A name that is not a path; `Err` says what is malformed.
    pub(crate) fn name(text: &'a str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        Ok(Self { exact: text, alias: Alias::of(text, scan(text)?), directory: None })
    }

    /// The last names of an allowed directory, for patterns that begin above it.
    pub(crate) fn look_back(directory: &'a str) -> Result<Self, &'static str> {
        let below = directory.strip_prefix('/').ok_or("has a directory that is not absolute")?;
        let mut start = below.len();
        for (found, (at, _)) in below.rmatch_indices('/').enumerate() {
            if found + 1 == LOOK_BACK {
                start = at + 1;
                break;
            }
        }
        if start == below.len() {
            start = 0;
        }
        let exact = below.get(start..).unwrap_or(below);
        Ok(Self { exact, alias: Alias::of(exact, scan(exact)?), directory: None })
    }

    /// The text as it is.
    pub(crate) const fn exact(&self) -> &str {
        self.exact
    }

    /// The distinct texts under which a strict pattern may be looked up.
    pub(crate) fn lookups(&self) -> [Option<&str>; 3] {
        match &self.alias {
            Alias::Same => [Some(self.exact), None, None],
            Alias::Lower(lower) => [Some(lower), None, None],
            Alias::Folded(f) => [Some(&f.lower), Some(&f.folded), Some(&f.bare)],
        }
    }

    /// The absolute path without its first slash; nothing for a name.
    pub(crate) fn absolute(&self) -> Option<String> {
        let directory = self.directory?.trim_matches('/');
        Some(match (directory, self.exact) {
            ("", path) => path.to_owned(),
            (directory, "") => directory.to_owned(),
            (directory, path) => [directory, path].join("/"),
        })
    }

    /// Cuts into segments, after those of `before`.
    pub(crate) fn split<'s>(&'s self, before: Option<&'s Subject<'s>>) -> Split<'s> {
        let mut segments = Vec::with_capacity(12);
        if let Some(before) = before {
            before.push_segments(&mut segments);
        }
        let lead = segments.len();
        self.push_segments(&mut segments);
        Split { own: segments.len() - lead, segments, floats: self.directory.is_some() }
    }

    fn push_segments<'s>(&'s self, out: &mut Vec<Segment<'s>>) {
        if self.exact.is_empty() {
            return;
        }
        let (folded, bare) = match &self.alias {
            Alias::Same => (self.exact, self.exact),
            Alias::Lower(lower) => (lower.as_str(), lower.as_str()),
            Alias::Folded(f) => (f.folded.as_str(), f.bare.as_str()),
        };
        out.extend(self.exact.split('/').zip(folded.split('/')).zip(bare.split('/')).map(|((exact, folded), bare)| Segment {
            exact,
            folded,
            bare,
        }));
    }
}

impl Alias {
    fn of(text: &str, shape: Shape) -> Self {
        match shape {
            Shape::Plain => Self::Same,
            Shape::Upper => Self::Lower(text.to_ascii_lowercase()),
            Shape::Odd => {
                let folded: Vec<String> = text.split('/').map(fold_segment).collect();
                let bare: Vec<String> = folded.iter().map(|s| bare_segment(s)).collect();
                Self::Folded(Box::new(Folded { lower: text.to_ascii_lowercase(), folded: folded.join("/"), bare: bare.join("/") }))
            }
        }
    }
}
