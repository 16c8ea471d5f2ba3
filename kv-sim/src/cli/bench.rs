//! `kv-sim bench`: the speed of the simulator on this machine.

use std::fmt::Write as _;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::ProgressBar;
use kv_sim::runs::bench::{Bench, BenchError, Profile, ROUNDS, Rates, bench};
use kv_sim::scenario::Colour;
use kv_sim::story::words::{HEADING, thousands};

use super::output::{self, Exit};

#[derive(Args)]
pub(crate) struct BenchArguments {
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Say also of which kinds the messages were.
    #[arg(long)]
    profile: bool,
}

pub(crate) fn execute(arguments: &BenchArguments) -> Exit {
    let profile = if arguments.profile { Profile::Messages } else { Profile::None };
    let progress = ProgressBar::new(3 * (ROUNDS as u64 + 1));
    let measured = bench(ROUNDS, profile, || progress.inc(1));
    progress.finish_and_clear();
    let said = match measured {
        Ok(bench) if arguments.json => output::say_json(&bench),
        Ok(bench) => output::say(&words(&bench)),
        Err(BenchError::Scenario(error)) => {
            output::complain(&error.render(Colour::Ansi));
            Err(Exit::Usage)
        }
        Err(BenchError::Failed(check, violation)) => {
            output::complain(&format!(
                "{check} was violated, so there is no speed to report:\n{violation}\n"
            ));
            Err(Exit::Failed)
        }
    };
    said.map_or_else(|exit| exit, |()| Exit::Passed)
}

fn words(bench: &Bench) -> String {
    let Bench { rates, variants, rounds, operations, events, messages, cpu_ms, wall_ms, .. } =
        bench;
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["in a second of one core", "events", "messages", "quorum operations"]);
    let rows = [
        ("as runs are", rates),
        ("without checks", &variants.checks_off),
        ("without encoding", &variants.encoding_off),
    ];
    for (name, Rates { events_per_s, messages_per_s, quorum_operations_per_s }) in rows {
        let rates = [events_per_s, messages_per_s, quorum_operations_per_s];
        let [events, messages, operations] = rates.map(|rate| thousands(rate.round() as u64));
        table.add_row([name.to_owned(), events, messages, operations]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!(
        "{HEADING}5 nodes, 50 clients that never pause, N=3 R=2 W=2, 100-byte values{HEADING:#}\n"
    );
    let (operations, events, messages) =
        (thousands(*operations), thousands(*events), thousands(*messages));
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "medians of {rounds} runs; a run: {operations} operations, {messages} messages, {events} events in {cpu_ms:.0} ms of processor time ({wall_ms:.0} ms went by)\n\n{table}"
    );
    for (kind, count) in bench.messages_by_kind.iter().flatten() {
        let _ = writeln!(text, "{:>12} {kind}", thousands(*count));
    }
    text
}
