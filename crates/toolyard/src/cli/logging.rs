//! Logs, to stderr only.

use std::io;

use anyhow::Context as _;
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
    let (format, no_format) = chosen_format(args, &environment::variable);
    let mut no_level = None;
    // The SDK logs whole requests, which are none of the log's business.
    let quiet = Targets::new().with_default(LevelFilter::TRACE).with_target("rmcp", LevelFilter::WARN);
    let started = match &args.debug {
        // Parsing filters is only paid for when one is given: a server has to start in milliseconds.
        Some(filter) => {
            let filter = EnvFilter::try_new(filter).context("--debug: the filter can't be used").map_err(Failure::Setup)?;
            init(format, filter.and(quiet))
        }
        None => {
            let (level, problem) = chosen_level(args, &environment::variable);
            no_level = problem;
            let sdk = level.min(LevelFilter::WARN);
            let started = if format == LogFormat::Json { LevelFilter::INFO } else { level };
            init(format, Targets::new().with_default(level).with_target("rmcp", sdk).with_target(STARTED, started))
        }
    };
    started.context("logging can't be started")?;
    for problem in [no_format, no_level].into_iter().flatten() {
        tracing::warn!("{problem}");
    }
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
pub(super) fn format(args: &LogArgs) -> LogFormat {
    chosen_format(args, &environment::variable).0
}

/// The form of logs, and why the variable is left aside. Other programs read the same variables, so
/// a value that means nothing here stops nothing.
fn chosen_format(args: &LogArgs, variable: &dyn Fn(&str) -> Option<String>) -> (LogFormat, Option<String>) {
    if let Some(format) = args.log_format {
        return (format, None);
    }
    match variable("LOG_FORMAT").unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "text" => (LogFormat::Text, None),
        "json" => (LogFormat::Json, None),
        other => (LogFormat::Text, Some(format!("LOG_FORMAT: `{other}` is no format, so `text` holds; write `text` or `json`"))),
    }
}

/// The level without `--debug`: `--verbose`, else `LOG_LEVEL`, else warnings; and why the variable is
/// left aside.
fn chosen_level(args: &LogArgs, variable: &dyn Fn(&str) -> Option<String>) -> (LevelFilter, Option<String>) {
    if args.verbose {
        return (LevelFilter::INFO, None);
    }
    let level = match variable("LOG_LEVEL").unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "warn" | "warning" => LevelFilter::WARN,
        "off" | "none" => LevelFilter::OFF,
        "error" | "err" | "critical" | "fatal" => LevelFilter::ERROR,
        "info" | "information" | "notice" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        other => {
            let problem = format!("LOG_LEVEL: `{other}` is no level, so `warn` holds; write trace, debug, info, warn, error or off");
            return (LevelFilter::WARN, Some(problem));
        }
    };
    (level, None)
}

#[cfg(test)]
mod tests {
    use super::{LevelFilter, LogArgs, LogFormat, chosen_format, chosen_level};

    fn set(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |asked| (asked == name).then(|| value.to_owned())
    }

    #[test]
    fn options_come_before_the_environment() {
        let verbose = LogArgs { verbose: true, log_format: Some(LogFormat::Text), ..LogArgs::default() };
        assert_eq!(chosen_level(&verbose, &set("LOG_LEVEL", "loud")), (LevelFilter::INFO, None));
        assert_eq!(chosen_format(&verbose, &set("LOG_FORMAT", "json")), (LogFormat::Text, None));
        let none = LogArgs::default();
        assert_eq!(chosen_format(&none, &set("LOG_FORMAT", "json")), (LogFormat::Json, None));
    }

    #[test]
    fn levels_are_known_by_the_words_that_other_programs_use() {
        let none = LogArgs::default();
        for (word, level) in [
            ("", LevelFilter::WARN),
            ("WARNING", LevelFilter::WARN),
            ("Debug", LevelFilter::DEBUG),
            ("Information", LevelFilter::INFO),
            ("critical", LevelFilter::ERROR),
            ("off", LevelFilter::OFF),
            ("TRACE", LevelFilter::TRACE),
        ] {
            assert_eq!(chosen_level(&none, &set("LOG_LEVEL", word)), (level, None), "{word}");
        }
    }

    #[test]
    fn a_value_that_means_nothing_is_told_and_the_default_holds() {
        let none = LogArgs::default();
        let (level, problem) = chosen_level(&none, &set("LOG_LEVEL", "loud"));
        assert_eq!(level, LevelFilter::WARN);
        let expected = "LOG_LEVEL: `loud` is no level, so `warn` holds; write trace, debug, info, warn, error or off";
        assert_eq!(problem.as_deref(), Some(expected));
        let (format, problem) = chosen_format(&none, &set("LOG_FORMAT", "xml"));
        assert_eq!(format, LogFormat::Text);
        assert_eq!(problem.as_deref(), Some("LOG_FORMAT: `xml` is no format, so `text` holds; write `text` or `json`"));
    }
}
