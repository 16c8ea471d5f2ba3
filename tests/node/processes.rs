//! Real nodes as processes, and what their clients see when they are killed, restarted and told
//! nonsense.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Instant;

use crate::kill_rounds;
use crate::support::{Answer, Client, Cluster, Process, TIMEOUT, command, wait_for};
use crate::writers;

/// Writes numbered keys with values that name the round.
fn write(client: &mut Client, round: &str, keys: std::ops::Range<u32>) {
    for key in keys {
        let stored = client.ask(&["SET", &format!("key-{key}"), &format!("{round}-{key}")]);
        assert_eq!(stored, Answer::ok(), "key-{key} in round {round}");
    }
}

fn assert_held(client: &mut Client, round: &str, keys: std::ops::Range<u32>) {
    for key in keys {
        let read = client.ask(&["GET", &format!("key-{key}")]);
        assert_eq!(read, Answer::bulk(&format!("{round}-{key}")), "key-{key}");
    }
}

#[test]
fn a_cluster_outlives_a_killed_node_which_converges_when_it_returns() {
    let cluster = Cluster::new("converges", 3);
    let mut nodes = cluster.start_all();
    write(&mut nodes[0].client(), "first", 0..100);
    assert_held(&mut nodes[1].client(), "first", 0..100);

    nodes.remove(2).kill();
    write(&mut nodes[0].client(), "second", 50..150);
    assert_held(&mut nodes[1].client(), "first", 0..50);
    assert_held(&mut nodes[1].client(), "second", 50..150);

    let returned = cluster.start(2);
    wait_for("it to hear its peers", || (returned.http("/health/ready").0 == 200).then_some(()));
    wait_for("both peers to deliver their hints and to find the third equal", || {
        let settled = |node: &Process| {
            let (_, ready) = node.http("/health/ready");
            ready.contains("\"hints_pending\":0") && ready.contains("\"peers_down\":0")
        };
        nodes.iter().all(settled).then_some(())
    });
    // Alone it can only say what it holds itself.
    let mut alone = returned.client();
    let held = |alone: &mut Client, key: u32| {
        let read = alone.ask(&["KV.GET", &format!("key-{key}"), "R", "one"]);
        let Answer::Array(fields) = read else { return None };
        let Answer::Array(values) = &fields[1] else { panic!("values are an array") };
        values.first().cloned()
    };
    for node in nodes {
        node.kill();
    }
    for key in 0..150 {
        let round = if key < 50 { "first" } else { "second" };
        let expected = Answer::bulk(&format!("{round}-{key}"));
        wait_for(&format!("key-{key}"), || (held(&mut alone, key)? == expected).then_some(()));
    }
}

#[test]
fn all_nodes_killed_at_once_have_lost_nothing_that_was_acknowledged() {
    let cluster = Cluster::new("all-killed", 3);
    let nodes = cluster.start_all();
    write(&mut nodes[2].client(), "kept", 0..200);
    for node in nodes {
        node.kill();
    }
    let nodes = cluster.start_all();
    assert_held(&mut nodes[0].client(), "kept", 0..200);
}

#[test]
fn nodes_that_are_killed_under_writes_lose_none_that_was_acknowledged() {
    let cluster = Cluster::with("kill-rounds", writers::NODES, kill_rounds::SETTINGS);
    let arguments =
        kill_rounds::Arguments { rounds: 2, all_every: 2, writers: 4, writes: 200, seed: Some(7) };
    let counts = kill_rounds::run(&cluster, &arguments).expect("the seed is given");
    assert!(counts.lost.is_empty(), "{:#?}", counts.lost);
    assert!(counts.verified >= counts.acked, "each key is read through each node");
}

#[test]
fn garbage_on_either_port_ends_its_own_connection_only() {
    let cluster = Cluster::new("garbage", 1);
    let node = cluster.start(0);
    let garbage: [&[u8]; 5] = [
        b"\0\x01\x02\x03\xff\xfe",
        b"*1\r\n$-7\r\n",
        b"KVP\x01\xff\xff\xff\xff\0\0\0\0",
        b"KVP\x01\0\0\0\x01\0\0\0\0!",
        &[b'x'; 200_000],
    ];
    for bytes in garbage {
        for port in [&node.redis, &node.peer] {
            let mut stream = TcpStream::connect(port).expect("it listens");
            // It may be closed before all is written.
            let _closed = stream.write_all(bytes);
        }
    }
    let mut peer = Client::connect(&node.peer);
    peer.send(b"GET / HTTP/1.1\r\n\r\n");
    assert!(peer.is_closed(), "a peer that speaks something else is dropped");
    let mut client = node.client();
    client.send(b"*1\r\n!5\r\n");
    assert!(matches!(client.answer(), Answer::Error(_)));
    assert!(client.is_closed(), "what follows cannot be understood any more");

    assert_eq!(node.client().ask(&["PING"]), Answer::Simple("PONG".into()));
    assert!(node.metric("kv_peer_rejected_total{reason=\"garbage\"}") >= 1.0);
    assert!(node.metric("kv_client_protocol_errors_total") >= 1.0);
}

