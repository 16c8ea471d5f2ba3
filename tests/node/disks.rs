//! Disks that fail under real nodes.

use std::process::Command;

use crate::corruption_rounds;
use crate::support::{Answer, Cluster, before, wait_for};

/// Larger than what a node says to its log, and smaller than what it is made to write.
const FILE_BYTES_MAX: usize = 64 * 1_024;

#[test]
fn a_node_whose_disk_fails_ends_visibly_and_the_others_go_on() {
    let cluster = Cluster::new("disk-fails", 3);
    // The disk fails when the system allows no file to grow: a write is refused then (EFBIG). The
    // signal that would come with it is ignored, as it is no part of a failing disk.
    let deaf = before(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"], &cluster.command(0));
    let failing = cluster.start_as(0, deaf);
    let nodes = [cluster.start(1), cluster.start(2)];
    nodes[0].found();
    for node in nodes.iter().chain([&failing]) {
        wait_for("a node that serves", || {
            let asked = node.client().ask(&["EXISTS", "a"]);
            (!matches!(asked, Answer::Error(_))).then_some(())
        });
    }
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

#[test]
fn a_node_whose_files_were_corrupted_has_every_value_again_in_seconds() {
    let cluster = Cluster::with("corruption-rounds", 3, corruption_rounds::SETTINGS);
    let arguments = corruption_rounds::Arguments { rounds: 12, seed: Some(3) };
    let counts = corruption_rounds::run(&cluster, &arguments).expect("the seed is given");
    assert!(counts.wrong.is_empty(), "{:#?}", counts.wrong);
    assert!(counts.told > 3, "{counts:?}");
}
