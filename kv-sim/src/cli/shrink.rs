//! `kv-sim shrink`: a saved failure as the smallest scenario that fails in the same check.

use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kv_sim::runs::artefact;
use kv_sim::runs::options::RunOptions;
use kv_sim::runs::panics::PanicLog;
use kv_sim::runs::processor_time::processor_time;
use kv_sim::runs::run::run;
use kv_sim::runs::shrink::{
    EVENTS_MAX, Failing, ShrinkEnd, ShrinkError, ShrinkPlan, ShrinkWork, Shrunk, Size, shrink,
};
use kv_sim::scenario::Scenario;
use kv_sim::story::words::{DOUBT, HEADING, counted, thousands};

use super::argument;
use super::demands::Demands;
use super::failure::{self, FailedRun};
use super::output::{self, Exit};

/// The number of attempts with which one cannot expect to come to an end.
const ATTEMPTS_FEW: u64 = 300;

#[derive(Args)]
pub(crate) struct ShrinkArguments {
    /// The saved failure, or a scenario.
    failure: PathBuf,
    /// The seed of a scenario. By default the one in it.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    demands: Demands,
    /// Where the shrunk scenario goes. It is written anew after each step that succeeds.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Stop after so many simulated events, with what has been reached. They are the same on every
    /// machine, and so is the result. 20,000,000 if neither this nor --for is given.
    #[arg(long, value_name = "N", value_parser = argument::at_least_one)]
    events: Option<NonZeroU64>,
    /// Stop after so much time of a processor, which is not that of the clock on the wall: 90s, 10m
    /// or 8h.
    #[arg(long, value_name = "TIME", value_parser = argument::duration)]
    r#for: Option<Duration>,
    /// The check that must be violated. By default the one that was saved, or the first.
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
}

pub(crate) fn execute(arguments: &ShrinkArguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(arguments: &ShrinkArguments) -> Result<Exit, Exit> {
    let failure = failure::load(&arguments.failure, arguments.seed, &arguments.demands.also)?;
    let paranoid = arguments.demands.paranoid || failure.is_paranoid();
    let FailedRun { scenario, seed, saved } = failure;
    let check = arguments.check.clone().or(saved.map(|saved| saved.check));
    let budget = Budget::of(arguments.events, arguments.r#for);
    let order = ShrinkOrder { scenario: &scenario, seed, check, paranoid, budget };
    let shrunk = order.carry_out(&arguments.output)?;
    output::say(&shrunk.words())?;
    output::say(&format!(
        "written: {}\n\nTo see what happens in it:\n  {}\n",
        arguments.output.display(),
        report_command(&arguments.output, &arguments.output.with_extension("html"))
    ))?;
    Ok(Exit::Passed)
}

/// The command that shows on a page what happens in a shrunk scenario, as the reader can type it.
pub(crate) fn report_command(shrunk: &Path, page: &Path) -> String {
    let [path, page] = [shrunk, page].map(|path| super::quoted(&path.to_string_lossy()));
    format!("{} report {path} -o {page}", super::program())
}

/// The bounds on the work of shrinking.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    /// The most events that are simulated.
    events_max: u64,
    /// The most time of a processor that is used.
    time_max: Option<Duration>,
}

impl Budget {
    /// The budget that was asked for, or else a number of events.
    pub(crate) fn of(events: Option<NonZeroU64>, time_max: Option<Duration>) -> Self {
        let events_max = match (events, time_max) {
            (Some(events), _) => events.get(),
            (None, Some(_)) => u64::MAX,
            (None, None) => EVENTS_MAX,
        };
        Self { events_max, time_max }
    }

    /// About how many runs of this length are in it.
    fn attempts(self, events: u64, took: Duration) -> u64 {
        let by_events = self.events_max / events.max(1);
        let by_time = self.time_max.map(|time| time.as_micros() / took.as_micros().max(1));
        let by_time = by_time.and_then(|attempts| u64::try_from(attempts).ok());
        by_events.min(by_time.unwrap_or(u64::MAX))
    }
}

/// The order to shrink a failing run.
pub(crate) struct ShrinkOrder<'a> {
    /// The scenario that fails.
    pub(crate) scenario: &'a Scenario,
    /// The seed with which it fails.
    pub(crate) seed: u64,
    /// The check that must be violated; none, for the first that is.
    pub(crate) check: Option<String>,
    /// True if the invariants of nodes are checked.
    pub(crate) paranoid: bool,
    /// The bounds on the work.
    pub(crate) budget: Budget,
}

/// A failing run that was shrunk, beside what it was before.
pub(crate) struct ShrunkRun {
    check: String,
    before: Size,
    shrunk: Shrunk,
    took: Duration,
}

