//! The command line of the simulator: arguments in, exit codes and reports out. Everything that is
//! worth knowing happens in the library.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
