//! Logs, to stderr only.

use std::io;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{Failure, args::LogArgs};

/// Starts logging: warnings, or what the options ask for.
pub(super) fn start(args: &LogArgs) -> Result<(), Failure> {
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(true);
    let started = match &args.debug {
        // Parsing filters is only paid for when one is given: a server has to start in milliseconds.
        Some(filter) => {
            let filter = EnvFilter::try_new(filter).context("--debug: the filter can't be used").map_err(Failure::Setup)?;
            tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
        }
        None => {
            let level = if args.verbose { LevelFilter::INFO } else { LevelFilter::WARN };
            // The SDK logs whole requests, which are none of the log's business.
            let filter = Targets::new().with_default(level).with_target("rmcp", LevelFilter::WARN);
            tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
        }
    };
    started.context("logging can't be started")?;
    Ok(())
}
