//! `kv-sim sweep`: many seeds, on all cores, and a summary of what failed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kv_sim::runs::artefact;
use kv_sim::runs::panics::PanicLog;
use kv_sim::runs::sweep::{Failure, Shard, Summary, SweepPlan, junit, sweep};
use kv_sim::scenario::Source;
use kv_sim::story::result::Verdict;
use kv_sim::story::words::{BAD, FAINT, GOOD, HEADING, counted, thousands};

use super::argument;
use super::demands::Demands;
use super::output::{self, Exit};
use super::probes;

/// The factor by which a sweep is repeated with more seeds than a scenario declares to be enough for a
/// rare branch: if that misses the branch too, it was no bad luck, and nothing leads there.
const FURTHER: u64 = 5;
/// The most commands that are shown for one check.
const REPLAYS_MAX: usize = 10;

#[derive(Args)]
pub(crate) struct SweepArguments {
    /// The scenarios to run: paths, or bare names in the folder `scenarios`.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    scenario: Vec<String>,
    /// The seeds, from A up to but not including B.
    #[arg(long, value_name = "A..B", value_parser = argument::seeds)]
    seeds: Range<u64>,
    /// How many runs are at work at once. By default one for each core; never more than there are
    /// runs, or than a few for each core.
    #[arg(long, value_name = "N", value_parser = argument::at_least_one)]
    jobs: Option<NonZeroU64>,
    /// Run only part I, counted from 0, of N equal parts of the seeds.
    #[arg(long, value_name = "I/N", value_parser = argument::shard)]
    shard: Option<Shard>,
    #[command(flatten)]
    demands: Demands,
    /// Write the summary to this file as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the summary to this file as JUnit XML; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Save each failing run in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Begin no further run after K have failed.
    #[arg(long, value_name = "K", value_parser = argument::at_least_one)]
    until_failures: Option<NonZeroU64>,
    /// Begin no further run after this time: 90s, 10m or 8h.
    #[arg(long, value_name = "TIME", value_parser = argument::duration)]
    r#for: Option<Duration>,
}

