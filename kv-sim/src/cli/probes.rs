//! The results of a sweep beside failures: how often each rare branch was taken, which were not
//! that should be, and which checks found nothing to look at.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use kv_sim::cluster::probes::Branch;
use kv_sim::runs::sweep::{Examined, ReachVerdict, Reachability, Summary};
use kv_sim::story::words::{BAD, FAINT, HEADING, counted, thousands};

/// Makes a table of how often each branch was taken and in how many runs, with those that never
/// were.
pub(super) fn table(summary: &Summary) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["rare branch", "times", "in runs", "declared"]);
    for column in 1..=2 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let (taken, never): (Vec<_>, Vec<_>) =
        Branch::all().partition(|branch| summary.probes.contains_key(branch.name()));
    for branch in taken {
        let name = branch.name();
        let count = |counts: &std::collections::BTreeMap<String, u64>| {
            thousands(counts.get(name).copied().unwrap_or_default())
        };
        let declared = summary.reachability.iter().filter(|one| one.probe == name);
        let declared: Vec<_> = declared.map(words).collect();
        table.add_row([
            name.to_owned(),
            count(&summary.probes),
            count(&summary.probe_runs),
            declared.join("; "),
        ]);
    }
    let mut text = String::new();
    for (number, line) in table.lines().enumerate() {
        let line = line.trim_end();
        let _ = match number {
            0 => writeln!(text, "{HEADING}{line}{HEADING:#}"),
            _ => writeln!(text, "{line}"),
        };
    }
    if !never.is_empty() {
        let never: Vec<_> = never.into_iter().map(Branch::name).collect();
        let _ = writeln!(text, "{FAINT} never: {}{FAINT:#}", never.join(", "));
    }
    text
}

/// Lists the branches that were declared reachable and not reached, a line each.
pub(super) fn unreached(summary: &Summary) -> String {
    let line = |one: &Reachability| {
        let Reachability { scenario, probe, within, seeds, .. } = one;
        let seeds = counted(*seeds, "seed");
        let within = thousands(*within);
        format!(
            "{BAD}{probe}{BAD:#} was not reached in {seeds} of {scenario}, which declares it reachable \
             within {within}\n"
        )
    };
    summary.unreached().map(line).collect()
}

/// Lists the checks that examined nothing although their scenarios name them, a line each.
pub(super) fn idle(summary: &Summary) -> String {
    let line = |one: &Examined| {
        let Examined { scenario, check, seeds, .. } = one;
        let seeds = counted(*seeds, "seed");
        format!(
            "{BAD}{check}{BAD:#} examined nothing in {seeds} of {scenario}, which names it: it has proved \
             nothing. Let clients do what it looks at, or take it out of `checks`\n"
        )
    };
    summary.idle_checks().map(line).collect()
}

/// The declaration of a branch in a scenario, for the place beside its counts.
fn words(one: &Reachability) -> String {
    let within = thousands(one.within);
    match one.verdict {
        ReachVerdict::Reached => format!("within {within}"),
        ReachVerdict::Unreached => format!("not within {within} of {}", one.scenario),
        ReachVerdict::NotJudged => format!("within {within}, not judged"),
    }
}
