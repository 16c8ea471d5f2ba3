//! Every kind of message, there and back; its bytes, frozen; and bytes that are no messages.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::merkle::{FAN_OUT, LeafId};
use crate::message::founding::{Pledge, Pledged, Tell};
use crate::message::gossip::{Ack, Ack2, Delta, Known, State, StateKey, Syn};
use crate::message::repair::{
    Branches, BranchesDiffer, Compare, Compared, Exchange, Exchanged, Leaves, LeavesDiffer, Roots,
    RootsDiffer, Step, SummariesRequest, Summarized,
};
use crate::message::{
    Acked, CoordinatorMessage, Echo, FallbackFor, FoundingMessage, GossipMessage, HandoffMessage,
    HintDelivered, HintDelivery, HintRequest, MergeRequest, MintRequest, Minted, OperationId,
    ReadReply, ReadRequest, Refused, RepairMessage, ReplicaMessage,
};
use crate::store::{CopyKind, Refusal, Summary};
use crate::time::{HybridTime, Time, WallTime};
use crate::types::{
    ClusterId, ContentHash, Epoch, FoundingId, Generation, Key, LayoutHash, NodeId, PartitionId,
    RequestId,
};
use crate::version::{Actor, Container, Content, Dot, Tag, Version};
use crate::write::{Basis, Write};

fn container() -> Container {
    let dot = |n| Dot { actor: Actor { node: NodeId(3), epoch: Epoch(4) }, n };
    let mut container = Container::default();
    container.add(
        dot(1),
        Version {
            content: Content::Value(Bytes::from_static(b"value")),
            time: HybridTime(5),
            expiry: Some(WallTime(6)),
            request: RequestId(7),
            tag: Some(Box::new(Tag { round: 1, coordinator: NodeId(8), request: RequestId(9) })),
        },
    );
    container.add(
        dot(2),
        Version {
            content: Content::Tombstone,
            time: HybridTime(5),
            expiry: None,
            request: RequestId(8),
            tag: None,
        },
    );
    container
}

/// One body of each kind.
fn bodies() -> Vec<Body> {
    let (operation, step, partition) = (OperationId(300), Step(2), PartitionId(5));
    let key = Key::from("key");
    let container = container();
    let seen = container.seen().clone();
    let hash = ContentHash(u128::MAX / 3);
    let fallback_for = FallbackFor { owner: NodeId(9), copies: 1 };
    let items = vec![(key.clone(), container.clone())];
    let known = vec![Known { node: NodeId(1), generation: Generation(2), version: 3 }];
    let state = State { key: StateKey(1), version: 2, value: Bytes::from_static(b"s") };
    let deltas = vec![Delta {
        node: NodeId(1),
        generation: Generation(2),
        since: 1,
        heartbeat: 3,
        age_ms: 4,
        states: vec![state],
    }];
    vec![
        Body::Gossip(GossipMessage::Syn(Syn { known: known.clone() })),
        Body::Gossip(GossipMessage::Ack(Ack { deltas: deltas.clone(), wanted: known })),
        Body::Gossip(GossipMessage::Ack2(Ack2 { deltas })),
        Body::Replica(ReplicaMessage::Mint(Box::new(MintRequest {
            operation,
            key: key.clone(),
            write: Write {
                content: Content::Tombstone,
                expiry: None,
                basis: Basis::Held(seen.clone()),
            },
            fallback_for: Some(fallback_for),
            echo: Some(Echo { generation: Generation(3), sent: Time(10) }),
        }))),
        Body::Coordinator(CoordinatorMessage::Minted(Minted {
            operation,
            container: container.clone(),
        })),
        Body::Replica(ReplicaMessage::Merge(MergeRequest {
            operation,
            key: key.clone(),
            container: container.clone(),
        })),
        Body::Replica(ReplicaMessage::Hint(HintRequest {
            operation,
            key: key.clone(),
            container,
            fallback_for,
        })),
        Body::Coordinator(CoordinatorMessage::Acked(Acked {
            operation,
            for_owner: Some(NodeId(9)),
        })),
        Body::Coordinator(CoordinatorMessage::Refused(Refused {
            operation,
            refusal: Refusal::TooManySiblings { max: 64 },
        })),
        Body::Replica(ReplicaMessage::Read(ReadRequest {
            operation,
            key: key.clone(),
            copy: CopyKind::Hinted,
        })),
        Body::Coordinator(CoordinatorMessage::ReadReply(ReadReply {
            operation,
            container: Container::default(),
        })),
        Body::Handoff(HandoffMessage::Deliver(HintDelivery {
            delivery: 1,
            partition,
            items: items.clone(),
        })),
        Body::Handoff(HandoffMessage::Delivered(HintDelivered { delivery: 1 })),
        Body::Repair(RepairMessage::Compare(Compare { step, hash })),
        Body::Repair(RepairMessage::Compared(Compared { step, equal: true })),
        Body::Repair(RepairMessage::Roots(Roots { step, roots: vec![(partition, hash)] })),
        Body::Repair(RepairMessage::RootsDiffer(RootsDiffer {
            step,
            partitions: vec![partition],
            incomplete: vec![],
        })),
        Body::Repair(RepairMessage::Branches(Branches {
            step,
            partition,
            branches: Box::new([hash; FAN_OUT]),
        })),
        Body::Repair(RepairMessage::BranchesDiffer(BranchesDiffer { step, branches: 0b101 })),
        Body::Repair(RepairMessage::Leaves(Leaves {
            step,
            partition,
            leaves: vec![(LeafId(3), hash)],
        })),
        Body::Repair(RepairMessage::LeavesDiffer(LeavesDiffer { step, leaves: vec![LeafId(3)] })),
        Body::Repair(RepairMessage::Summaries(SummariesRequest {
            step,
            partition,
            leaf: LeafId(3),
            after: Some(key.clone()),
        })),
        Body::Repair(RepairMessage::Summarized(Summarized {
            step,
            entries: vec![Summary { key: key.clone(), seen, hash }],
            more: false,
        })),
        Body::Repair(RepairMessage::Exchange(Exchange {
            step,
            partition,
            pushed: items.clone(),
            wanted: vec![key],
        })),
        Body::Repair(RepairMessage::Exchanged(Exchanged { step, items })),
        Body::Founding(FoundingMessage::Tell(Tell::Founded { founding: FoundingId(11) })),
        Body::Founding(FoundingMessage::Pledge(Pledge { founding: FoundingId(11) })),
        Body::Founding(FoundingMessage::Pledged(Pledged::Promised { founding: FoundingId(11) })),
    ]
}