pub(crate) fn execute(arguments: SweepArguments) -> Exit {
    try_execute(&arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(arguments: &SweepArguments) -> Result<Exit, Exit> {
    let to_stdout = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
    if to_stdout(&arguments.json) && to_stdout(&arguments.junit) {
        output::complain("error: --json and --junit cannot both go to standard output\n");
        return Err(Exit::Usage);
    }
    let (scenarios, passed_over): (Vec<_>, Vec<_>) =
        super::load(&arguments.scenario, &arguments.demands.also)?
            .into_iter()
            .partition(Source::is_swept);
    for scenario in &passed_over {
        output::complain(&format!("passed over, as it says sweep = false: {}\n", scenario.path()));
    }
    if scenarios.is_empty() {
        output::complain("error: no scenario is left to run\n");
        return Err(Exit::Usage);
    }
    let plan = SweepPlan {
        scenarios: &scenarios,
        seeds: arguments.seeds.clone(),
        shard: arguments.shard.unwrap_or(Shard::WHOLE),
        jobs: arguments.jobs.map(|jobs| usize::try_from(jobs.get()).unwrap_or(usize::MAX)),
        failures_max: arguments.until_failures,
        time_max: arguments.r#for,
        paranoid: arguments.demands.paranoid,
        panics: Some(PanicLog::install()),
    };
    if plan.runs() == 0 {
        let (Range { start, end }, Shard { index, count }) = (&plan.seeds, plan.shard);
        output::complain(&format!(
            "error: part {index}/{count} of the seeds {start}..{end} is empty: nothing was run\n"
        ));
        return Err(Exit::Usage);
    }
    let summary = run(&plan, arguments.keep.as_deref())?;
    if summary.runs == 0 {
        output::complain("error: the time was over before the first run began: nothing was run\n");
        return Err(Exit::Usage);
    }
    if let Some(asked) = plan.jobs.filter(|&asked| asked > summary.jobs) {
        output::complain(&format!(
            "{} at work at once, not {asked}: more would not be faster\n",
            counted(summary.jobs as u64, "run")
        ));
    }

    let replay = |failure: &Failure| {
        super::again(&scenarios[failure.position], failure.seed, &arguments.demands)
    };
    if let Some(path) = &arguments.json {
        output::write(path, &output::json(&summary)?)?;
    }
    if let Some(path) = &arguments.junit {
        let xml = junit(&scenarios, &summary, replay).map_err(|error| {
            output::complain(&format!("error: the summary cannot be written as XML: {error}\n"));
            Exit::Usage
        })?;
        output::write(path, &xml)?;
    }
    let words = words(&plan, &summary, replay, &arguments.demands);
    if to_stdout(&arguments.json) || to_stdout(&arguments.junit) {
        output::complain(&words);
    } else {
        output::say(&words)?;
    }
    Ok(Exit::of(&summary))
}

/// Runs the plan behind a progress bar, which shows itself only on a terminal.
pub(super) fn run(plan: &SweepPlan<'_>, keep: Option<&Path>) -> Result<Summary, Exit> {
    let progress = ProgressBar::new(plan.runs()).with_style(
        ProgressStyle::with_template(
            "{bar:30} {human_pos}/{human_len} runs  {per_sec}  {eta} left  {msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    progress.enable_steady_tick(Duration::from_millis(200));
    let finished = |position: usize, result: &kv_sim::story::result::RunResult| {
        progress.inc(1);
        if result.verdict == Verdict::Pass {
            return None;
        }
        progress.set_message(format!("last failure: {}, seed {}", result.scenario, result.seed));
        let folder = keep?;
        let scenario = plan.scenarios[position].scenario(result.seed).ok()?;
        match artefact::save(folder, &scenario, result) {
            Ok(path) => path.map(|path| path.display().to_string()),
            Err(error) => {
                progress.suspend(|| output::unwritable(folder, &error));
                None
            }
        }
    };
    let summary = sweep(plan, finished);
    progress.finish_and_clear();
    summary.map_err(|error| {
        output::complain(&format!("error: no threads to run on: {error}\n"));
        Exit::Usage
    })
}

/// Writes the summary for people: failures by check, each with the command that shows it again.
fn words(
    plan: &SweepPlan<'_>,
    summary: &Summary,
    replay: impl Fn(&Failure) -> String,
    demands: &Demands,
) -> String {
    let mut text = String::new();
    let names: Vec<_> = plan.scenarios.iter().map(Source::name).collect();
    let seconds = summary.wall_ms / 1_000.0;
    let rate = if seconds > 0.0 { summary.runs as f64 / seconds } else { 0.0 };
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!(
        "{HEADING}{} of {}{HEADING:#}, in {seconds:.1} s with {} at work at once: {rate:.0} a second",
        counted(summary.runs, "run"),
        names.join(", "),
        summary.jobs
    ));
    line(format!(
        "{FAINT}{} operations, {} messages, {} events{FAINT:#}",
        thousands(summary.operations),
        thousands(summary.messages),
        thousands(summary.events)
    ));
    if summary.runs < plan.runs() {
        let left = plan.runs() - summary.runs;
        line(format!("stopped before the end: {} not made", counted(left, "run")));
    }
    line(String::new());
    text.push_str(&probes::table(summary));
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    let mut alike: BTreeMap<(&str, String), Vec<&Failure>> = BTreeMap::new();
    for failure in &summary.failures {
        let what = failure.violation.lines().next().unwrap_or_default();
        alike.entry((&failure.check, shape(what))).or_default().push(failure);
    }
    for ((check, what), failures) in alike {
        line(format!(
            "\n{BAD}{check}{BAD:#} was violated in {}: {what}",
            counted(failures.len() as u64, "run")
        ));
        for failure in failures.iter().take(REPLAYS_MAX) {
            line(format!("  {}", replay(failure)));
            if let Some(artefact) = &failure.artefact {
                line(format!("    {FAINT}saved: {artefact}{FAINT:#}"));
            }
        }
        if let Some(more @ 1..) = failures.len().checked_sub(REPLAYS_MAX) {
            line(format!("  and {more} more"));
        }
    }
    for section in [probes::unreached(summary), probes::idle(summary)] {
        if !section.is_empty() {
            text.push('\n');
            text.push_str(&section);
        }
    }
    if let Some((why, command)) = next_step(plan, summary, replay, demands) {
        let _ = write!(text, "\n{why}:\n  {command}\n");
    }
    let (passed, failed) = (thousands(summary.passed), thousands(summary.failed));
    let _ = match Exit::of(summary) {
        Exit::Passed => writeln!(text, "\n{GOOD}PASSED{GOOD:#}"),
        Exit::Usage => writeln!(text, "\n{BAD}NOTHING PROVED{BAD:#}"),
        Exit::Failed | Exit::Nondeterministic => {
            writeln!(text, "\n{passed} passed, {failed} failed\n{BAD}FAILED{BAD:#}")
        }
    };
    text
}

/// The command that comes next after a sweep that has not passed, and what it is for.
fn next_step(
    plan: &SweepPlan<'_>,
    summary: &Summary,
    replay: impl Fn(&Failure) -> String,
    demands: &Demands,
) -> Option<(&'static str, String)> {
    let path = |scenario: &str| {
        let found = plan.scenarios.iter().find(|source| source.name() == scenario);
        super::quoted(found.map_or(scenario, Source::path))
    };
    let (program, flags) = (super::program(), demands.flags());
    if let Some(failure) = summary.failures.first() {
        return Some(match failure.check == artefact::DETERMINISM {
            true => ("To see where two runs of the seed part", replay(failure)),
            false => ("To make it small", shrink(plan, failure, demands)),
        });
    }
    if let Some(missed) = summary.unreached().next() {
        let end = plan.seeds.end;
        let further = end.saturating_add(missed.within.saturating_mul(FURTHER));
        let path = path(&missed.scenario);
        return Some((
            "To see whether it was bad luck, or nothing leads there any more",
            format!("{program} sweep --scenario {path} --seeds {end}..{further}{flags}"),
        ));
    }
    let idle = summary.idle_checks().next()?;
    let (path, seed) = (path(&idle.scenario), plan.seeds.start);
    let why = "To see what clients do in one of the runs";
    Some((why, format!("{program} --scenario {path} --seed {seed}{flags}")))
}

/// The command that shrinks a failure, as its reader can type it.
fn shrink(plan: &SweepPlan<'_>, failure: &Failure, demands: &Demands) -> String {
    let what = match &failure.artefact {
        Some(artefact) => super::quoted(artefact),
        None => {
            let path = super::quoted(plan.scenarios[failure.position].path());
            format!("{path} --seed {}{}", failure.seed, demands.flags())
        }
    };
    format!("{} shrink {what} -o shrunk.toml", super::program())
}

/// The story of a violation without its names and numbers, so that those of one kind are alike.
fn shape(violation: &str) -> String {
    let mut shape = String::new();
    for (at, piece) in violation.split('"').enumerate() {
        if at % 2 == 1 {
            shape.push('…');
            continue;
        }
        for word in piece.split_inclusive(' ') {
            let has_digit = word.contains(|letter: char| letter.is_ascii_digit());
            shape.push_str(if has_digit { "… " } else { word });
        }
    }
    shape.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_of_one_kind_are_alike_but_for_names_and_numbers() {
        let one = shape("an acknowledged write to \"k1\" was overwritten at 3.06 s by another");
        let other = shape("an acknowledged write to \"g10\" was overwritten at 12.5 s by another");
        assert_eq!(one, other);
        assert_eq!(one, "an acknowledged write to … was overwritten at … s by another");
        assert_ne!(one, shape("a write to \"k1\" was acknowledged before it was durable"));
    }
}
