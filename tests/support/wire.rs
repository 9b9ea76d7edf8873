//! Every line that crossed a pipe, in order.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

/// Who receives a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The line went to the server.
    Server,
    /// The line went to the client.
    Client,
}

/// One line without its end.
#[derive(Clone, Debug)]
pub struct Line {
    /// Who received it.
    pub to: To,
    /// What it said; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// A test wrote it wrong on purpose, so no schema holds for it.
    pub deliberate: bool,
}

/// The lines of one process, shared between the threads that write and read them.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Vec<Line>>>);

impl Recording {
    /// Adds a line.
    pub fn push(&self, line: Line) {
        self.lock().push(line);
    }

    /// A copy of all lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lock().clone()
    }

    /// The recordings in a log of the `tee` program, one for each process it ran as.
    #[must_use]
    pub fn from_tee(log: &Path) -> Vec<Self> {
        let text = fs::read_to_string(log).unwrap_or_else(|error| panic!("no recording at {}: {error}", log.display()));
        let mut processes = BTreeMap::<u64, Self>::new();
        for entry in text.lines() {
            let entry: Value = serde_json::from_str(entry).expect("the tee writes JSON");
            let to = match entry["to"].as_str() {
                Some("server") => To::Server,
                Some("client") => To::Client,
                other => panic!("the tee wrote an unknown direction {other:?}"),
            };
            let text = entry["line"].as_str().expect("the tee writes the line").to_owned();
            let pid = entry["pid"].as_u64().expect("the tee writes its process id");
            processes.entry(pid).or_default().push(Line { to, text, deliberate: false });
        }
        processes.into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        // A panicking test must not hide its own message behind a poisoned lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
