//! The `toolyard` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolyard::cli::main()
}
