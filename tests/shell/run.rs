//! One seed: a cluster under clients and faults, then in peace, and what it came to.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use kv_core::admin::{AdminCommand, AdminReply};
use madsim::net::NetSim;
use madsim::runtime::{Handle, NodeHandle, Runtime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::accounts::Counts;
use crate::chance::Chance;
use crate::client::{Answer, Client};
use crate::cluster::{self, Cluster, ClusterShape, NODES};
use crate::history::History;
use crate::log::{Log, Verdict};
use crate::workload::{Shared, Worker};

/// How long faults go on.
const CHAOS: Duration = Duration::from_secs(12);

/// After this long nothing is held up any more: the runtime tries a way that was clogged again after
/// 10 s at the latest.
const LAST_ARRIVAL: Duration = Duration::from_secs(11);

/// How long anything may take to come right after the last fault.
const RECOVERY: Duration = Duration::from_secs(30);

/// The simulated time after which a run is given up: nothing in it waits for as long.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Clients.
const CLIENTS: usize = 4;

/// Streams of chance.
const OF_SHAPE: u64 = 1;
const OF_WEATHER: u64 = 2;
const OF_PARTITIONS: u64 = 3;
const OF_WIRES: u64 = 4;
const OF_RECONNECTS: u64 = 5;
const OF_FATES: u64 = 10;
const OF_CLIENTS: u64 = 20;

/// Runs a seed in a thread of its own, for hash maps keep their seeds by thread.
pub(crate) fn run(seed: u64, is_shown: bool) -> Verdict {
    let world = move || {
        let mut runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
        runtime.set_time_limit(TIME_LIMIT);
        runtime.block_on(scenario(seed, is_shown))
    };
    let outcome = std::thread::spawn(world).join();
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn scenario(seed: u64, is_shown: bool) -> Verdict {
    let log = Log::new(is_shown);
    let mut chance = Chance::new(seed, OF_SHAPE);
    let small = chance.percent(30);
    let shape = ClusterShape {
        seed,
        queue: if small { chance.between(16..40) } else { 65_536 },
        sync: chance.ms(0..20),
        hedge_ms: chance.between(10..100),
    };
    log.note(format_args!("{shape:?}"));
    let cluster = Arc::new(Cluster::build(shape, &log));
    let scene = Scene { cluster, log, history: History::default(), seed, shape };
    scene.play().await;
    scene.log.verdict()
}

/// What every part of a run needs.
#[derive(Clone)]
struct Scene {
    cluster: Arc<Cluster>,
    log: Log,
    history: History,
    seed: u64,
    shape: ClusterShape,
}

impl Scene {
    async fn play(&self) {
        for machine in &self.cluster.machines {
            machine.lock().await.start().await;
        }
        self.await_links().await;
        self.found().await;
        let (stop, stopping) = watch::channel(false);
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1));
        let visitors = Handle::current().create_node().name("visitors").ip(ip).build();
        let clients = self.send_clients(&visitors, &stopping);
        self.rage().await;
        self.await_links().await;
        if self.log.is_violated() {
            // What follows would say the same again, more slowly.
            return;
        }
        self.reconnect().await;
        stop.send_replace(true);
        for client in clients {
            client.await.expect("a client ends");
        }
        self.await_calm().await;
        self.check_calm().await;
        let scene = self.clone();
        let checks = async move {
            scene.check_data().await;
            scene.check_http().await;
        };
        visitors.spawn(checks).await.expect("the checks end");
        for machine in &self.cluster.machines {
            machine.lock().await.stop().await;
        }
        self.cluster.judge_ended().await;
    }

    /// Tells the first node to found the cluster, as an operator does once.
    async fn found(&self) {
        let core = {
            let machine = self.cluster.machines[0].lock().await;
            machine.running().expect("it was started").core().clone()
        };
        let order = AdminCommand::Init { without: Vec::new() };
        match core.admin(order).await {
            Ok(AdminReply::Founded { .. }) => {}
            other => self.log.violated("founding", format_args!("{other:?}")),
        }
    }

    fn send_clients(
        &self,
        visitors: &NodeHandle,
        stopping: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let begin = |index: usize| {
            let shared = Shared {
                redis: (0..NODES).map(cluster::redis).collect(),
                history: self.history.clone(),
                log: self.log.clone(),
            };
            let chance = Chance::new(self.seed, OF_CLIENTS + index as u64);
            visitors.spawn(Worker::new(index, shared, chance).run(stopping.clone()))
        };
        (0..CLIENTS).map(begin).collect()
    }

    /// Faults of all kinds, side by side; in the end none is left.
    async fn rage(&self) {
        let end = Instant::now() + CHAOS;
        let mut troubles = vec![
            tokio::spawn(self.clone().weather(end)),
            tokio::spawn(self.clone().partitions(end)),
            tokio::spawn(self.clone().break_wires(end)),
        ];
        troubles.extend((0..NODES).map(|index| tokio::spawn(self.clone().fate(index, end))));
        for trouble in troubles {
            trouble.await.expect("a trouble ends");
        }
        self.log.note("peace");
    }

    /// Latency and loss, which are the same everywhere.
    async fn weather(self, end: Instant) {
        let mut chance = Chance::new(self.seed, OF_WEATHER);
        while Instant::now() < end {
            let (lost, latency) = (chance.between(0..8), chance.between(2..60));
            let percent = if chance.percent(50) { 0 } else { lost };
            set_weather(percent, latency);
            self.log.note(format_args!("weather: {percent} % lost, up to {latency} ms"));
            sleep(chance.ms(500..4_000)).await;
        }
        set_weather(0, 10);
    }

    /// One machine at a time is cut off, or only heard, or only hears.
    async fn partitions(self, end: Instant) {
        let mut chance = Chance::new(self.seed, OF_PARTITIONS);
        loop {
            sleep(chance.ms(200..5_000)).await;
            if Instant::now() >= end {
                return;
            }
            let victim = chance.index(NODES);
            let [out, back] =
                [[true, true], [true, true], [true, false], [false, true]][chance.index(4)];
            self.log.note(format_args!("partition of n{}: out {out}, in {back}", victim + 1));
            self.log.count("partitions");
            let ways = [(true, out), (false, back)];
            for (way, is_clogged) in ways {
                if is_clogged {
                    self.cluster.clog(victim, way, true).await;
                }
            }
            sleep(chance.ms(100..4_000)).await;
            for (way, is_clogged) in ways {
                if is_clogged {
                    self.cluster.clog(victim, way, false).await;
                }
            }
            self.log.note(format_args!("n{} heals", victim + 1));
        }
    }

    /// Connections end, at all moments.
    async fn break_wires(self, end: Instant) {
        let mut chance = Chance::new(self.seed, OF_WIRES);
        while Instant::now() < end {
            sleep(chance.ms(20..1_500)).await;
            let wire = &self.cluster.wires[chance.index(self.cluster.wires.len())];
            match chance.between(0..3) {
                0 => wire.cut(),
                1 => wire.tear(),
                _ => wire.flicker(chance.between(1..4)),
            }
        }
        for wire in &self.cluster.wires {
            wire.stop_troubles();
        }
    }

    /// One machine is killed or stopped, now and then, and started again.
    async fn fate(self, index: usize, end: Instant) {
        let mut chance = Chance::new(self.seed, OF_FATES + index as u64);
        loop {
            sleep(chance.ms(500..9_000)).await;
            if Instant::now() >= end {
                return;
            }
            let mut machine = self.cluster.machines[index].lock().await;
            if chance.percent(60) {
                machine.kill();
            } else {
                machine.stop().await;
            }
            sleep(chance.ms(1..3_000)).await;
            machine.start().await;
            self.log.count("restarts");
        }
    }

    /// Connections break while everybody can be reached: then nothing that waited may be dropped.
    async fn reconnect(&self) {
        let mut chance = Chance::new(self.seed, OF_RECONNECTS);
        let before = self.cluster.counts().await;
        for _ in 0..chance.between(5..15) {
            let wire = &self.cluster.wires[chance.index(self.cluster.wires.len())];
            self.log.note(format_args!("n{}>n{} flickers", wire.from + 1, wire.to + 1));
            self.log.count("reconnects");
            wire.flicker(chance.between(1..4));
            sleep(chance.ms(20..400)).await;
        }
        for wire in &self.cluster.wires {
            wire.stop_troubles();
        }
        self.await_links().await;
        let after = self.cluster.counts().await;
        for ((life, before), (_, after)) in before.iter().zip(&after) {
            // A small queue may be full by its rule.
            if self.shape.queue >= 65_536 && before.dropped != after.dropped {
                let dropped = after.dropped - before.dropped;
                let what = format_args!(
                    "n{} dropped {dropped} messages for peers that it could reach",
                    life.0 + 1
                );
                self.log.violated("reconnect", what);
            }
        }
    }

    /// Every node has a link to every other, as the wires see it too, and nothing waits.
    async fn await_links(&self) {
        let all_stand = |counts: &[Counts], standing: &[i64]| {
            let others = NODES as i64 - 1;
            counts.iter().all(|counts| counts.links_up == others)
                && standing.iter().all(|standing| *standing == others)
        };
        let is_settled = async || {
            let all = self.cluster.counts().await;
            let standing: Vec<_> =
                all.iter().map(|(life, _)| self.cluster.ledger.seen(*life).standing).collect();
            let counts: Vec<_> = all.into_iter().map(|(_, counts)| counts).collect();
            let settled =
                all_stand(&counts, &standing) && counts.iter().all(|counts| counts.waiting() == 0);
            if settled {
                Ok(())
            } else {
                Err(format!("{counts:?}, links by the wires: {standing:?}"))
            }
        };
        let begun = Instant::now();
        loop {
            let Err(state) = is_settled().await else { return };
            if begun.elapsed() > RECOVERY {
                // Whichever of the two it is that does not come right.
                let waits =
                    self.cluster.counts().await.iter().any(|(_, counts)| counts.waiting() != 0);
                let check = if waits { "conservation" } else { "links" };
                self.log.violated(check, state);
                return;
            }
            // Not a multiple of anything that the nodes do.
            sleep(Duration::from_millis(7)).await;
        }
    }

    /// Nobody seems down, nothing is in flight, and no hint is left.
    async fn await_calm(&self) {
        sleep(LAST_ARRIVAL).await;
        let begun = Instant::now();
        loop {
            let mut inspections = Vec::new();
            for machine in &self.cluster.machines {
                let machine = machine.lock().await;
                let running = machine.running().expect("all run");
                inspections.push(running.core().inspect().await);
            }
            let is_calm = inspections.iter().all(|inspection| {
                inspection.as_ref().is_ok_and(|core| {
                    let counts = &core.counts;
                    counts.operations == 0
                        && counts.peers_down == 0
                        && counts.hints_pending == 0
                        && counts.partitions_complete == counts.partitions_owned
                })
            });
            if is_calm {
                return;
            }
            if begun.elapsed() > RECOVERY {
                self.log.violated("recovery", format_args!("{inspections:?}"));
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is under way comes and goes; what is lost stays lost. So of many looks at the sums, the
    /// smallest difference is what was lost, and with no trouble it does not grow. (A node loses what
    /// is under way to it on a connection that it gives up, because it is silent or another one has
    /// taken its place. Nobody gives up a connection with no trouble.)
    async fn check_calm(&self) {
        let (lost_before, unreceived_before) = self.least_missing().await;
        let (lost_after, unreceived_after) = self.least_missing().await;
        for node in 0..NODES {
            if lost_before[node] != lost_after[node] {
                let (before, after) = (lost_before[node], lost_after[node]);
                let what = format_args!(
                    "of n{}'s messages the wires miss {before}, and then {after}",
                    node + 1
                );
                self.log.violated("delivery", what);
            }
            if unreceived_before[node] != unreceived_after[node] {
                let (before, after) = (unreceived_before[node], unreceived_after[node]);
                let what = format_args!(
                    "n{} has not received {before} messages, and then {after}",
                    node + 1
                );
                self.log.violated("delivery", what);
            }
        }
    }

    /// For each node, what it sent and no wire took, and what wires gave and it did not receive.
    async fn least_missing(&self) -> ([i64; NODES], [i64; NODES]) {
        let (mut unsent, mut unreceived) = ([i64::MAX; NODES], [i64::MAX; NODES]);
        for _ in 0..150 {
            for (life, counts) in self.cluster.counts().await {
                let seen = self.cluster.ledger.seen(life);
                let (node, _) = life;
                unsent[node] = unsent[node].min(counts.sent as i64 - seen.entered as i64);
                unreceived[node] =
                    unreceived[node].min((seen.left as i64 - counts.received as i64).abs());
            }
            sleep(Duration::from_millis(2)).await;
        }
        (unsent, unreceived)
    }

    /// Every node answers the same, from its own copy and from all, and nothing that was
    /// acknowledged is lost.
    async fn check_data(&self) {
        let mut clients = Vec::new();
        for node in 0..NODES {
            match Client::connect(cluster::redis(node)).await {
                Ok(client) => clients.push(client),
                Err(error) => {
                    self.log.violated("liveness", format_args!("n{}: {error}", node + 1));
                    return;
                }
            }
        }
        let began = self.history.now();
        let keys = self.history.keys();
        self.log.count_many("keys", keys.len() as u64);
        for key in keys {
            let mut held = Vec::new();
            for (node, client) in clients.iter_mut().enumerate() {
                for level in ["all", "one"] {
                    match client.ask(&["KV.GET", &key, "R", level]).await {
                        Ok(Answer::Array(fields)) => {
                            let answer = Answer::Array(fields);
                            let values =
                                answer.field("values").map(Answer::texts).unwrap_or_default();
                            held.push(values.into_iter().collect::<BTreeSet<_>>());
                        }
                        other => {
                            let what = format_args!("n{} with no trouble: {other:?}", node + 1);
                            self.log.violated("availability", what);
                            return;
                        }
                    }
                }
            }
            self.log.note(format_args!("{key} holds {:?}", held[0]));
            if held.iter().any(|values| *values != held[0]) {
                self.log.violated("convergence", format_args!("{key}: {held:?}"));
            }
            let judged = self.history.check_fresh(&key, &held[0], began);
            if let Err(problem) = judged {
                self.log.violated("durability", problem);
            }
            if let Err(problem) = self.history.check_known(&key, &held[0]) {
                self.log.violated("causality", problem);
            }
        }
    }

    /// What an operator's tools see.
    async fn check_http(&self) {
        for node in 0..NODES {
            for (path, expected) in
                [("/health/ready", "\"ready\":true"), ("/metrics", "\nkv_ready 1\n")]
            {
                let request =
                    format!("GET {path} HTTP/1.1\r\nhost: kv\r\nconnection: close\r\n\r\n");
                let asked = async {
                    let mut stream = TcpStream::connect(cluster::http(node)).await?;
                    stream.write_all(request.as_bytes()).await?;
                    stream.flush().await?;
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).await?;
                    std::io::Result::Ok(answer)
                };
                let answer = timeout(RECOVERY, asked).await;
                let is_sound = matches!(&answer, Ok(Ok(text)) if text.starts_with("HTTP/1.1 200") && text.contains(expected));
                if !is_sound {
                    self.log.violated("http", format_args!("n{} {path}: {answer:?}", node + 1));
                }
            }
        }
    }
}

/// The share of packets that must be sent again, and the longest way, which is at least 1 ms.
fn set_weather(lost_percent: u64, latency_ms: u64) {
    NetSim::current().update_config(|config| {
        config.packet_loss_rate = lost_percent as f64 / 100.0;
        config.send_latency = Duration::from_millis(1)..Duration::from_millis(latency_ms);
    });
}
