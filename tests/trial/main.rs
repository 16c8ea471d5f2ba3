//! Trials of real clusters: how fast they are beside Redis, what they lose when they are killed or cut off,
//! and what they do when nobody asks for anything.
//!
//! `cargo trial beside-redis`, `cargo trial kill-rounds`, `cargo trial corruption`, `cargo trial network`,
//! `cargo trial idle`. Exit codes: 0 it went
//! well; 1 it did not (the output says what); 2 it could not begin.

mod beside_redis;
mod corruption_rounds;
mod hosts;
mod idle;
mod kill_rounds;
mod load;
mod network_rounds;
mod process_stat;
mod redis;
mod sandbox;
#[path = "../node/support.rs"]
#[expect(dead_code, reason = "shared with the tests, which use the rest of it")]
mod support;
mod writers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tempfile::TempDir;

use crate::hosts::Hosts;
use crate::sandbox::Place;
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
    /// Corrupt files of a node that is down, again and again, and look for every value
    Corruption(corruption_rounds::Arguments),
    /// Cut nodes off under writes, again and again, and look for every write that was acknowledged
    Network(network_rounds::Arguments),
    /// Measure what a cluster takes that nobody asks for anything
    Idle(idle::Arguments),
}

fn main() -> ExitCode {
    match Cli::parse().trial {
        Trial::BesideRedis(arguments) => beside_redis::execute(&arguments),
        Trial::KillRounds(arguments) => run_kill_rounds(&arguments),
        Trial::Corruption(arguments) => run_corruption_rounds(&arguments),
        Trial::Network(arguments) => run_network_rounds(&arguments),
        Trial::Idle(arguments) => idle::execute(&arguments),
    }
}

fn run_kill_rounds(arguments: &kill_rounds::Arguments) -> ExitCode {
    let folder = folder();
    let cluster = Cluster::within(folder.path().to_owned(), writers::NODES, kill_rounds::SETTINGS);
    let lost = match kill_rounds::run(&cluster, arguments) {
        Ok(counts) => counts.lost,
        Err(error) => return no_seed(error),
    };
    judge(&lost, folder)
}

fn run_corruption_rounds(arguments: &corruption_rounds::Arguments) -> ExitCode {
    let folder = folder();
    let cluster =
        Cluster::within(folder.path().to_owned(), writers::NODES, corruption_rounds::SETTINGS);
    let counts = match corruption_rounds::run(&cluster, arguments) {
        Ok(counts) => counts,
        Err(error) => return no_seed(error),
    };
    let corruption_rounds::CorruptionCounts { wrong, told, slowest } = counts;
    println!(
        "{} rounds: {} wrong or missing; {told} told; complete after {} ms at most",
        arguments.rounds,
        wrong.len(),
        slowest.as_millis()
    );
    judge(&wrong, folder)
}

fn run_network_rounds(arguments: &network_rounds::Arguments) -> ExitCode {
    match sandbox::enter(std::env::args_os().skip(1)) {
        // What the system says of a program that it has ended is no code of ours.
        Place::Outside(status) => status.code().map_or(ExitCode::FAILURE, |code| {
            u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
        }),
        Place::NotAllowed(reason) => {
            println!("skipped: there can be no network namespaces here: {reason}");
            ExitCode::SUCCESS
        }
        Place::Inside => {
            let (folder, hosts) = (folder(), Hosts::new(writers::NODES));
            let cluster = Cluster::on(hosts.all(), folder.path().to_owned(), "");
            match network_rounds::run(&hosts, &cluster, arguments) {
                Ok(outcome) => judge(&outcome.counts.lost, folder),
                Err(error) => no_seed(error),
            }
        }
    }
}

/// Says what was lost, if anything was; then the data stays.
fn judge(lost: &[String], folder: TempDir) -> ExitCode {
    if lost.is_empty() {
        return ExitCode::SUCCESS;
    }
    for what in lost.iter().take(LOST_SHOWN_MAX) {
        println!("{what}");
    }
    println!("FAILED: the data and the logs are in {}", folder.keep().display());
    ExitCode::FAILURE
}

fn no_seed(error: getrandom::Error) -> ExitCode {
    eprintln!("the system gives no random numbers: {error}: give --seed");
    ExitCode::from(2)
}

/// A folder for the data of one trial, on the disk that holds the build. It goes with the trial.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("trial-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    folder.expect("Cargo has made the folder around it")
}
