//! The `toolyard` command line.
//!
//! Answers go to stdout, everything else to stderr; `serve` keeps stdout for the protocol.

mod args;

mod call;
mod client_config;
mod config;
mod doctor;
#[cfg(feature = "http")]
mod healthcheck;
mod policy;
mod serve;
#[cfg(feature = "http")]
mod token;
mod tools;

mod environment;
mod files;
mod logging;
mod output;
mod setup;

use std::{ffi::OsString, process::ExitCode};

use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser as _};

#[cfg(feature = "http")]
use args::TokenCommand;
use args::{Cli, Command, ConfigCommand, LogFormat, PolicyCommand, ServeArgs};

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Done.
    Success,
    /// It ran, and the answer is no: a tool error, a finding of `doctor`.
    Failed,
    /// It could not run: usage or configuration.
    Misused,
}

/// A failure before or after the work itself.
#[derive(Debug)]
enum Failure {
    /// Usage or configuration: exit code 2.
    Setup(anyhow::Error),
    /// Something broke while running: exit code 1.
    Run(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}

impl Failure {
    fn setup(error: impl Into<anyhow::Error>) -> Self {
        Self::Setup(error.into())
    }
}

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    let cli = match serve_only(std::env::args_os()).map_or_else(Cli::try_parse, Ok) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = cli.command.as_ref().and_then(Command::log).is_some_and(|log| logging::format(log) == LogFormat::Json);
    let complain = if json { output::complain_in_json } else { output::complain };
    match run(cli) {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Ok(Outcome::Misused) => ExitCode::from(2),
        Err(Failure::Setup(error)) => {
            complain(&error);
            ExitCode::from(2)
        }
        Err(Failure::Run(error)) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Run(error)) => {
            complain(&error);
            ExitCode::from(1)
        }
    }
}

/// The command that hosts start, read without describing all the others first: that takes a tenth of
/// the time to start. Whatever is not plainly right is left to the whole command line.
fn serve_only(mut arguments: impl Iterator<Item = OsString>) -> Option<Cli> {
    let program = arguments.next()?;
    if arguments.next()? != "serve" {
        return None;
    }
    let serve = ServeArgs::augment_args(clap::Command::new("toolyard"));
    let matches = serve.try_get_matches_from(std::iter::once(program).chain(arguments)).ok()?;
    ServeArgs::from_arg_matches(&matches).ok().map(|args| Cli { command: Some(Command::Serve(Box::new(args))) })
}

/// The whole command line, for generated documentation.
pub fn command() -> clap::Command {
    Cli::command()
}

fn run(cli: Cli) -> Result<Outcome, Failure> {
    match cli.command {
        None => {
            output::note(&Cli::command().render_help().to_string());
            Ok(Outcome::Misused)
        }
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Call(args)) => call::run(&args),
        Some(Command::Tools(args)) => tools::run(&args),
        Some(Command::Policy { command: PolicyCommand::Check(args) }) => policy::check(&args),
        Some(Command::Policy { command: PolicyCommand::Explain(args) }) => policy::explain(&args),
        Some(Command::Config { command: ConfigCommand::Check(args) }) => config::check(&args),
        Some(Command::Config { command: ConfigCommand::Schema }) => config::schema(),
        Some(Command::ClientConfig(args)) => client_config::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        #[cfg(feature = "http")]
        Some(Command::Token { command: TokenCommand::New(args) }) => token::new(&args),
        #[cfg(feature = "http")]
        Some(Command::Healthcheck(args)) => healthcheck::run(&args),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "toolyard", &mut script);
            output::bytes(&script)?;
            Ok(Outcome::Success)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser as _;

    use super::{args::Cli, serve_only};

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn serve_means_the_same_whether_the_other_commands_are_known_or_not() {
        for line in [
            "toolyard serve",
            "toolyard serve --workspace a --workspace b --read-only --verbose",
            "toolyard serve --allowed-tools fs_read fs_grep --disallowed-tools fs_delete --profile locked",
            "toolyard serve --config=c.json --state-dir s --debug=toolyard_fs=trace",
        ] {
            let whole = Cli::try_parse_from(words(line)).expect("a command line");
            let short = serve_only(words(line).into_iter()).expect("it is plainly right");
            assert_eq!(format!("{short:?}"), format!("{whole:?}"), "{line}");
        }
        for line in [
            "toolyard",
            "toolyard tools",
            "toolyard serve --help",
            "toolyard serve --version",
            "toolyard serve --unknown-option a",
            "toolyard --version serve",
        ] {
            assert!(serve_only(words(line).into_iter()).is_none(), "{line}");
        }
    }
}
