//! Disks that fail under real nodes.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::corruption_rounds;
use crate::support::{Answer, Client, Cluster, Process, before, wait_for};

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

/// Asks a node alone for a key.
fn read(client: &mut Client, key: &str) -> Answer {
    client.ask(&["KV.GET", key, "R", "1"])
}

/// Tells whether an answer shows a value.
fn shows(answer: &Answer, value: &str) -> bool {
    match answer {
        Answer::Array(parts) => parts.iter().any(|part| shows(part, value)),
        answer => *answer == Answer::bulk(value),
    }
}

/// Asks a node alone for a key until it is ready: if it answers before, it has the newest value all the same.
fn read_until_ready(node: &Process, key: &str, newest: &str) {
    let mut client = node.client();
    wait_for("a node that is ready", || {
        let is_ready = node.http("/health/ready").0 == 200;
        let answer = read(&mut client, key);
        let is_refused = matches!(answer, Answer::Error(_));
        assert!(shows(&answer, newest) || is_refused && !is_ready, "{answer:?}");
        is_ready.then_some(())
    });
}

/// Writes a key through another node, which is so told how far the log of the first has come, and waits
/// until that one has it.
fn write_and_await(writer: &mut Client, node: &Process, key: &str, value: &str) {
    assert_eq!(writer.ask(&["SET", key, value]), Answer::ok());
    let mut client = node.client();
    wait_for("the node to hold it", || shows(&read(&mut client, key), value).then_some(()));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("there is room");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it can be read");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("there is room");
        }
    }
}

fn remembers_more(cluster: &Cluster) -> usize {
    let log = fs::read_to_string(cluster.log(0)).expect("it logs");
    log.matches("a peer remembers more of this node's log").count()
}

#[test]
fn a_node_on_an_old_image_of_its_disk_is_told_so_and_answers_no_reads_before_it_has_copied() {
    let cluster = Cluster::with("old-image", 3, corruption_rounds::SETTINGS);
    let mut nodes = cluster.start_all();
    let mut writer = nodes[1].client();
    write_and_await(&mut writer, &nodes[0], "key", "old");
    assert_eq!(nodes.remove(0).signal("TERM").code(), Some(0), "it stops cleanly");
    let (data, image) = (cluster.data_dir(0).join("data"), cluster.data_dir(0).join("image"));
    copy(&data, &image);

    let node = cluster.start(0);
    write_and_await(&mut writer, &node, "key", "new");
    node.kill();
    fs::remove_dir_all(&data).expect("it is there");
    copy(&image, &data);
    let node = cluster.start(0);
    read_until_ready(&node, "key", "new");
    assert_eq!(remembers_more(&cluster), 1);

    // What it has copied it may trust at the next start.
    assert_eq!(node.signal("TERM").code(), Some(0), "it stops cleanly");
    let node = cluster.start(0);
    read_until_ready(&node, "key", "new");
    assert_eq!(remembers_more(&cluster), 1);
}

#[test]
fn a_log_that_was_cut_so_that_it_looks_torn_is_missed_by_those_who_were_told_of_it() {
    let cluster = Cluster::with("cut-log", 3, corruption_rounds::SETTINGS);
    let mut nodes = cluster.start_all();
    let mut writer = nodes[1].client();
    write_and_await(&mut writer, &nodes[0], "key", "old");
    let node = nodes.remove(0);
    write_and_await(&mut writer, &node, "key", "new");
    node.kill();
    // All from the frame of the last write on is gone, as if it had never reached the disk.
    let log = cluster.data_dir(0).join("data/log");
    let segments =
        fs::read_dir(&log).expect("it is there").map(|entry| entry.expect("it is").path());
    let mut is_cut = false;
    for path in segments {
        let mut bytes = fs::read(&path).expect("it can be read");
        if let Some(at) = bytes.windows(3).rposition(|word| word == b"new") {
            let frame = bytes[..at].windows(3).rposition(|word| word == b"KVF").expect("a frame");
            bytes[frame - 8..].fill(0);
            fs::write(&path, bytes).expect("there is room");
            is_cut = true;
        }
    }
    assert!(is_cut, "the log holds what was written last");
    let node = cluster.start(0);
    read_until_ready(&node, "key", "new");
    assert_eq!(remembers_more(&cluster), 1);
}
