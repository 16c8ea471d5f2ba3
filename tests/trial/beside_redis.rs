//! A cluster of three nodes and a Redis with two replicas, under the same load in turns.
//!
//! All six servers and the load share the cores of one machine, and their disk. So the table shows
//! what an operation costs rather than what three machines could do.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::load::{self, Load, Measured, Often, Order, Request};
use crate::process_stat::cpu_time;
use crate::redis::{self, Installed, Servers};
use crate::support::{Cluster, Process};

/// Requests in a pipeline: none to speak of, and many.
const DEPTHS: [usize; 2] = [1, 16];

/// How long writing all keys before may take.
const FILLING_MAX: Duration = Duration::from_secs(600);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often everything is measured; the table shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    rounds: u64,
    /// Operations of one measurement
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    operations: u64,
    /// How long one measurement may take, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Connections, all at once
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Different keys
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    keys: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    value_bytes: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    Ours,
    Redis,
}

/// One row of the table.
struct Case {
    store: Store,
    name: &'static str,
    request: Request,
    greeting: Option<load::Words>,
    depth: usize,
    rounds: Vec<Measured>,
    /// What its servers have taken.
    taken: Taken,
}

/// What the servers of one store have taken, all together.
#[derive(Clone, Copy, Default)]
struct Taken {
    cpu: Duration,
    /// Storage commands that were executed, and groups of them that were written and synced. Of
    /// Redis nothing is known.
    commands: f64,
    groups: f64,
    /// How long writing the groups took.
    writing_seconds: f64,
}

impl Taken {
    /// Adds what was taken between two looks.
    fn add(&mut self, before: &Self, after: &Self) {
        self.cpu += after.cpu - before.cpu;
        self.commands += after.commands - before.commands;
        self.groups += after.groups - before.groups;
        self.writing_seconds += after.writing_seconds - before.writing_seconds;
    }
}

impl Case {
    const fn new(store: Store, name: &'static str, request: Request, depth: usize) -> Self {
        let taken = Taken { cpu: Duration::ZERO, commands: 0.0, groups: 0.0, writing_seconds: 0.0 };
        Self { store, name, request, greeting: None, depth, rounds: Vec::new(), taken }
    }

    const fn verb(&self) -> &'static str {
        match self.request {
            Request::Get => "GET",
            Request::Set { .. } => "SET",
        }
    }

    /// The round in the middle, by speed.
    fn per_second(&self) -> f64 {
        let mut rates: Vec<_> = self.rounds.iter().map(Measured::per_second).collect();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }

    fn all(&self) -> Measured {
        let mut all = Measured::nothing();
        self.rounds.iter().for_each(|round| all.add(round));
        all
    }
}

fn cases(redis: &Installed) -> Vec<Case> {
    use Store::{Ours, Redis};
    let set = Request::Set { wait: None };
    let waiting = |often| Request::Set { wait: Some((redis.wait.words, often)) };
    let of_depth = |depth| {
        let mut cases = vec![Case::new(Ours, "kv-node, W=2", set, depth)];
        cases.push(Case::new(Redis, "Redis, waits after each", waiting(Often::Request), depth));
        if depth > 1 {
            let request = waiting(Often::Pipeline);
            cases.push(Case::new(Redis, "Redis, waits once a pipeline", request, depth));
        }
        cases.push(Case::new(Redis, "Redis, does not wait", set, depth));
        cases.push(Case::new(Ours, "kv-node, R=2", Request::Get, depth));
        let mut one = Case::new(Ours, "kv-node, R=1", Request::Get, depth);
        one.greeting = Some(&["KV.OPTIONS", "R", "one"]);
        cases.push(one);
        cases.push(Case::new(Redis, "Redis, primary", Request::Get, depth));
        cases
    };
    DEPTHS.into_iter().flat_map(of_depth).collect()
}

