//! One node, hand-fed: what its parts do together that none does alone.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::client::{ClientOperation, Options, PutContext, Verb};
use crate::cx::Issuer;
use crate::layout::Layout;
use crate::message::{Kind, ReplicaKind};
use crate::ring::Ring;
use crate::store::{CompletionReason, FoundingRecord, RepairCommand};
use crate::testing::Counting;
use crate::testing::effects::{admin_reply, observe, store, ticket};
use crate::time::{Now, WallTime};
use crate::topology::Topology;
use crate::types::{ClientRequest, ClusterId, FoundingId, Generation, Key};
use crate::version::Content;

const FIRST: AdminRequest = AdminRequest(1);
const SECOND: AdminRequest = AdminRequest(2);

/// One of three nodes that own everything. It has lost what it held.
fn node(founding: FoundingRecord) -> Node {
    let nodes = (1..=3_u64).map(|id| (NodeId(id), id.to_string()));
    let ring = Ring::new(Layout::single_datacenter(8, 3, nodes)).expect("three nodes, N = 3");
    let identity = Identity {
        node: NodeId(1),
        generation: Generation(1),
        cluster: ClusterId(1),
        topology: Arc::new(Topology::new(Arc::new(ring))),
    };
    let recovered = Recovered { founding, ..Recovered::default() };
    let mut node = Node::new(Config::default(), identity, recovered);
    // What it does at its start is none of these tests' business.
    feed(&mut node, Input::Link { peer: NodeId(2), state: LinkState::Down });
    node
}

fn feed(node: &mut Node, input: Input) -> Vec<Effect> {
    let (mut out, mut draw) = (Vec::new(), Counting::default());
    let now = Now { monotonic: Time(1_000), wall: WallTime(1_000_000) };
    node.handle(&mut Cx { now, draw: &mut draw, out: &mut out }, input);
    node.invariants();
    out
}

fn order(node: &mut Node, request: AdminRequest, command: AdminCommand) -> Vec<Effect> {
    feed(node, Input::Admin { request, command })
}

#[test]
fn an_operator_who_waits_for_a_marker_is_told_when_the_store_fails() {
    let mut node = node(FoundingRecord::Founded(FoundingId(1)));
    let partition = PartitionId(3);
    let reason = CompletionReason::LossAccepted;
    assert_eq!(
        order(&mut node, FIRST, AdminCommand::AcceptLoss { partition }),
        [store(ticket(Issuer::Repair, 0), partition, RepairCommand::MarkComplete { reason })]
    );
    assert_eq!(
        feed(&mut node, Input::StoreFailed),
        [observe(Event::StoreFailed), admin_reply(FIRST, AdminReply::Unknown)]
    );
    assert_eq!(feed(&mut node, Input::Deadline), []);
}

#[test]
fn an_operator_who_founds_is_told_when_the_store_fails() {
    let mut node = node(FoundingRecord::None);
    let asked = order(&mut node, FIRST, AdminCommand::Init { without: vec![] });
    let is_reply = |effect: &Effect| matches!(effect, Effect::AdminReply { .. });
    assert!(!asked.iter().any(is_reply), "the others were not asked yet: {asked:?}");
    let refused = AdminReply::Refused(AdminRefusal::Ended);
    assert_eq!(
        feed(&mut node, Input::StoreFailed),
        [observe(Event::StoreFailed), admin_reply(FIRST, refused)]
    );
}

#[test]
fn copies_of_what_a_node_sends_to_itself_are_kept_if_they_are_asked_for() {
    let put = || {
        let content = Content::Value(Bytes::from_static(b"v"));
        let verb = Verb::Put { content, expiry: None, context: PutContext::Nothing };
        let operation = ClientOperation { key: Key::from("k"), verb, options: Options::default() };
        Input::Client { request: ClientRequest(1), operation: Box::new(operation) }
    };
    let mut unwatched = node(FoundingRecord::Founded(FoundingId(1)));
    let effects = feed(&mut unwatched, put());
    assert_eq!(unwatched.take_own_messages(), []);

    let mut watched = node(FoundingRecord::Founded(FoundingId(1)));
    watched.keep_own_messages();
    assert_eq!(feed(&mut watched, put()), effects, "it changes nothing");
    let kinds: Vec<_> =
        watched.take_own_messages().iter().map(|message| message.body.kind()).collect();
    assert_eq!(kinds, [Kind::Replica(ReplicaKind::Mint)]);
    assert_eq!(watched.take_own_messages(), [], "each is given once");
}

#[test]
fn commands_to_a_node_whose_store_failed_are_refused() {
    let mut node = node(FoundingRecord::Founded(FoundingId(1)));
    feed(&mut node, Input::StoreFailed);
    for (request, command) in [
        (FIRST, AdminCommand::Losses),
        (SECOND, AdminCommand::AcceptLoss { partition: PartitionId(3) }),
    ] {
        let refused = AdminReply::Refused(AdminRefusal::Ended);
        assert_eq!(order(&mut node, request, command), [admin_reply(request, refused)]);
    }
}
