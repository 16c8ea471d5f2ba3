//! The command line of the simulator: arguments in, exit codes and reports out. Everything that is
//! worth knowing happens in the library.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A simulated event takes tens of small allocations: this allocator makes runs about 7 % faster.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
