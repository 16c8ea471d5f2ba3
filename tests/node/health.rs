//! What health checks, metrics and `kv-node status` say of real nodes, when something is wrong and when
//! nothing is.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Answer, Cluster, Process, command, kv_node, wait_for};

/// The status code, the word for it, and the codes of all problems.
fn ready(node: &Process) -> (u16, String, Vec<String>) {
    let (status, body) = node.http("/health/ready");
    let body: Value = serde_json::from_str(&body).expect("it is JSON");
    let problems = body["problems"].as_array().expect("a list of problems");
    let codes = problems.iter().map(|problem| text(&problem["code"])).collect();
    (status, text(&body["status"]), codes)
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is a text").to_owned()
}

fn wait_until_ready(node: &Process) {
    wait_for("the node to be ready", || (ready(node).1 == "ready").then_some(()));
}

/// Waits until a node is not ready for this reason, among others. Returns the message.
fn wait_for_problem(node: &Process, status: u16, code: &str) -> String {
    wait_for(code, || {
        let (answered, body) = node.http("/health/ready");
        let body: Value = serde_json::from_str(&body).expect("it is JSON");
        let mut problems = body["problems"].as_array().expect("a list of problems").iter();
        let problem = problems.find(|problem| problem["code"] == code)?;
        (answered == status).then(|| text(&problem["message"]))
    })
}

