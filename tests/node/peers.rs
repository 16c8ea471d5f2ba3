//! Peers that are not who they say, say nothing, or say too much: each is refused in words, on both
//! sides.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use bytes::BytesMut;
use kv_core::cx::Identity;
use kv_core::topology::Topology;
use kv_core::types::{ClusterId, Generation};
use kv_node::config::{Overrides, Settings, Surroundings};
use kv_node::peers::frame::{
    self, Decoder, Frame, FrameKind, HEADER_BYTES, PART_BYTES, PAYLOAD_BYTES_MAX,
};
use kv_node::peers::hello::{Hello, ProcessRun};
use kv_node::peers::refusal::PeerRefusal;

use crate::support::{Cluster, Process, TIMEOUT, free_ports, kv_node, new_folder, wait_for};

/// The identity of a member, as its configuration gives it.
fn identity(cluster: &Cluster, index: usize) -> Identity {
    let overrides = Overrides {
        name: Some(format!("n{}", index + 1)),
        peer: "127.0.0.1:0".parse().ok(),
        data_dir: Some("none".into()),
        ..Overrides::default()
    };
    let settings = Settings::load(&cluster.config(), &overrides, &Surroundings::default())
        .expect("it is sound");
    let Settings { cluster, ring, node, .. } = settings;
    let topology = Arc::new(Topology::new(ring));
    Identity { node, generation: Generation(1), cluster: ClusterId::of(&cluster), topology }
}

/// What a member says to the first one.
fn hello(cluster: &Cluster, index: usize) -> Hello {
    let run = ProcessRun { generation: Generation(1), nonce: 1 };
    Hello::new(&identity(cluster, index), run, identity(cluster, 0).node)
}

/// A connection to a node's port for peers.
struct Peer {
    stream: TcpStream,
    bytes: BytesMut,
}

