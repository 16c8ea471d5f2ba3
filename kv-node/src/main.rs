//! The command line of the node. Everything that is worth knowing happens in the library.

use std::process::ExitCode;

/// A request takes tens of small allocations on each node that it touches, often given back on another
/// thread than took them.
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
