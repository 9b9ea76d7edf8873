//! Child processes that speak in lines, and commands that must end in time.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use crate::wire::{Line, Recording, To};

/// A running program whose lines are recorded both ways; it is killed with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    errors: Arc<Mutex<Vec<u8>>>,
    recording: Recording,
}

impl Process {
    /// Starts a program with pipes on all three streams.
    #[must_use]
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        let recording = Recording::default();
        let (sender, output) = mpsc::channel();
        let stdout = child.stdout.take().expect("a piped output");
        let lines = recording.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
                lines.push(Line { to: To::Client, text: text.clone(), deliberate: false });
                if sender.send(text).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let errors = Arc::<Mutex<Vec<u8>>>::default();
        drain(child.stderr.take().expect("a piped error stream"), Arc::clone(&errors));
        Self { input: child.stdin.take(), child, output, errors, recording }
    }

    /// Sends one line and its end; `deliberate` marks lines that are wrong on purpose.
    pub fn send(&mut self, line: &[u8], deliberate: bool) {
        let text = String::from_utf8_lossy(line).into_owned();
        self.recording.push(Line { to: To::Server, text, deliberate });
        let input = self.input.as_mut().expect("the input was closed by the test");
        let written = input.write_all(line).and_then(|()| input.write_all(b"\n"));
        if let Err(error) = written {
            panic!("the program stopped reading: {error}; it said: {}", self.errors());
        }
    }

    /// The next line, or `None` when none came in time or the output has ended.
    #[must_use]
    pub fn receive(&self, limit: Duration) -> Option<String> {
        self.output.recv_timeout(limit).ok()
    }

    /// Ends the input, which asks a server to exit.
    pub fn close_input(&mut self) {
        drop(self.input.take());
    }

    /// Waits for the end; `None` when the program still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        wait(&mut self.child, limit)
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(sent.expect("a shell").success(), "the program is gone; it said: {}", self.errors());
    }

    /// Ends the program at once.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child that can be killed");
        self.child.wait().expect("a child that ends when killed");
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        self.wait(Duration::ZERO).is_none()
    }

    /// Everything said on the error stream so far.
    #[must_use]
    pub fn errors(&self) -> String {
        text(&self.errors)
    }

    /// All lines so far, both ways.
    #[must_use]
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Resident memory in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("a running program");
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .expect("a resident size")
    }

    /// Number of open descriptors.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).expect("a running program").count()
    }

    /// Processor time used so far, in clock ticks (hundredths of a second on Linux).
    #[must_use]
    pub fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(self.proc("stat")).expect("a running program");
        // The program's name is in parentheses and may hold spaces; fields 14 and 15 are the times.
        let (_, rest) = stat.rsplit_once(") ").expect("a stat line");
        let field = |index: usize| -> u64 {
            let text = rest.split(' ').nth(index).expect("a stat field");
            text.parse().expect("a number of ticks")
        };
        field(11) + field(12)
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.close_input();
        if self.wait(Duration::from_secs(2)).is_none() {
            self.child.kill().expect("a child that can be killed");
            self.child.wait().expect("a child that ends when killed");
        }
    }
}

/// What a finished command left behind.
#[derive(Clone, Debug)]
#[must_use]
pub struct Finished {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command with an empty input to its end; running longer than `limit` is an error.
pub fn finish(command: &mut Command, limit: Duration) -> Result<Finished, String> {
    let name = command.get_program().display().to_string();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| format!("{name}: {error}"))?;
    let stdout = Arc::<Mutex<Vec<u8>>>::default();
    let stderr = Arc::<Mutex<Vec<u8>>>::default();
    let readers = [
        drain(child.stdout.take().expect("a piped output"), Arc::clone(&stdout)),
        drain(child.stderr.take().expect("a piped error stream"), Arc::clone(&stderr)),
    ];
    let status = wait(&mut child, limit);
    if status.is_none() {
        child.kill().map_err(|error| format!("{name}: {error}"))?;
        child.wait().map_err(|error| format!("{name}: {error}"))?;
    } else {
        for reader in readers {
            // A grandchild may hold the pipe open; what has arrived by then is all there is to see.
            let patience = Instant::now() + Duration::from_secs(2);
            while !reader.is_finished() && Instant::now() < patience {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    match status {
        Some(status) => Ok(Finished { code: status.code(), stdout, stderr }),
        None => Err(format!("{name} ran longer than {limit:?}; it said: {stdout}{stderr}")),
    }
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

fn drain(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(count) = from.read(&mut chunk) {
            let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return;
            };
            into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        }
    })
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child that can be waited for") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
}
