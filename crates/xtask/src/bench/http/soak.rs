//! Hundreds of thousands of mixed calls, good and bad, and what the server holds on to.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    load::begin_session,
    process::Process,
    sessions::{begin_sse, post},
    setup::Setup,
    turns::verdict,
    wire::{Answer, Connection, LEGACY, Target},
};

const LANES: u64 = 16;
const SAMPLES: u64 = 10;
/// What the allocator may keep on top of what it kept after the first tenth.
const GROWTH_KIB: u64 = 8 * 1024;
/// Connections of samplers and of the metrics that may come and go.
const SPARE_DESCRIPTORS: usize = 4;

/// What the server held at each tenth.
pub(super) struct Outcome {
    calls: u64,
    seconds: f64,
    samples: Vec<(u64, usize)>,
}

impl Outcome {
    pub(super) fn print(&self) {
        let (Some(&settled), Some(&last)) = (self.samples.first(), self.samples.last()) else { return };
        let flat = last.0 <= settled.0 + GROWTH_KIB && last.1 <= settled.1 + SPARE_DESCRIPTORS;
        let course: Vec<_> = self.samples.iter().map(|(kib, _)| format!("{:.1}", crate::bench::kib(*kib))).collect();
        println!(
            "| endurance | {:.1} MB, {} descriptors | {:.1} MB, {} descriptors | – | at most {} MB more {} | after {} mixed calls in {:.0} s; \
             reference: after the first tenth; MB at each tenth: {} |",
            crate::bench::kib(last.0),
            last.1,
            crate::bench::kib(settled.0),
            settled.1,
            GROWTH_KIB >> 10,
            verdict(flat),
            self.calls,
            self.seconds,
            course.join(" "),
        );
    }
}

/// Makes the calls on several connections at once. Between two parts nothing is open, so that what
/// is counted is what is left behind.
pub(super) async fn run(process: &Process, target: &Target, setup: &Setup, calls: u64) -> Result<Outcome> {
    for lane in 0..LANES {
        setup.write(&format!("lane-{lane}.txt"), "the value is even\n")?;
    }
    let started = Instant::now();
    let mut samples = Vec::new();
    for part in 1..=SAMPLES {
        let left = Arc::new(AtomicU64::new(calls / SAMPLES));
        let lanes: Vec<_> = (0..LANES).map(|lane| tokio::spawn(Lane::run(lane, target.clone(), Arc::clone(&left)))).collect();
        for lane in lanes {
            lane.await??;
        }
        // Closed connections take a moment to be noticed.
        tokio::time::sleep(Duration::from_secs(1)).await;
        samples.push((process.resident_kib()?, process.descriptors()?));
        eprintln!("{part} of {SAMPLES}: {} KiB, {} descriptors", process.resident_kib()?, process.descriptors()?);
    }
    Ok(Outcome { calls, seconds: started.elapsed().as_secs_f64(), samples })
}

struct Lane {
    number: u64,
    target: Target,
    connection: Connection,
}

