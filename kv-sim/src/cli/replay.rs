//! `kv-sim replay`: a saved failure once more, and whether it still fails in the same way; or its
//! state at some moments.

use std::path::PathBuf;

use clap::Args;
use kv_sim::runs::artefact::{Recurrence, SavedFailure};
use kv_sim::runs::options::RunOptions;
use kv_sim::runs::panics::PanicLog;
use kv_sim::runs::run::run;
use kv_sim::story::result::Verdict;
use kv_sim::story::summary::RunSummary;
use kv_sim::story::words::{FAINT, HEADING};

use super::demands::Demands;
use super::failure::{self, FailedRun};
use super::moments;
use super::output::{self, Exit};

#[derive(Args)]
pub(crate) struct ReplayArguments {
    /// The saved failure, or a scenario.
    failure: PathBuf,
    /// The seed of a scenario. By default the one in it.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    demands: Demands,
    #[command(flatten)]
    moments: moments::Moments,
}

pub(crate) fn execute(arguments: &ReplayArguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(arguments: &ReplayArguments) -> Result<Exit, Exit> {
    let ReplayArguments { failure: path, seed, demands, moments } = arguments;
    let failure = failure::load(path, *seed, &demands.also)?;
    let is_paranoid = demands.paranoid || failure.is_paranoid();
    let options = RunOptions::seeded(failure.seed).paranoid_if(is_paranoid);
    let options = RunOptions { panics: Some(PanicLog::install()), ..options };
    let FailedRun { scenario, seed: _, saved } = failure;
    if moments.are_asked_for() {
        return moments::show(moments, &scenario, &options);
    }
    let result = run(&scenario, &options);
    let mut replay =
        format!("{} replay {}", super::program(), super::quoted(&path.to_string_lossy()));
    if let Some(seed) = seed {
        replay += &format!(" --seed {seed}");
    }
    replay += &demands.flags();
    let report = super::report::command(&path.to_string_lossy(), *seed, demands);
    let summary =
        RunSummary { scenario: &scenario, result: &result, replay: &replay, report: &report };
    output::say(&summary.to_string())?;
    if let Some(saved) = &saved {
        output::say(&compared(saved, saved.recurrence(&result)))?;
    }
    Ok(match result.verdict {
        Verdict::Pass => Exit::Passed,
        Verdict::Fail | Verdict::Nondeterministic => Exit::Failed,
    })
}

fn compared(saved: &SavedFailure, recurrence: Recurrence) -> String {
    let SavedFailure { check, digest, violation, .. } = saved;
    let first = violation.lines().next().unwrap_or_default();
    let verdict = match recurrence {
        Recurrence::Identical => "It fails in the same way: it is the very same run.",
        Recurrence::Alike => {
            "It fails in the same check, in another run: something has changed in what happens."
        }
        Recurrence::Different => "It fails in another way now.",
        Recurrence::Gone => "It does not fail any more.",
    };
    format!(
        "\n{HEADING}{verdict}{HEADING:#}\n  {FAINT}saved: {check} was violated, digest \
         {digest}\n         {first}{FAINT:#}\n"
    )
}