#[test]
fn a_node_of_another_cluster_is_dropped_counted_and_spoken_of_once() {
    let (here, mut there) = (Cluster::new("here", 1), Cluster::new("there", 2));
    there.mistake(1, &here, 0);
    let node = here.start(0);
    let _stranger = there.start(0);
    wait_for("three attempts", || {
        (node.metric("kv_peer_rejected_total{reason=\"cluster\"}") >= 3.0).then_some(())
    });
    let log = std::fs::read_to_string(here.log(0)).expect("it logs");
    assert_eq!(log.matches("belongs to another cluster").count(), 1, "{log}");
    assert_eq!(node.client().ask(&["PING"]), Answer::Simple("PONG".into()));
}

#[test]
fn commands_arrive_whole_in_pieces_of_one_byte() {
    let cluster = Cluster::new("one-byte", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    for byte in [command(&["SET", "a", "1\r\n2"]), command(&["GET", "a"])].concat() {
        client.send(&[byte]);
    }
    assert_eq!(client.answer(), Answer::ok());
    assert_eq!(client.answer(), Answer::bulk("1\r\n2"));
}

#[test]
fn a_pipeline_of_a_hundred_thousand_commands_is_answered_in_order() {
    const COMMANDS: u32 = 100_000;
    let cluster = Cluster::new("pipeline", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    let mut bytes = Vec::new();
    for number in 0..COMMANDS / 2 {
        let key = format!("key-{}", number % 1_000);
        bytes.extend(command(&["SET", &key, &number.to_string()]));
        bytes.extend(command(&["GET", &key]));
    }
    let begun = Instant::now();
    // All is sent before the first reply is read: nobody may wait for the other for ever.
    client.stream().set_write_timeout(Some(TIMEOUT)).expect("not zero");
    client.send(&bytes);
    for number in 0..COMMANDS / 2 {
        assert_eq!(client.answer(), Answer::ok());
        assert_eq!(client.answer(), Answer::bulk(&number.to_string()));
    }
    println!("{COMMANDS} commands in {:?}", begun.elapsed());
}

#[test]
fn a_key_or_value_that_is_too_long_is_refused_and_the_connection_goes_on() {
    let cluster = Cluster::new("too-long", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    let (key, value) = ("k".repeat(64 * 1024 + 1), "v".repeat((1 << 20) + 1));
    for words in [["SET", &key, "v"], ["SET", "k", &value]] {
        assert!(matches!(client.ask(&words), Answer::Error(_)));
    }
    assert_eq!(client.ask(&["GET", "k"]), Answer::Bulk(None));
}

#[test]
fn a_stopped_node_ends_well_and_has_its_data_when_it_returns() {
    let cluster = Cluster::new("sigterm", 1);
    for (round, signal) in [("1", "TERM"), ("2", "INT")] {
        let node = cluster.start(0);
        let mut client = node.client();
        assert_eq!(client.ask(&["SET", round, "kept"]), Answer::ok());
        assert_eq!(node.signal(signal).code(), Some(0));
        assert!(client.is_closed());
    }
    let node = cluster.start(0);
    assert_eq!(node.client().ask(&["MGET", "1", "2"]), {
        let kept = Answer::bulk("kept");
        Answer::Array(vec![kept.clone(), kept])
    });
}

#[test]
fn siblings_are_made_and_resolved() {
    let cluster = Cluster::new("siblings", 3);
    let nodes = cluster.start_all();
    let (mut one, mut other) = (nodes[0].client(), nodes[1].client());
    let stored = |answer: Answer| assert!(matches!(answer, Answer::Array(_)), "{answer:?}");
    stored(one.ask(&["KV.PUT", "cart", "milk", "NONE"]));
    stored(other.ask(&["KV.PUT", "cart", "bread", "NONE"]));
    let Answer::Array(fields) = one.ask(&["KV.GET", "cart"]) else { panic!("a map") };
    let Answer::Array(values) = &fields[1] else { panic!("values") };
    assert_eq!(values.len(), 2, "{values:?}");
    let Answer::Bulk(Some(context)) = &fields[5] else { panic!("a context") };
    let context = String::from_utf8(context.clone()).expect("hexadecimal");
    stored(one.ask(&["KV.PUT", "cart", "milk and bread", "CONTEXT", &context]));
    assert_eq!(other.ask(&["GET", "cart"]), Answer::bulk("milk and bread"));
}
