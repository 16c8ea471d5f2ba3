//! The membership: which members seem up, and what each says about itself, by gossip with phi
//! accrual (semantics.md §6).
//!
//! In go deadlines and gossip messages; out go gossip messages and, by value, [`Opinion`]s, from
//! which the node keeps its list of peers that seem down. An opinion is this node's own: it changes
//! routing, never ownership.
//!
//! ```text
//! each round      own heartbeat + 1; choose fanout peers
//! each turn of it SYN   what I know of everybody, by version    → one of them
//! on SYN          ACK   what you lack, and what I lack          → back
//! on ACK          ACK2  what you said that you lack             → back
//! ```
//!
//! A peer lives as long as newer heartbeats of it become known, by whatever route. Silence is
//! judged at each turn and, between two turns, at the very moment at which somebody's will have
//! lasted too long; so a node has no more deadlines than turns while nobody dies.
//!
//! Refused, and told to people once per message, are:
//! - whatever comes from or is about one that is no member: a node that was removed must not return
//!   through old gossip (CASSANDRA-8801);
//! - a heartbeat that would have been raised more than a year from now (CASSANDRA-8113); see
//!   [`Horizon`];
//! - what others say about this node and this node never said: a greater generation or heartbeat.
//!   Two nodes run from one disk, or this one started with an old generation. It is never adopted
//!   and never outbid, which would hide it: to the others this node is silent, and people are told
//!   in every round;
//! - a state that is newer than the heartbeat that brings it.
//!
//! Nothing that was believed under a wrong clock outlives it. In each round a node forgets what it
//! knows of a peer and can no longer be true; and if its own generation cannot be, it goes on under
//! one that can, and returns to its own should the clock turn out to have been right after all.
//!
//! Invariants: peers are sorted, and never added to by a message; the work of a message is bounded
//! by its length and by a limit, its answer by the members; nobody is convicted before this node
//! has been running for [`LENIENT_INTERVALS`] after a stall (CASSANDRA-9183).

mod gate;
mod horizon;
mod inspect;
mod invariants;
mod partners;
mod peer;
mod phi;
mod rounds;
mod state;
#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;
use core::iter;

use bytes::Bytes;

use self::gate::Gate;
pub use self::horizon::Horizon;
pub use self::inspect::{MembershipSnapshot, PeerSnapshot};
use self::peer::{Heard, Peer};
use self::rounds::{RoundTurn, Rounds};
use self::state::{NodeState, Stamp};
use crate::cx::{Cx, NodeContext, Purpose};
use crate::event::Event;
use crate::message::gossip::{Ack, Ack2, Delta, Known, StateKey, Syn};
use crate::message::{Body, GossipKind, GossipMessage, Kind};
use crate::probe::Probe;
use crate::time::Time;
use crate::types::{Generation, NodeId, RequestId};

/// The number of intervals after a stall in which nobody is convicted.
pub const LENIENT_INTERVALS: u64 = 3;

/// A change of this node's opinion of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// The peer seems to be down, having seemed up.
    Down(NodeId),
    /// The peer seems to be up again.
    Up(NodeId),
}

/// A node's knowledge of every member, and its judgement whether that member is up.
#[derive(Clone, Debug)]
pub struct Membership {
    me: NodeId,
    own: NodeState,
    /// The time at which this node's own heartbeat was last raised.
    raised: Time,
    /// All members but this one, sorted by id.
    peers: Vec<Peer>,
    /// The peers that this round will still talk to.
    partners: Vec<NodeId>,
    /// The deadlines; none until the first input, as only then the time is known.
    timetable: Option<Timetable>,
}

/// The times at which the membership acts next.
#[derive(Clone, Copy, Debug)]
struct Timetable {
    rounds: Rounds,
    /// The time of the first conviction before the next turn, if nothing is heard until then.
    judge_at: Option<Time>,
    /// The time before which nobody is convicted.
    lenient_until: Time,
}

