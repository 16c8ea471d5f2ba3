//! A store that is asked for more than it can do.
//!
//! First its capacity is looked for: the most that it does in closed loops of more and more connections. Then
//! an open loop asks for one, two and three times that, and does not care whether answers come: each
//! operation begins when it is due, and whoever asked for it goes away after the time-out. A good store goes on doing about what
//! it can, refuses the rest soon, takes no more memory for it than before, and is its former self when it is over.

mod arguments;
mod busy;
mod memory_watch;
mod single_client;
mod step;

use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use comfy_table::Table;
use serde_json::json;

pub(crate) use self::arguments::Arguments;
use self::memory_watch::MemoryWatch;
use self::single_client::SingleClient;
use self::step::{OverloadStep, failures};
use crate::filling::Filling;
use crate::load::{self, Load, Measured, Pace, Request};
use crate::peers::Peer;
use crate::table::{plain_table, right_from};
use crate::usage::{cpu_sum, own_cpu, resident_sum};

/// How often memory is looked at while it comes down.
const MEMORY_LOOK: Duration = Duration::from_millis(200);

/// Memory that has come down to so much of that before is not waited for any longer.
const MEMORY_GOOD: f64 = 1.05;

/// Connections that write all keys before.
const FILLING_CONNECTIONS: usize = 64;

