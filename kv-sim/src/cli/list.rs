//! `kv-sim list`: the words that scenarios can use, and the scenarios that there are.

use std::path::Path;

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use kv_sim::checks::CheckName;
use kv_sim::cluster::probes::Branch;
use kv_sim::faults::FAULTS;
use kv_sim::scenario::{self, Colour};

use super::output::{self, Exit};

#[derive(Args)]
pub(crate) struct ListArguments {
    /// What to list.
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Words that may stand as the kind of a fault.
    Faults,
    /// Names that may stand under `checks`.
    Checks,
    /// Rare branches that runs count, and that may stand under `[probes]`.
    #[value(alias = "marks")]
    Probes,
    /// The scenarios in the folder `scenarios` here or above.
    Scenarios,
}

pub(crate) fn execute(arguments: &ListArguments) -> Exit {
    try_execute(arguments).unwrap_or_else(|exit| exit)
}

fn try_execute(arguments: &ListArguments) -> Result<Exit, Exit> {
    let (rows, exit) = match arguments.what {
        What::Faults => (faults(), Exit::Passed),
        What::Checks => (checks(), Exit::Passed),
        What::Probes => (probes(), Exit::Passed),
        What::Scenarios => scenarios(&super::here()?),
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for [name, about] in rows {
        table.add_row([name, about]);
    }
    let text: String = table.lines().map(|line| format!("{}\n", line.trim())).collect();
    output::say(&text)?;
    Ok(exit)
}

fn faults() -> Vec<[String; 2]> {
    FAULTS.iter().map(|fault| [fault.name.to_owned(), fault.about.to_owned()]).collect()
}

fn checks() -> Vec<[String; 2]> {
    let promised = CheckName::ALL.iter().filter(|check| check.is_promised());
    promised.map(|check| [check.name().to_owned(), check.about().to_owned()]).collect()
}

fn probes() -> Vec<[String; 2]> {
    Branch::all().map(|branch| [branch.name().to_owned(), branch.about().to_owned()]).collect()
}

fn scenarios(here: &Path) -> (Vec<[String; 2]>, Exit) {
    let (mut rows, mut exit) = (Vec::new(), Exit::Passed);
    for path in scenario::all(here) {
        let name = path.to_string_lossy();
        match scenario::load(&name, here) {
            Ok(source) => rows.push([name.into_owned(), source.title().to_owned()]),
            Err(error) => {
                output::complain(&error.render(Colour::Ansi));
                exit = Exit::Usage;
            }
        }
    }
    if rows.is_empty() {
        output::complain("there is no scenario in a folder `scenarios` here or above\n");
        exit = Exit::Usage;
    }
    (rows, exit)
}