/// Getters.
impl Membership {
    /// Makes the membership of a node; `members` may contain the node itself. Everybody seems up.
    pub fn new(me: NodeId, members: impl IntoIterator<Item = NodeId>) -> Self {
        let mut ids: Vec<NodeId> = members.into_iter().filter(|&id| id != me).collect();
        ids.sort_unstable();
        ids.dedup();
        let peers = ids.into_iter().map(Peer::new).collect();
        Self {
            me,
            own: NodeState::default(),
            raised: Time(0),
            peers,
            partners: Vec::new(),
            timetable: None,
        }
    }

    /// The time at which [`Membership::on_deadline`] is to be called; at once, if it never was.
    pub fn next_deadline(&self) -> Option<Time> {
        let Some(Timetable { rounds, judge_at, lenient_until: _ }) = self.timetable else {
            return Some(Time(0));
        };
        Some(judge_at.map_or(rounds.next(), |judge_at| judge_at.min(rounds.next())))
    }

    /// Tells whether the turn that is due now raises the heartbeat: what is said of this node before it
    /// travels with that.
    pub fn begins_round(&self, now: Time) -> bool {
        self.timetable.is_none_or(|timetable| timetable.rounds.begins_round(now))
    }

    /// Tells whether a node seems up. This node always does, one that is no member never.
    pub fn seems_up(&self, node: NodeId) -> bool {
        let peer = self.slot(node).and_then(|slot| self.peers.get(slot));
        node == self.me || peer.is_some_and(|peer| peer.seems_up)
    }

    /// The value that each member has for a state, this node included; members that have none are
    /// left out.
    pub fn states(&self, key: StateKey) -> impl Iterator<Item = (NodeId, &Bytes)> {
        self.records().filter_map(move |(node, state)| Some((node, state.value(key)?)))
    }

    /// The value that a peer has for a state, if it has one.
    pub fn state(&self, peer: NodeId, key: StateKey) -> Option<&Bytes> {
        let slot = self.peers.binary_search_by_key(&peer, |peer| peer.id).ok()?;
        self.peers[slot].state.value(key)
    }

    /// The generation and the newest heartbeat that this node knows of each member, itself
    /// included.
    pub fn known(&self) -> impl Iterator<Item = Known> {
        self.records().map(|(node, state)| state.stamp.known(node))
    }

    /// The states of all members, this node's own last.
    fn records(&self) -> impl Iterator<Item = (NodeId, &NodeState)> {
        let peers = self.peers.iter().map(|peer| (peer.id, &peer.state));
        peers.chain(iter::once((self.me, &self.own)))
    }

    /// The index of a member among the records.
    fn slot(&self, node: NodeId) -> Option<usize> {
        if node == self.me {
            return Some(self.peers.len());
        }
        self.peers.binary_search_by_key(&node, |peer| peer.id).ok()
    }

    /// The index of a member among the records, for the entries of a list one after the other.
    /// Senders keep to the order of the records, so an entry is first looked for just behind the
    /// last one.
    fn slot_behind(&self, behind: &mut usize, node: NodeId) -> Option<usize> {
        const NEAR: usize = 8;
        let near = self.peers.iter().skip(*behind).take(NEAR).position(|peer| peer.id == node);
        let slot = near.map(|place| *behind + place).or_else(|| self.slot(node))?;
        *behind = slot + 1;
        Some(slot)
    }

    /// The number of entries of a peer's list that are looked at: all of an honest one, even if the
    /// sender's layout has more members.
    fn entries_max(&self) -> usize {
        const ENTRIES_MAX_AT_LEAST: usize = 4_096;
        self.peers.len().saturating_add(1).max(ENTRIES_MAX_AT_LEAST)
    }
}

/// Commands.
impl Membership {
    /// Sets a state of this node, which travels with the next heartbeat.
    pub fn set_state(&mut self, key: StateKey, value: Bytes) {
        self.own.set(key, value);
    }
}

