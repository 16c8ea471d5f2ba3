//! Nodes that may open few files.

use std::process::Command;

use crate::support::{Answer, Client, Cluster};

/// More clients than a node that may open so few files can have, and more data than fits its tables in
/// memory: it must open files.
#[test]
fn idle_clients_do_not_take_the_files_that_the_storage_needs() {
    const FILES: usize = 512;
    kv_node::descriptors::raise();
    let cluster = Cluster::new("descriptors", 1);
    let command = cluster.command(0);
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--nofile={FILES}:{FILES}")).arg(command.get_program());
    limited.args(command.get_args()).env("RUST_LOG", "warn");
    let node = cluster.start_as(0, limited);
    node.found();
    let mut client = node.client();
    assert_eq!(client.ask(&["SET", "first", "kept"]), Answer::ok());
    let idle: Vec<_> = (0..FILES + 100).map(|_| Client::connect(&node.redis)).collect();
    // What is kept in memory before a table is written, and a little more.
    let value = "v".repeat(1 << 20);
    for key in 0..80 {
        assert_eq!(
            client.ask(&["SET", &format!("key-{}", key % 8), &value]),
            Answer::ok(),
            "{key}"
        );
    }
    assert_eq!(node.http("/health/live").0, 200);
    assert_eq!(client.ask(&["GET", "first"]), Answer::bulk("kept"));
    drop(idle);
    assert_eq!(node.signal("TERM").code(), Some(0));
    let log = std::fs::read_to_string(cluster.log(0)).expect("it logs");
    assert!(log.contains("this process may open 512 files"), "{log}");
    assert!(log.contains("connections from 10000 to"), "{log}");
}

#[test]
fn a_soft_limit_is_raised_to_the_hard_one() {
    let cluster = Cluster::new("soft-limit", 1);
    let command = cluster.command(0);
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=64:1024").arg(command.get_program()).args(command.get_args());
    let node = cluster.start_as(0, limited);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.id())).expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[3..5], ["1024", "1024"], "{line}");
}

#[test]
fn a_process_that_may_open_too_few_files_does_not_start() {
    let cluster = Cluster::new("too-few-files", 1);
    let command = cluster.command(0);
    let mut limited = Command::new("timeout");
    limited.args(["--signal=KILL", "20", "prlimit", "--nofile=100:100"]);
    limited.arg(command.get_program()).args(command.get_args());
    let output = limited.output().expect("util-linux has prlimit");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("this process may open 100 files, and needs"), "{said}");
    assert!(said.contains("LimitNOFILE"), "{said}");
    assert!(!cluster.data_dir(0).exists(), "nothing was begun");
}