fn message(body: Body) -> Message {
    let header = Header {
        cluster: ClusterId(1),
        from: NodeId(2),
        generation: Generation(3),
        to: NodeId(4),
        request: RequestId(5),
        layout: (6, LayoutHash(7)),
        fence: 8,
        sent: Time(9),
    };
    Message { header, body }
}

#[test]
fn every_kind_of_message_comes_back_as_it_was_sent() {
    let kinds: Vec<Kind> = bodies().iter().map(Body::kind).collect();
    assert_eq!(kinds, Kind::ALL, "there is a sample of each kind");
    for body in bodies() {
        let sent = message(body);
        assert_eq!(decode(&encode(&sent)), Ok(sent));
    }
}

#[test]
fn the_bytes_of_a_format_never_change() {
    let mut frozen = String::new();
    for body in bodies() {
        let name = body.kind().name();
        write!(frozen, "{name:22} ").expect("a string takes all");
        for byte in encode(&message(body)) {
            write!(frozen, "{byte:02x}").expect("a string takes all");
        }
        frozen.push('\n');
    }
    insta::assert_snapshot!("format_1", frozen);
}

#[test]
fn what_is_no_message_is_told_apart() {
    let whole = encode(&message(bodies().swap_remove(0)));
    assert_eq!(decode(&Bytes::new()), Err(WireError::Short));
    assert_eq!(decode(&Bytes::from_static(&[9, 1, 0])), Err(WireError::Format(9)));
    assert_eq!(decode(&Bytes::from_static(&[FORMAT, 99, 0])), Err(WireError::Kind(99)));
    assert_eq!(decode(&whole.slice(..whole.len() - 1)), Err(WireError::Malformed));
    assert_eq!(decode(&Bytes::from([&whole[..], &[0, 0]].concat())), Err(WireError::Trailing(2)));
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_never_a_panic(
        kind in proptest::sample::select(Kind::ALL),
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = decode(&Bytes::from([&[FORMAT, kind.number()], &garbage[..]].concat()));
        let _ = decode(&Bytes::from(garbage));
    }

    #[test]
    fn a_corrupt_message_is_an_error_or_another_message_in_its_one_form(
        which in 0_usize..25,
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
    ) {
        let mut bytes = Vec::from(encode(&message(bodies().swap_remove(which))));
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = decode(&Bytes::from(bytes)) {
            prop_assert_eq!(decode(&encode(&other)), Ok(other));
        }
    }
}
