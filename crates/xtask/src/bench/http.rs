//! `cargo xtask bench http`: the whole pipeline over HTTP against a bare server on the same SDK.
//!
//! Both servers run side by side and are asked in turns by the same generator, which checks every
//! answer. Ours has everything switched on: a token that was checked before, 100 rules, an audit
//! trail, a rate limit, metrics.

mod issuer;
mod load;
mod process;
mod sessions;
mod setup;
mod soak;
mod turns;
mod wire;

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::Runtime;

use self::{
    setup::Setup,
    turns::{Turns, bar, row},
    wire::{Call, LEGACY, MODERN, Target},
};

/// What to measure over HTTP.
#[derive(Debug, clap::Args)]
pub(crate) struct HttpArgs {
    /// Turns of each server in each comparison.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Milliseconds of load in each turn.
    #[arg(long, default_value_t = 700)]
    turn: u64,
    /// Only comparisons whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Only the endurance run of 200,000 mixed calls.
    #[arg(long)]
    soak: bool,
    /// Calls of the endurance run.
    #[arg(long, default_value_t = 200_000)]
    calls: u64,
    /// The programs are built, and this is one of them.
    #[arg(long, hide = true)]
    built: bool,
}

/// Runs all comparisons and prints one table.
pub(crate) fn run(root: &Path, args: &HttpArgs) -> Result<()> {
    if !args.built {
        return build_and_run(root);
    }
    let bench = Bench { setup: Setup::new(root)?, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?, args };
    println!("| comparison | ours | reference | ratio | bar | note |\n|---|---|---|---|---|---|");
    if args.soak {
        return bench.soak();
    }
    for (name, measure) in COMPARISONS {
        if name.contains(&args.only) {
            measure(&bench, name).with_context(|| format!("while measuring {name}"))?;
        }
    }
    Ok(())
}

/// The generator has to be quicker than the servers, so that it is built like them and runs in
/// their place.
fn build_and_run(root: &Path) -> Result<()> {
    crate::dist::run(root)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    ensure!(cargo.current_dir(root).args(["build", "--release", "-p", "xtask"]).status()?.success(), "the release build failed");
    let status = Command::new(root.join("target/release/xtask")).args(std::env::args_os().skip(1)).arg("--built").status()?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}

type Comparison = fn(&Bench<'_>, &str) -> Result<()>;

const COMPARISONS: &[(&str, Comparison)] = &[
    ("echo", |bench, name| bench.echo(name, Token::Access, MODERN)),
    ("echo, static token", |bench, name| bench.echo(name, Token::Static, MODERN)),
    ("echo in sessions", |bench, name| bench.echo(name, Token::Access, LEGACY)),
    ("small file", |bench, name| bench.small_file(name)),
    ("reference, as the SDK comes", |bench, name| bench.reference_as_it_comes(name)),
    ("reference against itself", |bench, name| bench.control(name)),
    ("idle sessions", |bench, name| bench.idle(name, sessions::streamable)),
    ("idle sessions, HTTP+SSE", |bench, name| bench.idle(name, sessions::sse)),
];

const CONNECTIONS: [u64; 3] = [1, 16, 64];

#[derive(Clone, Copy)]
enum Token {
    Access,
    Static,
}

struct Bench<'a> {
    setup: Setup,
    runtime: Runtime,
    args: &'a HttpArgs,
}

impl Bench<'_> {
    fn turns(&self) -> Turns<'_> {
        Turns { runtime: &self.runtime, rounds: self.args.rounds, time: std::time::Duration::from_millis(self.args.turn) }
    }

    fn target(&self, process: &process::Process, token: Token, revision: &'static str) -> Result<Target> {
        let token = match token {
            Token::Access => self.setup.access_token()?,
            Token::Static => setup::STATIC_TOKEN.to_owned(),
        };
        Ok(Target { address: process.address(), token: Some(token), revision })
    }

    fn echo(&self, name: &str, token: Token, revision: &'static str) -> Result<()> {
        let (ours, bare) = (self.setup.echo()?, self.setup.reference("json")?);
        let target = self.target(&ours, token, revision)?;
        let reference = Target { address: bare.address(), token: None, revision };
        for connections in CONNECTIONS {
            let series =
                self.turns().run((&ours, &target, &Call::echo("demo_echo")), (&bare, &reference, &Call::echo("echo")), connections)?;
            let ratio_bar = if connections == 64 { bar::at_least(0.8) } else { bar::none() };
            row(&format!("{name}, {connections} at once"), &series, ratio_bar);
            if connections == 1 {
                turns::added_row(name, &series);
            }
        }
        Ok(())
    }

    /// What the program as it is handed out does for a file of a few lines, which is more than an
    /// echo.
    fn small_file(&self, name: &str) -> Result<()> {
        let (ours, bare) = (self.setup.program()?, self.setup.reference("json")?);
        let target = self.target(&ours, Token::Access, MODERN)?;
        let reference = Target { address: bare.address(), token: None, revision: MODERN };
        for connections in CONNECTIONS {
            let series = self.turns().run((&ours, &target, &self.setup.read()), (&bare, &reference, &Call::echo("echo")), connections)?;
            row(&format!("{name}, {connections} at once"), &series, bar::none());
        }
        Ok(())
    }

    fn reference_as_it_comes(&self, name: &str) -> Result<()> {
        self.references(name, "sse", "json")
    }

    /// Has to be 1; how far it is off is what the other figures may be off.
    fn control(&self, name: &str) -> Result<()> {
        self.references(name, "json", "json")
    }

    fn references(&self, name: &str, first: &str, second: &str) -> Result<()> {
        let (first, second) = (self.setup.reference(first)?, self.setup.reference(second)?);
        let target = |process: &process::Process| Target { address: process.address(), token: None, revision: MODERN };
        let call = Call::echo("echo");
        for connections in CONNECTIONS {
            let series = self.turns().run((&first, &target(&first), &call), (&second, &target(&second), &call), connections)?;
            row(&format!("{name}, {connections} at once"), &series, bar::none());
        }
        Ok(())
    }

    fn idle(&self, name: &str, open: sessions::Open) -> Result<()> {
        const SESSIONS: usize = 1_000;
        let ours = self.setup.program()?;
        let target = self.target(&ours, Token::Static, LEGACY)?;
        let before = ours.resident_kib()?;
        let held = self.runtime.block_on(open(&target, SESSIONS))?;
        std::thread::sleep(std::time::Duration::from_secs(1));
        let after = ours.resident_kib()?;
        let verdict = turns::verdict(after < 64 << 10);
        println!(
            "| {name} | {:.1} MB | {:.1} MB | – | < 64 MB {verdict} | resident with {} sessions that listen, {:.1} kB each, {} descriptors; \
             reference: before the first |",
            super::kib(after),
            super::kib(before),
            held.len(),
            after.saturating_sub(before) as f64 / SESSIONS as f64,
            ours.descriptors()?,
        );
        Ok(())
    }

    fn soak(&self) -> Result<()> {
        let ours = self.setup.program()?;
        let target = self.target(&ours, Token::Access, MODERN)?;
        let outcome = self.runtime.block_on(soak::run(&ours, &target, &self.setup, self.args.calls))?;
        outcome.print();
        Ok(())
    }
}
