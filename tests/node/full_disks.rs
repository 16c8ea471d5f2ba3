//! Nodes whose disks are full, or that have no file descriptors left: they say so, read on, and take
//! writes again by themselves when that has passed.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::small_disk::SmallDisk;
use crate::support::{Answer, Client, Cluster, Process, QUICK, wait_for};

/// How long a node may refuse writes after there is room again. Far more than it takes, and less than
/// an operator is promised.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// Settings of a node that writes until the disk refuses.
const WITHOUT_RESERVE: &str = "partitions = 64\n\
    [node]\ngossip_interval_ms = 200\nrepair_interval_ms = 200\nhedge_ms = 20\n\
    [limits]\ndisk_reserve_bytes = 0\n";

fn cluster(test: &str, nodes: usize, settings: &'static str) -> Cluster {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("an earlier run's folder goes");
    }
    std::fs::create_dir_all(&folder).expect("a new folder");
    Cluster::within(folder, nodes, settings)
}

/// Starts a node on its disk.
fn start(cluster: &Cluster, disk: &SmallDisk, index: usize) -> Process {
    cluster.start_as(index, disk.under(&cluster.command(index)))
}

/// Starts a cluster of one node for the first time.
fn start_alone(cluster: &Cluster, disk: &SmallDisk) -> Process {
    let node = start(cluster, disk, 0);
    node.found();
    node
}

/// Waits until three nodes have found each other and serve.
fn wait_for_links(nodes: &[Process]) {
    for node in nodes {
        wait_for("links", || (node.metric("kv_peer_links_up") == 2.0).then_some(()));
    }
}

/// Founds a cluster of nodes that have found each other, and waits until all of them serve.
fn found(nodes: &[Process]) {
    wait_for_links(nodes);
    nodes[0].found();
    for node in nodes {
        wait_for("a node that serves", || {
            let asked = node.client().ask(&["EXISTS", "a"]);
            (!matches!(asked, Answer::Error(_))).then_some(())
        });
    }
}

/// What clients write and must find again.
#[derive(Default)]
struct Written {
    keys: Vec<String>,
}

impl Written {
    /// Writes one more value, and remembers it if it was acknowledged.
    fn write(&mut self, client: &mut Client, value: &str) -> Answer {
        let key = format!("key-{}", self.keys.len());
        let answer = client.ask(&["SET", &key, value]);
        if answer == Answer::ok() {
            self.keys.push(key);
        }
        answer
    }

    /// Writes until the node says in words that its disk is full.
    fn write_until_full(&mut self, client: &mut Client, value: &str) {
        wait_for("the disk to be full", || {
            let answer = self.write(client, value);
            says_full(&answer).then_some(())
        });
    }

    /// Writes until a write is acknowledged, which must not take long after there is room.
    fn write_again(&mut self, client: &mut Client, value: &str) {
        let begun = Instant::now();
        wait_for("a write", || (self.write(client, value) == Answer::ok()).then_some(()));
        let took = begun.elapsed();
        assert!(took < RECOVERY_MAX, "it took {took:?} to go on");
    }

    fn check(&self, client: &mut Client, value: &str) {
        for key in &self.keys {
            assert_eq!(client.ask(&["GET", key]), Answer::bulk(value), "{key}");
        }
    }
}

fn says_full(answer: &Answer) -> bool {
    matches!(answer, Answer::Error(why) if why.starts_with("UNAVAILABLE") && why.contains("the disk is full"))
}

const FULL: &str = "kv_storage_state{state=\"full\"}";

fn wait_state(node: &Process, metric: &str) {
    wait_for(metric, || (node.metric(metric) == 1.0).then_some(()));
}

/// The lines of a node's log that hold some words.
fn lines(cluster: &Cluster, index: usize, words: &str) -> usize {
    let log = std::fs::read_to_string(cluster.log(index)).expect("it logs");
    log.lines().filter(|line| line.contains(words)).count()
}

/// Letters without a pattern that a compressor would find.
fn incompressible(bytes: usize) -> String {
    let mut state = 1_u64;
    let letter = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + ((state >> 33) % 90) as u8)
    });
    letter.take(bytes).collect()
}

