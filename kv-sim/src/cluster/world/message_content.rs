//! The part of a message's content that is worth telling people.

use kv_core::message::{
    Body, CoordinatorMessage, FallbackFor, GossipMessage, HandoffMessage, HintRequest, MintRequest,
    RecallMessage, RepairMessage, ReplicaMessage,
};
use kv_core::types::{Key, NodeId, PartitionId};
use kv_core::version::{Container, Context, Dot};
use kv_core::write::Basis;

use crate::cluster::scene::Scene;
use crate::story::record::fact::{MessageContent, WriteContext};
use crate::story::record::focus::Focus;
use crate::story::record::questions::{MessageRole, QuestionNumber};

/// Tells what a message carries.
pub(super) fn of(body: &Body, focus: &Focus, scene: &Scene) -> MessageContent {
    MessageContent { role: role(body), ..carried(body, focus, scene) }
}

/// Tells what a message carries, and not what it asks or answers by that.
fn carried(body: &Body, focus: &Focus, scene: &Scene) -> MessageContent {
    let name = |id: &NodeId| scene.name(scene.index_of(*id));
    let holds = |container: &Container| carrying(container, focus);
    match body {
        Body::Replica(ReplicaMessage::Mint(request)) => {
            let MintRequest { write, fallback_for, .. } = &**request;
            let role = fallback_for
                .as_ref()
                .map(|FallbackFor { owner, .. }| format!("as the fallback of {}", name(owner)));
            let context = Some(context_of(&write.basis));
            MessageContent { context, ..saying(role.unwrap_or_default()) }
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
        Body::Handoff(HandoffMessage::Deliver(delivery)) => of_items(body, &delivery.items, focus),
        Body::Handoff(HandoffMessage::Delivered(_)) => MessageContent::default(),
        Body::Repair(message) => of_repair(body, message, focus),
        Body::Gossip(GossipMessage::Syn(_) | GossipMessage::Ack(_) | GossipMessage::Ack2(_))
        | Body::Founding(_)
        | Body::Recall(RecallMessage::Ask(_)) => MessageContent::default(),
        Body::Recall(RecallMessage::Remembered(remembered)) => {
            let furthest = remembered.reaches.iter().map(|reach| reach.log).max();
            saying(furthest.map_or_else(
                || "nothing is remembered".to_owned(),
                |log| format!("the log went to {log}"),
            ))
        }
    }
}

/// The question that a message asks or answers, if it matters for a key.
const fn role(body: &Body) -> Option<MessageRole> {
    use MessageRole::{Answers, Asks};
    use QuestionNumber::{Comparison, Delivery, Read, Store};
    Some(match body {
        Body::Replica(ReplicaMessage::Mint(request)) => Asks(Store(request.operation)),
        Body::Replica(ReplicaMessage::Merge(request)) => Asks(Store(request.operation)),
        Body::Replica(ReplicaMessage::Hint(request)) => Asks(Store(request.operation)),
        Body::Replica(ReplicaMessage::Read(request)) => Asks(Read(request.operation)),
        Body::Coordinator(CoordinatorMessage::Minted(minted)) => Answers(Store(minted.operation)),
        Body::Coordinator(CoordinatorMessage::Acked(acked)) => Answers(Store(acked.operation)),
        Body::Coordinator(CoordinatorMessage::Refused(refused)) => {
            Answers(Store(refused.operation))
        }
        Body::Coordinator(CoordinatorMessage::ReadReply(reply)) => Answers(Read(reply.operation)),
        Body::Handoff(HandoffMessage::Deliver(delivery)) => Asks(Delivery(delivery.delivery)),
        Body::Handoff(HandoffMessage::Delivered(delivered)) => {
            Answers(Delivery(delivered.delivery))
        }
        Body::Repair(RepairMessage::Exchange(exchange)) => Asks(Comparison(exchange.step)),
        Body::Repair(RepairMessage::Exchanged(exchanged)) => Answers(Comparison(exchanged.step)),
        Body::Repair(_) | Body::Gossip(_) | Body::Founding(_) | Body::Recall(_) => return None,
    })
}

/// The context of a write: of each actor, the last event that it covers.
fn context_of(basis: &Basis) -> WriteContext {
    let dots = |context: &Context| -> Vec<Dot> {
        context.seen.iter().map(|(actor, n)| Dot { actor, n }).collect()
    };
    match basis {
        Basis::Held(context) => WriteContext::Latest(dots(context)),
        Basis::Given(context) if context.seen.is_empty() => WriteContext::Nothing,
        Basis::Given(context) => WriteContext::Shown(dots(context)),
    }
}

fn of_repair(body: &Body, message: &RepairMessage, focus: &Focus) -> MessageContent {
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
            let key = focus.foremost_of(body.keys());
            let is_wanted = key.is_some_and(|key| exchange.wanted.contains(key));
            let words = if is_wanted { "asks for the other's copy" } else { "" };
            MessageContent { words: words.to_owned(), ..of_items(body, &exchange.pushed, focus) }
        }
        RepairMessage::Exchanged(exchanged) => of_items(body, &exchanged.items, focus),
    }
}

/// Tells what is carried of the key of a message that matters most.
fn of_items(body: &Body, items: &[(Key, Container)], focus: &Focus) -> MessageContent {
    let foremost = focus.foremost_of(body.keys());
    let shown = items.iter().find(|(key, _)| Some(key) == foremost);
    shown.map(|(_, container)| carrying(container, focus)).unwrap_or_default()
}

fn carrying(container: &Container, focus: &Focus) -> MessageContent {
    MessageContent {
        siblings: Some(container.dots().collect()),
        knows: focus.known_to(container),
        ..MessageContent::default()
    }
}

fn saying(words: String) -> MessageContent {
    MessageContent { words, ..MessageContent::default() }
}
