//! Drawing a tree into a budget: everything if it fits, else level by level.

use std::fmt::Write as _;

/// Directories that are opened last, because nobody asks for them.
const DULL: &[&str] = &["node_modules", ".git", "__pycache__", ".venv", "venv", "target", "vendor", "dist"];
/// Bytes that the counts behind a folded directory take.
const COUNTS: usize = 28;

/// One directory as the walk met it.
#[derive(Debug, Default)]
pub(super) struct Folder {
    name: Box<str>,
    depth: usize,
    /// Names of what is no directory, each with its mark and a line feed.
    names: String,
    count: u64,
}

impl Folder {
    /// A directory by its path and its level below the start.
    pub(super) fn new(path: &str, depth: usize) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        Self { name: name.into(), depth, ..Self::default() }
    }

    pub(super) fn add(&mut self, name: &str, mark: &str) {
        self.names.push_str(name);
        self.names.push_str(mark);
        self.names.push('\n');
        self.count += 1;
    }

    pub(super) const fn size(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.names.len()
    }
}

struct Node {
    folder: Folder,
    children: Vec<usize>,
    /// Files and directories at all depths.
    files: u64,
    directories: u64,
    opened: Opened,
}

/// How much of a directory is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    Folded,
    /// Its directories, and how many files there are.
    Directories,
    Full,
}

/// All directories below the start.
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// A drawn tree.
pub(super) struct Drawn {
    pub(super) text: String,
    /// Files and directories that have a line.
    pub(super) files: u64,
    pub(super) directories: u64,
    /// Whether the budget left something out.
    pub(super) cut: bool,
    /// Whether the depth asked for left something out.
    pub(super) too_deep: bool,
}

impl Tree {
    /// From directories in path order, each before those below it; large ones come in pieces.
    pub(super) fn new(folders: Vec<Folder>) -> Self {
        let mut nodes: Vec<Node> = Vec::with_capacity(folders.len());
        // The directory of each level that the next one lies in.
        let mut path: Vec<usize> = Vec::new();
        for folder in folders {
            if let Some(same) = path.get(folder.depth).copied().filter(|_| path.len() == folder.depth + 1)
                && nodes[same].folder.name == folder.name
                && nodes[same].children.is_empty()
            {
                nodes[same].folder.names.push_str(&folder.names);
                nodes[same].folder.count += folder.count;
                continue;
            }
            path.truncate(folder.depth);
            let at = nodes.len();
            if let Some(parent) = path.last() {
                nodes[*parent].children.push(at);
            }
            path.push(at);
            nodes.push(Node { folder, children: Vec::new(), files: 0, directories: 0, opened: Opened::Folded });
        }
        // Children follow their parents, so from the end every sum is complete when it is needed.
        for at in (0..nodes.len()).rev() {
            let below = nodes[at].children.iter().map(|child| (nodes[*child].files, nodes[*child].directories + 1));
            let (files, directories) = below.fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
            nodes[at].files = files + nodes[at].folder.count;
            nodes[at].directories = directories;
        }
        Self { nodes }
    }

    /// Files and directories in all.
    pub(super) fn totals(&self) -> (u64, u64) {
        self.nodes.first().map_or((0, 0), |start| (start.files, start.directories))
    }

    /// Draws as much as fits into `room` bytes, at most `depth` levels.
    pub(super) fn draw(mut self, name: &str, depth: usize, room: usize) -> Drawn {
        let mut too_deep = false;
        for node in &mut self.nodes {
            if node.folder.depth < depth {
                node.opened = Opened::Full;
            } else {
                too_deep |= node.files + node.directories > 0;
            }
        }
        let head = name.len() + COUNTS;
        let size = self.nodes.first().map_or(0, |_| self.size(0));
        let whole = head + size <= room;
        let cut = !whole && self.open_what_fits(depth, room.saturating_sub(head));
        let mut pen = Pen { tree: &self, whole, text: String::with_capacity(head + size.min(room)), files: 0, directories: 0 };
        if let Some(start) = self.nodes.first() {
            pen.text.push_str(name.trim_end_matches('/'));
            pen.text.push('/');
            pen.counts(start);
            pen.text.push('\n');
            pen.below(start, 1, room);
        }
        let Pen { text, files, directories, .. } = pen;
        Drawn { text, files, directories, cut, too_deep }
    }

    /// Bytes that a directory's content takes with all below it, as far as it is opened.
    fn size(&self, at: usize) -> usize {
        let mut size = 0;
        let mut open = vec![(at, 1)];
        while let Some((at, indent)) = open.pop() {
            let node = &self.nodes[at];
            if node.opened == Opened::Full {
                size += self.own_size(node, indent, true);
                open.extend(node.children.iter().map(|child| (self.end_of_chain(*child), indent + 1)));
            }
        }
        size
    }

    /// Bytes of the lines directly below a directory.
    fn own_size(&self, node: &Node, indent: usize, with_files: bool) -> usize {
        let files = if with_files { node.folder.names.len() + node.folder.count as usize * indent } else { indent + COUNTS };
        let directories: usize = node.children.iter().map(|child| indent + self.label_size(*child) + COUNTS).sum();
        files + directories
    }