impl ShrinkOrder<'_> {
    /// Shrinks the run behind a line of progress, and writes what is left after each step that
    /// succeeds.
    pub(crate) fn carry_out(self, path: &Path) -> Result<ShrunkRun, Exit> {
        let Self { scenario, seed, check, paranoid, budget } = self;
        let panics = Some(PanicLog::install());
        let options = RunOptions { panics: panics.clone(), ..RunOptions::seeded(seed) };
        let started = processor_time();
        let first = run(scenario, &options.paranoid_if(paranoid));
        let first_took = processor_time() - started;
        let found = || artefact::failure(&first).map(|(check, _)| check.to_owned());
        let Some(check) = check.or_else(found) else {
            output::complain("error: nothing is violated: there is nothing to shrink\n");
            return Err(Exit::Usage);
        };
        let attempts = budget.attempts(first.events, first_took);
        if attempts < ATTEMPTS_FEW {
            output::complain(&long_runs(first.events, attempts));
        }
        let Budget { events_max, time_max } = budget;
        let plan = ShrinkPlan { scenario, seed, check: &check, events_max, paranoid, panics };
        let progress = ProgressBar::new_spinner().with_style(
            ProgressStyle::with_template("{spinner} {elapsed} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        let (started, mut failed_to_write) = (processor_time(), None);
        let shrunk = shrink(&plan, |so_far| {
            progress.tick();
            let (runs, left) = (so_far.work.runs, size_words(so_far.best.size));
            progress.set_message(format!("{runs} runs, {left} left"));
            if so_far.is_smaller {
                failed_to_write = write(path, so_far.best, &check).err();
            }
            let is_over = time_max.is_some_and(|time| processor_time() - started >= time);
            match is_over || failed_to_write.is_some() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        progress.finish_and_clear();
        if let Some(exit) = failed_to_write {
            return Err(exit);
        }
        let shrunk = shrunk.map_err(|error @ ShrinkError::Holds(_)| {
            output::complain(&format!("error: {error}\n"));
            Exit::Usage
        })?;
        write(path, &shrunk.failing, &check)?;
        let took = processor_time() - started;
        Ok(ShrunkRun { before: Size::of(scenario, first.operations), check, shrunk, took })
    }
}

/// The remark on a failure of which one run takes so many events, and the budget allows so few.
fn long_runs(events: u64, attempts: u64) -> String {
    format!(
        "this failure needs long runs: one attempt simulates {}, and the budget allows {} of that \
         length. Each that succeeds makes the next one shorter\n",
        counted(events, "event"),
        thousands(attempts)
    )
}

/// Writes the scenario, with the violation that it shows.
fn write(path: &Path, failing: &Failing, check: &str) -> Result<(), Exit> {
    let mut text = format!("# Shrunk from a failing run: `{check}` is violated.\n");
    if failing.result.paranoid {
        text.push_str("# It was run with --paranoid.\n");
    }
    for line in artefact::story(&failing.result, check).lines() {
        let _ = writeln!(text, "#   {line}");
    }
    text.push_str(&failing.text);
    artefact::write_whole(path, &text).map_err(|error| output::unwritable(path, &error))
}

impl ShrunkRun {
    /// Describes for people the scenario that shrinking has left, and why nothing more of it could be
    /// taken away.
    pub(crate) fn words(&self) -> String {
        let Self { check, before, shrunk, took } = self;
        let Shrunk { failing, work: ShrinkWork { runs, events }, end } = shrunk;
        let (runs, events) = (counted(*runs, "run"), counted(*events, "event"));
        let mut text = format!(
            "{HEADING}{check} is still violated{HEADING:#}, with seed {}\n  before: {}\n  now:    {}\n  \
             in {runs} of {events} together, {:.1} s of a processor\n",
            failing.result.seed,
            size_words(*before),
            size_words(failing.size),
            took.as_secs_f64(),
        );
        match end {
            ShrinkEnd::Fixpoint => {
                text +=
                    "  nothing more can be taken away: to shrink this once more changes nothing\n";
            }
            ShrinkEnd::OutOfEvents | ShrinkEnd::Stopped => {
                let each = counted(failing.result.events, "event");
                let _ = writeln!(
                    text,
                    "  {DOUBT}stopped by its budget; more may go:{DOUBT:#} one attempt simulates {each} \
                     now\n  shrink what is left once more, with a larger --events or --for",
                );
            }
        }
        text
    }
}

fn size_words(Size { operations, faults, nodes, clients }: Size) -> String {
    format!(
        "{} operations, {}, {}, {}",
        thousands(operations),
        counted(faults, "fault"),
        counted(nodes, "node"),
        counted(clients, "client")
    )
}
