//! A fallback that keeps hints for the owners of a key, and what they do, by short names.

use alloc::boxed::Box;

use super::super::*;
use crate::config::Config;
use crate::message::{HandoffMessage, Kind, Message};
use crate::store::{
    Answer, Hint, HintTerms, Outcome, Recovered, ReplicaAction, ReplicaAnswer, ReplicaCommand,
    ReplicaDone, Requester,
};
use crate::testing::world::{Done, Machine, World, executes, sends, tells};
use crate::types::OperationId;

impl Machine for Handoff {
    const ISSUER: Issuer = Issuer::Handoff;

    fn start(recovered: &Recovered) -> Self {
        Self::new(&recovered.hints)
    }

    fn next_deadline(&self) -> Option<Time> {
        self.next_deadline()
    }

    fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext) {
        self.on_deadline(cx, local);
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext, message: Message) {
        let from = (message.header.from, message.header.request);
        match message.body {
            Body::Handoff(message) => self.on_message(cx, local, from, message),
            other => panic!("nobody here says {other:?}"),
        }
    }

    fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &mut NodeContext,
        seq: Seq,
        outcome: Outcome,
    ) {
        let Answer::Handoff(answer) = outcome.answer else { panic!("it is not for this part") };
        self.on_store_done(cx, local, outcome.partition, seq, answer);
    }

    fn on_durable(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext, seq: Seq) {
        self.on_durable(cx, local, seq);
    }

    fn invariants(&self, _: &NodeContext) {
        Self::invariants(self);
    }
}

const DAY_MS: u64 = 86_400_000;

