//! Interleaved rounds and the rows they become.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Result, bail};

/// Two sides measured in turn; seconds.
pub(super) struct Rounds {
    count: usize,
    ours: Vec<f64>,
    reference: Vec<f64>,
}

impl Rounds {
    pub(super) fn new(count: usize) -> Self {
        Self { count, ours: Vec::new(), reference: Vec::new() }
    }

    /// One uncounted round to warm up, then the counted ones; which side goes first alternates.
    pub(super) fn run(&mut self, mut ours: impl FnMut() -> Result<f64>, mut reference: impl FnMut() -> Result<f64>) -> Result<()> {
        ours()?;
        reference()?;
        for round in 0..self.count {
            if round % 2 == 0 {
                self.ours.push(ours()?);
                self.reference.push(reference()?);
            } else {
                self.reference.push(reference()?);
                self.ours.push(ours()?);
            }
        }
        Ok(())
    }
}

/// Prints medians and the median of the ratios of each round.
pub(super) fn ratio_row(name: &str, rounds: &Rounds, note: &str) {
    let ratios: Vec<_> = rounds.ours.iter().zip(&rounds.reference).map(|(ours, reference)| ours / reference).collect();
    println!("| {name} | {} | {} | {:.2} | {note} |", shown(median(&rounds.ours)), shown(median(&rounds.reference)), median(&ratios));
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(super) fn shown(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.1} µs", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}

/// Seconds per run of work done in this process; what it counts keeps it from being left out.
pub(super) fn repeated(runs: usize, mut work: impl FnMut() -> Result<usize>) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..runs {
        if std::hint::black_box(work()?) == 0 {
            bail!("the reference read nothing");
        }
    }
    Ok(started.elapsed().as_secs_f64() / runs as f64)
}

/// Seconds of one search by `rg`, process start included.
pub(super) fn rg(program: &Path, tree: &Path, pattern: &str, fixed: bool) -> Result<f64> {
    let started = Instant::now();
    let mut rg = Command::new(program);
    rg.args(["--no-config", "--no-heading", "--line-number", "--color", "never"]);
    if fixed {
        rg.arg("--fixed-strings");
    }
    let found = rg.arg("--").arg(pattern).arg(tree).stdin(Stdio::null()).output()?;
    if !found.status.success() {
        bail!("rg found nothing for {pattern}");
    }
    Ok(started.elapsed().as_secs_f64())
}
