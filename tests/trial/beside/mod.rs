//! A cluster of three nodes beside other stores, under the same load in turns.
//!
//! All servers and the load share the cores of one machine, and their disk. So the table shows what an
//! operation costs rather than what three machines could do. The servers of the stores whose turn it is
//! not go on running, with nothing to do but to tell each other that they are there.

mod arguments;
mod case;
mod figures;
mod report;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

pub(crate) use self::arguments::{Arguments, Command};
use self::case::{Case, Kind};
use self::figures::{Figures, Taken};
use self::report::Report;
use crate::disk::Disk;
use crate::filling::Filling;
use crate::load::{self, Load, Pace, Request};
use crate::peers::{Peer, StorageWork};
use crate::usage::{cpu_sum, own_cpu};

/// Connections and requests in a pipeline that write all keys before.
const FILLING: (usize, usize) = (64, 16);

pub(crate) fn execute(arguments: &Arguments) -> ExitCode {
    let folder = crate::folder();
    let (mut stores, mut passed_over) = (Vec::new(), Vec::new());
    for name in arguments.stores() {
        match name.start(folder.path()) {
            Ok(store) => stores.push(store),
            Err(why) => {
                eprintln!("passed over: {why}");
                passed_over.push(why);
            }
        }
    }
    let cases = compare(arguments, &stores, Disk::of(folder.path()).as_ref());
    let titles = stores.iter().map(|store| store.title()).collect();
    let report = Report { arguments, titles, passed_over, cases: &cases };
    println!("{}", report.text());
    if let Some(path) = &arguments.json
        && let Err(error) = std::fs::write(path, format!("{:#}\n", report.json()))
    {
        println!("FAILED: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    let mut code = ExitCode::SUCCESS;
    for case in &cases {
        for what in &case.shortcomings {
            println!("FAILED: {}: {what}", case.words());
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Measures all cases. What goes wrong in one stands with it, and the others go on.
fn compare(arguments: &Arguments, stores: &[Box<dyn Peer>], disk: Option<&Disk>) -> Vec<Case> {
    let mut cases = Vec::new();
    for value_bytes in arguments.sizes.iter().map(|bytes| *bytes as usize) {
        let mut unfilled = Vec::new();
        for (index, store) in stores.iter().enumerate() {
            eprintln!("writing {} into {}", arguments.keys.words(value_bytes), store.title());
            if let Err(why) = fill(arguments, store.as_ref(), value_bytes) {
                unfilled.push((index, why.to_string()));
            }
        }
        for connections in arguments.connections.iter().map(|count| usize::from(*count)) {
            let mut group = cases_of(arguments, stores, value_bytes, connections);
            let seconds = arguments.round_seconds_max() * arguments.rounds * group.len() as u64;
            eprintln!("{connections} connections, {value_bytes}-byte values: {seconds} s at most");
            for round in 0..arguments.rounds {
                for case in &mut group {
                    if let Some((_, why)) = unfilled.iter().find(|(store, _)| *store == case.store)
                    {
                        case.shortcomings.push(why.clone());
                        continue;
                    }
                    eprintln!("round {}: {}", round + 1, case.words());
                    let store = stores[case.store].as_ref();
                    if let Err(error) = measure(arguments, store, disk, case, round) {
                        case.shortcomings.push(error.to_string());
                    }
                }
            }
            cases.append(&mut group);
        }
    }
    cases
}

/// Writes every key.
fn fill(arguments: &Arguments, store: &dyn Peer, value_bytes: usize) -> io::Result<()> {
    let (connections, depth) = FILLING;
    // What takes one request at a time is asked on more connections instead.
    let (connections, depth, variants) = match store.variants(Request::Set, depth) {
        variants if variants.is_empty() => (connections * 4, 1, store.variants(Request::Set, 1)),
        variants => (connections, depth, variants),
    };
    // The last way promises least, and is the fastest.
    let protocol = variants.last().expect("each store can be written to").protocol;
    let keys = arguments.keys.count(value_bytes);
    Filling { keys, value_bytes, connections, depth }.write(&store.addresses(), protocol)
}

/// The rows of one size of values and one number of connections.
fn cases_of(
    arguments: &Arguments,
    stores: &[Box<dyn Peer>],
    value_bytes: usize,
    connections: usize,
) -> Vec<Case> {
    let mut cases = Vec::new();
    for depth in arguments.depths(value_bytes) {
        for request in arguments.commands.iter().map(|command| command.request()) {
            let kind = Kind { value_bytes, connections, request, depth };
            for (index, store) in stores.iter().enumerate() {
                let variants = store.variants(request, depth);
                cases.extend(variants.into_iter().map(|variant| Case::new(kind, index, variant)));
            }
        }
    }
    cases
}

fn measure(
    arguments: &Arguments,
    store: &dyn Peer,
    disk: Option<&Disk>,
    case: &mut Case,
    round: u64,
) -> io::Result<()> {
    let Kind { value_bytes, connections, request, depth } = case.kind;
    let load = Load {
        addresses: store.addresses(),
        protocol: case.variant.protocol,
        request,
        pace: arguments.pace(),
        connections,
        depth,
        keys: arguments.keys.choice(value_bytes),
        value_bytes,
        time_max: arguments.time_max(),
        timeout: None,
        seed: round,
        last_due: None,
    };
    if arguments.warm_up > 0 {
        let pace = match load.pace {
            Pace::Closed { .. } => Pace::Closed { operations: u64::MAX / 2 },
            open @ Pace::Open { .. } => open,
        };
        let time_max = Duration::from_secs(arguments.warm_up);
        load::drive(Load { pace, time_max, seed: u64::MAX, ..load.clone() })?;
    }
    let servers = store.process_ids();
    let taken = || Taken {
        server_cpu: cpu_sum(&servers),
        load_cpu: own_cpu(),
        disk_bytes: disk.and_then(Disk::written_bytes).unwrap_or(0),
    };
    let (work, before) = (store.storage_work(), taken());
    let measured = load::drive(load)?;
    case.rounds.push(Figures::of(&measured, taken().since(&before)));
    case.operations += measured.operations;
    case.seconds += measured.took.as_secs_f64();
    case.shortcomings.extend(measured.shortcomings());
    if let (Some(before), Some(after)) = (work, store.storage_work()) {
        case.storage.get_or_insert_with(StorageWork::default).add(&before, &after);
    }
    Ok(())
}
