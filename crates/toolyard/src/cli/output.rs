//! Writing to the terminal.

use std::io::{self, Write as _};

use serde_json::json;
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime as _, SystemTime},
};

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

/// The same as a line of a log in JSON, whatever its level: who collects logs needs this line most.
pub(super) fn complain_in_json(error: &anyhow::Error) {
    let mut now = String::new();
    if SystemTime.format_time(&mut Writer::new(&mut now)).is_err() {
        now.clear();
    }
    note(&failure_in_json(error, &now));
}

fn failure_in_json(error: &anyhow::Error, now: &str) -> String {
    json!({ "timestamp": now, "level": "ERROR", "message": format!("{error:#}"), "target": "toolyard" }).to_string()
}

/// Whether the reader of stdout went away, which is no failure: `toolyard tools | head -1`.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::failure_in_json;

    #[test]
    fn a_failure_in_json_is_one_line_with_all_its_causes() {
        let error = anyhow!("line 1\nline 2").context("the \"file\"");
        assert_eq!(
            failure_in_json(&error, "2026-01-02T03:04:05Z"),
            r#"{"level":"ERROR","message":"the \"file\": line 1\nline 2","target":"toolyard","timestamp":"2026-01-02T03:04:05Z"}"#
        );
    }
}
