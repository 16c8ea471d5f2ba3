//! How soon a server serves again that was ended: cleanly or as by a crash, with much data.
//!
//! All keys are written before each end. Beside a node of ours stand servers that keep a log of commands, with the
//! same keys and values, synced at each write and rewritten before, which is the best that can happen to such a log.

mod arguments;
mod restart;
mod restartable;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::Table;
use serde_json::json;

pub(crate) use self::arguments::Arguments;
use self::arguments::{LogServer, Stop};
use self::restart::Restart;
use self::restartable::{Restartable, RestartedLogServer, RestartedNode};
use crate::filling::Filling;
use crate::load::{self, KeyChoice, Load, Pace, Protocol, Request};
use crate::peers::{RunningServer, find_redis, find_valkey};
use crate::support::{Answer, Client, wait_for};
use crate::table::{plain_table, right_from};

/// Keys that are read after each start, and held against their values.
const CHECKED: u64 = 1_000;

const PROTOCOL: Protocol = Protocol::Resp { greeting: None, wait: None };

pub(crate) fn execute(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One server, and what its starts have shown.
struct Subject {
    server: Box<dyn Restartable + Sync>,
    running: Option<RunningServer>,
    rounds: Vec<(Stop, Restart)>,
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let Arguments { keys, size, nodes, rounds, .. } = arguments;
    let folder = crate::folder();
    let mut servers: Vec<Box<dyn Restartable + Sync>> =
        vec![Box::new(RestartedNode::new(folder.path(), *nodes))];
    for peer in &arguments.peers {
        let found = match peer {
            LogServer::Redis => find_redis(),
            LogServer::Valkey => find_valkey(),
        };
        match found {
            Ok(program) => {
                servers.push(Box::new(RestartedLogServer::new(program, folder.path())));
            }
            Err(why) => println!("passed over: {why}"),
        }
    }
    let mut subjects = Vec::new();
    for server in servers {
        eprintln!("filling {}", server.name());
        subjects.push(Subject::filled(server, arguments)?);
    }
    for round in 0..*rounds {
        for stop in &arguments.stop {
            for subject in &mut subjects {
                eprintln!("round {}: {}, {}", round + 1, subject.server.name(), stop.words());
                subject.restart(*stop, arguments)?;
            }
        }
    }
    println!("{keys} keys, {size}-byte values, all written before each end, synced at each write");
    println!(
        "medians of {rounds} rounds; logs of commands were rewritten before; the system holds all files in memory\n"
    );
    println!("{}\n", show(arguments, &subjects));
    println!(
        "ms: to stop, from the order to the end; else from the start until it takes connections, until it says"
    );
    println!(
        "that it serves (kv-node: /health/ready, others: PING), and until a GET brings a value"
    );
    println!(
        "MB: on the disk; in memory before the end, when the first GET was answered, and at most until then"
    );
    if let Some(path) = &arguments.json {
        let rows = subjects.iter().flat_map(|subject| {
            subject.rounds.iter().map(|(stop, restart)| {
                json!({ "server": subject.server.name(), "stop": stop.words(), "restart": restart })
            })
        });
        let rows: Vec<_> = rows.collect();
        let report = json!({ "keys": keys, "value_bytes": size, "nodes": nodes, "rows": rows });
        std::fs::write(path, format!("{report:#}\n"))?;
    }
    Ok(())
}

impl Subject {
    /// Starts a server for the first time and writes all keys.
    fn filled(server: Box<dyn Restartable + Sync>, arguments: &Arguments) -> io::Result<Self> {
        let running = server.start();
        server.found();
        wait_for("a server that serves", || {
            let asked = Client::try_connect(server.address()).ok()?.try_ask(&["EXISTS", "a"]);
            matches!(asked, Ok(Answer::Integer(_))).then_some(())
        });
        let subject = Self { server, running: Some(running), rounds: Vec::new() };
        subject.fill(arguments)?;
        Ok(subject)
    }

    /// Writes all keys, and brings the data into its best form.
    fn fill(&self, arguments: &Arguments) -> io::Result<()> {
        let value_bytes = arguments.size as usize;
        let filling = Filling { keys: arguments.keys, value_bytes, connections: 64, depth: 64 };
        filling.write(&[self.server.address().to_owned()], PROTOCOL)?;
        self.server.tidy()
    }

    fn restart(&mut self, stop: Stop, arguments: &Arguments) -> io::Result<()> {
        let value_bytes = arguments.size as usize;
        // A start leaves less to do for the next one than writes do.
        if !self.rounds.is_empty() {
            self.fill(arguments)?;
        }
        let running = self.running.take().expect("it was started, and each restart starts it");
        let (restart, running) = Restart::make(self.server.as_ref(), running, stop, value_bytes)?;
        self.rounds.push((stop, restart));
        self.running = Some(running);
        let read = load::drive(Load {
            addresses: vec![self.server.address().to_owned()],
            protocol: PROTOCOL,
            request: Request::Get,
            pace: Pace::Closed { operations: CHECKED },
            connections: 4,
            depth: 1,
            keys: KeyChoice::Uniform { count: arguments.keys },
            value_bytes,
            time_max: Duration::from_secs(60),
            timeout: None,
            seed: 0,
            last_due: None,
        })?;
        match read.shortcomings() {
            None => Ok(()),
            Some(what) => {
                let (name, words) = (self.server.name(), stop.words());
                let what = format!("{name} after {words}: of {CHECKED} reads: {what}");
                Err(io::Error::other(what))
            }
        }
    }
}

fn show(arguments: &Arguments, subjects: &[Subject]) -> Table {
    let mut table = plain_table(&[
        "server",
        "ended by",
        "disk MB",
        "stop ms",
        "listens ms",
        "ready ms",
        "first GET ms",
        "MB before",
        "MB after",
        "MB at most",
    ]);
    let megabytes = |bytes: f64| format!("{:.0}", bytes / 1e6);
    for stop in &arguments.stop {
        for subject in subjects {
            let rounds = subject.rounds.iter().filter(|(by, _)| by == stop);
            let medians = Restart::medians(&Vec::from_iter(rounds.map(|(_, restart)| *restart)));
            table.add_row([
                subject.server.name().to_owned(),
                stop.words().to_owned(),
                megabytes(medians.data_bytes),
                format!("{:.0}", medians.stop_ms),
                format!("{:.0}", medians.listens_ms),
                format!("{:.0}", medians.ready_ms),
                format!("{:.0}", medians.first_get_ms),
                megabytes(medians.memory_before),
                megabytes(medians.memory_after),
                megabytes(medians.memory_max),
            ]);
        }
    }
    right_from(&mut table, 2);
    table
}
