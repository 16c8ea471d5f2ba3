//! The rules between keys that are valid by themselves: limits that contradict each other,
//! addresses that are used twice, promises that cannot be kept.
//!
//! A combination that does harm is an error; one that is probably not meant is a warning.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use kv_core::config::Config;
use kv_core::quorum::Mode;
use kv_core::types::{KEY_BYTES_MAX, NodeId};

use super::address::{Host, PeerAddress};
use super::layout::ReadMember;
use super::limits::Limits;
use super::problem::ConfigProblem;
use super::table::Spans;

/// The bytes that a message or a reply needs beside the values in it: the key, headers, and the
/// facts about each version and each of its writers.
const ROOM_FIXED: u64 = KEY_BYTES_MAX as u64 + 64 * 1_024;

/// The bytes that each sibling needs beside its value.
const ROOM_PER_SIBLING: u64 = 256;

/// The hosts and ports that one node listens on, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ports {
    pub(super) redis: Option<SocketAddr>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) http: Option<SocketAddr>,
}

/// The settings that are checked. Invalid keys are at their defaults.
pub(super) struct Relations<'a> {
    /// The settings of the core.
    pub(super) core: &'a Config,
    /// The places of the keys of `[node]`.
    pub(super) core_spans: &'a Spans,
    /// The limits on the loads that the node takes.
    pub(super) limits: &'a Limits,
    /// The places of the keys of `[limits]`.
    pub(super) limit_spans: &'a Spans,
    /// The members.
    pub(super) members: &'a [ReadMember],
    /// The number of partitions of the ring, and the place where it is given.
    pub(super) partitions: (u64, Option<Range<usize>>),
    /// N over all data centers, if there is a layout.
    pub(super) copies: Option<usize>,
    /// The id of this node.
    pub(super) node: Option<NodeId>,
    /// The addresses on which this node listens.
    pub(super) ports: Ports,
    /// The places of the keys of `[self]`.
    pub(super) own_spans: &'a Spans,
    /// The memory of the machine in bytes, if it is known.
    pub(super) memory_bytes: Option<u64>,
}