/// How `kv-node status` ends, and what it prints.
fn status(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = kv_node().arg("status").args(arguments).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_minority_is_not_ready_and_says_why() {
    let cluster = Cluster::new("minority", 3);
    let mut nodes = cluster.start_all();
    nodes.iter().for_each(wait_until_ready);
    assert_eq!(nodes[0].metric("kv_ready"), 1.0);

    nodes.remove(2).kill();
    // Two of three serve everything, and somebody should look.
    let message = wait_for_problem(&nodes[0], 200, "peers-down");
    assert!(message.starts_with("n3 ("), "{message}");
    assert_eq!(ready(&nodes[0]).1, "degraded");
    assert_eq!(nodes[0].client().ask(&["SET", "key", "value"]), Answer::ok());

    nodes.remove(1).kill();
    let message = wait_for_problem(&nodes[0], 503, "no-quorum");
    assert!(message.contains("of 64 partitions, 64 cannot be read with R = 2"), "{message}");
    assert_eq!(nodes[0].metric("kv_ready"), 0.0);
    assert_eq!(nodes[0].metric("kv_health_problem{code=\"no-quorum\"}"), 1.0);
    assert_eq!(nodes[0].metric("kv_partitions_out_of_reach{request=\"write\"}"), 64.0);
    assert_eq!(nodes[0].http("/health/live").0, 200, "a restart would not help");
}

#[test]
fn peers_that_fall_silent_on_standing_connections_are_noticed_and_welcome_when_they_return() {
    let cluster = Cluster::new("silent", 3);
    let nodes = cluster.start_all();
    nodes.iter().for_each(wait_until_ready);
    let signal = |node: &Process, name: &str| {
        let sent = Command::new("kill").args([name, &node.id().to_string()]).status();
        assert!(sent.expect("there is a kill").success());
    };
    let [node, others @ ..] = &nodes[..] else { panic!("three were started") };
    others.iter().for_each(|other| signal(other, "-STOP"));
    wait_for_problem(node, 503, "no-quorum");
    let message = wait_for_problem(node, 503, "peers-down");
    assert!(message.contains("n2 (") && message.contains("n3 ("), "{message}");
    let (_, metrics) = node.http("/metrics");
    let is_down =
        |line: &str| line.starts_with("kv_peer_seems_up{peer=\"n2\"") && line.ends_with(" 0");
    assert!(metrics.lines().any(is_down), "{metrics}");
    others.iter().for_each(|other| signal(other, "-CONT"));
    nodes.iter().for_each(wait_until_ready);
}

#[test]
fn while_owners_lack_their_data_reads_that_need_them_are_out_of_reach_on_every_node() {
    let cluster = Cluster::new("wiped", 3);
    let nodes = cluster.start_all();
    nodes.iter().for_each(wait_until_ready);
    nodes.into_iter().for_each(Process::kill);
    std::fs::remove_dir_all(cluster.data_dir(0).join("data")).expect("the node is dead");

    // Its data can be copied from two complete owners, and one is not enough.
    let (wiped, whole) = (cluster.start(0), cluster.start(1));
    let message = wait_for_problem(&wiped, 503, "incomplete");
    assert!(message.starts_with("0 of the 64 partitions"), "{message}");
    for node in [&wiped, &whole] {
        let message = wait_for_problem(node, 503, "no-quorum");
        assert!(
            message.contains("64 cannot be read with R = 2 and 0 cannot be written"),
            "{message}"
        );
    }

    let third = cluster.start(2);
    [&wiped, &whole, &third].into_iter().for_each(wait_until_ready);
}

#[test]
fn a_node_that_no_peer_has_spoken_to_is_not_ready() {
    let cluster = Cluster::new("alone", 3);
    let node = cluster.start(0);
    let message = wait_for_problem(&node, 503, "no-peer-heard");
    assert!(message.contains("none of the 2 other members"), "{message}");
    assert_eq!(node.metric("kv_peers_heard"), 0.0);
}

#[test]
fn members_with_another_layout_are_named_and_the_odd_one_out_is_not_ready() {
    let cluster = Cluster::new("layouts", 3);
    let mut nodes = cluster.start_all();
    nodes.iter().for_each(wait_until_ready);
    nodes.remove(2).kill();
    std::fs::remove_dir_all(cluster.data_dir(2)).expect("the node is dead");
    let [first, second] = &nodes[..] else { panic!("one of three is dead") };
    let text = std::fs::read_to_string(cluster.config()).expect("it was written");
    let other = cluster.config().with_extension("other.toml");
    std::fs::write(&other, text.replace("partitions = 64", "partitions = 32"))
        .expect("the folder is ours");
    let odd = cluster.start_as(2, with_config(&cluster.command(2), &other));

    wait_for("both others to be named", || {
        let message = wait_for_problem(&odd, 503, "layout-refused");
        (message.contains("n1 (") && message.contains("n2 (")).then_some(())
    });
    assert_eq!(ready(&odd).1, "not-ready");
    let message = wait_for_problem(first, 200, "layout-refused");
    assert!(message.starts_with("n3 (") && !message.contains("n2"), "{message}");
    assert_eq!(ready(first).1, "degraded", "two of three have one layout");
    assert_eq!(ready(second).0, 200);
}

/// The same command with another configuration.
fn with_config(command: &Command, config: &Path) -> Command {
    let mut changed = kv_node();
    let mut arguments = command.get_args();
    while let Some(argument) = arguments.next() {
        changed.arg(argument);
        if argument == "--config" {
            arguments.next();
            changed.arg(config);
        }
    }
    changed
}

#[test]
fn a_node_that_is_stopping_is_not_ready() {
    let cluster = Cluster::new("stopping", 3);
    let mut nodes = cluster.start_all();
    let node = nodes.remove(0);
    nodes.into_iter().for_each(Process::kill);
    // A client is owed an answer that the missing members keep from it, and the node waits for that.
    let mut client = node.client();
    client.ask(&["KV.OPTIONS", "TIMEOUT", "4000"]);
    client.send(&command(&["SET", "key", "value"]));
    wait_for("the write", || {
        let (_, body) = node.http("/health/ready");
        body.contains("\"operations_in_flight\":1").then_some(())
    });
    let sent = Command::new("kill").args(["-TERM", &node.id().to_string()]).status();
    assert!(sent.expect("there is a kill").success());
    let message = wait_for_problem(&node, 503, "stopping");
    assert_eq!(message, "the node is stopping");
    assert_eq!(node.http("/health/live").0, 200);
    assert_eq!(node.metric("kv_health_problem{code=\"stopping\"}"), 1.0);
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn half_sent_requests_keep_nobody_from_asking() {
    let cluster = Cluster::new("half-sent", 1);
    let node = cluster.start(0);
    let half_sent = |request: &str| {
        let mut stream = TcpStream::connect(node.http_address()).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it listens");
        stream
    };
    // As many as the interface has room for, and more: half a head, half a body, nothing at all.
    let requests = [
        "GET /health/ready HTTP/1.1\r\nhost: kv\r\nx-half: ",
        "POST /health/ready HTTP/1.1\r\nhost: kv\r\ncontent-length: 1000\r\n\r\nhalf",
        "",
    ];
    let held: Vec<_> = (0..300).map(|n| half_sent(requests[n % requests.len()])).collect();
    for _ in 0..3 {
        assert_eq!(node.http("/health/live").0, 200);
        let (status, _, _) = ready(&node);
        assert!(matches!(status, 200 | 503), "it is answered");
    }
    assert!(node.metric("kv_http_connections_evicted_total") >= 44.0);
    // They are closed within seconds, and not when their senders like.
    for mut stream in held {
        let _refusal = stream.read_to_end(&mut Vec::new());
    }
}

#[test]
fn a_connection_is_kept_for_the_next_request_for_a_while_only() {
    let cluster = Cluster::new("idle-http", 1);
    let node = cluster.start(0);
    let mut stream = TcpStream::connect(node.http_address()).expect("it listens");
    for _ in 0..2 {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: kv\r\n\r\n").expect("it listens");
        let mut answer = vec![0; 4_096];
        let count = stream.read(&mut answer).expect("an answer");
        assert!(answer[..count].starts_with(b"HTTP/1.1 200"), "it is answered");
    }
    assert_eq!(stream.read(&mut [0]).expect("it is closed in order"), 0, "idle for too long");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let cluster = Cluster::new("large-body", 1);
    let node = cluster.start(0);
    let mut stream = TcpStream::connect(node.http_address()).expect("it listens");
    stream
        .write_all(b"POST /health/ready HTTP/1.1\r\nhost: kv\r\ncontent-length: 1000000\r\n\r\n")
        .expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer before the body comes");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

/// The head and the body of `/metrics`.
fn scrape(node: &Process, accept: Option<&str>) -> (String, String) {
    let mut stream = TcpStream::connect(node.http_address()).expect("it listens");
    let accept = accept.map(|accept| format!("accept: {accept}\r\n")).unwrap_or_default();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: kv\r\n{accept}connection: close\r\n\r\n")
        .expect("it listens");
    stream.shutdown(Shutdown::Write).expect("all is said");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn a_scraper_is_given_the_form_that_it_asks_for() {
    let cluster = Cluster::new("scrape", 1);
    let node = cluster.start(0);
    for accept in [None, Some("text/plain"), Some("*/*")] {
        let (head, body) = scrape(&node, accept);
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        assert!(!body.contains("# EOF") && !body.contains("# UNIT"), "{body}");
        assert!(body.contains("\n# TYPE kv_core_turns_total counter\n"), "{body}");
    }
    let open_metrics = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (head, body) = scrape(&node, Some(open_metrics));
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    assert!(body.contains("\n# TYPE kv_core_turns counter\n"), "{body}");
}

#[test]
fn the_process_its_build_and_its_disk_are_told_of() {
    let cluster = Cluster::new("process-metrics", 1);
    let node = cluster.start(0);
    let (_, metrics) = node.http("/metrics");
    assert!(metrics.contains("\nkv_build_info{version=\""), "{metrics}");
    wait_for("time to pass", || (node.metric("process_cpu_seconds_total") > 0.0).then_some(()));
    for name in [
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
        "process_start_time_seconds",
        "kv_disk_bytes{what=\"free\"}",
        "kv_disk_bytes{what=\"total\"}",
    ] {
        assert!(node.metric(name) > 0.0, "{name} in {metrics}");
    }
    assert!(
        node.metric("kv_disk_bytes{what=\"free\"}") <= node.metric("kv_disk_bytes{what=\"total\"}")
    );
}

#[test]
fn status_ends_with_zero_for_ready_nodes_and_with_one_for_others() {
    let cluster = Cluster::new("status", 3);
    let mut nodes = cluster.start_all();
    nodes.iter().for_each(wait_until_ready);
    let addresses: Vec<String> = nodes.iter().map(|node| node.http_address().to_owned()).collect();
    let (code, shown, errors) = status(&["--http", &addresses.join(",")]);
    assert_eq!((code, &*errors), (Some(0), ""), "{shown}");
    for name in ["n1", "n2", "n3"] {
        assert!(shown.contains(&format!("{name} (")), "{shown}");
    }
    assert_eq!(shown.matches(": ready\n").count(), 3, "{shown}");
    assert!(shown.contains("64 complete of 64 owned"), "{shown}");

    nodes.remove(2).kill();
    wait_for_problem(&nodes[0], 200, "peers-down");
    let url = format!("http://{}/", addresses[0]);
    let (code, shown, _) = status(&["--http", &url]);
    assert_eq!(code, Some(0), "a warning is no failure: {shown}");
    assert!(shown.contains("warning     peers-down: n3 ("), "{shown}");
    assert_eq!(status(&["--http", &url, "--strict"]).0, Some(1), "unless it is asked for");
    let (code, line, _) = status(&["--http", &url, "--json"]);
    let body: Value = serde_json::from_str(&line).expect("one line of JSON");
    assert_eq!((code, &body["status"]), (Some(0), &Value::from("degraded")));

    let (code, shown, errors) = status(&["--http", &addresses[0], "--http", &addresses[2]]);
    assert_eq!(code, Some(1));
    assert!(shown.contains("n1 (") && errors.contains("cannot be reached"), "{shown}{errors}");
}

#[test]
fn status_that_does_not_know_whom_to_ask_ends_with_two() {
    let (code, _, errors) = status(&[]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("--http") && errors.contains("--config"), "{errors}");
    assert_eq!(status(&["--http", "nonsense"]).0, Some(2));
    assert_eq!(status(&["--config", "not-there.toml"]).0, Some(2));
}
