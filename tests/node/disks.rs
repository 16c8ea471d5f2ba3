//! Disks that fail, and disks that are full, under real nodes.

use std::path::Path;
use std::process::Command;

use crate::support::{Answer, Client, Cluster, wait_for};

/// Larger than what a node says to its log, and smaller than what it is made to write.
const FILE_BYTES_MAX: usize = 64 * 1_024;

/// Puts a program and its arguments before a command.
fn before(words: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(words[0]);
    wrapped.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

#[test]
fn a_node_whose_disk_fails_ends_visibly_and_the_others_go_on() {
    let cluster = Cluster::new("disk-fails", 3);
    // The disk fails when the system allows no file to grow: a write is refused then (EFBIG). The
    // signal that would come with it is ignored, as it is no part of a failing disk.
    let deaf = before(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"], &cluster.command(0));
    let failing = cluster.start_as(0, deaf);
    let nodes = [cluster.start(1), cluster.start(2)];
    let (mut client, value) = (nodes[0].client(), "v".repeat(1_024));
    for key in 0..2 * FILE_BYTES_MAX / value.len() {
        assert_eq!(client.ask(&["SET", &format!("before-{key}"), &value]), Answer::ok());
    }
    assert_eq!(failing.client().ask(&["SET", "mine", "kept"]), Answer::ok());

    let limit = format!("--fsize={FILE_BYTES_MAX}");
    let limited =
        Command::new("prlimit").args(["--pid", &failing.id().to_string(), &limit]).status();
    assert!(limited.expect("util-linux has prlimit").success());
    for key in 0..100 {
        assert_eq!(client.ask(&["SET", &format!("after-{key}"), "kept"]), Answer::ok(), "{key}");
    }
    assert_eq!(failing.ended().code(), Some(1));
    let log = std::fs::read_to_string(cluster.log(0)).expect("it logs");
    assert!(log.contains("the disk failed"), "{log}");
    assert!(log.contains("node n1 cannot go on"), "{log}");

    // The disk is replaced by a good one that holds what the bad one held.
    let returned = cluster.start(0);
    let mut client = returned.client();
    assert_eq!(client.ask(&["GET", "mine"]), Answer::bulk("kept"));
    assert_eq!(client.ask(&["GET", "after-99"]), Answer::bulk("kept"));
}

/// A command that runs another one with a small disk at a folder, seen by nobody else.
fn with_small_disk(size: &str, at: &Path, command: &Command) -> Command {
    std::fs::create_dir_all(at).expect("the folder is ours");
    let mount = "mount -t tmpfs -o \"size=$0\" none \"$1\" && shift && exec \"$@\"";
    let at = at.to_str().expect("it is text");
    before(
        &["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, size, at],
        command,
    )
}

/// Writes until the node says that its disk is full. Returns how many writes it took.
fn fill(client: &mut Client, value: &str) -> usize {
    let mut taken = 0;
    while client.ask(&["SET", &format!("key-{taken}"), value]) == Answer::ok() {
        taken += 1;
    }
    wait_for("the disk to be full", || {
        let answer = client.ask(&["SET", "one-more", value]);
        let refused = matches!(&answer, Answer::Error(why) if why.contains("the disk is full"));
        refused.then_some(())
    });
    taken
}

/// A small disk can be mounted without privileges where the system has user namespaces for
/// everybody. Elsewhere there is nothing to try, and the test says so.
#[test]
fn a_full_disk_refuses_writes_and_serves_reads() {
    let here = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small-disk");
    let tried = with_small_disk("1m", &here, &Command::new("true")).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        eprintln!("not tried: no disk can be mounted here without privileges");
        return;
    }
    // The first is full when the log is written, the second when tables are.
    for (size, value_bytes) in [("4m", 10_000), ("100m", 100_000)] {
        let cluster = Cluster::new("disk-full", 1);
        let command = with_small_disk(size, &cluster.data_dir(0), &cluster.command(0));
        let node = cluster.start_as(0, command);
        let value = incompressible(value_bytes);
        let mut client = node.client();
        let taken = fill(&mut client, &value);
        assert!(taken > 0, "{size}");
        for key in [0, taken / 2, taken - 1] {
            assert_eq!(client.ask(&["GET", &format!("key-{key}")]), Answer::bulk(&value), "{size}");
        }
        assert_eq!(node.http("/health/ready").0, 200, "{size}: it serves reads");
        assert_eq!(node.signal("TERM").code(), Some(0), "{size}");
    }
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
