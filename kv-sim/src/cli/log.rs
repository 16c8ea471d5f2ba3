//! `kv-sim log`: histories of the commit log, on files that fail in every way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use kv_sim::log_torture::{TortureFailure, TorturePlan, TortureSummary, torture_all};
use kv_sim::runs::panics::PanicLog;
use kv_sim::story::words::{BAD, FAINT, GOOD, HEADING, counted, thousands};

use super::argument;
use super::output::{self, Exit};

/// The most failures that are shown.
const SHOWN_MAX: usize = 10;

#[derive(Args)]
pub(crate) struct LogArguments {
    /// The seeds, from A up to but not including B. One seed is one history of a log.
    #[arg(long, value_name = "A..B", value_parser = argument::seeds)]
    seeds: Range<u64>,
    /// How many histories are at work at once. By default one for each core.
    #[arg(long, value_name = "N", value_parser = argument::at_least_one)]
    jobs: Option<NonZeroU64>,
    /// Begin no further histories after K have failed.
    #[arg(long, value_name = "K", value_parser = argument::at_least_one)]
    until_failures: Option<NonZeroU64>,
    /// Write the summary to this file as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn execute(arguments: &LogArguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(arguments: &LogArguments) -> Result<Exit, Exit> {
    let LogArguments { seeds, jobs, until_failures, json } = arguments;
    // A panic of a history is a result, and its place is not printed.
    PanicLog::install();
    let plan = TorturePlan { seeds: seeds.clone(), jobs: *jobs, failures_max: *until_failures };
    let summary = torture_all(&plan);
    let words = words(&summary);
    match json.as_deref() {
        Some(path) if path == Path::new("-") => {
            output::complain(&words);
            output::say_json(&summary)?;
        }
        Some(path) => {
            output::say(&words)?;
            output::write(path, &output::json(&summary)?)?;
        }
        None => output::say(&words)?,
    }
    Ok(if summary.failed == 0 { Exit::Passed } else { Exit::Failed })
}

fn words(summary: &TortureSummary) -> String {
    let TortureSummary { runs, failed, starts, batches, verdicts, faults, unwitnessed, .. } =
        summary;
    let seconds = summary.wall_ms / 1_000.0;
    let rate = if seconds > 0.0 { *runs as f64 / seconds } else { 0.0 };
    let mut text = format!(
        "{HEADING}{} of a log, in {seconds:.1} s: {rate:.0} a second{HEADING:#}\n\
         {FAINT}{}, {}{FAINT:#}\n",
        histories(*runs),
        counted(*starts, "start"),
        format_args!("{} batches", thousands(*batches)),
    );
    for (heading, counts) in [
        ("the log was said to be", verdicts),
        ("faults", faults),
        ("promised and missing, and no log could know it, after", unwitnessed),
    ] {
        let _ = write!(text, "\n{heading}\n{}", lines(counts));
    }
    for TortureFailure { seed, check, story } in summary.failures.iter().take(SHOWN_MAX) {
        let command = format!("{} log --seeds {seed}..{}", super::program(), seed + 1);
        let _ = write!(text, "\n{BAD}{check}{BAD:#} was violated: {story}\n  {command}\n");
    }
    let _ = match failed {
        0 => write!(text, "\n{GOOD}PASSED{GOOD:#}\n"),
        failed => write!(text, "\n{} failed\n{BAD}FAILED{BAD:#}\n", histories(*failed)),
    };
    text
}

fn histories(number: u64) -> String {
    if number == 1 { "1 history".to_owned() } else { format!("{} histories", thousands(number)) }
}

fn lines(counts: &BTreeMap<&'static str, u64>) -> String {
    counts.iter().map(|(word, &count)| format!("{:>12} {word}\n", thousands(count))).collect()
}
