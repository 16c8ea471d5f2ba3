//! The part of a message's content that is worth telling people.

use kv_core::message::{
    Body, CoordinatorMessage, FallbackFor, GossipMessage, HandoffMessage, HintRequest, MintRequest,
    RepairMessage, ReplicaMessage,
};
use kv_core::types::{Key, NodeId, PartitionId};
use kv_core::version::Container;
use kv_core::write::Basis;

use crate::cluster::scene::Scene;
use crate::story::record::fact::MessageContent;
use crate::story::record::focus::Focus;

/// Tells what a message carries.
pub(super) fn of(body: &Body, focus: &Focus, scene: &Scene) -> MessageContent {
    let name = |id: &NodeId| scene.name(scene.index_of(*id));
    let holds = |container: &Container| carrying(container, focus);
    match body {
        Body::Replica(ReplicaMessage::Mint(request)) => {
            let MintRequest { write, fallback_for, .. } = &**request;
            let basis = match write.basis {
                Basis::Held(_) => "in place of all that it holds",
                Basis::Given(_) => "in place of what the writer has seen, and of nothing else",
            };
            let role = fallback_for
                .as_ref()
                .map(|FallbackFor { owner, .. }| format!(", as the fallback of {}", name(owner)));
            saying(format!("{basis}{}", role.unwrap_or_default()))
        }
        Body::Replica(ReplicaMessage::Merge(request)) => holds(&request.container),
        Body::Replica(ReplicaMessage::Hint(HintRequest { container, fallback_for, .. })) => {
            let words = format!("to be kept for {}", name(&fallback_for.owner));
            MessageContent { words, ..holds(container) }
        }
        Body::Replica(ReplicaMessage::Read(_)) => MessageContent::default(),
        Body::Coordinator(CoordinatorMessage::Minted(minted)) => holds(&minted.container),
        Body::Coordinator(CoordinatorMessage::ReadReply(reply)) => holds(&reply.container),
        Body::Coordinator(CoordinatorMessage::Acked(acked)) => match &acked.for_owner {
            Some(owner) => saying(format!("kept for {}", name(owner))),
            None => MessageContent::default(),
        },
        Body::Coordinator(CoordinatorMessage::Refused(refused)) => {
            saying(refused.refusal.to_string())
        }
        Body::Handoff(HandoffMessage::Deliver(delivery)) => of_items(&delivery.items, focus),
        Body::Handoff(HandoffMessage::Delivered(_)) => MessageContent::default(),
        Body::Repair(message) => of_repair(message, focus),
        Body::Gossip(GossipMessage::Syn(_) | GossipMessage::Ack(_) | GossipMessage::Ack2(_))
        | Body::Founding(_) => MessageContent::default(),
    }
}

fn of_repair(message: &RepairMessage, focus: &Focus) -> MessageContent {
    let partition = |partition: PartitionId| format!("partition {}", partition.0);
    let partitions = |all: &mut dyn Iterator<Item = PartitionId>| {
        let all: Vec<_> = all.map(|partition| partition.0.to_string()).collect();
        saying(format!(
            "partitions {}",
            if all.is_empty() { "none".into() } else { all.join(", ") }
        ))
    };
    match message {
        RepairMessage::Compare(_) => MessageContent::default(),
        RepairMessage::Compared(answer) => {
            saying(if answer.equal { "equal" } else { "not equal" }.to_owned())
        }
        RepairMessage::Roots(roots) => partitions(&mut roots.roots.iter().map(|(at, _)| *at)),
        RepairMessage::RootsDiffer(differ) => partitions(&mut differ.partitions.iter().copied()),
        RepairMessage::Branches(branches) => saying(partition(branches.partition)),
        RepairMessage::Leaves(leaves) => saying(partition(leaves.partition)),
        RepairMessage::Summaries(request) => saying(partition(request.partition)),
        RepairMessage::BranchesDiffer(_)
        | RepairMessage::LeavesDiffer(_)
        | RepairMessage::Summarized(_) => MessageContent::default(),
        RepairMessage::ExchangeRefused(_) => saying("it can store nothing".to_owned()),
        RepairMessage::Exchange(exchange) => {
            let words = partition(exchange.partition);
            MessageContent { words, ..of_items(&exchange.pushed, focus) }
        }
        RepairMessage::Exchanged(exchanged) => of_items(&exchanged.items, focus),
    }
}

/// Tells what is carried of the followed key among several, or of the first.
fn of_items(items: &[(Key, Container)], focus: &Focus) -> MessageContent {
    let followed = items.iter().find(|(key, _)| focus.position(key).is_some());
    let shown = followed.or(items.first());
    shown.map(|(_, container)| carrying(container, focus)).unwrap_or_default()
}

fn carrying(container: &Container, focus: &Focus) -> MessageContent {
    MessageContent {
        siblings: Some(container.dots().collect()),
        knows: focus.known_to(container),
        words: String::new(),
    }
}

fn saying(words: String) -> MessageContent {
    MessageContent { words, ..MessageContent::default() }
}