#[test]
fn a_full_disk_is_told_to_everybody_and_writes_go_on_when_there_is_room() {
    let cluster = cluster("full-told", 1, QUICK);
    let Some(disk) = SmallDisk::mount(&cluster.data_dir(0), "128m") else { return };
    let node = start_alone(&cluster, &disk);
    let (mut client, mut written, value) = (node.client(), Written::default(), "v".repeat(1_000));
    for _ in 0..50 {
        assert_eq!(written.write(&mut client, &value), Answer::ok());
    }
    for round in 1..=2 {
        disk.fill();
        // Nobody needs to write for that.
        wait_state(&node, FULL);
        assert!(node.http("/health/ready").1.contains("\"code\":\"disk-full\""));
        assert_eq!(node.metric("kv_disk_bytes{what=\"free\"}"), 0.0);
        assert!(node.metric("kv_disk_bytes{what=\"total\"}") > 90e6);
        assert!(says_full(&written.write(&mut client, &value)));
        written.check(&mut client, &value);
        disk.empty();
        written.write_again(&mut client, &value);
        wait_state(&node, "kv_storage_state{state=\"writable\"}");
        assert!(!node.http("/health/ready").1.contains("\"code\":\"disk-full\""));
        // Lines are written by a thread of their own.
        for words in ["writes are refused: the disk is full", "writes are taken again after"] {
            wait_for(words, || (lines(&cluster, 0, words) >= round).then_some(()));
            assert_eq!(lines(&cluster, 0, words), round);
        }
    }
    node.kill();
    let node = start(&cluster, &disk, 0);
    written.check(&mut node.client(), &value);
}

#[test]
fn a_node_whose_writes_failed_for_want_of_room_goes_on_and_has_lost_none() {
    // The first is full when the log needs a new file, the second when tables are written.
    for (size, larger, value_bytes) in [("20m", "100m", 100_000), ("70m", "400m", 500_000)] {
        let cluster = cluster("full-failed", 1, WITHOUT_RESERVE);
        let Some(disk) = SmallDisk::mount(&cluster.data_dir(0), size) else { return };
        let node = start_alone(&cluster, &disk);
        let (mut client, mut written) = (node.client(), Written::default());
        let value = incompressible(value_bytes);
        written.write_until_full(&mut client, &value);
        assert!(!written.keys.is_empty(), "{size}");
        wait_state(&node, FULL);
        written.check(&mut client, &value);
        disk.grow(larger);
        written.write_again(&mut client, &value);
        for _ in 0..100 {
            assert_eq!(written.write(&mut client, &value), Answer::ok(), "{size}");
        }
        written.check(&mut client, &value);
        node.kill();
        let node = start(&cluster, &disk, 0);
        written.check(&mut node.client(), &value);
        assert_eq!(node.signal("TERM").code(), Some(0), "{size}");
    }
}

#[test]
fn three_full_disks_refuse_in_words_and_the_cluster_goes_on_when_there_is_room() {
    let cluster = cluster("full-three", 3, WITHOUT_RESERVE);
    let Some(disks) = SmallDisk::mount_all(&cluster, 3, "20m") else { return };
    let nodes: Vec<_> = (0..3).map(|index| start(&cluster, &disks[index], index)).collect();
    found(&nodes);
    let (mut client, mut written) = (nodes[0].client(), Written::default());
    let value = incompressible(100_000);
    for _ in 0..10 {
        assert_eq!(written.write(&mut client, &value), Answer::ok());
    }
    for disk in &disks {
        disk.fill();
    }
    written.write_until_full(&mut client, &value);
    // A write that two could not take any more may still time out; then all of them know.
    for (index, node) in nodes.iter().enumerate() {
        let mut client = node.client();
        wait_for("all to be full", || {
            let full = says_full(&client.ask(&["SET", &format!("full-{index}"), &value]));
            (full && node.metric(FULL) == 1.0).then_some(())
        });
        written.check(&mut client, &value);
    }
    for disk in &disks {
        disk.empty();
        disk.grow("100m");
    }
    for node in &nodes {
        written.write_again(&mut node.client(), &value);
    }
    for _ in 0..50 {
        assert_eq!(written.write(&mut client, &value), Answer::ok());
    }
    for node in nodes {
        node.kill();
    }
    let nodes: Vec<_> = (0..3).map(|index| start(&cluster, &disks[index], index)).collect();
    wait_for_links(&nodes);
    for node in &nodes {
        written.check(&mut node.client(), &value);
    }
}

