//! Hosts as network namespaces, on a bridge between them, and what can be wrong with the links.
//!
//! Everything is made with `ip` and `nft` inside a [sandbox](crate::sandbox). Packets are dropped where they
//! arrive, so that senders learn nothing: they are not refused, they are gone.

use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use crate::support::Host;

/// The addresses of the trial end in the number of the host, and that of whoever makes it in 254.
const NETWORK: [u8; 3] = [10, 213, 0];

/// All packets, in percent.
const ALL: u8 = 100;

/// Somebody who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Whoever makes the trial: all clients.
    Clients,
    /// A node, counted from 0.
    Node(usize),
}

/// What is wrong with the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing is.
    Nothing,
    /// A node can send to nobody and hears nobody.
    BlackHole(usize),
    /// A node and the other nodes do not hear each other; clients reach it.
    Parted(usize),
    /// One node does not hear another, which hears it.
    OneWay {
        /// Whose packets are lost.
        from: usize,
        /// Who does not hear.
        to: usize,
    },
    /// A node hears all others, and none hears it.
    Mute(usize),
    /// All others hear a node, and it hears none.
    Deaf(usize),
    /// Between nodes, so many packets in a hundred are lost.
    Loss(u8),
}

/// The hosts and the bridge between them.
pub(crate) struct Hosts {
    hosts: Vec<Host>,
}

impl Trouble {
    /// How many of a hundred packets are lost on a way.
    const fn loss_percent(self, from: End, to: End) -> u8 {
        match (self, from, to) {
            (Self::BlackHole(node), End::Node(from), _) if from == node => ALL,
            (Self::BlackHole(node), _, End::Node(to)) if to == node => ALL,
            (Self::Parted(node), End::Node(from), End::Node(to)) if from == node || to == node => {
                ALL
            }
            (Self::OneWay { from, to }, End::Node(sender), End::Node(receiver))
                if sender == from && receiver == to =>
            {
                ALL
            }
            (Self::Mute(node), End::Node(from), End::Node(_)) if from == node => ALL,
            (Self::Deaf(node), End::Node(_), End::Node(to)) if to == node => ALL,
            (Self::Loss(percent), End::Node(_), End::Node(_)) => percent,
            (
                Self::Nothing
                | Self::BlackHole(_)
                | Self::Parted(_)
                | Self::OneWay { .. }
                | Self::Mute(_)
                | Self::Deaf(_)
                | Self::Loss(_),
                _,
                _,
            ) => 0,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "none"),
            Self::BlackHole(node) => write!(f, "black hole n{}", node + 1),
            Self::Parted(node) => write!(f, "parted n{}", node + 1),
            Self::OneWay { from, to } => write!(f, "one way n{} -> n{}", from + 1, to + 1),
            Self::Mute(node) => write!(f, "mute n{}", node + 1),
            Self::Deaf(node) => write!(f, "deaf n{}", node + 1),
            Self::Loss(percent) => write!(f, "{percent} % loss"),
        }
    }
}

impl Hosts {
    /// Makes so many hosts. Only to be called in a sandbox, and once.
    ///
    /// # Panics
    /// If the system does not let us.
    pub(crate) fn new(nodes: usize) -> Self {
        let hosts = (0..nodes).map(|node| Host {
            ip: IpAddr::V4(address(End::Node(node))),
            namespace: Some(format!("n{}", node + 1)),
        });
        let mut commands = vec![
            // Named namespaces are kept in there, and those of the machine are not ours.
            "mount -t tmpfs tmpfs /run".to_owned(),
            "ip link set lo up".to_owned(),
            "ip link add hub type bridge".to_owned(),
            format!("ip address add {}/24 dev hub", address(End::Clients)),
            "ip link set hub up".to_owned(),
        ];
        for node in 0..nodes {
            let (name, ip) = (node + 1, address(End::Node(node)));
            commands.extend([
                format!("ip netns add n{name}"),
                format!("ip link add v{name} type veth peer name eth0 netns n{name}"),
                format!("ip link set v{name} master hub up"),
                format!("ip -n n{name} address add {ip}/24 dev eth0"),
                format!("ip -n n{name} link set eth0 up"),
                format!("ip -n n{name} link set lo up"),
            ]);
        }
        for command in commands {
            run(&command, "");
        }
        Self { hosts: hosts.collect() }
    }

    /// The hosts, for a cluster with a node on each.
    pub(crate) fn all(&self) -> Vec<Host> {
        self.hosts.clone()
    }

    /// Lets this be wrong with the links from now on, and nothing else.
    pub(crate) fn suffer(&self, trouble: Trouble) {
        let ends = || std::iter::once(End::Clients).chain((0..self.hosts.len()).map(End::Node));
        for to in ends() {
            let mut rules = String::new();
            for from in ends().filter(|&from| from != to) {
                let source = address(from);
                match trouble.loss_percent(from, to) {
                    0 => {}
                    ALL => rules += &format!("ip saddr {source} drop\n"),
                    percent => {
                        rules +=
                            &format!("ip saddr {source} numgen random mod 100 < {percent} drop\n");
                    }
                }
            }
            let script = format!(
                "flush ruleset\ntable inet trial {{\nchain arriving {{\n\
                 type filter hook input priority 0; policy accept;\n{rules}}}\n}}\n"
            );
            match to {
                End::Clients => run("nft -f -", &script),
                End::Node(node) => run(&format!("ip netns exec n{} nft -f -", node + 1), &script),
            }
        }
    }
}

const fn address(end: End) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    match end {
        End::Clients => Ipv4Addr::new(a, b, c, 254),
        End::Node(node) => Ipv4Addr::new(a, b, c, 1 + node as u8),
    }
}

/// Runs a command of plain words, and gives it this to read.
fn run(command: &str, input: &str) {
    let mut words = command.split(' ');
    let mut child = Command::new(words.next().expect("a command has a name"))
        .args(words)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{command}`: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    // One that ends before it has read all says why.
    let _unread = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it is our child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{command}`: {said}\n{input}");
}

#[test]
fn trouble_hits_the_ways_that_it_names_and_no_other() {
    let ends = [End::Clients, End::Node(0), End::Node(1), End::Node(2)];
    let hit = |trouble: Trouble| -> Vec<(usize, usize)> {
        let pairs = (0..4).flat_map(|from| (0..4).map(move |to| (from, to)));
        let is_hit = |&(from, to): &(usize, usize)| trouble.loss_percent(ends[from], ends[to]) > 0;
        pairs.filter(|(from, to)| from != to).filter(is_hit).collect()
    };
    assert_eq!(hit(Trouble::Nothing), []);
    assert_eq!(hit(Trouble::BlackHole(0)), [(0, 1), (1, 0), (1, 2), (1, 3), (2, 1), (3, 1)]);
    assert_eq!(hit(Trouble::Parted(0)), [(1, 2), (1, 3), (2, 1), (3, 1)]);
    assert_eq!(hit(Trouble::OneWay { from: 0, to: 2 }), [(1, 3)]);
    assert_eq!(hit(Trouble::Mute(1)), [(2, 1), (2, 3)]);
    assert_eq!(hit(Trouble::Deaf(1)), [(1, 2), (3, 2)]);
    assert_eq!(hit(Trouble::Loss(30)).len(), 6);
    assert_eq!(Trouble::Loss(30).loss_percent(End::Node(0), End::Node(1)), 30);
}
