//! What a node says must never decide whether it runs: standard output and standard error that are
//! closed, full, dead, or not read.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::support::{
    Answer, Client, Cluster, Process, command, free_ports, kv_node, send, wait_for,
};

const LOST: &str = "kv_log_lines_lost_total";

/// A cluster of one node that holds a key.
fn cluster(test: &str) -> Cluster {
    let cluster = Cluster::new(test, 1);
    let node = cluster.start(0);
    assert_eq!(node.client().ask(&["SET", "key", "value"]), Answer::ok());
    node.kill();
    cluster
}

/// The command that starts its node again, with a log of everything.
fn talkative(cluster: &Cluster) -> Command {
    let mut command = cluster.command(0);
    command.env("RUST_LOG", "trace").stdout(Stdio::null());
    command
}

/// Makes a node log thousands of lines: one for each write.
fn provoke(node: &Process) {
    const WRITES: usize = 4_096;
    let mut client = node.client();
    // Keys of their own: writes of one key wait for each other.
    let writes = (0..WRITES).map(|n| command(&["SET", &format!("other-{n}"), "value"]));
    client.send(&writes.collect::<Vec<_>>().concat());
    (0..WRITES).for_each(|_| drop(client.answer()));
}

/// Lets a node log until lines are lost, and sees that it serves as before and ends well.
fn loses_lines_and_goes_on(mut node: Process) {
    wait_for("lost lines", || {
        provoke(&node);
        assert!(node.is_running(), "it ended");
        (node.metric(LOST) > 0.0).then_some(())
    });
    assert_eq!(node.client().ask(&["GET", "key"]), Answer::bulk("value"));
    assert_eq!(node.client().ask(&["SET", "key", "newer"]), Answer::ok());
    assert_eq!(node.http("/health/ready").0, 200);
    assert_eq!(node.signal("TERM").code(), Some(0));
}

#[test]
fn a_log_into_a_dead_pipe_is_lost_and_counted_and_nothing_else_happens() {
    let cluster = cluster("log-dead-pipe");
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let mut command = talkative(&cluster);
    command.stderr(writer);
    loses_lines_and_goes_on(Process::start_silent(command));
}

#[test]
fn a_log_onto_a_full_disk_is_lost_and_counted_and_nothing_else_happens() {
    let cluster = cluster("log-full-disk");
    let full = || File::options().write(true).open("/dev/full").expect("there is one");
    let mut command = talkative(&cluster);
    command.stdout(full()).stderr(full());
    loses_lines_and_goes_on(Process::start_silent(command));
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let cluster = cluster("log-not-read");
    // A pipe that is full from the beginning, behind both.
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut command = talkative(&cluster);
    let filled = Command::new("sh")
        .args(["-c", "timeout 1 cat /dev/zero"])
        .stdout(writer.try_clone().expect("a descriptor"))
        .status();
    filled.expect("there is a shell");
    command.stdout(writer.try_clone().expect("a descriptor")).stderr(writer);
    loses_lines_and_goes_on(Process::start_silent(command));
    drop(reader);
}

#[test]
fn a_log_that_cannot_be_written_without_waiting_keeps_nobody_waiting() {
    let cluster = cluster("log-would-block");
    let (reader, writer) = UnixStream::pair().expect("a pair");
    writer.set_nonblocking(true).expect("it is a socket");
    let mut command = talkative(&cluster);
    command.stderr(OwnedFd::from(writer));
    loses_lines_and_goes_on(Process::start_silent(command));
    drop(reader);
}

#[test]
fn with_standard_descriptors_closed_the_log_goes_nowhere_and_never_into_the_data() {
    let cluster = cluster("log-closed");
    let command = talkative(&cluster);
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"]).arg(command.get_program());
    closed.args(command.get_args()).env("RUST_LOG", "trace");
    let mut node = Process::start_silent(closed);
    for descriptor in 0..=2 {
        let link = format!("/proc/{}/fd/{descriptor}", node.id());
        let opened = std::fs::read_link(link).expect("it is open");
        assert_eq!(opened.as_os_str(), "/dev/null", "descriptor {descriptor}");
    }
    provoke(&node);
    assert!(node.is_running());
    assert_eq!(node.client().ask(&["GET", "key"]), Answer::bulk("value"));
    assert_eq!(node.signal("TERM").code(), Some(0));
}

