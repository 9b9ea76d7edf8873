//! Connections that send one call after the other, and what that came to.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::wire::{Call, Connection, ID, Target, Template, initialized};

/// What some seconds of load came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    /// Seconds from the first byte sent to the last byte received, median.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Connections to one server, each with its session where the revision has sessions.
pub(super) struct Load {
    lanes: Vec<Lane>,
}

struct Lane {
    connection: Connection,
    template: Template,
    next: u64,
}

impl Load {
    pub(super) async fn connect(target: &Target, call: &Call, connections: u64) -> Result<Self> {
        let mut lanes = Vec::new();
        for lane in 0..connections {
            let mut connection = Connection::open(target.address).await?;
            let session = if target.revision == super::wire::LEGACY { Some(begin_session(&mut connection, target).await?) } else { None };
            let template = Template::new(target, call, session.as_deref());
            lanes.push(Lane { connection, template, next: ID + lane * 10_000_000 });
        }
        Ok(Self { lanes })
    }

    /// Keeps all connections busy for so long. Fails at the first answer that is not right: a server
    /// that refuses is quick, and its figures mean nothing.
    pub(super) async fn drive(&mut self, time: Duration) -> Result<Figures> {
        let started = Instant::now();
        let until = started + time;
        let lanes: Vec<_> = self.lanes.drain(..).map(|lane| tokio::spawn(lane.run(until))).collect();
        let mut latencies = Vec::new();
        for lane in lanes {
            let (lane, mut measured) = lane.await??;
            self.lanes.push(lane);
            latencies.append(&mut measured);
        }
        let took = started.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let at = |share: f64| {
            let place = (latencies.len() as f64 * share) as usize;
            latencies.get(place.min(latencies.len().saturating_sub(1))).map_or(f64::NAN, Duration::as_secs_f64)
        };
        Ok(Figures { per_second: latencies.len() as f64 / took, p50: at(0.5), p99: at(0.99) })
    }
}

impl Lane {
    async fn run(mut self, until: Instant) -> Result<(Self, Vec<Duration>)> {
        let mut latencies = Vec::with_capacity(1 << 14);
        let mut now = Instant::now();
        while now < until {
            let id = self.next;
            self.next += 1;
            let answer = self.connection.exchange(self.template.request(id)?).await?;
            let done = Instant::now();
            latencies.push(done - now);
            self.template.check(id, &answer)?;
            now = Instant::now();
        }
        Ok((self, latencies))
    }
}

/// The handshake of revisions up to 2025-11-25; gives the session's id.
pub(super) async fn begin_session(connection: &mut Connection, target: &Target) -> Result<String> {
    let answer = connection.exchange(&target.message(&target.initialize(), None)).await?;
    let session =
        answer.header("mcp-session-id").with_context(|| format!("no session: {}", String::from_utf8_lossy(answer.body)))?.to_owned();
    let answer = connection.exchange(&target.message(&initialized(), Some(&session))).await?;
    anyhow::ensure!(answer.status == 202, "status {} for notifications/initialized", answer.status);
    Ok(session)
}
