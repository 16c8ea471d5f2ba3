//! Trials of real clusters: how fast they are beside Redis, what they lose when they are killed, and
//! what they do when nobody asks for anything.
//!
//! `cargo trial beside-redis`, `cargo trial kill-rounds`, `cargo trial idle`. Exit codes: 0 it went
//! well; 1 it did not (the output says what); 2 it could not begin.

mod beside_redis;
mod idle;
mod kill_rounds;
mod load;
mod process_stat;
mod redis;
#[path = "../node/support.rs"]
#[expect(dead_code, reason = "shared with the tests, which use the rest of it")]
mod support;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tempfile::TempDir;

use crate::support::Cluster;

/// Of lost writes so many are shown.
const LOST_SHOWN_MAX: usize = 20;

/// Tries real clusters of three nodes, on this machine and over loopback.
#[derive(Parser)]
#[command(name = "cargo trial", bin_name = "cargo trial", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    trial: Trial,
    /// Cargo says so to all that it runs as a benchmark
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Trial {
    /// Drive a cluster and a Redis with two replicas by the same load, in turns
    BesideRedis(beside_redis::Arguments),
    /// Kill nodes under writes, again and again, and look for every write that was acknowledged
    KillRounds(kill_rounds::Arguments),
    /// Measure what a cluster takes that nobody asks for anything
    Idle(idle::Arguments),
}

fn main() -> ExitCode {
    match Cli::parse().trial {
        Trial::BesideRedis(arguments) => beside_redis::execute(&arguments),
        Trial::KillRounds(arguments) => run_kill_rounds(&arguments),
        Trial::Idle(arguments) => idle::execute(&arguments),
    }
}

fn run_kill_rounds(arguments: &kill_rounds::Arguments) -> ExitCode {
    let folder = folder();
    let cluster = Cluster::within(folder.path().to_owned(), kill_rounds::NODES, "");
    let lost = match kill_rounds::run(&cluster, arguments) {
        Ok(counts) => counts.lost,
        Err(error) => {
            eprintln!("the system gives no random numbers: {error}: give --seed");
            return ExitCode::from(2);
        }
    };
    if lost.is_empty() {
        return ExitCode::SUCCESS;
    }
    for what in lost.iter().take(LOST_SHOWN_MAX) {
        println!("{what}");
    }
    println!("FAILED: the data and the logs are in {}", folder.keep().display());
    ExitCode::FAILURE
}

/// A folder for the data of one trial, on the disk that holds the build. It goes with the trial.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("trial-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    folder.expect("Cargo has made the folder around it")
}
