//! The command line of the node. The work happens in the library.

use std::process::ExitCode;

/// The allocator, chosen for many small allocations that are often freed on another thread.
#[cfg(not(madsim))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(not(madsim))]
fn main() -> ExitCode {
    kv_node::cli::main()
}

/// The deterministic runtime runs nodes from tests, not from here.
#[cfg(madsim)]
fn main() -> ExitCode {
    eprintln!("this build is for the tests under madsim: it has no disk and no signals");
    ExitCode::from(2)
}
