//! `kv-sim demo`: a first minute. A failure is looked for, found, shrunk and shown, in the sound build,
//! with the commands by which each step is done by hand.
//!
//! What is broken is no promise of the store but one that is often expected of it: that `R + W > N` makes
//! a register. No level promises that, so the check is demanded beside those of the scenario.

use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use kv_sim::checks::CheckName;
use kv_sim::runs::artefact::{self, SavedFailure};
use kv_sim::runs::panics::PanicLog;
use kv_sim::runs::sweep::{Shard, SweepPlan};
use kv_sim::scenario::Source;
use kv_sim::story::report::{Report, ReportPlan};
use kv_sim::story::words::{FAINT, HEADING, counted};

use super::output::{self, Exit};
use super::shrink::{Budget, ShrinkOrder};
use super::{quoted, sweep};

/// The scenario in which a failure is looked for, the check, and the seeds.
const SCENARIO: &str = "register.toml";
const CHECK: &str = "linearizability";
const SEEDS: Range<u64> = 0..100_000;

#[derive(Args)]
pub(crate) struct DemoArguments {
    /// The folder that the failure and its page go to.
    #[arg(short, long, value_name = "DIR", default_value = "demo")]
    output: PathBuf,
}

pub(crate) fn execute(arguments: &DemoArguments) -> Exit {
    try_execute(&arguments.output).unwrap_or_else(|exit| exit)
}

fn try_execute(folder: &Path) -> Result<Exit, Exit> {
    let started = Instant::now();
    let check = CheckName::find(CHECK).expect("the check is there");
    let source = super::load(&[SCENARIO.to_owned()], &[check])?.remove(0);
    output::say(&introduction(&source))?;

    let failure = search(source, folder)?;
    let (small, page) = (folder.join("small.toml"), folder.join("report.html"));
    shrink(&failure, &small)?;
    report(&small, &page)?;
    output::say(&closing(folder, &failure, (&small, &page), started))?;
    Ok(Exit::Passed)
}

fn introduction(source: &Source) -> String {
    format!(
        "{HEADING}Is a key with R + W > N a register?{HEADING:#}\n\
         Every read asks a majority of a key's owners, and so does every write, before and as it \
         stores.\nSo each read meets each write that was acknowledged before it.\nNo machine fails and no message is lost: only links are slow. What could go wrong?\n\n  {FAINT}{}: {}{FAINT:#}\n\n",
        source.path(),
        source.title(),
    )
}

/// Looks for the first seed in which the operations on a key are those of no register.
fn search(source: Source, folder: &Path) -> Result<PathBuf, Exit> {
    let started = Instant::now();
    output::say(&format!(
        "{HEADING}1. Look for trouble{HEADING:#}: a cluster of its own for each seed, one after the other\n"
    ))?;
    let sources = [source];
    let plan = SweepPlan {
        scenarios: &sources,
        seeds: SEEDS,
        shard: Shard::WHOLE,
        jobs: None,
        failures_max: Some(NonZeroU64::MIN),
        time_max: None,
        paranoid: false,
        panics: Some(PanicLog::install()),
    };
    let summary = sweep::run(&plan, Some(folder))?;
    let Some(failure) = summary.failures.first() else {
        output::complain(&format!("nothing was found in {}\n", counted(summary.runs, "run")));
        return Err(Exit::Failed);
    };
    let what = failure.violation.lines().next().unwrap_or_default();
    output::say(&format!(
        "   seed {} fails: {what}\n   {FAINT}{}, {} together, in {}{FAINT:#}\n\n",
        failure.seed,
        counted(summary.runs, "run"),
        counted(summary.events, "event"),
        seconds(started)
    ))?;
    let saved = failure.artefact.clone().ok_or(Exit::Usage)?;
    Ok(PathBuf::from(saved))
}

/// Makes the failure small.
fn shrink(failure: &Path, small: &Path) -> Result<(), Exit> {
    output::say(&format!(
        "{HEADING}2. Make it small{HEADING:#}: fewer operations, clients and nodes, less chance, as long \
         as it fails\n"
    ))?;
    let (saved, scenario) = load(failure)?;
    let started = Instant::now();
    let order = ShrinkOrder {
        scenario: &scenario,
        seed: saved.seed,
        check: Some(saved.check),
        paranoid: false,
        budget: Budget::of(None, None),
    };
    let shrunk = order.carry_out(small)?;
    for line in shrunk.words().lines().skip(1) {
        output::say(&format!(" {line}\n"))?;
    }
    output::say(&format!("   {FAINT}in {}{FAINT:#}\n\n", seconds(started)))
}

/// Writes the page of the failure.
fn report(small: &Path, page: &Path) -> Result<(), Exit> {
    let started = Instant::now();
    output::say(&format!(
        "{HEADING}3. Show what happens{HEADING:#}: as a page for the browser, and in short\n"
    ))?;
    let source = super::load(&[small.to_string_lossy().into_owned()], &[])?.remove(0);
    let seed = source.seed();
    let scenario = source.scenario(seed).map_err(|error| super::invalid(&error))?;
    let again = super::shrink::report_command(small, page);
    let panics = Some(PanicLog::install());
    let plan =
        ReportPlan { scenario: &scenario, seed, keys: &[], again: &again, paranoid: false, panics };
    let report = Report::make(plan);
    let written = report.page().map_err(|error| output::not_json(&error))?;
    artefact::write_whole(page, &written).map_err(|error| output::unwritable(page, &error))?;
    for line in report.result().violation().unwrap_or_default().1.lines() {
        output::say(&format!("   {line}\n"))?;
    }
    output::say(&format!("   {FAINT}in {}{FAINT:#}\n\n", seconds(started)))
}

fn load(failure: &Path) -> Result<(SavedFailure, kv_sim::scenario::Scenario), Exit> {
    SavedFailure::load(failure).map_err(|error| {
        output::complain(&format!("error: {error}\n"));
        Exit::Usage
    })
}

fn closing(
    folder: &Path,
    failure: &Path,
    (small, page): (&Path, &Path),
    started: Instant,
) -> String {
    let program = super::program();
    let report = super::shrink::report_command(small, page);
    let [folder, failure, small] =
        [folder, failure, small].map(|path| quoted(&path.to_string_lossy()));
    let page = std::path::absolute(page).unwrap_or_else(|_| page.to_path_buf());
    let last = SEEDS.end;
    format!(
        "{HEADING}Now read{HEADING:#}, after {}:\n  \
         file://{}    what happened, message by message; begin with the red line\n  \
         {small}    the scenario that is left, which a person can change\n\n\
         {HEADING}The same by hand{HEADING:#}\n  \
         {program} sweep --scenario {SCENARIO} --also {CHECK} --seeds 0..{last} --until-failures 1 --keep \
         {folder}\n  \
         {program} shrink {failure} -o {small}\n  \
         {report}\n  \
         {program} replay {failure}    is it still the very same run?\n\n\
         So strict quorums are no register, and this store does not claim it: semantics.md §3 says why. \
         What it does\npromise is checked in the same way, under faults: {program} sweep --scenario \
         swarm.toml --seeds 0..1000\n",
        seconds(started),
        page.display(),
    )
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
