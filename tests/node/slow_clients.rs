//! Clients that do not read, do not finish, do nothing or go away: what a node holds for them stays
//! within its limits, and all others are served meanwhile.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use crate::support::{Answer, Client, Cluster, Process, command, wait_for};

const MIB: usize = 1024 * 1024;

/// The largest value that a node takes by default.
const LARGE_BYTES: usize = MIB;

const LARGE_KEYS: usize = 32;

/// Memory of a node, in bytes, by the name that the system gives it.
fn memory(node: &Process, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id()));
    let status = status.expect("the node runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.expect("the system says so") * 1024
}

/// Writes one small value and a few large ones.
fn fill(client: &mut Client) {
    assert_eq!(client.ask(&["SET", "small", "value"]), Answer::ok());
    let value = "v".repeat(LARGE_BYTES);
    for key in 0..LARGE_KEYS {
        assert_eq!(client.ask(&["SET", &format!("large-{key}"), &value]), Answer::ok());
    }
}

/// Asks for so many large values at once.
fn large_read(values: usize) -> Vec<u8> {
    let keys: Vec<_> = (0..values).map(|key| format!("large-{}", key % LARGE_KEYS)).collect();
    let words: Vec<_> = std::iter::once("MGET").chain(keys.iter().map(String::as_str)).collect();
    command(&words)
}

/// Clients that ask for very much and read nothing.
fn unread(node: &Process, clients: usize) -> Vec<Client> {
    let ask = |_| {
        let client = node.client();
        (0..3).for_each(|_| client.send(&large_read(96)));
        client
    };
    (0..clients).map(ask).collect()
}

fn dropped(node: &Process, reason: &str) -> f64 {
    node.metric(&format!("kv_client_connections_dropped_total{{reason=\"{reason}\"}}"))
}