impl Lane {
    async fn run(number: u64, target: Target, left: Arc<AtomicU64>) -> Result<()> {
        let mut lane = Self { number, connection: Connection::open(target.address).await?, target };
        while let Ok(call) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            let kind = call % 20;
            lane.one(kind).await.with_context(|| format!("call of kind {kind}"))?;
        }
        Ok(())
    }

    async fn one(&mut self, kind: u64) -> Result<()> {
        match kind {
            0 => self.edit_there_and_back().await,
            1 => self.session().await,
            2 => self.sse_session().await,
            3 => self.abandoned().await,
            4 => self.refused("POST /mcp", &[], b"{ \"jsonrpc\": ", 400).await,
            5 => self.refused("POST /nowhere", &[], b"{}", 404).await,
            6 => self.refused("PUT /mcp", &[], b"{}", 405).await,
            7 => self.mismatched().await,
            8 => self.stranger().await,
            9 => self.call("fs_read", json!({ "path": "secrets-0/key" }), "\"isError\":true").await,
            10 => self.call("fs_read", json!({ "path": "missing.txt" }), "\"isError\":true").await,
            11 => self.call("fs_read", json!({ "path": "small.txt", "nonsense": 1 }), "\"isError\":true").await,
            12 => self.call("fs_stat", json!({ "path": "small.txt" }), "small.txt").await,
            13 => self.call("fs_list", json!({ "path": "src" }), "49.rs").await,
            14 => self.call("fs_grep", json!({ "path": "src/1.rs", "pattern": "answer" }), "answer").await,
            15 => self.call("fs_glob", json!({ "pattern": "src/*9.rs" }), "src/49.rs").await,
            _ => self.call("fs_read", json!({ "path": "small.txt" }), "second line").await,
        }
    }

    async fn call(&mut self, tool: &'static str, arguments: Value, wanted: &str) -> Result<()> {
        let message = self.target.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        let request = self.target.message(&message, None);
        self.exchange(&request, |answer| answer.status == 200 && text(answer).contains(wanted)).await
    }

    async fn edit_there_and_back(&mut self) -> Result<()> {
        self.edit("even", "odd").await?;
        self.edit("odd", "even").await
    }

    async fn edit(&mut self, old: &str, new: &str) -> Result<()> {
        let path = format!("lane-{}.txt", self.number);
        let edits = json!([{ "old": format!("is {old}"), "new": format!("is {new}") }]);
        self.call("fs_edit", json!({ "path": path, "edits": edits }), &path).await
    }

    /// A session of Streamable HTTP with one call.
    async fn session(&mut self) -> Result<()> {
        let target = Target { revision: LEGACY, ..self.target.clone() };
        let session = begin_session(&mut self.connection, &target).await?;
        let message = target.ask("tools/call", json!({ "name": "fs_read", "arguments": { "path": "small.txt" } }));
        self.exchange(&target.message(&message, Some(&session)), |answer| text(answer).contains("second line")).await?;
        let request = target.request("DELETE /mcp", &[("MCP-Protocol-Version", LEGACY), ("Mcp-Session-Id", &session)], b"");
        self.exchange(&request, |answer| (200..300).contains(&answer.status)).await
    }

    async fn sse_session(&mut self) -> Result<()> {
        let target = Target { revision: LEGACY, ..self.target.clone() };
        let (mut stream, endpoint) = begin_sse(&mut self.connection, &target).await?;
        let message = target.ask("tools/call", json!({ "name": "fs_read", "arguments": { "path": "small.txt" } }));
        post(&mut self.connection, &target, &endpoint, &message.to_string()).await?;
        stream.until(b"second line").await?;
        Ok(())
    }

    /// A caller who leaves before the answer comes.
    async fn abandoned(&mut self) -> Result<()> {
        let search = json!({ "name": "fs_grep", "arguments": { "pattern": "nowhere to be found" } });
        let message = self.target.ask("tools/call", search);
        let mut connection = Connection::open(self.target.address).await?;
        connection.send(&self.target.message(&message, None)).await
    }

    async fn refused(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8], status: u16) -> Result<()> {
        let request = self.target.request(line, headers, body);
        self.exchange(&request, |answer| answer.status == status).await
    }

    /// A header that says something else than the body.
    async fn mismatched(&mut self) -> Result<()> {
        let message = self.target.ask("tools/call", json!({ "name": "fs_read", "arguments": { "path": "small.txt" } }));
        let headers = [("MCP-Protocol-Version", self.target.revision), ("Mcp-Method", "tools/call"), ("Mcp-Name", "fs_stat")];
        self.refused("POST /mcp", &headers, message.to_string().as_bytes(), 400).await
    }

    async fn stranger(&mut self) -> Result<()> {
        let stranger = Target { token: Some("nobody-gave-me-this".into()), ..self.target.clone() };
        let message = stranger.ask("tools/list", json!({}));
        self.exchange(&stranger.message(&message, None), |answer| answer.status == 401).await
    }

    /// Sends and judges; an answer that ends the connection is followed by a new one.
    async fn exchange(&mut self, request: &[u8], right: impl Fn(&Answer<'_>) -> bool) -> Result<()> {
        let answer = self.connection.exchange(request).await?;
        ensure!(right(&answer), "status {}: {}", answer.status, text(&answer));
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = Connection::open(self.target.address).await?;
        }
        Ok(())
    }
}

fn text<'a>(answer: &Answer<'a>) -> Cow<'a, str> {
    String::from_utf8_lossy(answer.body)
}