/// Inputs.
impl Membership {
    /// Judges the silent, and gossips if a turn is due: the time that [`Membership::next_deadline`]
    /// named has come.
    pub fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &NodeContext) -> Vec<Opinion> {
        let now = cx.now.monotonic;
        let mut timetable = self.wake(cx, local);
        let lenient = now < timetable.lenient_until;
        let opinions = if lenient { Vec::new() } else { self.judge(cx) };
        match timetable.rounds.take(now) {
            RoundTurn::None => {}
            RoundTurn::First => {
                self.begin_round(cx, local);
                self.call_partner(cx, local);
            }
            RoundTurn::Next => self.call_partner(cx, local),
        }
        timetable.judge_at = self.first_conviction(&timetable);
        self.timetable = Some(timetable);
        opinions
    }

    /// Handles the gossip of a member. Returns the opinions of peers that it changed.
    pub fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: GossipMessage,
    ) -> Vec<Opinion> {
        match message {
            GossipMessage::Syn(syn) => self.on_syn(cx, local, from, request, syn),
            GossipMessage::Ack(ack) => self.on_ack(cx, local, from, request, ack),
            GossipMessage::Ack2(ack2) => self.on_ack2(cx, local, from, ack2),
        }
    }

    /// Answers a SYN: sends what the peer lacks, and asks for what this node lacks.
    fn on_syn(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: NodeId,
        request: RequestId,
        syn: Syn,
    ) -> Vec<Opinion> {
        let mut gate = Gate::new(cx, local);
        if self.is_from_peer(cx, local, from, &mut gate) {
            let claims = self.claims(syn.known, &mut gate);
            let wanted = self.records().zip(&claims).filter_map(|((node, state), claim)| {
                let theirs = (*claim)?;
                (theirs > state.stamp).then(|| state.stamp.known(node))
            });
            let wanted = wanted.collect();
            let ack = Ack { deltas: self.deltas(&claims, cx.now.monotonic), wanted };
            cx.send(local.message(from, request, Body::Gossip(GossipMessage::Ack(ack))));
        }
        gate.tell(cx, from);
        Vec::new()
    }

    /// Learns from the answer to a SYN, and sends what the peer asked for.
    fn on_ack(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: NodeId,
        request: RequestId,
        ack: Ack,
    ) -> Vec<Opinion> {
        let mut gate = Gate::new(cx, local);
        let mut opinions = Vec::new();
        if self.is_from_peer(cx, local, from, &mut gate) {
            opinions = self.learn(cx, ack.deltas, &mut gate);
            let claims = self.claims(ack.wanted, &mut gate);
            let deltas = self.deltas(&claims, cx.now.monotonic);
            if !deltas.is_empty() {
                cx.send(local.message(
                    from,
                    request,
                    Body::Gossip(GossipMessage::Ack2(Ack2 { deltas })),
                ));
            }
        }
        gate.tell(cx, from);
        opinions
    }

    /// Learns what this node asked a peer for.
    fn on_ack2(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: NodeId,
        ack2: Ack2,
    ) -> Vec<Opinion> {
        let mut gate = Gate::new(cx, local);
        let mut opinions = Vec::new();
        if self.is_from_peer(cx, local, from, &mut gate) {
            opinions = self.learn(cx, ack2.deltas, &mut gate);
        }
        gate.tell(cx, from);
        opinions
    }
}

