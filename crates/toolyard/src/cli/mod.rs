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

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

#[cfg(feature = "http")]
use args::TokenCommand;
use args::{Cli, Command, ConfigCommand, PolicyCommand};

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
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Ok(Outcome::Misused) => ExitCode::from(2),
        Err(Failure::Setup(error)) => {
            output::complain(&error);
            ExitCode::from(2)
        }
        Err(Failure::Run(error)) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Run(error)) => {
            output::complain(&error);
            ExitCode::from(1)
        }
    }
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
