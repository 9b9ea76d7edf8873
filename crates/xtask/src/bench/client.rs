//! A plain MCP client over pipes that adds as little time as possible.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// A running server, initialized, tools listed.
pub(super) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: Vec<u8>,
    listed_after: f64,
}

impl Server {
    pub(super) fn start(program: &Path, args: &[&str], directory: &Path) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(args)
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let (input, output) = (child.stdin.take().context("no stdin")?, child.stdout.take().context("no stdout")?);
        let mut server = Self { child, input, output: BufReader::with_capacity(1 << 20, output), line: Vec::new(), listed_after: 0.0 };
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } });
        server.request("initialize", &hello)?;
        server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string())?;
        server.request("tools/list", &json!({}))?;
        server.listed_after = started.elapsed().as_secs_f64();
        Ok(server)
    }

    /// Seconds from spawn to the list of tools.
    pub(super) fn listed_after(&self) -> f64 {
        self.listed_after
    }

    fn send(&mut self, message: &str) -> Result<()> {
        self.input.write_all(format!("{message}\n").as_bytes()).context("the server closed its input")
    }

    fn receive(&mut self) -> Result<&[u8]> {
        self.line.clear();
        if self.output.read_until(b'\n', &mut self.line)? == 0 {
            bail!("the server ended");
        }
        Ok(&self.line)
    }

    fn request(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())?;
        let reply: Value = serde_json::from_slice(self.receive()?)?;
        reply.get("result").cloned().with_context(|| format!("{method}: {reply}"))
    }

    /// Calls a tool and fails when it fails.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Result<()> {
        let result = self.request("tools/call", &json!({ "name": tool, "arguments": arguments }))?;
        if result["isError"] == json!(true) {
            bail!("{tool}: {result}");
        }
        Ok(())
    }

    /// Seconds per call, one after the other.
    pub(super) fn repeated(&mut self, tool: &str, arguments: &Value, calls: usize) -> Result<f64> {
        self.call(tool, arguments)?;
        self.pipelined("tools/call", &json!({ "name": tool, "arguments": arguments }), calls, 1)
    }

    /// Seconds per request with so many on the way at once.
    pub(super) fn pipelined(&mut self, method: &str, params: &Value, requests: usize, in_flight: usize) -> Result<f64> {
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
        // Ids differ, as with a real client.
        let (head, tail) = message.split_once("\"id\":7").context("no id")?;
        let mut sent = 0;
        let mut batch = String::new();
        let mut send = |server: &mut Self, count: usize| {
            batch.clear();
            for _ in 0..count {
                sent += 1;
                batch.push_str(&format!("{head}\"id\":{sent}{tail}\n"));
            }
            server.input.write_all(batch.as_bytes())
        };
        let started = Instant::now();
        send(self, in_flight.min(requests))?;
        for received in 1..=requests {
            let line = self.receive()?;
            if received == 1 && memchr::memmem::find(line, b"\"result\"").is_none() {
                bail!("{}", String::from_utf8_lossy(line));
            }
            if received + in_flight <= requests {
                send(self, 1)?;
            }
        }
        Ok(started.elapsed().as_secs_f64() / requests as f64)
    }

    pub(super) fn resident_kib(&self) -> Result<u64> {
        status(self.child.id(), "VmRSS:")
    }

    pub(super) fn peak_kib(&self) -> Result<u64> {
        status(self.child.id(), "VmHWM:")
    }

    pub(super) fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose, and a failed measurement must not leave it behind.
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}

/// A number that the kernel tells about a process.
pub(super) fn status(process: u32, key: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with(key)).context("no such line in status")?;
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).context("no number in status")
}