pub(crate) fn execute(arguments: &Arguments) -> ExitCode {
    let installed = match redis::installed() {
        Ok(installed) => installed,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    match Stores::start().compare(arguments, &installed) {
        Ok(cases) => show(arguments, &installed, &cases),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Both stores, running.
struct Stores {
    nodes: Vec<Process>,
    redis: Servers,
    _folder: tempfile::TempDir,
}

impl Stores {
    fn start() -> Self {
        let folder = crate::folder();
        let redis = Servers::start(folder.path());
        let nodes = Cluster::within(folder.path().to_owned(), 3, "").start_all();
        Self { nodes, redis, _folder: folder }
    }

    fn compare(&self, arguments: &Arguments, redis: &Installed) -> io::Result<Vec<Case>> {
        self.fill(arguments)?;
        let mut cases = cases(redis);
        for round in 0..arguments.rounds {
            for case in &mut cases {
                eprintln!("round {}: {} {} × {}", round + 1, case.name, case.verb(), case.depth);
                let before = self.taken(case.store);
                let load = Load {
                    request: case.request,
                    greeting: case.greeting,
                    depth: case.depth,
                    seed: round,
                    ..self.load(arguments, case.store)
                };
                case.rounds.push(load::drive(load)?);
                case.taken.add(&before, &self.taken(case.store));
            }
        }
        Ok(cases)
    }

    /// Writes every key into both.
    fn fill(&self, arguments: &Arguments) -> io::Result<()> {
        for store in [Store::Ours, Store::Redis] {
            let load = Load {
                order: Order::InTurn,
                operations: arguments.keys,
                time_max: FILLING_MAX,
                ..self.load(arguments, store)
            };
            let filled = load::drive(load)?;
            if filled.errors > 0 || filled.operations < arguments.keys {
                let why = filled.first_error.unwrap_or_else(|| "it takes too long".to_owned());
                return Err(io::Error::other(format!("not all keys could be written: {why}")));
            }
        }
        Ok(())
    }

    fn load(&self, arguments: &Arguments, store: Store) -> Load {
        Load {
            addresses: match store {
                Store::Ours => self.nodes.iter().map(|node| node.redis.clone()).collect(),
                Store::Redis => vec![self.redis.primary.clone()],
            },
            request: Request::Set { wait: None },
            greeting: None,
            connections: usize::from(arguments.connections),
            depth: 16,
            keys: arguments.keys,
            order: Order::ByChance,
            value_bytes: arguments.value_bytes as usize,
            operations: arguments.operations,
            time_max: Duration::from_secs(arguments.seconds),
            seed: 0,
        }
    }

    /// What a store has taken so far.
    fn taken(&self, store: Store) -> Taken {
        let metric = |name| self.nodes.iter().map(|node| node.metric(name)).sum();
        match store {
            Store::Ours => Taken {
                commands: metric("kv_storage_commands_total"),
                groups: metric("kv_storage_groups_total"),
                writing_seconds: metric("kv_storage_writing_seconds_total"),
                cpu: self.nodes.iter().map(|node| cpu_time(node.id())).sum(),
            },
            Store::Redis => {
                let cpu = self.redis.ids().into_iter().map(cpu_time).sum();
                Taken { cpu, ..Taken::default() }
            }
        }
    }
}

/// Prints what was measured.
fn show(arguments: &Arguments, redis: &Installed, cases: &[Case]) -> ExitCode {
    let Arguments { rounds, operations, seconds, connections, keys, value_bytes } = arguments;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "three nodes (durability always, N=3) beside Redis {} (a primary and two replicas, appendfsync always)\n\
         on {cores} cores that all of them share with the load, and one disk\n\
         {connections} connections, {value_bytes}-byte values, {keys} keys by chance\n\
         medians of {rounds} rounds of {operations} operations or {seconds} s\n",
        redis.version
    );
    println!("{}\n\n{}", speeds(cases), storage(cases));
    println!("\nwhat an acknowledged write is");
    println!("  kv-node, W=2             synced to the disks of two machines; any node takes it");
    println!("  Redis, waits             {}", redis.wait.promise);
    println!("                           (by {})", redis.wait.words.join(" "));
    println!("  Redis, does not wait     synced to the primary's disk");
    println!("what a read shows");
    println!("  kv-node, R=2             the join of what two machines hold durably");
    println!("  kv-node, R=1             what one machine holds durably");
    println!("  Redis, primary           what the primary holds");

    let mut code = ExitCode::SUCCESS;
    for case in cases {
        let Measured { errors, first_error, .. } = case.all();
        if let Some(error) = first_error {
            println!("FAILED: {} {}: {errors} errors, first {error}", case.verb(), case.name);
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn speeds(cases: &[Case]) -> Table {
    let mut table = plain_table();
    table.set_header([
        "command",
        "pipeline",
        "store",
        "operations/s",
        "to ours",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "CPU µs",
    ]);
    for case in cases {
        let same = |other: &&Case| other.verb() == case.verb() && other.depth == case.depth;
        // The first case of a kind is ours as it is by default.
        let ours = cases.iter().find(same).map_or(0.0, Case::per_second);
        let all = case.all();
        let ms =
            |quantile| format!("{:.2}", all.latency.value_at_quantile(quantile) as f64 / 1_000.0);
        let cpu_us = case.taken.cpu.as_secs_f64() * 1e6 / all.operations as f64;
        table.add_row([
            case.verb().to_owned(),
            case.depth.to_string(),
            case.name.to_owned(),
            format!("{:.0}", case.per_second()),
            format!("{:.2}", case.per_second() / ours),
            ms(0.5),
            ms(0.99),
            ms(0.999),
            format!("{cpu_us:.0}"),
        ]);
    }
    right_from(&mut table, 3);
    table
}

/// What the storage of our nodes did meanwhile.
fn storage(cases: &[Case]) -> Table {
    let mut table = plain_table();
    table.set_header([
        "storage of kv-node",
        "pipeline",
        "commands/operation",
        "groups/s",
        "commands/group",
        "ms/group",
        "% of the time",
    ]);
    for case in cases.iter().filter(|case| case.store == Store::Ours) {
        let Taken { commands, groups, writing_seconds, cpu: _ } = case.taken;
        let all = case.all();
        let seconds = all.took.as_secs_f64();
        // Three nodes write at the same time.
        let share = 100.0 * writing_seconds / (3.0 * seconds);
        table.add_row([
            format!("{} {}", case.verb(), case.name),
            case.depth.to_string(),
            format!("{:.1}", commands / all.operations as f64),
            format!("{:.0}", groups / seconds),
            format!("{:.0}", commands / groups.max(1.0)),
            format!("{:.2}", writing_seconds * 1_000.0 / groups.max(1.0)),
            format!("{share:.0}"),
        ]);
    }
    right_from(&mut table, 1);
    table
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn right_from(table: &mut Table, column: usize) {
    for column in table.column_iter_mut().skip(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