#[test]
fn when_the_log_can_be_written_again_it_says_how_much_is_missing() {
    let cluster = cluster("log-again");
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let mut command = talkative(&cluster);
    command.stderr(writer);
    let node = Process::start_silent(command);
    wait_for("lost lines", || {
        provoke(&node);
        (node.metric(LOST) > 0.0).then_some(())
    });
    // Whoever reads sees all that fitted, and then what did not.
    let mut said = Vec::new();
    let mut page = vec![0; 64 * 1_024];
    while !String::from_utf8_lossy(&said).contains("lines were lost") {
        let count = reader.read(&mut page).expect("it is a pipe");
        assert_ne!(count, 0, "it ended: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&page[..count]);
    }
    drop(reader);
    assert_eq!(node.signal("TERM").code(), Some(0));
}

#[test]
fn what_is_printed_to_a_full_disk_fails_in_words_and_to_a_closed_pipe_not_at_all() {
    let full = File::options().write(true).open("/dev/full").expect("there is one");
    let output = kv_node().args(["config", "default"]).stdout(full).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot write to standard output"), "{said}");

    let cluster = Cluster::new("print-closed", 1);
    let closed = || io::pipe().expect("a pipe").1;
    for stderr in [Stdio::null(), Stdio::from(closed())] {
        let mut command = kv_node();
        command.args(["config", "check", "--name", "n1", "--data-dir", "data"]);
        command.args(["--peer", "127.0.0.1:1"]).arg(cluster.config());
        let status = command.stdout(closed()).stderr(stderr).status();
        assert_eq!(status.expect("it starts").code(), Some(0));
    }
    let mut wrong = kv_node();
    wrong.args(["config", "check", "not-there.toml"]).stderr(closed());
    assert_eq!(wrong.status().expect("it starts").code(), Some(2));
}

#[test]
fn a_cluster_for_development_outlives_whoever_reads_what_it_prints() {
    let closed = || io::pipe().expect("a pipe").1;
    let mut command = kv_node();
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("log-dev");
    let _absent = std::fs::remove_dir_all(&dir);
    let [port, _] = *free_ports(2) else { panic!("two were asked for") };
    command.args(["dev", "--nodes", "1", "--port", &port.to_string(), "--dir"]).arg(&dir);
    command.stdout(closed()).stderr(closed()).env("RUST_LOG", "trace");
    let mut child = command.spawn().expect("the program starts");
    let address = format!("127.0.0.1:{port}");
    wait_for("the node to serve", || {
        assert_eq!(child.try_wait().expect("it is our child"), None, "it ended");
        let answer = Client::try_connect(&address).ok()?.try_ask(&["SET", "key", "value"]).ok()?;
        (answer == Answer::ok()).then_some(())
    });
    send(&child, "TERM");
    let status = wait_for("the end", || child.try_wait().expect("it is our child"));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn partitions_that_are_complete_again_are_told_in_sum() {
    const PARTITIONS: u32 = 64;
    let cluster = Cluster::new("log-complete", 3);
    let mut nodes = cluster.start_all();
    nodes.remove(2).kill();
    std::fs::remove_dir_all(cluster.data_dir(2).join("data")).expect("it is there");
    std::fs::remove_file(cluster.log(2)).expect("it is there");
    let mut command = cluster.command(2);
    command.env("RUST_LOG", "info");
    let _returned = cluster.start_as(2, command);
    let lines = wait_for("all partitions", || {
        let log = std::fs::read_to_string(cluster.log(2)).ok()?;
        let lines = log.lines().filter(|line| line.contains("complete again"));
        let sums = lines.filter_map(|line| line.rsplit_once("partitions=")?.1.parse::<u32>().ok());
        let sums = Vec::from_iter(sums);
        (sums.iter().sum::<u32>() == PARTITIONS).then_some(sums.len())
    });
    assert!(lines < 10, "{lines} lines for {PARTITIONS} partitions");
}

#[test]
fn a_filter_that_makes_no_sense_is_told_and_not_followed() {
    let cluster = cluster("log-filter");
    let mut command = cluster.command(0);
    command.env("RUST_LOG", "inof");
    let node = cluster.start_as(0, command);
    let opened = "the data is open";
    let log = wait_for("what is logged by default", || {
        std::fs::read_to_string(cluster.log(0)).ok().filter(|log| log.contains(opened))
    });
    assert!(log.contains("RUST_LOG is not understood"), "{log}");
    assert!(log.contains("did you mean `info`?"), "{log}");
    drop(node);
}