impl Peer {
    fn connect(node: &Process) -> Self {
        let stream = TcpStream::connect(&node.peer).expect("it listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("not zero");
        Self { stream, bytes: BytesMut::new() }
    }

    /// A connection on which both sides have said hello.
    fn welcome(node: &Process, hello: &Hello) -> Self {
        let mut peer = Self::connect(node);
        peer.send(FrameKind::Hello, &hello.encode());
        assert_eq!(peer.next().expect("an answer").kind, FrameKind::Hello);
        peer
    }

    fn send(&mut self, kind: FrameKind, payload: &[u8]) {
        let mut bytes = BytesMut::new();
        frame::encode(kind, payload, &mut bytes);
        self.stream.write_all(&bytes).expect("it listens");
    }

    /// The next frame; `None` once the node has closed the connection.
    fn next(&mut self) -> Option<Frame> {
        let decoder = Decoder::new(PAYLOAD_BYTES_MAX);
        loop {
            if let Some(frame) = decoder.next(&mut self.bytes).expect("sound frames") {
                return Some(frame);
            }
            let mut some = [0; 1_024];
            match self.stream.read(&mut some) {
                Ok(count @ 1..) => self.bytes.extend_from_slice(&some[..count]),
                Ok(0) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("it neither answers nor closes: {error}"),
            }
        }
    }

    /// The reason for which the node closes the connection.
    fn refusal(&mut self) -> PeerRefusal {
        let frame = self.next().expect("it says why");
        assert_eq!(frame.kind, FrameKind::Refusal);
        assert_eq!(self.next(), None, "then it closes");
        PeerRefusal::decode(&frame.payload)
    }
}

fn log_of(cluster: &Cluster, index: usize) -> String {
    std::fs::read_to_string(cluster.log(index)).expect("it logs")
}

#[test]
fn a_hello_that_cannot_be_true_is_refused_in_words_and_logged_once() {
    let cluster = Cluster::new("made-up-hello", 2);
    let node = cluster.start(0);
    let sound = hello(&cluster, 1);
    let mut layout = sound;
    layout.layout.0 = 99;
    let mut year_2255 = sound;
    year_2255.run.generation = Generation(9_000_000_000);
    let mut myself = sound;
    myself.from = sound.to;
    let mut elsewhere = sound;
    elsewhere.to = sound.from;
    for (hello, reason, words) in [
        (layout, "layout", "node n2 (ID) has layout 99"),
        (year_2255, "future", "node n2 (ID) says that it started in the second 9000000000"),
        (myself, "same-node", "two processes run as one node"),
        (elsewhere, "addressee", "check the addresses of the members"),
    ] {
        let words = words.replace("ID", &sound.from.to_string());
        for _ in 0..3 {
            let mut peer = Peer::connect(&node);
            peer.send(FrameKind::Hello, &hello.encode());
            let refusal = peer.refusal();
            assert_eq!(refusal.reason, reason);
            assert!(refusal.text.contains(&words), "{words}: {}", refusal.text);
        }
        let metric = format!("kv_peer_rejected_total{{reason=\"{reason}\"}}");
        assert_eq!(node.metric(&metric), 3.0);
        // Lines are written by a thread of their own.
        wait_for(&words, || log_of(&cluster, 0).contains(&words).then_some(()));
        let log = log_of(&cluster, 0);
        assert_eq!(log.matches(&words).count(), 1, "{log}");
    }
    Peer::welcome(&node, &sound);
}

#[test]
fn a_refused_node_learns_the_reason() {
    let (here, mut there) = (Cluster::new("refuser", 1), Cluster::new("refused", 2));
    there.mistake(1, &here, 0);
    let _node = here.start(0);
    let refused = there.start(0);
    wait_for("a refusal", || {
        (refused.metric("kv_peer_refusals_total{reason=\"cluster\"}") >= 2.0).then_some(())
    });
    let log = log_of(&there, 0);
    assert_eq!(log.matches("refuses this node: node").count(), 1, "{log}");
    assert!(log.contains("belongs to another cluster"), "{log}");
    assert!(log.contains("check [cluster] name in both configurations"), "{log}");
}

#[test]
fn whoever_says_nothing_is_closed() {
    let cluster = Cluster::new("silent-stranger", 1);
    let node = cluster.start(0);
    let mut silent = Peer::connect(&node);
    let mut slow = Peer::connect(&node);
    slow.stream.write_all(b"KVP").expect("it listens");
    assert_eq!(silent.next(), None);
    assert_eq!(slow.next(), None);
}

#[test]
fn a_stranger_is_given_room_for_a_hello_and_for_no_more() {
    let cluster = Cluster::new("large-hello", 1);
    let node = cluster.start(0);
    let mut stranger = Peer::connect(&node);
    let mut bytes = BytesMut::new();
    frame::encode(FrameKind::Hello, &vec![0; PART_BYTES], &mut bytes);
    stranger.stream.write_all(&bytes[..HEADER_BYTES]).expect("it listens");
    assert_eq!(stranger.refusal().reason, "garbage");
}

#[test]
fn a_second_connection_of_a_peer_replaces_the_first() {
    let cluster = Cluster::new("second-connection", 2);
    let node = cluster.start(0);
    let hello = hello(&cluster, 1);
    let mut first = Peer::welcome(&node, &hello);
    let mut second = Peer::welcome(&node, &hello);
    assert_eq!(first.next(), None);
    second.send(FrameKind::Beat, &[]);
    assert_eq!(second.next().expect("it lives").kind, FrameKind::Beat);
}

#[test]
fn unfinished_messages_of_all_peers_together_are_bounded() {
    const SETTINGS: &str = "partitions = 64\n[limits]\npeer_receive_bytes = 1048576\n";
    let cluster = Cluster::within(new_folder("unfinished"), 5, SETTINGS);
    let node = cluster.start(0);
    let mut peers: Vec<_> =
        (1..5).map(|index| Peer::welcome(&node, &hello(&cluster, index))).collect();
    for peer in &mut peers {
        // The beginning of a message of 64 MiB, a megabyte of it.
        let mut first = (64_u64 << 20).to_be_bytes().to_vec();
        first.resize(8 + PART_BYTES, 0);
        peer.send(FrameKind::FirstPart, &first);
        (1..16).for_each(|_| peer.send(FrameKind::NextPart, &[0; PART_BYTES]));
    }
    // One has the room, and one may go beyond.
    let discarded = "kv_peer_messages_discarded_total{reason=\"no-room\"}";
    wait_for("the others", || (node.metric(discarded) == 2.0).then_some(()));
    for peer in &mut peers {
        peer.send(FrameKind::Beat, &[]);
        assert_eq!(peer.next().expect("it goes on").kind, FrameKind::Beat);
    }
}

#[test]
fn two_processes_of_one_node_are_told_of_on_all_sides() {
    let cluster = Cluster::new("clone", 2);
    let copy = cluster.data_dir(1).with_extension("copy");
    let nodes = cluster.start_all();
    let [node, original] = <[Process; 2]>::try_from(nodes).ok().expect("there are two");
    assert_eq!(original.signal("TERM").code(), Some(0));
    copy_folder(&cluster.data_dir(1), &copy);

    let _original = cluster.start(1);
    let mut command = kv_node();
    command.args(["start", "--config"]).arg(cluster.config()).args(["--name", "n2"]);
    command.args(["--peer", &format!("127.0.0.1:{}", free_ports(1)[0])]);
    command.arg("--data-dir").arg(&copy);
    // Both write to one log: which of them is taken for the newer is open.
    let _clone = cluster.start_as(1, command);
    let refused = "kv_peer_rejected_total{reason=\"replaced\"}";
    wait_for("a refusal", || (node.metric(refused) >= 2.0).then_some(()));
    let words = "two processes run as node n2";
    wait_for("the older of the two to say so", || {
        let log = log_of(&cluster, 1);
        (log.contains("ERROR") && log.contains(words)).then_some(())
    });
    let log = log_of(&cluster, 0);
    assert!(log.matches(words).count() <= 2, "dialled and listened to: {log}");
    assert!(log.contains(words), "{log}");
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a new folder");
    for entry in std::fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it is there");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it is there").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("it can be copied");
        }
    }
}