pub(crate) fn execute(arguments: &Arguments) -> ExitCode {
    let folder = crate::folder();
    let store = match arguments.store.start(folder.path()) {
        Ok(store) => store,
        Err(why) => {
            println!("skipped: {why}");
            return ExitCode::SUCCESS;
        }
    };
    let _busy = busy::busy_processes(arguments.busy, folder.path());
    match (Overload { arguments, store: store.as_ref() }).run() {
        Ok(found) if found.is_empty() => ExitCode::SUCCESS,
        Ok(found) => {
            found.iter().for_each(|failure| println!("FAILED: {failure}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The most that was done in a closed loop, and with how many connections.
#[derive(Clone, Copy)]
struct Capacity {
    per_second: f64,
    connections: usize,
}

/// The store as it was before anybody asked for too much.
struct Former {
    /// What one client waits that waits for each answer.
    latency_ms: f64,
    /// Resident, of all servers together, in bytes.
    memory: u64,
}

struct Overload<'a> {
    arguments: &'a Arguments,
    store: &'a dyn Peer,
}

impl Overload<'_> {
    /// Makes the trial, prints what it shows, and gives back what is not good enough.
    fn run(&self) -> io::Result<Vec<String>> {
        let Arguments { size, busy, .. } = self.arguments;
        let load = self.load()?;
        let keys = self.arguments.keys.words(*size as usize);
        println!("{}", self.store.title());
        println!("{}, {size}-byte values, {keys}", load.request.verb());
        println!("{busy} other processes take what they get of the cores, all the time\n");
        self.fill()?;
        let (capacity, table) = self.capacity(&load)?;
        println!("{table}");
        let Capacity { per_second, connections } = capacity;
        println!("capacity: {per_second:.0} operations/s, with {connections} connections\n");

        let former = Former {
            latency_ms: SingleClient::new(&load).latency_ms()?,
            memory: resident_sum(&self.store.process_ids()),
        };
        let mut steps = Vec::new();
        for factor in &self.arguments.factors {
            eprintln!("{factor} times the capacity");
            steps.push(self.step(&load, *factor, per_second, &former)?);
        }
        println!("{}", self.explained(&steps));
        let found = failures(&steps, self.arguments.timeout());
        if let Some(path) = &self.arguments.json {
            let report = json!({
                "store": self.store.title(),
                "command": load.request.verb(),
                "value_bytes": size,
                "keys": keys,
                "busy_processes": busy,
                "capacity_per_second": per_second,
                "capacity_connections": connections,
                "capacity_pipeline": self.arguments.capacity_pipeline,
                "timeout_ms": self.arguments.timeout_ms,
                "steps": steps,
                "failures": found,
            });
            std::fs::write(path, format!("{report:#}\n"))?;
        }
        Ok(found)
    }

    /// A closed loop, as the overload asks.
    fn load(&self) -> io::Result<Load> {
        let request = self.arguments.command.request();
        let variants = self.store.variants(request, 1);
        let variant =
            variants.first().ok_or_else(|| io::Error::other("it cannot be asked for that"))?;
        let value_bytes = self.arguments.size as usize;
        Ok(Load {
            addresses: self.store.addresses(),
            protocol: variant.protocol,
            request,
            pace: Pace::Closed { operations: u64::MAX / 2 },
            connections: 1,
            depth: 1,
            keys: self.arguments.keys.choice(value_bytes),
            value_bytes,
            time_max: Duration::from_secs(self.arguments.capacity_seconds),
            timeout: None,
            seed: 0,
            last_due: None,
        })
    }

    fn fill(&self) -> io::Result<()> {
        let value_bytes = self.arguments.size as usize;
        let variants = self.store.variants(Request::Set, 1);
        let protocol = variants.last().expect("each store can be written to").protocol;
        let keys = self.arguments.keys.count(value_bytes);
        let filling = Filling { keys, value_bytes, connections: FILLING_CONNECTIONS, depth: 1 };
        filling.write(&self.store.addresses(), protocol)
    }

    fn capacity(&self, load: &Load) -> io::Result<(Capacity, Table)> {
        let depth = usize::from(self.arguments.capacity_pipeline);
        let mut table = plain_table(&[
            "closed loop, connections",
            "pipeline",
            "operations/s",
            "p50 ms",
            "p99 ms",
            "also",
        ]);
        let mut best = Capacity { per_second: 0.0, connections: 0 };
        for connections in self.arguments.capacity_connections.iter().map(|it| usize::from(*it)) {
            eprintln!("capacity with {connections} connections");
            let measured = load::drive(Load { connections, depth, ..load.clone() })?;
            let per_second = measured.per_second();
            if per_second > best.per_second {
                best = Capacity { per_second, connections };
            }
            table.add_row([
                connections.to_string(),
                depth.to_string(),
                format!("{per_second:.0}"),
                format!("{:.2}", measured.latency_ms(0.5)),
                format!("{:.2}", measured.latency_ms(0.99)),
                measured.shortcomings().unwrap_or_default(),
            ]);
        }
        right_from(&mut table, 0);
        match best.per_second > 0.0 {
            true => Ok((best, table)),
            false => Err(io::Error::other("it does nothing at all")),
        }
    }

    /// Asks for so many times the capacity.
    fn step(
        &self,
        load: &Load,
        factor: f64,
        capacity: f64,
        former: &Former,
    ) -> io::Result<OverloadStep> {
        let servers = self.store.process_ids();
        let (client, former_ms) = (SingleClient::new(load), former.latency_ms);
        let offered = capacity * factor;
        let time_max = self.arguments.time(offered);
        let (teller, last_due) = mpsc::channel();
        let after = std::thread::spawn(move || client.until_former(former_ms, &last_due));

        let watch = MemoryWatch::start(servers.clone());
        let (server_cpu, load_cpu, begun) = (cpu_sum(&servers), own_cpu(), Instant::now());
        let measured = load::drive(Load {
            pace: Pace::Open { per_second: offered },
            connections: usize::from(self.arguments.connections),
            depth: usize::from(self.arguments.in_flight),
            time_max,
            timeout: Some(self.arguments.timeout()),
            last_due: Some(teller),
            ..load.clone()
        });
        let took = begun.elapsed().as_secs_f64();
        let (server_cpu, load_cpu) = (cpu_sum(&servers) - server_cpu, own_cpu() - load_cpu);
        let memory_during_max = watch.stop();
        let former_after = after.join().expect("the client only asks");
        let measured = measured?;
        let seconds = time_max.as_secs_f64();
        Ok(OverloadStep {
            factor,
            seconds,
            offered_per_second: offered,
            goodput_per_second: measured.per_second(),
            goodput_of_capacity: measured.per_second() / capacity,
            refused_per_second: measured.refused_sum() as f64 / seconds,
            timed_out_per_second: measured.timed_out() as f64 / seconds,
            broken: measured.broken,
            wrong: measured.wrong,
            p50_ms: measured.latency_ms(0.5),
            p99_ms: measured.latency_ms(0.99),
            memory_before: former.memory,
            memory_during_max,
            memory_after: self.memory_after(&servers, former.memory),
            former_latency_after_s: former_after.map(|after| after.as_secs_f64()),
            server_cores: server_cpu.as_secs_f64() / took,
            load_cores: load_cpu.as_secs_f64() / took,
            shortcomings: Measured::shortcomings(&measured),
        })
    }

    /// The memory that is left when it has come down, or the time for that is up.
    fn memory_after(&self, servers: &[u32], before: u64) -> u64 {
        let (begun, settle) = (Instant::now(), Duration::from_secs(self.arguments.settle));
        loop {
            let now = resident_sum(servers);
            if now as f64 <= before as f64 * MEMORY_GOOD || begun.elapsed() >= settle {
                return now;
            }
            std::thread::sleep(MEMORY_LOOK);
        }
    }

    fn explained(&self, steps: &[OverloadStep]) -> String {
        let Arguments { connections, in_flight, timeout_ms, seconds, settle, .. } = self.arguments;
        let mut table = plain_table(&[
            "asked for",
            "offered/s",
            "goodput/s",
            "of capacity",
            "refused/s",
            "timed out/s",
            "broken",
            "wrong",
            "p50 ms",
            "p99 ms",
            "MB before",
            "MB at most",
            "MB after",
            "former latency after s",
            "cores of servers",
            "of load",
        ]);
        let megabytes = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
        for step in steps {
            table.add_row([
                format!("{} ×", step.factor),
                format!("{:.0}", step.offered_per_second),
                format!("{:.0}", step.goodput_per_second),
                format!("{:.2}", step.goodput_of_capacity),
                format!("{:.0}", step.refused_per_second),
                format!("{:.0}", step.timed_out_per_second),
                step.broken.to_string(),
                step.wrong.to_string(),
                format!("{:.1}", step.p50_ms),
                format!("{:.1}", step.p99_ms),
                megabytes(step.memory_before),
                megabytes(step.memory_during_max),
                megabytes(step.memory_after),
                step.former_latency_after_s.map_or("never".to_owned(), |s| format!("{s:.1}")),
                format!("{:.2}", step.server_cores),
                format!("{:.2}", step.load_cores),
            ]);
        }
        right_from(&mut table, 0);
        let mut text = format!(
            "open loop of {connections} connections with at most {in_flight} unanswered requests each, {seconds} s, \
             time-out {timeout_ms} ms\n{table}\n\n\
             goodput: done within the time-out; timed out: too late, unanswered, or never sent in that time\n\
             latency: of what was done, also too late, from when it was due\n\
             memory: resident, of all servers together; after: when it came down, or {settle} s later\n"
        );
        for step in steps {
            if let Some(what) = &step.shortcomings {
                text += &format!("at {} times: {what}\n", step.factor);
            }
        }
        text
    }
}
