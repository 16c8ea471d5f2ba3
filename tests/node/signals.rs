//! How nodes end: at the first signal in order and in time, at the second at once, and not at all at
//! signals that mean something else.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Answer, Client, Cluster, Dev, Process, command, send, wait_for};

/// Signals that say nothing about ending, and would end a process that does not listen to them.
const HARMLESS: [&str; 8] = ["HUP", "USR1", "USR2", "ALRM", "PROF", "XFSZ", "IO", "RTMIN"];

/// A cluster of one node in a folder of its own, which waits for its clients for so long at its end.
fn cluster(test: &str, settings: &'static str) -> Cluster {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a new folder");
    Cluster::within(folder, 1, settings)
}

/// Starts a node with a log at the usual level, and founds its cluster if it is new.
fn start(cluster: &Cluster) -> Process {
    let is_first = !cluster.data_dir(0).exists();
    let mut command = cluster.command(0);
    command.env("RUST_LOG", "info");
    let node = cluster.start_as(0, command);
    if is_first {
        node.found();
    }
    node
}

/// Waits until a node has logged something.
fn wait_for_log(cluster: &Cluster, text: &str) -> String {
    wait_for(text, || {
        let log = fs::read_to_string(cluster.log(0)).ok()?;
        log.contains(text).then_some(log)
    })
}

/// Starts a node that will not get so far as to say where it listens.
fn start_and_leave(cluster: &Cluster, mut command: Command) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(cluster.log(0));
    command.env("RUST_LOG", "info").stdout(Stdio::null()).stderr(log.expect("the folder is ours"));
    command.spawn().expect("the program starts")
}

fn ended(mut child: Child) -> Option<i32> {
    wait_for("the end", || child.try_wait().expect("it is our child")).code()
}

/// A client that asks for much more than fits into a socket, and reads nothing.
fn ask_and_read_nothing(node: &Process) -> Client {
    let value = "v".repeat(1 << 20);
    let mut client = node.client();
    assert_eq!(client.ask(&["SET", "large", &value]), Answer::ok());
    client.send(&command(&["MGET", "large", "large", "large", "large"]).repeat(100));
    wait_for("the node to read it", || {
        (node.metric("kv_requests_total{verb=\"get\",outcome=\"done\"}") >= 4.0).then_some(())
    });
    client
}

#[test]
fn signals_that_mean_something_else_do_not_end_a_node() {
    let cluster = cluster("signals-ignored", "partitions = 64\n");
    let mut node = start(&cluster);
    for signal in HARMLESS {
        node.send(signal);
        let logged = if signal == "RTMIN" { "a real-time signal" } else { signal };
        wait_for_log(&cluster, logged);
        assert!(node.is_running(), "SIG{signal} ended it");
    }
    assert!(wait_for_log(&cluster, "SIGHUP").contains("there is nothing to reload"));
    assert_eq!(node.client().ask(&["PING"]), Answer::Simple("PONG".into()));
    assert_eq!(node.signal("TERM").code(), Some(0));
}

#[test]
fn a_cluster_for_development_listens_to_the_same_signals() {
    let mut dev = Dev::start(&["--nodes", "1", "--port", "0"]);
    dev.greeting();
    HARMLESS.iter().for_each(|signal| dev.send(signal));
    assert_eq!(dev.interrupt().code(), Some(0));
}

#[test]
fn a_client_that_does_not_read_holds_up_the_end_for_so_long_and_no_longer() {
    let cluster = cluster("signals-unread", "partitions = 64\n[limits]\nstop_ms = 300\n");
    let node = start(&cluster);
    let _client = ask_and_read_nothing(&node);
    assert_eq!(node.signal("TERM").code(), Some(1));
    let log = wait_for_log(&cluster, "kv-node: node n1 was to stop within 300 ms");
    assert!(log.contains("and left clients that did not read"), "{log}");
    let node = start(&cluster);
    assert!(matches!(node.client().ask(&["GET", "large"]), Answer::Bulk(Some(_))), "it is kept");
}

#[test]
fn a_second_signal_ends_a_node_at_once() {
    let cluster = cluster("signals-second", "partitions = 64\n[limits]\nstop_ms = 600000\n");
    let node = start(&cluster);
    let _client = ask_and_read_nothing(&node);
    node.send("TERM");
    wait_for_log(&cluster, "a second signal ends at once");
    assert_eq!(node.signal("TERM").code(), Some(1));
    wait_for_log(&cluster, "kv-node: ended at once");
}

#[test]
fn a_signal_ends_a_node_that_is_still_reading_its_data() {
    let cluster = cluster("signals-start", "partitions = 64\n");
    start(&cluster).kill();
    // A file that never comes to an end: nobody writes to this pipe.
    let identity = cluster.data_dir(0).join("identity");
    fs::remove_file(&identity).expect("it is there");
    let made = Command::new("mkfifo").arg(&identity).status().expect("there is a mkfifo");
    assert!(made.success());
    let child = start_and_leave(&cluster, cluster.command(0));
    wait_for("it reads", || {
        let held = fs::read_to_string(cluster.data_dir(0).join("lock")).ok()?;
        held.contains(&child.id().to_string()).then_some(())
    });
    send(&child, "TERM");
    assert_eq!(ended(child), Some(0));
    wait_for_log(&cluster, "ended before the node served");
}

#[test]
fn an_address_in_use_is_waited_for_and_had_when_it_is_free() {
    let cluster = cluster("signals-bind", "partitions = 64\n");
    let taken = TcpListener::bind("127.0.0.1:0").expect("the system has a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let mut command = cluster.command(0);
    command.args(["--redis", &address]);
    let waiting = std::thread::scope(|scope| {
        let starting = scope.spawn(|| cluster.start_as(0, command));
        wait_for_log(&cluster, "is in use");
        drop(taken);
        starting.join().expect("it starts")
    });
    assert_eq!(waiting.redis, address);
    assert_eq!(waiting.client().ask(&["PING"]), Answer::Simple("PONG".into()));
}

#[test]
fn a_signal_ends_a_node_that_waits_for_its_address() {
    let cluster = cluster("signals-bind-wait", "partitions = 64\n");
    let taken = TcpListener::bind("127.0.0.1:0").expect("the system has a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let mut command = cluster.command(0);
    command.args(["--redis", &address]);
    let child = start_and_leave(&cluster, command);
    wait_for_log(&cluster, "is in use");
    send(&child, "INT");
    assert_eq!(ended(child), Some(0));
}
