//! `kv-sim merge`: the results of the parts of a sweep, joined into one.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use kv_sim::artefact;
use kv_sim::sweep::Summary;
use kv_sim::words::{counted, thousands};

use super::marks;
use super::output::{self, Exit};

#[derive(Args)]
pub(crate) struct Arguments {
    /// What `sweep --json` has written, one file for each part.
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    parts: Vec<PathBuf>,
    /// Where the whole goes; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn execute(arguments: &Arguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(Arguments { parts, output }: &Arguments) -> Result<Exit, Exit> {
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
        output::say(&marks::unreached(&whole))?;
        output::say(&marks::idle(&whole))?;
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
    let damaged =
        |why: String| complain(format!("is no result of a sweep, or a damaged one: {why}"));
    let part: Summary = serde_json::from_str(&json).map_err(|error| damaged(error.to_string()))?;
    if !part.is_consistent() {
        let Summary { runs, passed, failed, failures, .. } = &part;
        let failures = failures.len();
        return Err(damaged(format!(
            "{runs} runs are not {passed} passed and {failed} failed, with {failures} failures listed"
        )));
    }
    if part.runs == 0 {
        let why = "holds no run: it proves nothing. Run that part, or leave it out";
        return Err(complain(why.to_owned()));
    }
    Ok(part)
}
