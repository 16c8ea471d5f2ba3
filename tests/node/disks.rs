//! Disks that fail under real nodes.

use std::process::Command;

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
fn a_start_without_a_file_of_the_engine_names_it_and_makes_nothing_in_its_place() {
    let cluster = Cluster::new("file-lost", 1);
    let node = cluster.start(0);
    assert_eq!(node.client().ask(&["SET", "mine", "kept"]), Answer::ok());
    assert_eq!(node.signal("TERM").code(), Some(0));
    let data = cluster.data_dir(0).join("data");
    let aside = cluster.data_dir(0).join("aside");
    for name in ["version", "keyspaces/1/current", "keyspaces/1/v0", "keyspaces/0/current"] {
        let file = data.join(name);
        std::fs::rename(&file, &aside).expect("it is there");
        let refused = cluster.command(0).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(1), "{name}");
        let said = String::from_utf8_lossy(&refused.stderr);
        let named = format!("{}, a file of the storage engine, is missing", file.display());
        assert!(said.contains(&named), "{said}");
        assert!(said.contains("one node at a time") && !said.contains("room"), "{said}");
        assert!(!file.exists(), "{name}");
        std::fs::rename(&aside, &file).expect("it can be brought back");
    }
    // Its lock is no data, and who cleans it away does no harm.
    std::fs::remove_file(data.join("lock")).expect("it is there");
    assert_eq!(cluster.start(0).client().ask(&["GET", "mine"]), Answer::bulk("kept"));
}
