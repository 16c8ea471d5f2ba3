//! Three machines, each with a disk that outlives what runs on it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kv_core::cx::Identity;
use kv_core::topology::Topology;
use kv_core::types::{ClusterId, Generation};
use kv_node::config::{Overrides, Settings};
use kv_node::draws::Draws;
use kv_node::http::About;
use kv_node::node::{Listeners, NodeParts, Running, Startup, Stopped};
use kv_node::storage::{MemoryDisk, Opening, Storage, StorageOptions};
use madsim::runtime::Handle;
use madsim::task::NodeId;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::accounts::{Counts, Ledger, Life};
use crate::log::Log;
use crate::wire::Wire;

/// Nodes of the cluster; each holds a copy of every key.
pub(crate) const NODES: usize = 3;

/// The longest that a clean stop may take: `limits.stop_ms` for what clients are owed, and a little
/// for everybody else.
const STOP_MAX: Duration = Duration::from_secs(6);

/// What a seed draws for the whole run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterShape {
    pub(crate) seed: u64,
    /// Messages that may wait for one peer.
    pub(crate) queue: u64,
    /// How long a disk takes for a sync.
    pub(crate) sync: Duration,
    pub(crate) hedge_ms: u64,
}

/// The cluster, and what lies between its nodes.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// By index. Whoever kills or restarts one holds its lock.
    pub(crate) machines: Vec<Mutex<Machine>>,
    pub(crate) wires: Vec<Arc<Wire>>,
    pub(crate) ledger: Ledger,
    log: Log,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    index: usize,
    node: NodeId,
    shape: ClusterShape,
    disk: MemoryDisk,
    generation: Generation,
    life: Life,
    running: Option<Running>,
    /// What its lives that have ended said last.
    ended: Vec<(Life, Counts)>,
    ledger: Ledger,
    log: Log,
}

/// Where a node listens for clients.
pub(crate) fn redis(index: usize) -> SocketAddr {
    SocketAddr::new(ip(index), 6_379)
}

/// Where it listens for health checks and metrics.
pub(crate) fn http(index: usize) -> SocketAddr {
    SocketAddr::new(ip(index), 8_080)
}

fn peer(index: usize) -> SocketAddr {
    SocketAddr::new(ip(index), 7_000)
}

const fn ip(index: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, index as u8 + 1))
}

impl Cluster {
    /// Machines on which nothing runs, and the wires between them.
    pub(crate) fn build(shape: ClusterShape, log: &Log) -> Self {
        let ledger = Ledger::default();
        let machine = |index: usize| {
            let name = format!("n{}", index + 1);
            let node = Handle::current().create_node().name(name).ip(ip(index)).build().id();
            Mutex::new(Machine {
                index,
                node,
                shape,
                disk: MemoryDisk::default(),
                generation: Generation(0),
                life: (index, 0),
                running: None,
                ended: Vec::new(),
                ledger: ledger.clone(),
                log: log.clone(),
            })
        };
        let machines = (0..NODES).map(machine).collect();
        let pairs = (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to)));
        let wires = pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| Wire::lay((from, to), peer(to), shape.seed, &ledger, log))
            .collect();
        Self { machines, wires, ledger, log: log.clone() }
    }

    /// Holds up, or no longer, what a machine sends to its peers (`out`) or hears of them.
    pub(crate) async fn clog(&self, index: usize, out: bool, is_clogged: bool) {
        let machine = self.machines[index].lock().await.node;
        for wire in self.wires.iter().filter(|wire| wire.from == index || wire.to == index) {
            wire.clog(machine, out, is_clogged);
        }
    }

    /// What the nodes say that they have done, and in which lives; those that run.
    pub(crate) async fn counts(&self) -> Vec<(Life, Counts)> {
        let mut all = Vec::new();
        for machine in &self.machines {
            let machine = machine.lock().await;
            all.extend(
                machine
                    .running
                    .as_ref()
                    .map(|running| (machine.life, Counts::of(running.metrics()))),
            );
        }
        all
    }

    /// Judges all lives that have ended.
    pub(crate) async fn judge_ended(&self) {
        for machine in &self.machines {
            for (life, counts) in &machine.lock().await.ended {
                self.log.count_many("messages_dropped", counts.dropped);
                self.ledger.judge_ended(*life, counts, &self.log);
            }
        }
    }
}