/// Four nodes, N = 3, so that one node is no owner of the key: it keeps hints for the others.
pub(super) struct Scene {
    pub(super) world: World<Handoff>,
    pub(super) key: Key,
    pub(super) partition: PartitionId,
    pub(super) keeper: u64,
    pub(super) owners: Vec<u64>,
    /// The half of the keeper's request ids that is drawn once per life.
    pub(super) life: u128,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let world = World::new(4, 3, 4, config);
        let (ring, key) = (world.ring(), Key::from("k"));
        let partition = ring.partition_of(key.token());
        let keeper = ring.fallbacks(partition).next().expect("one of four is no owner").0;
        let owners = ring.owners(partition).iter().map(|owner| owner.0).collect();
        Self { world, key, partition, keeper, owners, life: 1 }
    }

    /// The keeper keeps a container for a target.
    pub(super) fn keep(&mut self, target: u64, container: &Container) {
        self.keep_for_ms(target, container, DAY_MS);
    }

    pub(super) fn keep_for_ms(&mut self, target: u64, container: &Container, ms: u64) {
        let (target, wall) = (NodeId(target), self.world.now.wall);
        let expires = wall + Span::from_ms(ms);
        let terms = HintTerms { target, created: wall, expires, copies: 1 };
        let hint = Hint { key: self.key.clone(), container: container.clone(), terms };
        let requester = Requester {
            node: NodeId(self.keeper),
            request: RequestId(0),
            operation: OperationId(0),
            for_owner: Some(target),
        };
        let command = ReplicaCommand { requester, action: ReplicaAction::Hint(hint.into()) };
        let done = self.world.execute(self.keeper, self.partition, command).answer;
        let Answer::Replica(ReplicaAnswer { result: Ok(ReplicaDone::Hinted(growth)), .. }) = done
        else {
            panic!("a hint was to be kept: {done:?}")
        };
        let partition = self.partition;
        self.world.call(NodeId(self.keeper), |handoff, _, _| {
            handoff.on_hinted(partition, growth);
        });
    }

    pub(super) fn handoff(&mut self) -> &mut Handoff {
        &mut self.world.member(self.keeper).machine
    }

    pub(super) fn pending(&mut self) -> u64 {
        self.handoff().pending_hints()
    }

    /// Counts the hints in the keeper's store for this target.
    pub(super) fn stored(&mut self, target: u64) -> usize {
        let command = HandoffCommand::Read { target: NodeId(target), bytes: u64::MAX };
        match self.world.execute(self.keeper, self.partition, command).answer {
            Answer::Handoff(HandoffAnswer::Read { result: Ok(batch), .. }) => batch.hints.len(),
            other => panic!("hints were asked for: {other:?}"),
        }
    }

    /// The containers that the owners hold.
    pub(super) fn held(&mut self) -> Vec<Container> {
        let Self { world, key, owners, .. } = self;
        owners.iter().map(|&owner| world.holds(owner, key)).collect()
    }

    pub(super) fn is_stale(&mut self, target: u64) -> bool {
        let stale = Stale { target: NodeId(target), partition: self.partition };
        self.handoff().stale().any(|one| one == stale)
    }

    pub(super) fn lose(&mut self, kind: Kind) {
        self.world.is_lost = Box::new(move |message| message.body.kind() == kind);
    }

    pub(super) fn lose_nothing(&mut self) {
        self.world.is_lost = Box::new(|_| false);
    }

    /// The keeper learns that a target is up.
    pub(super) fn comes_up(&mut self, target: u64) {
        let keeper = NodeId(self.keeper);
        self.world.call(keeper, |handoff, cx, _| handoff.on_peer_up(cx, NodeId(target)));
    }

    pub(super) fn set_down(&mut self, target: u64, is_down: bool) {
        let down = &mut self.world.member(self.keeper).local.peers.down;
        if is_down {
            down.insert(NodeId(target))
        } else {
            down.remove(&NodeId(target))
        };
    }

    /// The request under which the keeper makes a delivery.
    pub(super) fn request(&self, delivery: u64) -> RequestId {
        RequestId(self.life << 64 | u128::from(delivery))
    }

    /// The keeper reads what it keeps for a target.
    pub(super) fn reads(&self, target: u64) -> Done {
        let bytes = self.world.nodes[&NodeId(self.keeper)].local.config.hint_batch_bytes;
        let read = HandoffCommand::Read { target: NodeId(target), bytes };
        executes(NodeId(self.keeper), self.partition, read)
    }

    /// The keeper delivers what it keeps of the key.
    pub(super) fn delivers(&self, delivery: u64, to: u64, container: &Container) -> Done {
        let items = vec![(self.key.clone(), container.clone())];
        let message = HintDelivery { delivery, partition: self.partition, items };
        self.says(delivery, self.keeper, to, HandoffMessage::Deliver(message))
    }

    /// An owner joins what was delivered into its own copy.
    pub(super) fn receives(&self, delivery: u64, owner: u64, container: &Container) -> Done {
        let items = vec![(self.key.clone(), container.clone())];
        let request = self.request(delivery);
        let receipt = Receipt { to: NodeId(self.keeper), request, delivery };
        executes(NodeId(owner), self.partition, HandoffCommand::Receive { receipt, items })
    }

    /// An owner says that what was delivered is durable.
    pub(super) fn confirms(&self, delivery: u64, owner: u64) -> Done {
        let message = HandoffMessage::Delivered(HintDelivered { delivery });
        self.says(delivery, owner, self.keeper, message)
    }

    /// The keeper deletes its hint of the key.
    pub(super) fn drops(&self, target: u64, reason: DropReason, container: &Container) -> Done {
        let (target, items) = (NodeId(target), vec![(self.key.clone(), container.hash(&self.key))]);
        executes(
            NodeId(self.keeper),
            self.partition,
            HandoffCommand::Drop { target, reason, items },
        )
    }

    pub(super) fn tells(&self, event: Event) -> Done {
        tells(NodeId(self.keeper), event)
    }

    pub(super) fn says(&self, delivery: u64, from: u64, to: u64, message: HandoffMessage) -> Done {
        let local = &self.world.nodes[&NodeId(from)].local;
        sends(local.message(NodeId(to), self.request(delivery), Body::Handoff(message)))
    }

    /// A whole turn that goes well.
    pub(super) fn replays(&self, delivery: u64, target: u64, container: &Container) -> [Done; 6] {
        [
            self.reads(target),
            self.delivers(delivery, target, container),
            self.receives(delivery, target, container),
            self.confirms(delivery, target),
            self.drops(target, DropReason::Delivered, container),
            self.tells(Event::HintsDelivered { target: NodeId(target), count: 1 }),
        ]
    }

    /// A whole turn in which two other owners take over a hint that has expired.
    pub(super) fn hands_over(
        &self,
        target: u64,
        others: [u64; 2],
        container: &Container,
    ) -> [Done; 10] {
        let [first, second] = others;
        let partition = self.partition;
        [
            self.reads(target),
            self.delivers(0, first, container),
            self.delivers(0, second, container),
            self.receives(0, first, container),
            self.confirms(0, first),
            self.receives(0, second, container),
            self.confirms(0, second),
            self.drops(target, DropReason::Expired, container),
            self.tells(Event::Probe(Probe::HintInherited)),
            self.tells(Event::HintDropped { target: NodeId(target), partition }),
        ]
    }
}