/// Everything that comes until the connection ends.
fn rest(client: &Client) -> String {
    let mut bytes = Vec::new();
    // It may end with a reset.
    let _ended = client.stream().read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn replies_that_nobody_takes_hold_a_bounded_memory_which_comes_back() {
    let cluster = Cluster::new("unread-replies", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    fill(&mut client);
    let before = memory(&node, "VmRSS");

    // 9 KB that ask for 2.3 GB.
    let hogs = unread(&node, 8);
    wait_for("all reads to be answered or refused", || {
        assert_eq!(client.ask(&["GET", "small"]), Answer::bulk("value"), "others are served");
        let is_idle = node.metric("kv_operations_in_flight") == 0.0;
        let holds = node.metric("kv_client_held_bytes") > (64 * MIB) as f64;
        (is_idle && holds).then_some(())
    });
    wait_for("room for large reads of others", || {
        client.send(&large_read(16));
        match client.answer() {
            Answer::Array(values) => {
                let is_whole = |value: &Answer| matches!(value, Answer::Bulk(Some(bytes)) if bytes.len() == LARGE_BYTES);
                assert!(values.len() == 16 && values.iter().all(is_whole));
                Some(())
            }
            Answer::Error(error) if error.starts_with("BUSY this node holds as many bytes") => None,
            other => panic!("{other:?}"),
        }
    });
    let peak = memory(&node, "VmHWM");
    assert!(peak < before + 640 * MIB, "{} MiB before, {} MiB at most", before / MIB, peak / MIB);

    drop(hogs);
    wait_for("everything to be given back", || {
        (node.metric("kv_client_held_bytes") < MIB as f64).then_some(())
    });
    // The allocator keeps some of it for the next time.
    wait_for("the memory to come back", || {
        (memory(&node, "VmRSS") < before + 320 * MIB).then_some(())
    });
    assert_eq!(client.ask(&["GET", "small"]), Answer::bulk("value"));
}

#[test]
fn unfinished_requests_hold_a_bounded_memory_and_the_largest_is_told_and_dropped() {
    let cluster = Cluster::new("unfinished-requests", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    assert_eq!(client.ask(&["SET", "small", "value"]), Answer::ok());
    let before = memory(&node, "VmRSS");

    // 20 times 60 MiB, of which the node takes what it can hold.
    let (done, all_done) = std::sync::mpsc::channel();
    for number in 0..20 {
        let (hog, done) = (node.client(), done.clone());
        std::thread::spawn(move || {
            hog.stream().set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            let mut request = b"*2001\r\n$4\r\nMSET\r\n".to_vec();
            let value = vec![b'v'; LARGE_BYTES];
            for key in 0..60 {
                request.extend_from_slice(format!("$6\r\n{number:02}-{key:03}\r\n").as_bytes());
                request.extend_from_slice(format!("${LARGE_BYTES}\r\n").as_bytes());
                request.extend_from_slice(&value);
                request.extend_from_slice(b"\r\n");
            }
            // The node may close the connection.
            let _taken = hog.stream().write_all(&request);
            done.send(hog).expect("somebody listens");
        });
    }
    drop(done);
    let mut hogs = Vec::new();
    while let Ok(hog) = all_done.recv() {
        hogs.push(hog);
        assert_eq!(client.ask(&["GET", "small"]), Answer::bulk("value"), "others are served");
    }
    let peak = memory(&node, "VmHWM");
    // All may hold 256 MiB. While a buffer grows, what is in it lies in two places, and the allocator keeps
    // some of what it was given back.
    assert!(peak < before + 768 * MIB, "{} MiB before, {} MiB at most", before / MIB, peak / MIB);
    assert!(dropped(&node, "memory") >= 1.0);
    let told = hogs.iter().filter(|hog| {
        // It may be closed already.
        let _closed = hog.stream().shutdown(Shutdown::Write);
        rest(hog).starts_with("-ERR this connection is closed: the client holds")
    });
    assert!(told.count() >= 1, "somebody is told why it was dropped");
    let log = std::fs::read_to_string(cluster.log(0)).expect("the node logs");
    assert!(log.contains("a client is dropped: it holds the most of all slow clients"), "{log}");
    assert_eq!(client.ask(&["SET", "small", "new"]), Answer::ok());
}

#[test]
fn a_client_that_writes_a_quarter_of_a_million_reads_before_it_reads_is_served() {
    let cluster = Cluster::new("writes-before-it-reads", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    // More than the buffers of the system take on the way, in both directions.
    let (key, value) = ("k".repeat(100), "v".repeat(200));
    assert_eq!(client.ask(&["SET", &key, &value]), Answer::ok());
    let timeout = Some(Duration::from_secs(30));
    client.stream().set_write_timeout(timeout).expect("a timeout");
    client.send(&command(&["GET", &key]).repeat(250_000));
    for number in 0..250_000 {
        assert_eq!(client.answer(), Answer::bulk(&value), "{number}");
    }
}

/// Limits under which a client that does not get on is dropped soon.
const HURRIED: &str = "partitions = 64\n\
    [limits]\nstalled_ms = 1000\nstalled_bytes = 65536\nidle_timeout_ms = 3000\n";

#[test]
fn a_client_that_does_not_get_on_is_dropped_with_a_reason() {
    let cluster = Cluster::with("stalled-clients", 1, HURRIED);
    let node = cluster.start(0);
    fill(&mut node.client());

    let reader = node.client();
    reader.send(&large_read(64));
    let writer = node.client();
    writer.send(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1000000\r\n");
    writer.send(&[b'v'; 200_000]);
    // Replies that were taken, and a request that is small, are held against nobody.
    let mut idle = node.client();
    assert_eq!(idle.ask(&["PING"]), Answer::Simple("PONG".into()));

    for reason in ["slow_reader", "unfinished", "idle"] {
        wait_for(reason, || (dropped(&node, reason) >= 1.0).then_some(()));
    }
    let told = rest(&writer);
    let expected =
        "-ERR this connection is closed: the client has sent nothing more of an unfinished";
    assert!(told.starts_with(expected), "{told}");
    assert!(rest(&reader).len() < 64 * LARGE_BYTES, "the rest was dropped");
    assert_eq!(rest(&idle), "", "an idle client would take a text for its next reply");
    let log = std::fs::read_to_string(cluster.log(0)).expect("the node logs");
    for words in
        ["it has not taken any of the replies", "it has sent nothing more of an unfinished"]
    {
        assert!(log.contains(words), "{log}");
    }
}

#[test]
fn a_client_that_ends_its_stream_is_answered_to_the_end() {
    let cluster = Cluster::new("half-closed", 1);
    let node = cluster.start(0);
    let client = node.client();
    client.send("SET key value\r\n".repeat(500).as_bytes());
    client.send("GET key\r\n".repeat(500).as_bytes());
    client.stream().shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(rest(&client), "+OK\r\n".repeat(500) + &"$5\r\nvalue\r\n".repeat(500));
}

#[test]
fn what_a_client_asked_that_is_gone_is_not_begun_any_more() {
    let cluster = Cluster::new("gone-clients", 1);
    let node = cluster.start(0);
    let client = node.client();
    // A reply that is never read makes the end of this side a reset.
    client.send(&command(&["PING"]));
    client.stream().peek(&mut [0]).expect("a reply");
    const KEYS: usize = 30_000;
    let pairs: Vec<_> = (0..KEYS).flat_map(|key| [format!("key-{key}"), "v".to_owned()]).collect();
    let words: Vec<_> = std::iter::once("MSET").chain(pairs.iter().map(String::as_str)).collect();
    // So many that the node reads no more for now, and nothing is written before the first has ended.
    client.send(&command(&words).repeat(10));
    let writes = || node.metric("kv_requests_total{verb=\"put\",outcome=\"done\"}");
    wait_for("the first writes", || (writes() > 0.0).then_some(()));
    drop(client);
    wait_for("the connection to end", || {
        (node.metric("kv_client_connections") == 0.0).then_some(())
    });
    assert!(writes() < KEYS as f64, "all {} keys were written for nobody", writes());
}

#[test]
fn a_client_too_many_is_told_so_although_it_has_spoken_first() {
    let settings = "partitions = 64\n[limits]\nconnections = 1\n";
    let cluster = Cluster::with("too-many-clients", 1, settings);
    let node = cluster.start(0);
    let mut first = node.client();
    assert_eq!(first.ask(&["PING"]), Answer::Simple("PONG".into()));
    for _ in 0..3 {
        let mut other = node.client();
        other.send(&command(&["SET", "key", "value"]).repeat(1_000));
        let expected = Answer::Error("ERR max number of clients reached".into());
        assert_eq!(other.answer(), expected);
        assert!(other.is_closed());
    }
    assert_eq!(first.ask(&["GET", "key"]), Answer::Bulk(None));
    drop(first);
    wait_for("room for another", || {
        let answer = node.client().try_ask(&["PING"]).ok()?;
        (answer == Answer::Simple("PONG".into())).then_some(())
    });
}

#[test]
fn the_system_looks_after_silent_connections() {
    let cluster = Cluster::new("keepalive", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    assert_eq!(client.ask(&["PING"]), Answer::Simple("PONG".into()));
    let port = |address: std::io::Result<std::net::SocketAddr>| {
        format!(":{:04X}", address.expect("it is connected").port())
    };
    let (here, there) = (port(client.stream().local_addr()), port(client.stream().peer_addr()));
    // The sixth column begins with what the socket's timer is for: 02 is keepalive.
    wait_for("a timer", || {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("this is Linux");
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let socket = lines.find(|line| line[1].ends_with(&there) && line[2].ends_with(&here))?;
        socket[5].starts_with("02:").then_some(())
    });
}

#[test]
fn a_node_with_replies_that_nobody_takes_ends_when_it_is_told_to() {
    let cluster = Cluster::new("ends-with-unread-replies", 1);
    let node = cluster.start(0);
    fill(&mut node.client());
    let hogs = unread(&node, 4);
    wait_for("reads", || {
        let reads = node.metric("kv_requests_total{verb=\"get\",outcome=\"done\"}");
        (reads > 0.0).then_some(())
    });
    // Exit code 1 says that clients were left, which hangs on what the system has taken for them.
    let code = node.signal("TERM").code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    drop(hogs);
}
