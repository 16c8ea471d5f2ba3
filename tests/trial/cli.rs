//! The command line: one command for each trial.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tempfile::TempDir;

use crate::hosts::Hosts;
use crate::sandbox::Place;
use crate::support::Cluster;
use crate::{
    beside, corruption_rounds, idle, kill_rounds, network_rounds, overload, recovery, sandbox,
    writers,
};

/// Of lost writes so many are shown.
const LOST_SHOWN_MAX: usize = 20;

/// Tries real clusters of three nodes, on this machine and over loopback.
#[derive(Parser)]
#[command(name = "cargo trial", bin_name = "cargo trial", arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    trial: Trial,
    /// Cargo says so to all that it runs as a benchmark
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Trial {
    /// Drive a cluster and other stores by the same load, in turns
    Beside(beside::Arguments),
    /// The same beside Redis alone
    BesideRedis(beside::Arguments),
    /// Ask a cluster for more than it can do, and see what it still does, and afterwards
    Overload(overload::Arguments),
    /// Fill a node, end it, start it again, and see how soon it serves
    Recovery(recovery::Arguments),
    /// Kill nodes under writes, again and again, and look for every write that was acknowledged
    KillRounds(kill_rounds::Arguments),
    /// Corrupt files of a node that is down, again and again, and look for every value
    Corruption(corruption_rounds::Arguments),
    /// Cut nodes off under writes, again and again, and look for every write that was acknowledged
    Network(network_rounds::Arguments),
    /// Measure what a cluster takes that nobody asks for anything
    Idle(idle::Arguments),
}

impl Cli {
    /// Makes the trial that is asked for.
    pub(crate) fn execute(self) -> ExitCode {
        match self.trial {
            Trial::Beside(arguments) => beside::execute(&arguments),
            Trial::BesideRedis(arguments) => beside::execute(&arguments.beside_redis()),
            Trial::Overload(arguments) => overload::execute(&arguments),
            Trial::Recovery(arguments) => recovery::execute(&arguments),
            Trial::KillRounds(arguments) => run_kill_rounds(&arguments),
            Trial::Corruption(arguments) => run_corruption_rounds(&arguments),
            Trial::Network(arguments) => run_network_rounds(&arguments),
            Trial::Idle(arguments) => idle::execute(&arguments),
        }
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
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("trial-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    folder.expect("Cargo has made the folder around it")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parsed(line: &str) -> Result<Cli, ErrorKind> {
        let words = ["cargo trial"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.kind())
    }

    #[test]
    fn the_commands_are_consistent() {
        // The trials are begun from here; nothing in these modules may be for nobody.
        let _begin: fn(Cli) -> ExitCode = Cli::execute;
        Cli::command().debug_assert();
    }

    #[test]
    fn what_the_documents_say_is_taken() {
        for line in [
            "beside --bench",
            "beside --peers redis,valkey,etcd --connections 1,10,50,200,1000 --sizes 100,1024,102400,1048576",
            "beside --keys zipfian --loop open --rate 5000 --rounds 5 --seconds 3 --json figures.json",
            "beside-redis --rounds 5 --operations 30000 --seconds 3",
            "overload",
            "overload --busy 2 --factors 1,2,3 --connections 1000 --json overload.json",
            "recovery",
            "recovery --keys 10000000 --size 100 --nodes 3 --stop clean,kill --peers redis,valkey",
            "kill-rounds",
            "corruption",
            "network",
            "idle",
        ] {
            assert!(parsed(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        use ErrorKind::{InvalidValue, MissingRequiredArgument, UnknownArgument, ValueValidation};
        for (line, kind) in [
            ("beside --peers oracle", InvalidValue),
            ("beside --connections 0", ValueValidation),
            ("beside --sizes 1048577", ValueValidation),
            ("beside --keys hot", InvalidValue),
            ("beside --loop open", MissingRequiredArgument),
            ("beside --loop open --rate 0", ValueValidation),
            ("beside --value-bytes 100", UnknownArgument),
            ("overload --factors 1,0", ValueValidation),
            ("recovery --nodes 2", InvalidValue),
            ("recovery --stop hard", InvalidValue),
        ] {
            assert_eq!(parsed(line).err(), Some(kind), "{line}");
        }
    }
}
