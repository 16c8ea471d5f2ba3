//! The commands, one file each. Their options, exit codes and JSON are a contract.

mod argument;
mod bench;
mod demands;
mod demo;
mod failure;
mod list;
mod log;
mod merge;
mod moments;
mod output;
mod probes;
mod replay;
mod report;
mod schema;
mod shrink;
mod single;
mod sweep;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kv_sim::checks::CheckName;
use kv_sim::scenario::{self, ScenarioError, Source};

use demands::Demands;
use output::Exit;

const AFTER_HELP: &str = "\
Exit codes: 0 everything held; 1 a check was violated, or a sweep missed a branch that is declared reachable; 2 the arguments or the scenario make no sense, or nothing was examined: no run was made, or a check that a scenario names found \
nothing to look at in a whole sweep; 3 the same seed gave two digests.

A bare name of a scenario, such as partition.toml, is looked for in the folder `scenarios` here and above.";

/// Runs whole clusters in a simulated world in which all chance comes from a seed.
#[derive(Parser)]
#[command(
    name = "kv-sim",
    version,
    after_help = AFTER_HELP,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<SimCommand>,
    #[command(flatten)]
    single: Option<single::SingleArguments>,
}

#[derive(Subcommand)]
enum SimCommand {
    /// Show in a minute what this is for: a failure is looked for, made small, and shown.
    Demo(demo::DemoArguments),
    /// Run many seeds of one or more scenarios, on all cores.
    Sweep(sweep::SweepArguments),
    /// Run a saved failure again, and say whether it still fails in the same way; or, with --at,
    /// show the state of its nodes, disks, links, keys and clients at any moment.
    Replay(replay::ReplayArguments),
    /// Make a failure as small as can be: a scenario that a person can read.
    Shrink(shrink::ShrinkArguments),
    /// Show what happened in a failure: a page for the browser, text, or JSON.
    Report(report::ReportArguments),
    /// Join the results of the parts of a sweep, which ran on several machines.
    Merge(merge::MergeArguments),
    /// Torture the commit log alone: many short histories on simulated files that tear, lose, misplace,
    /// forget and lie, each judged by what was appended.
    Log(log::LogArguments),
    /// Measure how fast the simulator is on this machine.
    Bench(bench::BenchArguments),
    /// List what scenarios can name, or the scenarios that there are.
    List(list::ListArguments),
    /// Print the reference of all keys of scenarios: a page in Markdown, or a JSON Schema.
    Schema(schema::SchemaArguments),
}

pub(crate) fn main() -> ExitCode {
    let Cli { command, single } = Cli::parse();
    let exit = match (command, single) {
        (Some(SimCommand::Demo(arguments)), _) => demo::execute(&arguments),
        (Some(SimCommand::Sweep(arguments)), _) => sweep::execute(arguments),
        (Some(SimCommand::Replay(arguments)), _) => replay::execute(&arguments),
        (Some(SimCommand::Shrink(arguments)), _) => shrink::execute(&arguments),
        (Some(SimCommand::Report(arguments)), _) => report::execute(&arguments),
        (Some(SimCommand::Merge(arguments)), _) => merge::execute(&arguments),
        (Some(SimCommand::Log(arguments)), _) => log::execute(&arguments),
        (Some(SimCommand::Bench(arguments)), _) => bench::execute(&arguments),
        (Some(SimCommand::List(arguments)), _) => list::execute(&arguments),
        (Some(SimCommand::Schema(arguments)), _) => schema::execute(&arguments),
        (None, Some(arguments)) => single::execute(arguments),
        (None, None) => unreachable!("without arguments, the help is printed"),
    };
    exit.into()
}

/// Reads all scenarios, of which these checks are demanded too, or shows every problem of any of them.
fn load(names: &[String], also: &[CheckName]) -> Result<Vec<Source>, Exit> {
    let here = here()?;
    let (mut sources, mut exit) = (Vec::new(), None);
    for name in names {
        match scenario::load(name, &here).and_then(|source| source.demanding(also)) {
            Ok(source) => sources.push(source),
            Err(error) => exit = Some(invalid(&error)),
        }
    }
    exit.map_or(Ok(sources), Err)
}

/// Shows the problems of a scenario.
fn invalid(error: &ScenarioError) -> Exit {
    output::complain(&error.render(scenario::Colour::Ansi));
    Exit::Usage
}

/// The folder that the program was started in.
fn here() -> Result<PathBuf, Exit> {
    std::env::current_dir().map_err(|error| {
        output::complain(&format!("error: the current folder cannot be seen: {error}\n"));
        Exit::Usage
    })
}

/// The command that runs a scenario with a seed again, as its reader can type it.
fn again(source: &Source, seed: u64, demands: &Demands) -> String {
    let (path, flags) = (quoted(source.path()), demands.flags());
    format!("{} --scenario {path} --seed {seed}{flags}", program())
}

/// The command that the reader types to start this program.
fn program() -> &'static str {
    // Cargo sets this when it runs us; then this program is hardly on the path.
    if std::env::var_os("CARGO").is_none() {
        return "kv-sim";
    }
    // The folder of a build is named after its profile. Another profile is another build.
    let program = std::env::current_exe().unwrap_or_default();
    let is_quick = program.parent().is_some_and(|folder| folder.ends_with("quick"));
    if is_quick { "cargo quick" } else { "cargo sim" }
}

/// Quotes a path for a shell, if it must be.
fn quoted(path: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+:@%".contains(letter);
    if !path.is_empty() && path.chars().all(is_plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}
