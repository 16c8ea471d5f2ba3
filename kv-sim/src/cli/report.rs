//! `kv-sim report`: a failing run as a page that a person can look at, or as text, or as JSON.

use std::path::{Path, PathBuf};

use clap::Args;
use kv_core::types::Key;
use kv_sim::runs::panics::PanicLog;
use kv_sim::story::report::{Report, ReportPlan};

use super::demands::Demands;
use super::failure::{self, FailedRun};
use super::output::{self, Exit};

#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 the report is written, whatever it says; 2 it is not; 3 it is, and two runs of the seed differ.

The page needs no network. What stands behind its # is what is looked at: share the whole address.")]
pub(crate) struct ReportArguments {
    /// The saved failure, or a scenario.
    failure: PathBuf,
    /// Where the report goes. `-` is standard output.
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["text", "json"])]
    output: Option<PathBuf>,
    /// The seed of a scenario. By default the one in it.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    demands: Demands,
    /// Follow this key too, beside those that something was violated about. May be given several
    /// times.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Write text for a terminal instead of a page.
    #[arg(long, conflicts_with = "json")]
    text: bool,
    /// Write JSON instead of a page.
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(arguments: &ReportArguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(arguments: &ReportArguments) -> Result<Exit, Exit> {
    let ReportArguments { failure: path, output, seed, demands, key, text, json } = arguments;
    let failure = failure::load(path, *seed, &demands.also)?;
    let paranoid = demands.paranoid || failure.is_paranoid();
    let FailedRun { scenario, seed, saved: _ } = failure;
    let keys: Vec<_> = key.iter().map(|key| Key::from(key.as_str())).collect();
    let again = again(arguments, seed);
    let panics = Some(PanicLog::install());
    let plan =
        ReportPlan { scenario: &scenario, seed, keys: &keys, again: &again, paranoid, panics };
    let report = Report::make(plan);
    let output = output.as_deref().unwrap_or(Path::new("-"));
    let written = match (text, json) {
        // Standard output knows whether its reader sees colours; a file does not.
        (true, _) if output == Path::new("-") => Ok(report.to_string()),
        (true, _) => Ok(anstream::adapter::strip_str(&report.to_string()).to_string()),
        (false, true) => report.json(),
        (false, false) => report.page(),
    };
    let written = written.map_err(|error| output::not_json(&error))?;
    output::write_whole(output, &written)?;
    if output != Path::new("-") {
        output::complain(&format!("written: {}\n", output.display()));
    }
    Ok(match report.is_deterministic() {
        true => Exit::Passed,
        false => Exit::Nondeterministic,
    })
}

/// The command that makes a page of a run, as its reader can type it.
pub(crate) fn command(path: &str, seed: Option<u64>, demands: &Demands) -> String {
    let (program, path) = (super::program(), super::quoted(path));
    let seed = seed.map(|seed| format!(" --seed {seed}")).unwrap_or_default();
    format!("{program} report {path}{seed}{} -o report.html", demands.flags())
}

/// The command that makes the report again, as its reader can type it.
fn again(arguments: &ReportArguments, seed: u64) -> String {
    let ReportArguments { failure, demands, key, output, text, json, .. } = arguments;
    let mut command =
        format!("{} report {}", super::program(), super::quoted(&failure.to_string_lossy()));
    if arguments.seed.is_some() {
        command += &format!(" --seed {seed}");
    }
    command += &demands.flags();
    for key in key {
        command += &format!(" --key {}", super::quoted(key));
    }
    for (flag, is_given) in [(" --text", *text), (" --json", *json)] {
        command += if is_given { flag } else { "" };
    }
    if let Some(output) = output {
        command += &format!(" -o {}", super::quoted(&output.to_string_lossy()));
    }
    command
}
