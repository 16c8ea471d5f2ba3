//! The command line of the node, from the outside: what it says when it cannot start, and how it
//! ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Answer, Client, Cluster, Dev, kv_node};

/// How a command ended: its code, and what it said to standard error.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("the program starts");
    (status.code(), String::from_utf8(stderr).expect("text"))
}

#[test]
fn the_default_configuration_is_sound() {
    let printed = kv_node().args(["config", "default"]).output().expect("the program starts");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("default.toml");
    std::fs::write(&path, printed.stdout).expect("a new file");
    let (code, error) = ended(kv_node().args(["config", "check"]).arg(&path));
    assert_eq!((code, error.as_str()), (Some(0), ""));
}

#[test]
fn a_broken_configuration_ends_with_two_and_shows_where() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(folder.join("broken.toml"), "[cluster]\nname = \"kv\"\npartitons = 8\n")
        .expect("a new file");
    for arguments in
        [&["config", "check", "broken.toml"][..], &["start", "--config", "broken.toml"]]
    {
        let (code, error) = ended(kv_node().current_dir(folder).args(arguments));
        assert_eq!(code, Some(2));
        assert!(error.contains("broken.toml:3:1"), "{error}");
        assert!(error.contains("did you mean `partitions`?"), "{error}");
    }
    let (code, error) = ended(kv_node().args(["start", "--config", "not-there.toml"]));
    assert_eq!(code, Some(2));
    assert!(error.contains("not-there.toml cannot be read"), "{error}");
    assert_eq!(ended(kv_node().arg("begin")).0, Some(2));
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let cluster = Cluster::new("environment", 1);
    let check = |flags: &[&str]| {
        let mut command = kv_node();
        command.args(["config", "check"]).arg(cluster.config()).args(flags);
        command.args(["--data-dir", "data", "--peer", "127.0.0.1:1"]).env("KV_NODE_NAME", "n9");
        ended(&mut command)
    };
    assert!(check(&[]).1.contains("`n9` is no member"));
    assert_eq!(check(&["--name", "n1"]).0, Some(0));
}

#[test]
fn a_directory_serves_one_process_at_a_time() {
    let cluster = Cluster::new("in-use", 1);
    let _node = cluster.start(0);
    let mut second = kv_node();
    second.args(["start", "--name", "n1", "--peer", "127.0.0.1:0", "--config"]);
    second.arg(cluster.config()).arg("--data-dir").arg(cluster.data_dir(0));
    let (code, error) = ended(&mut second);
    assert_eq!(code, Some(1));
    assert!(error.contains("is in use by process"), "{error}");
}

#[test]
fn a_port_in_use_is_named() {
    let cluster = Cluster::new("port-in-use", 1);
    let taken = TcpListener::bind("127.0.0.1:0").expect("the system has a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let (code, error) = ended(cluster.command(0).args(["--redis", &address]));
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("cannot listen on {address} for Redis clients")), "{error}");
    assert!(!cluster.data_dir(0).exists(), "nothing was begun");
}

#[test]
fn a_directory_of_another_node_is_refused() {
    let cluster = Cluster::new("other-node", 2);
    drop(cluster.start(0));
    let mut second = kv_node();
    second.args(["start", "--name", "n2", "--peer", "127.0.0.1:0", "--config"]);
    second.arg(cluster.config()).arg("--data-dir").arg(cluster.data_dir(0));
    let (code, error) = ended(&mut second);
    assert_eq!(code, Some(1));
    assert!(error.contains("belongs to node"), "{error}");
}

#[test]
fn a_cluster_for_development_says_how_to_talk_to_it_and_leaves_nothing_behind() {
    let mut dev = Dev::start(&["--nodes", "3", "--port", "0"]);
    let greeting = dev.greeting();
    let ports: Vec<_> = greeting
        .lines()
        .filter_map(|line| line.trim().split_once("redis-cli -p ")?.1.split(' ').next())
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    assert!(ports.len() >= 3, "{greeting}");
    assert_eq!(Client::connect(&ports[0]).ask(&["SET", "greeting", "hello"]), Answer::ok());
    assert_eq!(Client::connect(&ports[2]).ask(&["GET", "greeting"]), Answer::bulk("hello"));
    let data = greeting.split_once("The data lies in ").and_then(|(_, rest)| rest.split_once(' '));
    let data = Path::new(data.expect("a folder is named").0).to_owned();
    assert!(data.join("n3").exists(), "{}", data.display());
    assert_eq!(dev.interrupt().code(), Some(0));
    assert!(!data.exists(), "a temporary folder goes with its cluster");
}

#[test]
fn the_folder_of_a_cluster_serves_clusters_of_its_size_only() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev-size");
    std::fs::create_dir_all(folder.join("n1")).expect("a new folder");
    let mut command = kv_node();
    command.args(["dev", "--port", "0", "--dir"]).arg(&folder);
    let (code, error) = ended(&mut command);
    assert_eq!(code, Some(1));
    assert!(error.contains("give --nodes 1"), "{error}");
}
