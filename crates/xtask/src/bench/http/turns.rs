//! Turns of two servers and the rows they become.

use std::time::Duration;

use anyhow::Result;
use tokio::runtime::Runtime;

use super::{
    load::{Figures, Load},
    process::Process,
    wire::{Call, Target},
};
use crate::bench::measure::{median, shown};

/// How long, how often.
pub(super) struct Turns<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) rounds: usize,
    pub(super) time: Duration,
}

/// A server, how to ask it, and what.
pub(super) type Side<'a> = (&'a Process, &'a Target, &'a Call);

/// One figure of each turn.
#[derive(Default)]
pub(super) struct Series {
    ours: Vec<Turn>,
    reference: Vec<Turn>,
}

#[derive(Clone, Copy)]
struct Turn {
    figures: Figures,
    /// Processor seconds of the server for each call.
    processor: f64,
}

impl Turns<'_> {
    /// One uncounted turn each to warm up, then the counted ones; which side goes first alternates.
    pub(super) fn run(&self, ours: Side<'_>, reference: Side<'_>, connections: u64) -> Result<Series> {
        let connect = |(_, target, call): Side<'_>| self.runtime.block_on(Load::connect(target, call, connections));
        let (mut our_load, mut bare_load) = (connect(ours)?, connect(reference)?);
        self.turn(ours.0, &mut our_load)?;
        self.turn(reference.0, &mut bare_load)?;
        let mut series = Series::default();
        for round in 0..self.rounds {
            if round % 2 == 0 {
                series.ours.push(self.turn(ours.0, &mut our_load)?);
                series.reference.push(self.turn(reference.0, &mut bare_load)?);
            } else {
                series.reference.push(self.turn(reference.0, &mut bare_load)?);
                series.ours.push(self.turn(ours.0, &mut our_load)?);
            }
        }
        Ok(series)
    }

    fn turn(&self, process: &Process, load: &mut Load) -> Result<Turn> {
        let before = process.processor_seconds()?;
        let figures = self.runtime.block_on(load.drive(self.time))?;
        let calls = figures.per_second * self.time.as_secs_f64();
        Ok(Turn { figures, processor: (process.processor_seconds()? - before) / calls })
    }
}

impl Series {
    fn medians(&self, figure: impl Fn(&Turn) -> f64) -> (f64, f64) {
        let of = |turns: &[Turn]| median(&turns.iter().map(&figure).collect::<Vec<_>>());
        (of(&self.ours), of(&self.reference))
    }

    /// The median over all rounds of what two turns of one round come to together.
    fn paired(&self, figure: impl Fn(&Turn, &Turn) -> f64) -> f64 {
        median(&self.ours.iter().zip(&self.reference).map(|(ours, reference)| figure(ours, reference)).collect::<Vec<_>>())
    }
}

/// What a ratio is held against.
pub(super) mod bar {
    /// A bar for a ratio, or none.
    #[derive(Clone, Copy)]
    pub(in crate::bench::http) struct Bar(pub(super) Option<f64>);

    pub(in crate::bench::http) const fn none() -> Bar {
        Bar(None)
    }

    pub(in crate::bench::http) const fn at_least(ratio: f64) -> Bar {
        Bar(Some(ratio))
    }
}

/// Calls a second, with times and processor time in the note.
pub(super) fn row(name: &str, series: &Series, bar: bar::Bar) {
    let (ours, reference) = series.medians(|turn| turn.figures.per_second);
    let ratio = series.paired(|ours, reference| ours.figures.per_second / reference.figures.per_second);
    let bar = bar.0.map_or_else(|| "–".into(), |bar| format!("≥ {bar:.2} {}", verdict(ratio >= bar)));
    let pair = |(ours, reference): (f64, f64)| format!("{} to {}", shown(ours), shown(reference));
    println!(
        "| {name} | {ours:.0}/s | {reference:.0}/s | {ratio:.2} | {bar} | median {}; p99 {}; processor time of the server a call {} |",
        pair(series.medians(|turn| turn.figures.p50)),
        pair(series.medians(|turn| turn.figures.p99)),
        pair(series.medians(|turn| turn.processor)),
    );
}

/// What we add to the time of a call when nothing else is asked.
pub(super) fn added_row(name: &str, series: &Series) {
    let (ours, reference) = series.medians(|turn| turn.figures.p99);
    let p99 = series.paired(|ours, reference| ours.figures.p99 - reference.figures.p99);
    let p50 = series.paired(|ours, reference| ours.figures.p50 - reference.figures.p50);
    println!(
        "| {name}, p99 added | {} | {} | {:+.1} µs | < 1 ms {} | 1 connection; median added {:+.1} µs |",
        shown(ours),
        shown(reference),
        p99 * 1e6,
        verdict(p99 < 1e-3),
        p50 * 1e6
    );
}

pub(super) const fn verdict(met: bool) -> &'static str {
    if met { "PASS" } else { "MISS" }
}
