//! `kv-sim --scenario FILE`: one seed, twice, and a report of what happened.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};
use kv_sim::checks::CheckName;
use kv_sim::runs::artefact;
use kv_sim::runs::options::{RunOptions, Trace};
use kv_sim::runs::panics::PanicLog;
use kv_sim::runs::run::{run_by, run_twice};
use kv_sim::scenario::Scenario;
use kv_sim::story::history::HistoryFormat;
use kv_sim::story::result::{RunResult, Verdict};
use kv_sim::story::summary::RunSummary;

use super::argument;
use super::demands::Demands;
use super::output::{self, Exit};

#[derive(Args)]
pub(crate) struct SingleArguments {
    /// The scenario to run: a path, or a bare name in the folder `scenarios`.
    #[arg(long, value_name = "FILE")]
    scenario: String,
    /// The seed. By default the one in the scenario.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    // The two of `Demands`: arguments that may all be missing cannot hold others that may.
    /// Check the invariants of every node after each input: slower.
    #[arg(long)]
    paranoid: bool,
    /// Judge the run by this check too, which no level promises, to see how it is broken:
    /// linearizability.
    #[arg(long, value_name = "CHECK", value_parser = argument::unpromised)]
    also: Vec<CheckName>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Save the run in this folder if it fails.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write each event of the run to this file, one a line.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write what clients asked and were told to this file, as another checker reads it.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// The checker. By default it follows from the name of the file: `.edn` is for Elle.
    #[arg(long, value_name = "CHECKER", requires = "history")]
    history_format: Option<HistoryChecker>,
}

/// A checker that reads histories.
#[derive(Clone, Copy, ValueEnum)]
enum HistoryChecker {
    /// Porcupine: a JSON object for each operation, a line each.
    Porcupine,
    /// Elle: an EDN map for each beginning and each end, a line each, as Jepsen writes them.
    Elle,
}

pub(crate) fn execute(arguments: SingleArguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(arguments: SingleArguments) -> Result<Exit, Exit> {
    let SingleArguments {
        scenario,
        seed,
        paranoid,
        also,
        json,
        keep,
        trace,
        history,
        history_format,
    } = arguments;
    let demands = Demands { paranoid, also };
    let source = super::load(&[scenario], &demands.also)?.remove(0);
    let seed = seed.unwrap_or(source.seed());
    let scenario = source.scenario(seed).map_err(|error| super::invalid(&error))?;
    let options = RunOptions::seeded(seed).paranoid_if(demands.paranoid);
    let result = traced(&scenario, options, trace.as_deref())?;
    if let Some(path) = &history {
        let format = history_format.map_or_else(|| format_of(path), HistoryChecker::format);
        write_history(path, format, &scenario, seed)?;
    }
    let saved = match &keep {
        Some(folder) => artefact::save(folder, &scenario, &result)
            .map_err(|error| output::unwritable(folder, &error))?,
        None => None,
    };
    if json {
        output::say_json(&result)?;
    } else {
        let replay = super::again(&source, seed, &demands);
        let report = super::report::command(source.path(), Some(seed), &demands);
        let summary =
            RunSummary { scenario: &scenario, result: &result, replay: &replay, report: &report };
        output::say(&summary.to_string())?;
    }
    if let Some(path) = saved {
        output::complain(&format!("saved: {}\n", path.display()));
    }
    Ok(match result.verdict {
        Verdict::Pass => Exit::Passed,
        Verdict::Fail => Exit::Failed,
        Verdict::Nondeterministic => Exit::Nondeterministic,
    })
}

/// Runs the seed twice, with the trace of the first run in a file, if one was asked for.
fn traced(
    scenario: &Scenario,
    options: RunOptions,
    path: Option<&Path>,
) -> Result<RunResult, Exit> {
    let mut options = RunOptions { panics: Some(PanicLog::install()), ..options };
    let Some(path) = path else {
        return Ok(run_twice(scenario, &options));
    };
    let file = create(path)?;
    options.trace = Some(Trace(file.clone()));
    let results = run_twice(scenario, &options);
    // A run that panicked while it wrote a line has poisoned the lock, not the file.
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.flush().map_err(|error| output::unwritable(path, &error))?;
    Ok(results)
}

/// Runs the seed once more, to write what its clients asked and were told.
fn write_history(
    path: &Path,
    format: HistoryFormat,
    scenario: &Scenario,
    seed: u64,
) -> Result<(), Exit> {
    let options = RunOptions { checks: false, ..RunOptions::seeded(seed) };
    let (_, world) = run_by(scenario, &options, |world| {
        world.log_operations();
        world.run();
    });
    let log = world.and_then(|mut world| world.take_log()).unwrap_or_default();
    fs::write(path, log.written(format)).map_err(|error| output::unwritable(path, &error))
}

/// The form of a history that the name of its file asks for.
fn format_of(path: &Path) -> HistoryFormat {
    match path.extension() {
        Some(extension) if extension == "edn" => HistoryFormat::Elle,
        _ => HistoryFormat::Porcupine,
    }
}

impl HistoryChecker {
    const fn format(self) -> HistoryFormat {
        match self {
            Self::Porcupine => HistoryFormat::Porcupine,
            Self::Elle => HistoryFormat::Elle,
        }
    }
}

fn create(path: &Path) -> Result<Arc<Mutex<BufWriter<File>>>, Exit> {
    let file = File::create(path).map_err(|error| output::unwritable(path, &error))?;
    Ok(Arc::new(Mutex::new(BufWriter::new(file))))
}
