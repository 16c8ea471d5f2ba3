//! What the trial prints, and what it writes into a file.

use std::fmt::Write as _;

use comfy_table::Table;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::case::{Case, Compared, Kind};
use crate::peers::StorageWork;
use crate::table::{plain_table, right_from};

/// The stores that took part, those that did not, and all cases.
pub(super) struct Report<'a> {
    pub(super) arguments: &'a Arguments,
    /// The stores, each in a line.
    pub(super) titles: Vec<String>,
    /// Why others are missing.
    pub(super) passed_over: Vec<String>,
    pub(super) cases: &'a [Case],
}

impl Report<'_> {
    /// The report for people.
    pub(super) fn text(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut text = String::new();
        let mut line = |words: &str| writeln!(text, "{words}").expect("a string takes all");
        self.titles.iter().for_each(|title| line(title));
        self.passed_over.iter().for_each(|why| line(&format!("passed over: {why}")));
        line(&format!("on {cores} cores that all of them share with the load, and one disk"));
        for bytes in &self.arguments.sizes {
            let keys = self.arguments.keys.words(*bytes as usize);
            line(&format!("{bytes}-byte values, {keys}"));
        }
        line(&self.arguments.words());
        line(&format!("\n{}\n", self.speeds()));
        line(
            "operations/s, latency: of all connections together; to ours: beside the first row of its kind",
        );
        line(
            "CPU µs: of a core, on all servers of the store together, for each operation; load µs: the load's own",
        );
        line(
            "disk B: what the disk wrote meanwhile, by whomever, for each operation; 0 where that is not known",
        );
        line(&format!("\n{}", self.storage()));
        for (request, heading) in
            [("SET", "what an acknowledged write is"), ("GET", "what a read shows")]
        {
            line(&format!("\n{heading}"));
            let mut said = Vec::new();
            for case in self.cases.iter().filter(|case| case.kind.request.verb() == request) {
                if !said.contains(&case.variant.name) {
                    line(&format!("  {:<32}{}", case.variant.name, case.variant.promise));
                    said.push(case.variant.name.clone());
                }
            }
        }
        text
    }

    /// The same and more for programs.
    pub(super) fn json(&self) -> Value {
        let rows = self.cases.iter().map(|case| {
            let Kind { value_bytes, connections, request, depth } = case.kind;
            json!({
                "value_bytes": value_bytes,
                "connections": connections,
                "command": request.verb(),
                "pipeline": depth,
                "store": case.variant.name,
                "medians": case.compared(self.cases),
                "rounds": case.rounds,
                "shortcomings": case.shortcomings,
            })
        });
        json!({
            "stores": self.titles,
            "passed_over": self.passed_over,
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "load": self.arguments.words(),
            "keys": self.arguments.sizes.iter().map(|bytes| self.arguments.keys.words(*bytes as usize)).collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    fn speeds(&self) -> Table {
        let mut table = plain_table(&[
            "value B",
            "connections",
            "command",
            "pipeline",
            "store",
            "operations/s",
            "to ours",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU µs",
            "CPU to ours",
            "load µs",
            "disk B",
        ]);
        for case in self.cases {
            let Kind { value_bytes, connections, request, depth } = case.kind;
            let Compared { medians, rate_to_ours, server_cpu_to_ours } = case.compared(self.cases);
            table.add_row([
                value_bytes.to_string(),
                connections.to_string(),
                request.verb().to_owned(),
                depth.to_string(),
                case.variant.name.clone(),
                format!("{:.0}", medians.operations_per_second),
                ratio(rate_to_ours),
                format!("{:.2}", medians.p50_ms),
                format!("{:.2}", medians.p99_ms),
                format!("{:.2}", medians.p999_ms),
                format!("{:.0}", medians.server_cpu_us),
                ratio(server_cpu_to_ours),
                format!("{:.0}", medians.load_cpu_us),
                format!("{:.0}", medians.disk_bytes),
            ]);
        }
        right_from(&mut table, 5);
        table
    }

    /// What the storage of our nodes did meanwhile.
    fn storage(&self) -> Table {
        let mut table = plain_table(&[
            "storage of",
            "value B",
            "connections",
            "pipeline",
            "commands/operation",
            "groups/s",
            "commands/group",
            "ms/group",
            "% of the time",
        ]);
        for case in self.cases {
            let Some(StorageWork { commands, groups, writing_seconds }) = case.storage else {
                continue;
            };
            // Three nodes write at the same time.
            let share = 100.0 * writing_seconds / (3.0 * case.seconds);
            table.add_row([
                format!("{} {}", case.kind.request.verb(), case.variant.name),
                case.kind.value_bytes.to_string(),
                case.kind.connections.to_string(),
                case.kind.depth.to_string(),
                format!("{:.1}", commands / case.operations.max(1) as f64),
                format!("{:.0}", groups / case.seconds),
                format!("{:.0}", commands / groups.max(1.0)),
                format!("{:.2}", writing_seconds * 1_000.0 / groups.max(1.0)),
                format!("{share:.0}"),
            ]);
        }
        right_from(&mut table, 1);
        table
    }
}

/// A ratio as the table shows it: none where ours has done nothing.
fn ratio(ratio: f64) -> String {
    if ratio.is_finite() { format!("{ratio:.2}") } else { "-".to_owned() }
}
