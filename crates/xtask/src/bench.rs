//! `cargo xtask bench`: ratios against named references, measured in one run.
//!
//! Not a test: it asserts nothing about time. Every figure is the median of interleaved rounds,
//! so that a change of the machine's load falls on both sides alike.

mod client;
mod corpus;
mod http;
mod measure;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use self::{
    client::Server,
    corpus::Corpus,
    measure::{Rounds, ratio_row},
};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// A directory to search instead of the generated repository of 25,000 files.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// The `rg` program to compare with.
    #[arg(long, default_value = "rg")]
    rg: PathBuf,
    /// Interleaved rounds for each comparison.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Only comparisons whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    #[command(subcommand)]
    transport: Option<Transport>,
}

#[derive(Debug, clap::Subcommand)]
enum Transport {
    /// The HTTP transport instead, with everything switched on, against a bare server.
    Http(http::HttpArgs),
}

/// Runs all comparisons and prints one table.
pub(crate) fn run(root: &Path, args: &BenchArgs) -> Result<()> {
    if let Some(Transport::Http(args)) = &args.transport {
        return http::run(root, args);
    }
    build(root)?;
    let toolyard = crate::dist::run(root)?;
    let bin = root.join("target/release");
    let corpus = Corpus::prepare(root, args.corpus.as_deref())?;
    let bench = Bench {
        toolyard,
        echo: bin.join("custom-tool"),
        reference: bin.join("rmcp-reference"),
        config: root.join("crates/xtask/bench/config.json"),
        corpus,
        args,
    };
    println!("| comparison | ours | reference | ratio | note |\n|---|---|---|---|---|");
    for (name, measure) in COMPARISONS {
        if name.contains(&args.only) {
            measure(&bench, name).with_context(|| format!("while measuring {name}"))?;
        }
    }
    Ok(())
}

type Comparison = fn(&Bench<'_>, &str) -> Result<()>;

const COMPARISONS: &[(&str, Comparison)] = &[
    ("cold start", |bench, name| bench.cold_start(name)),
    ("ping", |bench, name| bench.ping(name)),
    ("echo", |bench, name| bench.echo(name)),
    ("read", |bench, name| bench.read(name)),
    ("range of 100 MB", |bench, name| bench.range(name)),
    ("grep", |bench, name| bench.grep(name)),
    ("endurance", |bench, name| bench.endurance(name)),
];

struct Bench<'a> {
    toolyard: PathBuf,
    echo: PathBuf,
    reference: PathBuf,
    config: PathBuf,
    corpus: Corpus,
    args: &'a BenchArgs,
}