impl Machine {
    /// Starts the node, as after the machine was switched on.
    pub(crate) async fn start(&mut self) {
        let handle = Handle::current();
        // A new process; of an earlier one nothing is left.
        handle.restart(self.node);
        self.life = self.ledger.begin(self.index);
        self.log.note(format_args!("n{} starts life {}", self.index + 1, self.life.1));
        self.generation.0 += 1;
        let (disk, generation) = (self.disk.clone(), self.generation);
        let (settings, sync) = (settings(self.index, &self.shape), self.shape.sync);
        let node = handle.get_node(self.node).expect("it was created");
        let started = node.spawn(begin(settings, disk, generation, sync));
        self.running = Some(started.await.expect("a sound node starts"));
    }

    /// Switches the machine off: what is not on its disk is gone.
    pub(crate) fn kill(&mut self) {
        self.log.note(format_args!("n{} is killed", self.index + 1));
        self.log.count("kills");
        Handle::current().kill(self.node);
        if let Some(running) = self.running.take() {
            self.ended.push((self.life, Counts::of(running.metrics())));
        }
    }

    /// Stops the node as a signal does.
    pub(crate) async fn stop(&mut self) {
        self.log.note(format_args!("n{} is stopped", self.index + 1));
        self.log.count("stops");
        let Some(running) = self.running.take() else { return };
        let metrics = Arc::clone(running.metrics());
        let node = Handle::current().get_node(self.node).expect("it was created");
        let began = Instant::now();
        let stopped = node.spawn(async { running.stop().await }).await;
        let took = began.elapsed();
        if took > STOP_MAX || !matches!(stopped, Ok(Stopped::Clean)) {
            let what = format_args!("n{} stopped in {took:?}: {stopped:?}", self.index + 1);
            self.log.violated("shutdown", what);
        }
        self.log.note(format_args!("n{} has stopped", self.index + 1));
        Handle::current().kill(self.node);
        self.ended.push((self.life, Counts::of(&metrics)));
    }

    pub(crate) const fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }
}

/// What `kv-node start` does, with a disk in memory.
async fn begin(
    settings: Settings,
    disk: MemoryDisk,
    generation: Generation,
    sync: Duration,
) -> Running {
    let Settings { cluster, ring, addresses, node, name, listen, durability, core, limits, .. } =
        settings;
    let bound = Listeners::bind(listen).await.expect("the addresses are its own");
    let Listeners { redis, peer, http } = bound;
    let about =
        About { name: name.clone(), node, cluster: cluster.clone(), ring: Arc::clone(&ring) };
    let startup = Startup::new(&limits);
    let http = startup.serve_http(http, &limits, about);
    let options = StorageOptions {
        durability,
        queue_commands_max: limits.storage_queue,
        unsynced_bytes_max: limits.unsynced_bytes,
        memory_bytes_max: limits.memory_bytes,
        disk_reserve_bytes: limits.disk_reserve_bytes as u64,
    };
    let opening = Opening { node, core: &core, ring: &ring, options };
    let opened = Storage::new(disk.start(), &opening, sync, startup.report());
    let (storage, background, recovered) = opened.expect("the disk is sound");
    tokio::spawn(background.run());
    let topology = Arc::new(Topology::new(ring));
    let identity = Identity { node, generation, cluster: ClusterId::of(&cluster), topology };
    let draws = Draws::from_os().expect("the runtime draws");
    let parts = NodeParts {
        name,
        cluster,
        identity,
        addresses,
        core,
        limits,
        durability,
        storage,
        recovered,
        redis,
        peer,
        http,
        draws,
    };
    Running::start(startup, parts)
}

/// What the file of this node would say: its peers are at the other ends of its wires.
fn settings(index: usize, shape: &ClusterShape) -> Settings {
    let ClusterShape { queue, hedge_ms, .. } = shape;
    let (redis, own, http) = (redis(index), peer(index), http(index));
    let mut text = format!(
        "[cluster]\nname = \"shell\"\npartitions = 16\nn = {NODES}\n\
         [self]\nname = \"n{}\"\ndata_dir = \"none\"\n\
         redis = \"{redis}\"\npeer = \"{own}\"\nhttp = \"{http}\"\n\
         [node]\ngossip_interval_ms = 200\nrepair_interval_ms = 200\nhedge_ms = {hedge_ms}\n\
         [limits]\npeer_queue_messages = {queue}\n",
        index + 1
    );
    for other in 0..NODES {
        let address = if other == index { own } else { Wire::address(index, other) };
        let name = other + 1;
        writeln!(text, "[[member]]\nname = \"n{name}\"\naddress = \"{address}\"")
            .expect("a string takes every text");
    }
    Settings::parse("shell", &text, &Overrides::default()).expect("it makes sense")
}