impl Relations<'_> {
    /// Lists all problems between keys.
    pub(super) fn problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        self.look_at_quorums(&mut problems);
        self.look_at_times(&mut problems);
        self.look_at_buckets(&mut problems);
        self.look_at_sizes(&mut problems);
        self.look_at_clients(&mut problems);
        self.look_at_hints(&mut problems);
        self.look_at_counts(&mut problems);
        self.look_at_memory(&mut problems);
        self.look_at_members(&mut problems);
        self.look_at_own_ports(&mut problems);
        self.look_at_own_address(&mut problems);
        problems
    }

    /// The place of the first of these keys that was given: of `[node]`, or else of `[limits]`.
    fn place(&self, keys: &[&str]) -> Option<Range<usize>> {
        let span = |key: &&str| self.core_spans.get(*key).or_else(|| self.limit_spans.get(*key));
        keys.iter().find_map(span).cloned()
    }

    fn look_at_quorums(&self, problems: &mut Vec<ConfigProblem>) {
        let Some(copies) = self.copies.map(|copies| copies as u64) else { return };
        let (read, write) = (self.core.read_quorum, self.core.write_quorum);
        for (key, value) in [("read_quorum", read), ("write_quorum", write)] {
            if value > copies {
                let message = format!("{key} = {value}, and there are {copies} of each key");
                let label = "no request could meet this";
                problems.push(ConfigProblem::at(self.place(&[key]), message, label));
            }
        }
        if self.core.mode == Mode::Strict && read + write <= copies {
            let message = format!(
                "mode = \"strict\" promises that a read sees every write that was acknowledged before \
                 it, and with R = {read} and W = {write} of N = {copies} copies it need not meet one"
            );
            let problem =
                ConfigProblem::at(self.place(&["mode"]), message, "this promises too much");
            problems.push(problem.help(format!(
                "let read_quorum + write_quorum be {} or more, or set mode = \"sloppy\"",
                copies + 1
            )));
        }
    }

    fn look_at_times(&self, problems: &mut Vec<ConfigProblem>) {
        let Config { timeout_ms, hedge_ms, gossip_interval_ms, hint_expiry_ms, .. } = *self.core;
        if hedge_ms >= timeout_ms {
            let message = format!(
                "hedge_ms = {hedge_ms} is not below timeout_ms = {timeout_ms}: no other replica would \
                 ever be asked in place of a slow one"
            );
            let place = self.place(&["hedge_ms", "timeout_ms"]);
            problems.push(ConfigProblem::at(place, message, "lower hedge_ms, or raise timeout_ms"));
        }
        // A node is suspected after several intervals; before that no hint for it is replayed in vain.
        const INTERVALS: u64 = 10;
        if hint_expiry_ms < gossip_interval_ms.saturating_mul(INTERVALS) {
            let message = format!(
                "hint_expiry_ms = {hint_expiry_ms} is less than {INTERVALS} times gossip_interval_ms = \
                 {gossip_interval_ms}: hints may expire before it is noticed that a node has returned"
            );
            let place = self.place(&["hint_expiry_ms", "gossip_interval_ms"]);
            problems.push(
                ConfigProblem::at(place, message, "raise this, or gossip more often").warning(),
            );
        }
    }

    fn look_at_buckets(&self, problems: &mut Vec<ConfigProblem>) {
        let mut seen: Vec<&str> = Vec::new();
        for bucket in &self.core.buckets {
            if seen.contains(&&*bucket.prefix) {
                let message = format!("two buckets have the prefix `{}`", bucket.prefix);
                problems.push(ConfigProblem::at(
                    self.place(&["buckets"]),
                    message,
                    "remove one of them",
                ));
            }
            seen.push(&bucket.prefix);
        }
    }

    /// The largest message of one key, in bytes: as many siblings as there may be, as large as they
    /// may be.
    fn container_bytes(&self) -> u64 {
        let Config { siblings_max, value_bytes_max, .. } = *self.core;
        siblings_max.saturating_mul(value_bytes_max + ROOM_PER_SIBLING).saturating_add(ROOM_FIXED)
    }

    fn look_at_sizes(&self, problems: &mut Vec<ConfigProblem>) {
        let Config { siblings_max, value_bytes_max, .. } = *self.core;
        let (container, frame) = (self.container_bytes(), self.limits.peer_frame_bytes as u64);
        let batch = self.core.hint_batch_bytes.max(self.core.repair_batch_bytes);
        let message_bytes = container.saturating_add(batch);
        let taken = format!(
            "a key may have siblings_max = {siblings_max} siblings of value_bytes_max = \
             {value_bytes_max} bytes"
        );
        let smaller = "lower siblings_max or value_bytes_max";
        if frame < message_bytes {
            let message = format!(
                "peer_frame_bytes = {frame} is too little: {taken}, which would be acknowledged and \
                 never reach other nodes"
            );
            let place = self.place(&["peer_frame_bytes", "value_bytes_max", "siblings_max"]);
            let label = format!("{message_bytes} are needed");
            let help = format!("raise peer_frame_bytes to {message_bytes} or more, or {smaller}");
            problems.push(ConfigProblem::at(place, message, label).help(help));
        }
        let queue = self.limits.peer_queue_bytes as u64;
        if queue < frame {
            let message = format!(
                "peer_queue_bytes = {queue} is less than peer_frame_bytes = {frame}: one large message \
                 for a peer drops all others that wait for it"
            );
            let place = self.place(&["peer_queue_bytes", "peer_frame_bytes"]);
            problems.push(ConfigProblem::at(place, message, "raise this").warning());
        }
        let reply = self.limits.reply_bytes as u64;
        if reply < container {
            let message = format!(
                "reply_bytes = {reply} is too little: {taken}, which could be written and never read"
            );
            let place = self.place(&["reply_bytes", "value_bytes_max", "siblings_max"]);
            let label = format!("{container} are needed");
            let help = format!("raise reply_bytes to {container} or more, or {smaller}");
            problems.push(ConfigProblem::at(place, message, label).help(help));
        }
    }

    /// Checks that a connection's limits fit into the limit of all connections together.
    fn look_at_clients(&self, problems: &mut Vec<ConfigProblem>) {
        let Limits { client_bytes, held_bytes, reply_bytes, .. } = *self.limits;
        let share = client_bytes / 8 * 7;
        for (key, bytes) in [("held_bytes", held_bytes), ("reply_bytes", reply_bytes)] {
            if bytes > share {
                let message = format!(
                    "{key} = {bytes} is more than {share}, which is what connections that hold much may \
                     have together of client_bytes = {client_bytes}: one of them could never have it"
                );
                let place = self.place(&[key, "client_bytes"]);
                problems.push(ConfigProblem::at(
                    place,
                    message,
                    "lower this, or raise client_bytes",
                ));
            }
        }
    }

    fn look_at_hints(&self, problems: &mut Vec<ConfigProblem>) {
        let Config { value_bytes_max, hint_bytes_per_target, hint_bytes_total, .. } = *self.core;
        let hint = value_bytes_max.saturating_add(ROOM_FIXED);
        for (key, bytes) in [
            ("hint_bytes_per_target", hint_bytes_per_target),
            ("hint_bytes_total", hint_bytes_total),
        ] {
            if bytes < hint {
                let message = format!(
                    "{key} = {bytes} is too little for a value of value_bytes_max = {value_bytes_max}: \
                     no hint of it could be kept for a node that is down"
                );
                let place = self.place(&[key, "value_bytes_max"]);
                problems.push(ConfigProblem::at(place, message, format!("{hint} are needed")));
            }
        }
        if hint_bytes_per_target > hint_bytes_total {
            let message = format!(
                "hint_bytes_per_target = {hint_bytes_per_target} is more than hint_bytes_total = \
                 {hint_bytes_total}: one node that is down may take the room of all"
            );
            let place = self.place(&["hint_bytes_per_target", "hint_bytes_total"]);
            problems.push(
                ConfigProblem::at(place, message, "lower this, or raise the total").warning(),
            );
        }
    }

    fn look_at_counts(&self, problems: &mut Vec<ConfigProblem>) {
        let (pipeline, requests) = (self.limits.pipeline as u64, self.core.requests_max);
        if pipeline > requests {
            let message = format!(
                "pipeline = {pipeline} is more than requests_max = {requests}: one connection that uses \
                 all of it is refused"
            );
            let place = self.place(&["pipeline", "requests_max"]);
            problems.push(
                ConfigProblem::at(place, message, "lower this, or raise requests_max").warning(),
            );
        }
        let ((partitions, place), members) = (&self.partitions, self.members.len() as u64);
        if *partitions < members {
            let message = format!(
                "partitions = {partitions} is less than the {members} members: some of them would own \
                 nothing"
            );
            problems.push(ConfigProblem::at(place.clone(), message, "raise this").warning());
        }
    }

    /// Checks the limits of the whole process against its memory. They need not all be used at
    /// once, and most often are not.
    fn look_at_memory(&self, problems: &mut Vec<ConfigProblem>) {
        let Some(memory) = self.memory_bytes else { return };
        let peers = self.members.len().max(1) - 1;
        let Limits {
            cache_bytes,
            memory_bytes,
            unsynced_bytes,
            peer_queue_bytes,
            peer_queue_bytes_total,
            peer_frame_bytes,
            peer_receive_bytes,
            ..
        } = self.limits;
        let waiting = peer_queue_bytes.saturating_mul(peers).min(*peer_queue_bytes_total);
        // One message may go beyond what is received of all.
        let received = peer_receive_bytes.saturating_add(*peer_frame_bytes);
        let for_peers = waiting.saturating_add(received);
        // While one group is on its way to the disk, another one piles up.
        let in_memory = cache_bytes.saturating_add(*memory_bytes);
        let for_storage = unsynced_bytes.saturating_mul(2).saturating_add(in_memory);
        // What reads hold in the core comes on top of what clients hold.
        let for_clients = self.limits.client_bytes.saturating_add(self.limits.client_bytes / 8);
        let sum = for_peers.saturating_add(for_storage).saturating_add(for_clients) as u64;
        if sum > memory {
            let mib = |bytes: u64| bytes / (1 << 20);
            let message = format!(
                "the limits allow this node {} MiB of memory ({} for its storage, {} for {peers} peers, \
                 {} for clients), and there are {} MiB",
                mib(sum),
                mib(for_storage as u64),
                mib(for_peers as u64),
                mib(for_clients as u64),
                mib(memory),
            );
            let keys = [
                "cache_bytes",
                "memory_bytes",
                "unsynced_bytes",
                "peer_queue_bytes_total",
                "peer_receive_bytes",
                "client_bytes",
            ];
            let help = format!("lower some of {}", keys.join(", "));
            problems.push(ConfigProblem::at(self.place(&keys), message, "").help(help).warning());
        }
    }

    fn look_at_members(&self, problems: &mut Vec<ConfigProblem>) {
        let mut names: BTreeMap<String, &str> = BTreeMap::new();
        let (mut here, mut elsewhere) = (None, false);
        for ReadMember { member, address, .. } in self.members {
            let Some((address, text)) = address else { continue };
            if let Some(first) = names.insert(one_spelling(address), &member.name) {
                let message = format!(
                    "`{first}` and `{}` have one address, {}: each would speak for both",
                    member.name,
                    text.get_ref()
                );
                problems.push(ConfigProblem::at(Some(text.span()), message, "the second one"));
            }
            if address.is_loopback() {
                here = here.or(Some((member, text)));
            } else {
                elsewhere = true;
            }
        }
        if let Some((member, text)) = here.filter(|_| elsewhere) {
            let message = format!(
                "`{}` is reached on its own machine only, and others are on other machines",
                member.name
            );
            problems.push(
                ConfigProblem::at(Some(text.span()), message, "name an address that all can reach")
                    .warning(),
            );
        }
    }

    fn look_at_own_ports(&self, problems: &mut Vec<ConfigProblem>) {
        let Ports { redis, peer, http } = self.ports;
        let ports = [("redis", redis), ("peer", peer), ("http", http)];
        for (index, (key, second)) in ports.into_iter().enumerate() {
            let Some(second) = second else { continue };
            let meets = |&&(_, first): &&(&str, Option<SocketAddr>)| {
                first.is_some_and(|first| overlap(first, second))
            };
            if let Some((other, _)) = ports[..index].iter().find(meets) {
                let message = format!("`{other}` and `{key}` both listen on {second}");
                let place = self.own_spans.get(key).or_else(|| self.own_spans.get(*other)).cloned();
                problems.push(ConfigProblem::at(place, message, "choose another port"));
            }
        }
    }

    /// Checks that this node listens where peers dial it: at the address of its `[[member]]`.
    fn look_at_own_address(&self, problems: &mut Vec<ConfigProblem>) {
        let own = self.members.iter().find(|read| Some(read.member.id) == self.node);
        let (Some(peer), Some((address, text))) =
            (self.ports.peer, own.and_then(|own| own.address.as_ref()))
        else {
            return;
        };
        let place = self.own_spans.get("peer").cloned().or_else(|| Some(text.span()));
        let text = text.get_ref();
        if peer.port() != address.port {
            let listens = match peer.port() {
                0 => "on a port that the system chooses".to_owned(),
                port => format!("on port {port}"),
            };
            let message = format!(
                "this node listens for peers {listens}, and they look for it at {text}: they find it \
                 only if something forwards that port"
            );
            problems.push(ConfigProblem::at(place, message, "is this the right port?").warning());
        } else if peer.ip().is_loopback() && !address.is_loopback() {
            let message = format!(
                "this node listens for peers on {peer}, where only its own machine reaches it, and they \
                 look for it at {text}"
            );
            problems.push(ConfigProblem::at(place, message, "listen on that address").warning());
        }
    }
}

/// Writes an address in one spelling, for comparison.
fn one_spelling(address: &PeerAddress) -> String {
    let host = match &address.host {
        Host::Name(name) if name == "localhost" => "127.0.0.1".to_owned(),
        Host::Name(name) => name.trim_end_matches('.').to_owned(),
        Host::Ip(ip) => ip.to_string(),
    };
    format!("{host} {}", address.port)
}

/// Tells whether two sockets cannot listen beside each other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = |address: SocketAddr| address.ip().is_unspecified();
    let same_host = one.ip() == other.ip() || all(one) || all(other);
    one.port() == other.port() && one.port() != 0 && same_host
}
