//! `kv-sim merge`: the results of the parts of a sweep, joined into one.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use kv_sim::runs::artefact;
use kv_sim::runs::sweep::Summary;
use kv_sim::scenario::former_names;
use kv_sim::story::words::{counted, thousands};

use serde_json::Value;

use super::output::{self, Exit};
use super::probes;

#[derive(Args)]
pub(crate) struct MergeArguments {
    /// What `sweep --json` has written, one file for each part.
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    parts: Vec<PathBuf>,
    /// Where the whole goes; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn execute(arguments: &MergeArguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(MergeArguments { parts, output }: &MergeArguments) -> Result<Exit, Exit> {
    let parts = parts.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let count = parts.len() as u64;
    let whole = Summary::of_parts(parts);
    let json = output::json(&whole)?;
    if output == Path::new("-") {
        output::say(&json)?;
    } else {
        artefact::write_whole(output, &json).map_err(|error| output::unwritable(output, &error))?;
        output::say(&format!(
            "{} in {}: {} passed, {} failed\n",
            counted(whole.runs, "run"),
            counted(count, "part"),
            thousands(whole.passed),
            thousands(whole.failed)
        ))?;
        output::say(&probes::unreached(&whole))?;
        output::say(&probes::idle(&whole))?;
    }
    Ok(Exit::of(&whole))
}

fn read(path: &Path) -> Result<Summary, Exit> {
    let complain = |problem: String| {
        output::complain(&format!("error: {} {problem}\n", path.display()));
        Exit::Usage
    };
    let json =
        fs::read_to_string(path).map_err(|error| complain(format!("cannot be read: {error}")))?;
    let corrupt =
        |why: String| complain(format!("is no result of a sweep, or a corrupt one: {why}"));
    let mut part: Value =
        serde_json::from_str(&json).map_err(|error| corrupt(error.to_string()))?;
    former_names::replace(&mut part);
    let part: Summary = serde_json::from_value(part).map_err(|error| corrupt(error.to_string()))?;
    if !part.is_consistent() {
        let Summary { runs, passed, failed, failures, .. } = &part;
        let failures = failures.len();
        return Err(corrupt(format!(
            "{runs} runs are not {passed} passed and {failed} failed, with {failures} failures listed"
        )));
    }
    if part.runs == 0 {
        let why = "holds no run: it proves nothing. Run that part, or leave it out";
        return Err(complain(why.to_owned()));
    }
    Ok(part)
}
