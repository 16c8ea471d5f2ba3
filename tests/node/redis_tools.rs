//! What people type: the tools that come with Redis, against real nodes.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use crate::support::{Cluster, Process, command};

/// Runs a tool against a node, and returns what it says. It must go well.
fn say(tool: &str, node: &Process, arguments: &[&str], input: &[u8]) -> String {
    let (host, port) = node.redis.split_once(':').expect("HOST:PORT");
    let mut child = Command::new(tool)
        .args(["-h", host, "-p", port])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => panic!("{tool} is missing: tests/setup.sh installs it"),
            _ => panic!("{tool}: {error}"),
        });
    let mut stdin = child.stdin.take().expect("it is piped");
    // A tool that has ended reads nothing; what it says is looked at below.
    let _ended = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let (said, complaint) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{tool} {arguments:?}: {said}{complaint}");
    assert_eq!(complaint, "", "{tool} {arguments:?}");
    said
}

fn cli(node: &Process, arguments: &[&str]) -> String {
    say("redis-cli", node, arguments, b"")
}

#[test]
fn redis_cli_speaks_to_any_node_in_both_protocols() {
    let cluster = Cluster::new("redis-cli", 3);
    let nodes = cluster.start_all();
    assert_eq!(cli(&nodes[0], &["set", "greeting", "hello"]), "OK\n");
    for node in &nodes {
        assert_eq!(cli(node, &["get", "greeting"]), "hello\n");
        assert_eq!(cli(node, &["-3", "get", "greeting"]), "hello\n");
    }
    assert_eq!(cli(&nodes[1], &["mset", "a", "1", "b", "2"]), "OK\n");
    assert_eq!(cli(&nodes[2], &["mget", "a", "b", "c"]), "1\n2\n\n");
    assert_eq!(cli(&nodes[2], &["exists", "a", "b", "c"]), "2\n");
    assert_eq!(cli(&nodes[0], &["del", "a"]), "1\n");
    assert_eq!(cli(&nodes[1], &["get", "a"]), "\n");
    assert!(cli(&nodes[1], &["info", "server"]).contains("node:n2"));
    // The connection of several commands is one session.
    let said = say("redis-cli", &nodes[1], &[], b"set k one\nset k two\nget k\n");
    assert_eq!(said, "OK\nOK\ntwo\n");
}

#[test]
fn redis_cli_makes_and_resolves_siblings() {
    let cluster = Cluster::new("redis-cli-siblings", 3);
    let nodes = cluster.start_all();
    cli(&nodes[0], &["KV.PUT", "greeting", "hello", "NONE"]);
    cli(&nodes[1], &["KV.PUT", "greeting", "bonjour", "NONE"]);
    let said = cli(&nodes[2], &["KV.GET", "greeting"]);
    let mut lines: Vec<_> = said.lines().collect();
    lines[1..3].sort_unstable();
    assert_eq!(lines[..4], ["values", "bonjour", "hello", "tombstones"], "{said}");
    let context = lines.iter().skip_while(|line| **line != "context").nth(1).expect("a context");
    cli(&nodes[2], &["KV.PUT", "greeting", "hello, bonjour", "CONTEXT", context]);
    assert_eq!(cli(&nodes[0], &["get", "greeting"]), "hello, bonjour\n");
}

#[test]
fn redis_cli_pipes_many_commands() {
    const COMMANDS: u32 = 10_000;
    let cluster = Cluster::new("redis-cli-pipe", 1);
    let node = cluster.start(0);
    let set = |number: u32| command(&["SET", &format!("key-{number}"), &number.to_string()]);
    let input: Vec<u8> = (0..COMMANDS).flat_map(set).collect();
    let said = say("redis-cli", &node, &["--pipe"], &input);
    assert!(said.contains(&format!("errors: 0, replies: {COMMANDS}")), "{said}");
}

#[test]
fn redis_benchmark_meets_no_error_on_any_node() {
    let cluster = Cluster::new("redis-benchmark", 3);
    let nodes = cluster.start_all();
    for node in &nodes {
        for depth in ["1", "16"] {
            let arguments = [
                "-t", "set,get", "-c", "50", "-P", depth, "-n", "5000", "-d", "100", "-r", "1000",
                "--csv",
            ];
            // It ends with 1 at the first error reply.
            let said = say("redis-benchmark", node, &arguments, b"");
            assert!(said.contains("\"SET\"") && said.contains("\"GET\""), "{said}");
        }
    }
}