#[test]
fn one_full_disk_of_three_stops_no_write_and_catches_up() {
    let cluster = cluster("full-one", 3, WITHOUT_RESERVE);
    let Some(disk) = SmallDisk::mount(&cluster.data_dir(0), "20m") else { return };
    let nodes = [start(&cluster, &disk, 0), cluster.start(1), cluster.start(2)];
    found(&nodes);
    let [full, other, _] = &nodes;
    let (mut client, mut written) = (other.client(), Written::default());
    let value = incompressible(200_000);
    disk.fill();
    // What was made of the log before takes some more.
    wait_for("the log to be full", || {
        assert_eq!(written.write(&mut client, &value), Answer::ok());
        (full.metric(FULL) == 1.0).then_some(())
    });
    // Through the full node too: the others mint and keep.
    let mut through = full.client();
    for _ in 0..20 {
        assert_eq!(written.write(&mut through, &value), Answer::ok());
    }
    disk.empty();
    disk.grow("200m");
    wait_state(full, "kv_storage_state{state=\"writable\"}");
    // It holds what it missed, by hints or by repair: a read of itself alone finds it.
    let last = written.keys.last().expect("there are many").clone();
    wait_for("the last write", || {
        let answer = through.ask(&["KV.GET", &last, "R", "1"]);
        matches!(&answer, Answer::Array(parts) if !parts.is_empty()).then_some(())
    });
    written.check(&mut through, &value);
}

#[test]
fn a_start_on_a_full_disk_is_refused_in_words_and_harms_nothing() {
    let cluster = cluster("full-start", 1, QUICK);
    let Some(disk) = SmallDisk::mount(&cluster.data_dir(0), "96m") else { return };
    let node = start_alone(&cluster, &disk);
    let (mut client, mut written) = (node.client(), Written::default());
    for _ in 0..50 {
        assert_eq!(written.write(&mut client, "v"), Answer::ok());
    }
    node.kill();
    disk.fill();
    for _ in 0..3 {
        let refused = disk.under(&cluster.command(0)).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("the disk is full: make room and start again"), "{said}");
    }
    disk.empty();
    let node = start(&cluster, &disk, 0);
    let mut client = node.client();
    written.check(&mut client, "v");
    written.write_again(&mut client, "v");
}

#[test]
fn a_table_that_cannot_be_opened_for_want_of_descriptors_is_written_when_there_are_some() {
    let cluster = Cluster::new("out-of-files", 1);
    let node = cluster.start(0);
    let (mut client, mut written) = (node.client(), Written::default());
    let value = incompressible(900_000);
    assert_eq!(written.write(&mut client, &value), Answer::ok());
    let limit = |soft: usize| {
        let pid = node.id().to_string();
        let mut command = Command::new("prlimit");
        command.args(["--pid", &pid, &format!("--nofile={soft}:")]);
        assert!(command.status().expect("util-linux has prlimit").success());
    };
    let open = std::fs::read_dir(format!("/proc/{}/fd", node.id())).expect("it runs").count();
    limit(open);
    // More than a table in memory holds, so that one must be written.
    let refusal = (0..400).find_map(|_| match written.write(&mut client, &value) {
        Answer::Error(why) => Some(why),
        _ => None,
    });
    let refusal = refusal.expect("a table had to be written");
    assert!(
        refusal.contains("no file descriptors are left") || refusal.starts_with("TIMEOUT"),
        "{refusal}"
    );
    wait_for("words", || {
        let answer = written.write(&mut client, &value);
        matches!(&answer, Answer::Error(why) if why.contains("no file descriptors are left"))
            .then_some(())
    });
    limit(1_024);
    written.write_again(&mut client, &value);
    assert_eq!(lines(&cluster, 0, "writes are refused: no file descriptors are left"), 1);
    written.check(&mut client, &value);
    node.kill();
    written.check(&mut cluster.start(0).client(), &value);
}
