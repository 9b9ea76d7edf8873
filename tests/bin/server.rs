//! The shipped program, built here so that the tests know where it is.

fn main() -> std::process::ExitCode {
    toolyard::cli::main()
}
