//! Trials of real clusters: how fast they are beside other stores, what they do when they are asked for too much, how
//! soon they serve again, what they lose when they are killed or cut off, and what they do when nobody asks for anything.
//!
//! `cargo trial --help` lists them. Exit codes: 0 it went well; 1 it did not (the output says what); 2 it could not
//! begin. The same modules make `tests/trial.rs`, which runs the tests in them.

#![expect(
    dead_code,
    unused_imports,
    reason = "where benchmarks are built the tests in these modules are there, but not as tests"
)]

mod beside;
mod cli;
mod corruption_rounds;
mod descriptors;
mod disk;
mod filling;
mod hosts;
mod http;
mod idle;
mod key_arguments;
mod kill_rounds;
mod load;
mod median;
mod network_rounds;
mod overload;
mod peers;
mod process_stat;
mod recovery;
mod sandbox;
#[path = "../node/support.rs"]
#[expect(dead_code, reason = "shared with the tests, which use the rest of it")]
mod support;
mod table;
mod tied;
mod usage;
mod writers;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, folder};

fn main() -> ExitCode {
    let cli = Cli::parse();
    descriptors::raise_limit();
    cli.execute()
}
