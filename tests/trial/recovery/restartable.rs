//! Servers that are ended and started again: a node of ours, and such whose data is a log of commands.

use std::fs::create_dir;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::http;
use crate::peers::{RedisProgram, RunningServer};
use crate::support::{Answer, Client, Cluster, Process, free_ports, wait_for};
use crate::tied::tied;

/// How long the rewriting of a log may take.
const REWRITING_MAX: Duration = Duration::from_secs(1_800);

/// A server that can be ended and started again, always at the same address.
pub(super) trait Restartable {
    fn name(&self) -> &str;

    /// Where its clients connect to.
    fn address(&self) -> &str;

    /// Where its data lies.
    fn data(&self) -> &Path;

    /// Starts it, and waits for nothing.
    fn start(&self) -> RunningServer;

    /// Brings a new one to where it takes writes.
    fn found(&self);

    /// Whether it says that it serves.
    fn is_ready(&self) -> bool;

    /// Brings its data into the form in which it is to be found at the next start.
    ///
    /// # Errors
    /// It did not get there.
    fn tidy(&self) -> io::Result<()>;
}

/// A node of ours, alone or with two others that stay.
pub(super) struct RestartedNode {
    name: String,
    cluster: Cluster,
    data: PathBuf,
    address: String,
    http: String,
    _others: Vec<Process>,
}

impl RestartedNode {
    pub(super) fn new(folder: &Path, nodes: usize) -> Self {
        let folder = folder.join("kv-node");
        create_dir(&folder).expect("the folder is ours");
        let cluster = Cluster::within(folder, nodes, "");
        let others = (1..nodes).map(|index| cluster.start_as(index, tied(cluster.command(index))));
        let others = others.collect();
        let mut addresses = free_ports(2).into_iter().map(|port| format!("127.0.0.1:{port}"));
        let mut address = || addresses.next().expect("two were asked for");
        let name = match nodes {
            1 => "kv-node, alone".to_owned(),
            _ => format!("kv-node, one of {nodes}"),
        };
        let (data, address, http) = (cluster.data_dir(0), address(), address());
        Self { name, cluster, data, address, http, _others: others }
    }
}

impl Restartable for RestartedNode {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn data(&self) -> &Path {
        &self.data
    }

    fn start(&self) -> RunningServer {
        let mut command = self.cluster.command(0);
        command.args(["--redis", &self.address, "--http", &self.http]);
        RunningServer::start(command, &self.cluster.log(0))
    }

    fn found(&self) {
        wait_for("a cluster that can be founded", || {
            let answer = http::ask(&self.http, "POST", "/admin/init").ok()?;
            answer.starts_with("HTTP/1.1 200").then_some(())
        });
    }

    fn is_ready(&self) -> bool {
        http::is_ok(&self.http, "/health/ready")
    }

    fn tidy(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A server of Redis's kind, alone.
pub(super) struct RestartedLogServer {
    program: RedisProgram,
    name: String,
    folder: PathBuf,
    port: u16,
    address: String,
}

impl RestartedLogServer {
    pub(super) fn new(program: RedisProgram, folder: &Path) -> Self {
        let port = free_ports(1)[0];
        let folder = folder.join(program.name);
        create_dir(&folder).expect("the folder is ours");
        let name = format!("{} {}, alone", program.title, program.version);
        Self { program, name, folder, port, address: format!("127.0.0.1:{port}") }
    }

    fn ask(&self, words: &[&str]) -> io::Result<Answer> {
        Client::try_connect(&self.address)?.try_ask(words)
    }
}

impl Restartable for RestartedLogServer {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn data(&self) -> &Path {
        &self.folder
    }

    fn start(&self) -> RunningServer {
        let command = self.program.server(self.port, &self.folder);
        RunningServer::start(command, &self.folder.join("log"))
    }

    fn found(&self) {}

    fn is_ready(&self) -> bool {
        matches!(self.ask(&["PING"]), Ok(Answer::Simple(pong)) if pong == "PONG")
    }

    /// Rewrites the log, so that it holds every key once.
    fn tidy(&self) -> io::Result<()> {
        let begun = Instant::now();
        // One that it has begun by itself comes first.
        while let Answer::Error(_under_way) = self.ask(&["BGREWRITEAOF"])? {
            std::thread::sleep(Duration::from_millis(100));
        }
        loop {
            let Answer::Bulk(Some(info)) = self.ask(&["INFO", "persistence"])? else {
                return Err(io::Error::other("it says nothing of its log"));
            };
            let info = String::from_utf8_lossy(&info).into_owned();
            let has = |line: &str| info.lines().any(|said| said == line);
            if has("aof_rewrite_in_progress:0") && has("aof_rewrite_scheduled:0") {
                return match has("aof_last_bgrewrite_status:ok") {
                    true => Ok(()),
                    false => Err(io::Error::other("its log could not be rewritten")),
                };
            }
            if begun.elapsed() > REWRITING_MAX {
                return Err(io::Error::other("rewriting its log takes too long"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
