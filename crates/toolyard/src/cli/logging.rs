//! Logs, to stderr only.

use std::io;

use anyhow::{Context as _, anyhow};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, Targets},
    fmt,
    layer::{Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use super::{
    Failure,
    args::{LogArgs, LogFormat},
    environment,
};

/// What a supervisor waits for is logged under this target, whatever the level.
pub(super) const STARTED: &str = "toolyard::started";

/// Starts logging: warnings, or what the options or the environment ask for.
pub(super) fn start(args: &LogArgs) -> Result<(), Failure> {
    let format = format(args, &environment::variable)?;
    // The SDK logs whole requests, which are none of the log's business.
    let quiet = Targets::new().with_default(LevelFilter::TRACE).with_target("rmcp", LevelFilter::WARN);
    let started = match &args.debug {
        // Parsing filters is only paid for when one is given: a server has to start in milliseconds.
        Some(filter) => {
            let filter = EnvFilter::try_new(filter).context("--debug: the filter can't be used").map_err(Failure::Setup)?;
            init(format, filter.and(quiet))
        }
        None => {
            let level = level(args, &environment::variable)?;
            let sdk = level.min(LevelFilter::WARN);
            let started = if format == LogFormat::Json { LevelFilter::INFO } else { level };
            init(format, Targets::new().with_default(level).with_target("rmcp", sdk).with_target(STARTED, started))
        }
    };
    started.context("logging can't be started")?;
    Ok(())
}

fn init<F>(format: LogFormat, filter: F) -> Result<(), tracing_subscriber::util::TryInitError>
where
    F: Filter<Registry> + Send + Sync + 'static,
{
    let text = fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(true);
    let layer = match format {
        LogFormat::Text => text.with_filter(filter).boxed(),
        LogFormat::Json => text.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(layer).try_init()
}

/// The form of logs: the option, else `LOG_FORMAT`, else text.
pub(super) fn format(args: &LogArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<LogFormat, Failure> {
    if let Some(format) = args.log_format {
        return Ok(format);
    }
    match variable("LOG_FORMAT").unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(Failure::Setup(anyhow!("LOG_FORMAT: `{other}` is no format; write `text` or `json`"))),
    }
}

/// The level without `--debug`: `--verbose`, else `LOG_LEVEL`, else warnings.
fn level(args: &LogArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<LevelFilter, Failure> {
    if args.verbose {
        return Ok(LevelFilter::INFO);
    }
    match variable("LOG_LEVEL").unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "warn" => Ok(LevelFilter::WARN),
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        other => Err(Failure::Setup(anyhow!("LOG_LEVEL: `{other}` is no level; write trace, debug, info, warn, error or off"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, LevelFilter, LogArgs, LogFormat, format, level};

    fn set(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |asked| (asked == name).then(|| value.to_owned())
    }

    #[track_caller]
    fn problem<T>(result: Result<T, Failure>) -> String {
        match result {
            Err(Failure::Setup(error)) => error.to_string(),
            _ => panic!("it was taken"),
        }
    }

    #[test]
    fn options_come_before_the_environment() {
        let verbose = LogArgs { verbose: true, log_format: Some(LogFormat::Text), ..LogArgs::default() };
        assert_eq!(level(&verbose, &set("LOG_LEVEL", "error")).ok(), Some(LevelFilter::INFO));
        assert_eq!(format(&verbose, &set("LOG_FORMAT", "json")).ok(), Some(LogFormat::Text));
        let none = LogArgs::default();
        assert_eq!(level(&none, &set("LOG_LEVEL", "Debug")).ok(), Some(LevelFilter::DEBUG));
        assert_eq!(level(&none, &set("LOG_LEVEL", "off")).ok(), Some(LevelFilter::OFF));
        assert_eq!(format(&none, &set("LOG_FORMAT", "json")).ok(), Some(LogFormat::Json));
        assert_eq!(level(&none, &set("LOG_LEVEL", "")).ok(), Some(LevelFilter::WARN));
    }

    #[test]
    fn a_value_that_means_nothing_names_its_variable() {
        let none = LogArgs::default();
        assert_eq!(
            problem(level(&none, &set("LOG_LEVEL", "loud"))),
            "LOG_LEVEL: `loud` is no level; write trace, debug, info, warn, error or off"
        );
        assert_eq!(problem(format(&none, &set("LOG_FORMAT", "xml"))), "LOG_FORMAT: `xml` is no format; write `text` or `json`");
    }
}