impl Bench<'_> {
    fn ours(&self) -> Result<Server> {
        let state = self.corpus.state();
        let args = ["serve", "--workspace", self.corpus.root_str()?, "--config", path_str(&self.config)?, "--state-dir", path_str(&state)?];
        Server::start(&self.toolyard, &args, self.corpus.root())
    }

    fn custom(&self) -> Result<Server> {
        Server::start(&self.echo, &[path_str(&self.corpus.state())?], self.corpus.root())
    }

    fn bare(&self) -> Result<Server> {
        Server::start(&self.reference, &[], self.corpus.root())
    }

    fn cold_start(&self, name: &str) -> Result<()> {
        let mut rounds = Rounds::new(self.args.rounds * 2);
        let (mut our_rss, mut bare_rss) = (0, 0);
        rounds.run(
            || {
                let server = self.ours()?;
                our_rss = server.resident_kib()?;
                Ok(server.listed_after())
            },
            || {
                let server = self.bare()?;
                bare_rss = server.resident_kib()?;
                Ok(server.listed_after())
            },
        )?;
        ratio_row(name, &rounds, &format!("spawn to tools listed; resident {:.1} MB, reference {:.1} MB", kib(our_rss), kib(bare_rss)));
        Ok(())
    }

    fn ping(&self, name: &str) -> Result<()> {
        let (mut ours, mut bare) = (self.ours()?, self.bare()?);
        for in_flight in [1, 64] {
            let mut rounds = Rounds::new(self.args.rounds);
            rounds.run(|| ours.pipelined("ping", &json!({}), 4_000, in_flight), || bare.pipelined("ping", &json!({}), 4_000, in_flight))?;
            ratio_row(&format!("{name}, {in_flight} in flight"), &rounds, "per call");
        }
        Ok(())
    }

    fn echo(&self, name: &str) -> Result<()> {
        let (mut ours, mut bare) = (self.custom()?, self.bare()?);
        let ask = |tool: &str| json!({ "name": tool, "arguments": { "message": "hello" } });
        for in_flight in [1, 64] {
            let mut rounds = Rounds::new(self.args.rounds);
            rounds.run(
                || ours.pipelined("tools/call", &ask("demo_echo"), 4_000, in_flight),
                || bare.pipelined("tools/call", &ask("echo"), 4_000, in_flight),
            )?;
            ratio_row(&format!("{name}, {in_flight} in flight"), &rounds, "per call, with policy and audit");
        }
        Ok(())
    }

    fn read(&self, name: &str) -> Result<()> {
        let mut ours = self.ours()?;
        for (label, file) in [("10 kB", self.corpus.small_file()), ("1 MB", self.corpus.large_file())] {
            let path = path_str(&file)?.to_owned();
            let mut rounds = Rounds::new(self.args.rounds);
            rounds.run(
                || ours.repeated("fs_read", &json!({ "path": path }), 50),
                || measure::repeated(50, || std::fs::read_to_string(&file).map(|text| text.len()).map_err(Into::into)),
            )?;
            ratio_row(&format!("{name} {label}"), &rounds, "reference: reading the file in process, no server");
        }
        Ok(())
    }

    fn range(&self, name: &str) -> Result<()> {
        let mut ours = self.ours()?;
        let file = self.corpus.huge_file()?;
        let lines = json!({ "path": path_str(&file)?, "lines": "900000+100" });
        let before = ours.peak_kib()?;
        let first = ours.repeated("fs_read", &lines, 1)?;
        let mut rounds = Rounds::new(self.args.rounds);
        rounds.run(|| ours.repeated("fs_read", &lines, 20), || measure::repeated(1, || corpus::scan_lines(&file, 900_000, 100)))?;
        let extra = kib(ours.peak_kib()?.saturating_sub(before));
        ratio_row(
            name,
            &rounds,
            &format!("100 lines, warm; first call {:.1} ms, {extra:.1} MB more at the peak; reference: scanning in process", first * 1e3),
        );
        Ok(())
    }

    fn grep(&self, name: &str) -> Result<()> {
        if std::process::Command::new(&self.args.rg).arg("--version").output().is_err() {
            bail!("`{}` does not start; install ripgrep or name it with --rg", self.args.rg.display());
        }
        let mut ours = self.ours()?;
        let tree = self.corpus.tree();
        for (label, pattern, fixed) in self.corpus.patterns() {
            let call = json!({ "path": path_str(&tree)?, "pattern": pattern, "fixed": fixed, "case": "sensitive" });
            let mut rounds = Rounds::new(self.args.rounds);
            rounds.run(|| ours.repeated("fs_grep", &call, 1), || measure::rg(&self.args.rg, &tree, pattern, fixed))?;
            ratio_row(&format!("{name} {label}"), &rounds, "reference: rg as a process");
        }
        Ok(())
    }

    fn endurance(&self, name: &str) -> Result<()> {
        const CALLS: usize = 20_000;
        let mut ours = self.ours()?;
        let mix = self.corpus.mix()?;
        let mut settled = (0, 0);
        for i in 0..CALLS {
            let (tool, arguments): &(&str, Value) = &mix[i % mix.len()];
            ours.call(tool, arguments)?;
            if i == CALLS / 10 {
                settled = (ours.resident_kib()?, ours.descriptors()?);
            }
        }
        let (rss, fds) = (ours.resident_kib()?, ours.descriptors()?);
        println!(
            "| {name} | {:.1} MB, {fds} descriptors | {:.1} MB, {} descriptors | – | after {CALLS} mixed calls; reference: after the first {} |",
            kib(rss),
            kib(settled.0),
            settled.1,
            CALLS / 10
        );
        Ok(())
    }
}

fn build(root: &Path) -> Result<()> {
    // One after the other: built together, the small server would get the features that this package
    // needs.
    for package in ["custom-tool", "xtask"] {
        let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        if !cargo.current_dir(root).args(["build", "--release", "-p", package]).status()?.success() {
            bail!("the release build failed");
        }
    }
    Ok(())
}

fn path_str(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

fn kib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
