//! Writing to the terminal.

use std::io::{self, Write as _};

/// Writes an answer to stdout.
pub(super) fn text(text: &str) -> io::Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(end.as_bytes())?;
    out.flush()
}

/// Writes an answer to stdout as it is.
pub(super) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Tells the person at the terminal something that is no answer.
pub(super) fn note(text: &str) {
    // Without stderr there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "{}", text.trim_end()));
}

/// Says why the program gives up.
pub(super) fn complain(error: &anyhow::Error) {
    note(&format!("toolyard: {error:#}"));
}

/// Whether the reader of stdout went away, which is no failure: `toolyard tools | head -1`.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
