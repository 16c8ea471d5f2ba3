//! What a cluster takes that nobody asks for anything: processor time and memory.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};

use crate::process_stat::{cpu_time, own_memory_bytes};
use crate::support::{Answer, Cluster, Process, wait_for};

/// Keys that are written before, so that there is something to gossip and compare about.
const KEYS: u32 = 10_000;

/// A node's memory is steady when it has not grown by more than this, over minutes: by so much an
/// allocator moves up and down by itself.
const GROWTH_BYTES_MAX: u64 = 4 << 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long to measure, in seconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How long to leave the cluster alone before, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    settle: u64,
    /// How much of a core all nodes together may take, in percent
    #[arg(long, default_value_t = 1.0)]
    percent: f64,
}

pub(crate) fn execute(arguments: &Arguments) -> ExitCode {
    let Arguments { seconds, settle, percent } = arguments;
    let folder = crate::folder();
    let cluster = Cluster::within(folder.path().to_owned(), 3, "");
    let nodes = cluster.start_all();
    warm_up(&nodes);
    println!(
        "three nodes, {KEYS} keys, default settings; left alone for {settle} s, measured for {seconds} s"
    );
    std::thread::sleep(Duration::from_secs(*settle));

    let look = || {
        nodes
            .iter()
            .map(|node| (cpu_time(node.id()).expect("it runs"), own_memory_bytes(node.id())))
    };
    let (begun, before) = (Instant::now(), look().collect::<Vec<_>>());
    std::thread::sleep(Duration::from_secs(*seconds));
    let (took, after) = (begun.elapsed(), look().collect::<Vec<_>>());

    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["node", "% of a core", "memory before, kB", "memory after, kB"]);
    let (mut sum, mut steady) = (0.0, true);
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        let cpu = 100.0 * (after.0 - before.0).as_secs_f64() / took.as_secs_f64();
        sum += cpu;
        steady &= after.1 <= before.1 + GROWTH_BYTES_MAX;
        let kilobytes = |bytes: u64| (bytes / 1_024).to_string();
        let name = format!("n{}", index + 1);
        table.add_row([name, format!("{cpu:.2}"), kilobytes(before.1), kilobytes(after.1)]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}\n\ntogether {sum:.2} % of a core");
    if sum >= *percent {
        println!("FAILED: an idle cluster should take less than {percent} %");
    }
    if !steady {
        println!("FAILED: a node has grown by more than {} kB", GROWTH_BYTES_MAX / 1_024);
    }
    if sum < *percent && steady { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn warm_up(nodes: &[Process]) {
    for (index, node) in nodes.iter().enumerate() {
        let mut client = node.client();
        for key in (0..KEYS).skip(index).step_by(nodes.len()) {
            assert_eq!(client.ask(&["SET", &format!("key-{key}"), "warm"]), Answer::ok());
        }
    }
    wait_for("all hints to be delivered", || {
        nodes.iter().all(|node| node.metric("kv_hints_pending") == 0.0).then_some(())
    });
}