    /// The last of a row of directories that each hold only the next one; they share a line.
    fn end_of_chain(&self, mut at: usize) -> usize {
        while let Node { folder: Folder { count: 0, .. }, children, opened: Opened::Full, .. } = &self.nodes[at]
            && let [only] = children.as_slice()
        {
            at = *only;
        }
        at
    }

    fn label_size(&self, mut at: usize) -> usize {
        let end = self.end_of_chain(at);
        let mut size = self.nodes[at].folder.name.len() + 2;
        while at != end {
            at = self.nodes[at].children[0];
            size += self.nodes[at].folder.name.len() + 1;
        }
        size
    }

    /// Opens directories level by level, small ones first; tells whether any stays folded.
    fn open_what_fits(&mut self, depth: usize, mut room: usize) -> bool {
        for node in &mut self.nodes {
            // Rows of directories are no longer known to be opened to their end.
            node.opened = Opened::Folded;
        }
        let mut cut = false;
        let mut level = if self.nodes.is_empty() { vec![] } else { vec![0] };
        while !level.is_empty() {
            let mut wanted: Vec<(bool, usize, usize)> = level
                .iter()
                .filter(|at| self.nodes[**at].folder.depth < depth)
                .map(|at| {
                    let node = &self.nodes[*at];
                    let dull = node.folder.depth > 0 && DULL.contains(&&*node.folder.name);
                    (dull, self.own_size(node, node.folder.depth + 1, true), *at)
                })
                .collect();
            wanted.sort_unstable();
            let mut next = Vec::new();
            for (dull, full, at) in wanted {
                let node = &self.nodes[at];
                let folded = self.own_size(node, node.folder.depth + 1, false);
                // No directory takes so much that its neighbours get nothing, except the start.
                let share = if at == 0 { room } else { room / 2 };
                let opened = if dull {
                    Opened::Folded
                } else if full <= share {
                    room -= full;
                    Opened::Full
                } else if folded <= share && !node.children.is_empty() || at == 0 {
                    room = room.saturating_sub(folded);
                    Opened::Directories
                } else {
                    Opened::Folded
                };
                cut |= opened != Opened::Full;
                if opened != Opened::Folded {
                    next.extend_from_slice(&node.children);
                }
                self.nodes[at].opened = opened;
            }
            level = next;
        }
        cut
    }
}

/// Draws opened directories.
struct Pen<'t> {
    tree: &'t Tree,
    whole: bool,
    text: String,
    files: u64,
    directories: u64,
}

impl<'t> Pen<'t> {
    fn below(&mut self, start: &'t Node, indent: usize, room: usize) {
        // Deep trees must not use up the stack. Last in, first drawn.
        let mut open = Vec::new();
        self.lines(start, indent, room, &mut open);
        while let Some((at, indent)) = open.pop() {
            if self.text.len() > room {
                // Only a start whose directories alone do not fit comes here.
                self.indent(indent);
                self.push(format_args!("… {} more directories\n", open.len() + 1));
                return;
            }
            let tree = self.tree;
            let end = tree.end_of_chain(at);
            self.indent(indent);
            let mut link = at;
            loop {
                self.text.push_str(&tree.nodes[link].folder.name);
                self.text.push('/');
                self.directories += 1;
                if link == end {
                    break;
                }
                link = tree.nodes[link].children[0];
            }
            let node = &tree.nodes[end];
            let opened = node.opened == Opened::Full;
            if !opened || !node.children.is_empty() && (!self.whole || indent == 1) {
                self.counts(node);
            }
            self.text.push('\n');
            self.lines(node, indent + 1, room, &mut open);
        }
    }

    /// The files of a directory; its directories are put on the stack.
    fn lines(&mut self, node: &Node, indent: usize, room: usize, open: &mut Vec<(usize, usize)>) {
        match node.opened {
            Opened::Folded => return,
            Opened::Full => {
                for name in node.folder.names.split_inclusive('\n') {
                    self.indent(indent);
                    self.text.push_str(name);
                }
                self.files += node.folder.count;
            }
            Opened::Directories => {
                // The start shows some of its files rather than none.
                let mut left = node.folder.count;
                if node.children.is_empty() {
                    for name in node.folder.names.split_inclusive('\n') {
                        if self.text.len() + indent + name.len() + COUNTS > room {
                            break;
                        }
                        self.indent(indent);
                        self.text.push_str(name);
                        self.files += 1;
                        left -= 1;
                    }
                }
                if left > 0 {
                    self.indent(indent);
                    self.push(format_args!("… {left} {}files\n", if left < node.folder.count { "more " } else { "" }));
                }
            }
        }
        open.extend(node.children.iter().rev().map(|child| (*child, indent)));
    }

    fn counts(&mut self, node: &Node) {
        match (node.files, node.directories) {
            (0, 0) => {}
            (files, 0) => self.push(format_args!(" {files} files")),
            (files, directories) => self.push(format_args!(" {files} files in {directories} dirs")),
        }
    }

    fn indent(&mut self, indent: usize) {
        self.text.extend(std::iter::repeat_n(' ', indent));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        let written = self.text.write_fmt(text);
        // Writing to a string can't fail.
        debug_assert!(written.is_ok());
    }
}