/// Time.
impl Membership {
    /// Keeps the clocks running: starts them at the first input, and anew after a stall, which is a
    /// turn that is late by more than half an interval. Less is an ordinary silence, which convicts
    /// nobody.
    fn wake(&mut self, cx: &mut Cx<'_>, local: &NodeContext) -> Timetable {
        let now = cx.now.monotonic;
        let interval = local.config.gossip_interval();
        let timetable = match self.timetable {
            None => {
                self.own.stamp.generation = local.identity.generation;
                // The heartbeat of before the first round, with which peers are answered.
                self.raised = now;
                self.peers.iter_mut().for_each(|peer| peer.start(now, interval));
                let phase =
                    cx.draw.u64(Purpose::Phase, Kind::Gossip(GossipKind::Syn).number().into());
                let turns = self.fanout(local).max(1) as u64;
                let rounds = Rounds::starting(now, interval, turns, phase);
                Timetable { rounds, judge_at: None, lenient_until: now }
            }
            Some(timetable) if timetable.rounds.late(now).times(2) <= interval => timetable,
            Some(mut timetable) => {
                cx.observe(Event::Stalled { ms: timetable.rounds.late(now).as_ms() });
                self.peers.iter_mut().for_each(|peer| peer.listen_anew(now));
                timetable.rounds.excuse(now);
                let lenient_until = now + interval.times(LENIENT_INTERVALS);
                Timetable { lenient_until, judge_at: None, ..timetable }
            }
        };
        self.timetable = Some(timetable);
        timetable
    }

    fn judge(&mut self, cx: &mut Cx<'_>) -> Vec<Opinion> {
        let now = cx.now.monotonic;
        let mut opinions = Vec::new();
        for peer in &mut self.peers {
            if peer.judge(now) {
                cx.observe(Event::Suspected { peer: peer.id });
                opinions.push(Opinion::Down(peer.id));
            }
        }
        opinions
    }

    /// The time of the first conviction before the next turn. News that is already old when it
    /// comes may make a peer suspect a little sooner; it is judged at the next turn then.
    fn first_conviction(&self, timetable: &Timetable) -> Option<Time> {
        let turn = timetable.rounds.next();
        let first = self.peers.iter().filter_map(|peer| peer.suspect_before(turn)).min()?;
        Some(first.max(timetable.lenient_until)).filter(|&first| first < turn)
    }
}

/// Messages.
impl Membership {
    /// Tells whether a message comes from a peer; if so, keeps the clocks running.
    fn is_from_peer(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: NodeId,
        gate: &mut Gate,
    ) -> bool {
        let slot = self.slot(from).filter(|_| from != self.me);
        let is_peer = gate.member(slot).is_some();
        if is_peer {
            self.wake(cx, local);
        }
        is_peer
    }

    /// Raises this node's heartbeat, forgets what cannot be true, and chooses the peers to talk to.
    fn begin_round(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let horizon = Horizon::new(cx.now.wall, local.config.gossip_interval());
        self.peers.iter_mut().for_each(|peer| peer.forget_beyond(horizon));
        self.own.stamp.heartbeat = self.own.stamp.heartbeat.saturating_add(1);
        self.own.stamp.generation = self.believable_generation(cx, local, horizon);
        self.raised = cx.now.monotonic;
        let (up, down): (Vec<&Peer>, Vec<&Peer>) =
            self.peers.iter().partition(|peer| peer.seems_up);
        let ids = |peers: Vec<&Peer>| -> Vec<NodeId> { peers.iter().map(|peer| peer.id).collect() };
        let draws = || cx.draw.u64(Purpose::GossipPeers, 0);
        self.partners = partners::choose(&ids(up), &ids(down), self.fanout(local), draws);
        if self.partners.iter().any(|&partner| !self.seems_up(partner)) {
            cx.probe(Probe::DownPeerProbed);
        }
    }

    /// The generation to gossip under: the one that this run was started under, or, if peers cannot
    /// believe that one, another that they can, which is kept for as long as they can.
    fn believable_generation(
        &self,
        cx: &Cx<'_>,
        local: &NodeContext,
        horizon: Horizon,
    ) -> Generation {
        let Stamp { generation, heartbeat } = self.own.stamp;
        let known = [local.identity.generation, generation];
        let mut believable = known.into_iter().filter(|&known| horizon.admits(known, heartbeat));
        believable.next().unwrap_or(Generation(cx.now.wall.as_seconds()))
    }

