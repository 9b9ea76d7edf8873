//! Stands between a host and a server and records every line both ways.
//!
//! Usage: `tee LOG PROGRAM [ARGUMENT]...`
//! The log gets one JSON object per line: `{"pid": 1, "to": "server", "line": "…"}`.

#![expect(clippy::disallowed_methods, reason = "a test tool starts programs and writes files")]

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    process::{Command, ExitCode, Stdio},
    thread,
};

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "standard output belongs to the recorded server")]
            {
                eprintln!("tee: {error}");
            }
            ExitCode::from(111)
        }
    }
}

fn run() -> io::Result<u8> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = || io::Error::other("usage: tee LOG PROGRAM [ARGUMENT]...");
    let path = arguments.next().ok_or_else(usage)?;
    let program = arguments.next().ok_or_else(usage)?;
    let log = OpenOptions::new().create(true).append(true).open(path)?;

    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let to_server = child.stdin.take().ok_or_else(|| io::Error::other("no standard input"))?;
    let from_server = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;

    let input_log = log.try_clone()?;
    // Not joined: a host may keep our input open after the server has gone.
    thread::spawn(move || forward(io::stdin().lock(), to_server, "server", input_log));
    forward(from_server, io::stdout().lock(), "client", log)?;
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(112))
}

/// Copies until the end of the input; a line is in the log before its last byte is passed on.
fn forward(mut from: impl Read, mut to: impl Write, side: &str, mut log: File) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    let mut line = Vec::new();
    loop {
        let count = from.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if line.ends_with(b"\n") {
                record(&mut log, side, &line)?;
                line.clear();
            }
        }
        to.write_all(bytes)?;
        to.flush()?;
    }
}

/// Appends with a single write, so that two directions never share a line.
fn record(log: &mut File, side: &str, line: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(line);
    let entry = serde_json::json!({
        "pid": std::process::id(),
        "to": side,
        "line": text.trim_end_matches(['\n', '\r']),
    });
    log.write_all(format!("{entry}\n").as_bytes())
}
