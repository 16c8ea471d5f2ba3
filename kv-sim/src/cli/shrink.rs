//! `kv-sim shrink`: a saved failure as the smallest scenario that fails in the same check.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kv_sim::runs::artefact;
use kv_sim::runs::options::RunOptions;
use kv_sim::runs::panics::PanicLog;
use kv_sim::runs::run::run;
use kv_sim::runs::shrink::{Failing, ShrinkError, ShrinkPlan, Size, shrink};
use kv_sim::story::words::{HEADING, counted, thousands};

use super::argument;
use super::failure::{self, FailedRun};
use super::output::{self, Exit};

#[derive(Args)]
pub(crate) struct ShrinkArguments {
    /// The saved failure, or a scenario.
    failure: PathBuf,
    /// The seed of a scenario. By default the one in it.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Check the invariants of every node after each input, as a saved failure says by itself.
    #[arg(long)]
    paranoid: bool,
    /// Where the shrunk scenario goes. It is written anew after each step that succeeds.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Stop after this time, with what has been reached: 90s, 10m or 8h.
    #[arg(long, value_name = "TIME", value_parser = argument::duration, default_value = "60s")]
    r#for: Duration,
    /// The check that must be violated. By default the one that was saved, or the first.
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
}

pub(crate) fn execute(arguments: &ShrinkArguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(arguments: &ShrinkArguments) -> Result<Exit, Exit> {
    let failure = failure::load(&arguments.failure, arguments.seed)?;
    let paranoid = arguments.paranoid || failure.is_paranoid();
    let FailedRun { scenario, seed, saved } = failure;
    let panics = Some(PanicLog::install());
    let options = RunOptions { panics: panics.clone(), ..RunOptions::seeded(seed) };
    let first = run(&scenario, &options.paranoid_if(paranoid));
    let found = artefact::failure(&first).map(|(check, _)| check.to_owned());
    let wanted = arguments.check.clone().or(saved.map(|saved| saved.check)).or(found);
    let Some(check) = wanted else {
        output::complain("error: nothing is violated: there is nothing to shrink\n");
        return Err(Exit::Usage);
    };

    let progress = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {elapsed} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let (started, mut failed_to_write) = (Instant::now(), None);
    let plan = ShrinkPlan { scenario: &scenario, seed, check: &check, paranoid, panics };
    let shrunk = shrink(&plan, |so_far| {
        progress.tick();
        progress.set_message(format!(
            "{} runs, {} left",
            so_far.runs,
            size_words(so_far.best.size)
        ));
        if so_far.is_smaller
            && let Err(exit) = write(&arguments.output, so_far.best, &check)
        {
            failed_to_write = Some(exit);
            return ControlFlow::Break(());
        }
        if started.elapsed() < arguments.r#for {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
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
    write(&arguments.output, &shrunk, &check)?;
    let occurrences = scenario.faults.iter().map(|fault| fault.occurrences().count() as u64);
    let before = Size {
        operations: first.operations,
        faults: occurrences.sum(),
        nodes: scenario.cluster.nodes.len() as u64,
        clients: scenario.workloads.iter().map(|work| u64::from(work.clients)).sum(),
    };
    output::say(&words(&check, before, &shrunk, started.elapsed(), &arguments.output))?;
    Ok(Exit::Passed)
}

/// Writes the scenario, with the violation that it shows.
fn write(path: &Path, failing: &Failing, check: &str) -> Result<(), Exit> {
    let mut text = format!("# Shrunk from a failing run: `{check}` is violated.\n");
    if failing.result.paranoid {
        text.push_str("# It was run with --paranoid.\n");
    }
    let (_, violation) = artefact::failure(&failing.result).unwrap_or_default();
    for line in violation.lines() {
        let _ = writeln!(text, "#   {line}");
    }
    text.push_str(&failing.text);
    artefact::write_whole(path, &text).map_err(|error| output::unwritable(path, &error))
}

fn words(check: &str, before: Size, after: &Failing, took: Duration, path: &Path) -> String {
    let seed = after.result.seed;
    format!(
        "{HEADING}{check} is still violated{HEADING:#}, with seed {seed}\n  before: {}\n  now:    \
         {}\n  in {:.1} s; written to {}\n\nTo see what happens in it:\n  {} report {} -o {}\n",
        size_words(before),
        size_words(after.size),
        took.as_secs_f64(),
        path.display(),
        super::program(),
        super::quoted(&path.to_string_lossy()),
        super::quoted(&path.with_extension("html").to_string_lossy())
    )
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