    /// Sends a SYN to the next peer of this round.
    fn call_partner(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        if let Some(partner) = self.partners.pop() {
            let request = request_of(self.me, self.own.stamp);
            let syn = Syn { known: self.known().collect() };
            cx.send(local.message(partner, request, Body::Gossip(GossipMessage::Syn(syn))));
        }
    }

    /// The number of peers that a round talks to: the configured fanout, or all.
    fn fanout(&self, local: &NodeContext) -> usize {
        let fanout = usize::try_from(local.config.gossip_fanout).unwrap_or(usize::MAX);
        fanout.min(self.peers.len())
    }

    /// The heartbeats that a peer says it knows, in the order of the records. Claims about
    /// strangers, about the future, and about what this node has yet to say do not count.
    fn claims(&self, known: Vec<Known>, gate: &mut Gate) -> Vec<Option<Stamp>> {
        let mut claims = vec![None; self.peers.len() + 1];
        let mut behind = 0;
        for known in known.into_iter().take(self.entries_max()) {
            if let Some(slot) = gate.member(self.slot_behind(&mut behind, known.node)) {
                let stamp = Stamp::from(known);
                let is_unsaid = gate.unsaid(stamp, self.has_yet_to_say(known.node, stamp));
                let claim = gate.stamp(stamp, !is_unsaid);
                claims[slot] = claims[slot].max(claim);
            }
        }
        claims
    }

    /// The deltas that a peer with these claims lacks. It is sent nothing of members that it did
    /// not name.
    fn deltas(&self, claims: &[Option<Stamp>], now: Time) -> Vec<Delta> {
        let ages = self.peers.iter().map(|peer| peer.age(now));
        let ages = ages.chain(iter::once(now.since(self.raised)));
        let records = self.records().zip(ages).zip(claims);
        records
            .filter_map(|(((node, state), age), claim)| state.delta(node, (*claim)?, age))
            .collect()
    }

    fn learn(&mut self, cx: &mut Cx<'_>, deltas: Vec<Delta>, gate: &mut Gate) -> Vec<Opinion> {
        let mut opinions = Vec::new();
        let mut behind = 0;
        for delta in deltas.into_iter().take(self.entries_max()) {
            let slot = gate.member(self.slot_behind(&mut behind, delta.node));
            let Some(slot) = slot else { continue };
            let stamp = Stamp { generation: delta.generation, heartbeat: delta.heartbeat };
            let ahead = delta.states.iter().any(|state| state.version > delta.heartbeat);
            let is_unsaid = gate.unsaid(stamp, self.has_yet_to_say(delta.node, stamp));
            let sound = !is_unsaid && !ahead;
            let passes = gate.stamp(stamp, sound).is_some();
            let peer = self.peers.get_mut(slot).filter(|_| passes);
            let Some(peer) = peer else { continue };
            match peer.learn(delta, cx.now.monotonic) {
                Heard::Nothing | Heard::News => {}
                Heard::Restart => cx.probe(Probe::PeerRestarted),
                Heard::Stale => cx.probe(Probe::StaleNews),
                Heard::UpAgain => {
                    cx.observe(Event::Trusted { peer: peer.id });
                    opinions.push(Opinion::Up(peer.id));
                }
            }
        }
        opinions
    }

    /// Tells whether this is a heartbeat of this node that it has not reached yet.
    fn has_yet_to_say(&self, node: NodeId, stamp: Stamp) -> bool {
        node == self.me && stamp > self.own.stamp
    }
}

/// The request id of a round. No other round has it, nor one of an earlier run, before the
/// generation passes 2^32 seconds (in 2106) or a run its 2^32nd heartbeat.
fn request_of(me: NodeId, Stamp { generation, heartbeat }: Stamp) -> RequestId {
    let round = generation.0 << 32 | heartbeat & u64::from(u32::MAX);
    RequestId(u128::from(me.0) << 64 | u128::from(round))
}
