//! The steps of a founding by short names, so that what members do reads like a story.

use super::*;

/// All that was done since the last call, but for the questions of members that wait: each asks
/// others in every round. The requests of the others are left out, as they count those rounds.
pub(super) fn steps(world: &mut World<Founding>) -> Vec<Done> {
    let waiting = Body::Founding(FoundingMessage::Tell(Tell::Waiting));
    let without_request = |(node, mut effect): Done| {
        match &mut effect {
            Effect::Send(message) if message.body == waiting => return None,
            Effect::Send(message) => message.header.request = RequestId(0),
            Effect::Store {
                command: StoreCommand { command: Command::Founding(command), .. },
                ..
            } => match command {
                FoundingCommand::Pledge { promise } => promise.request = RequestId(0),
                FoundingCommand::MarkComplete | FoundingCommand::Found { .. } => {}
            },
            Effect::Store { .. }
            | Effect::Reply { .. }
            | Effect::AdminReply { .. }
            | Effect::Observe(_) => {}
        }
        Some((node, effect))
    };
    world.take().into_iter().filter_map(without_request).collect()
}

pub(super) fn says(world: &World<Founding>, from: u64, to: u64, message: FoundingMessage) -> Done {
    let local = &world.nodes[&NodeId(from)].local;
    let mut message = local.message(NodeId(to), RequestId(0), Body::Founding(message));
    message.header.cluster = ClusterId(1);
    sends(message)
}

/// A member asks another for a pledge.
pub(super) fn asks(world: &World<Founding>, from: u64, to: u64, founding: FoundingId) -> Done {
    says(world, from, to, FoundingMessage::Pledge(Pledge { founding }))
}

/// A member writes a pledge, and says so when it is durable.
pub(super) fn pledges(
    world: &World<Founding>,
    from: u64,
    to: u64,
    founding: FoundingId,
) -> [Done; 2] {
    let promise = Promise { founding, to: NodeId(to), request: RequestId(0) };
    let pledged = FoundingMessage::Pledged(Pledged::Promised { founding });
    [
        executes(NodeId(from), PartitionId(0), FoundingCommand::Pledge { promise }),
        says(world, from, to, pledged),
    ]
}

/// A member says that the cluster is founded.
pub(super) fn informs(world: &World<Founding>, from: u64, to: u64, founding: FoundingId) -> Done {
    says(world, from, to, FoundingMessage::Tell(Tell::Founded { founding }))
}

/// A member writes a data marker.
pub(super) fn marks(node: u64, partition: u32) -> Done {
    executes(NodeId(node), PartitionId(partition), FoundingCommand::MarkComplete)
}

/// A member writes that it belongs to the cluster.
pub(super) fn records(node: u64, founding: FoundingId) -> Done {
    executes(NodeId(node), PartitionId(0), FoundingCommand::Found { founding })
}

/// A member whose store is new becomes a complete part of the cluster.
pub(super) fn founds(node: u64, founding: FoundingId) -> [Done; 4] {
    let told = tells(NodeId(node), Event::Founded);
    [marks(node, 0), marks(node, 1), records(node, founding), told]
}

/// A member whose store is empty though it must not be becomes an incomplete part of the cluster.
pub(super) fn joins_incomplete(node: u64, founding: FoundingId) -> [Done; 2] {
    [records(node, founding), tells(NodeId(node), Event::DataMissing)]
}

/// A member tells its operator that the cluster is founded.
pub(super) fn answers_founded(node: u64, founding: FoundingId) -> Done {
    answers(NodeId(node), AdminRequest(node), AdminReply::Founded { founding })
}

/// So many times the same.
pub(super) fn again(times: usize, done: &[Done]) -> Vec<Done> {
    (0..times).flat_map(|_| done.iter().cloned()).collect()
}

pub(super) fn refuses(node: u64, refusal: AdminRefusal) -> Done {
    answers(NodeId(node), AdminRequest(node), AdminReply::Refused(refusal))
}

/// A founding that the first member gives up after its time, as the third is silent.
pub(super) fn failed_founding(world: &World<Founding>) -> Vec<Done> {
    let asks_third = [asks(world, 1, 3, FOUNDING)];
    [
        &[asks(world, 1, 2, FOUNDING)][..],
        &asks_third,
        &pledges(world, 2, 1, FOUNDING),
        &again(9, &asks_third),
        &[
            tells(NodeId(1), Event::Probe(Probe::FoundingTimedOut)),
            refuses(1, AdminRefusal::Unanswered { members: [NodeId(3)].into() }),
        ],
    ]
    .concat()
}

/// Two that know answer the questions of a member that waits. The order in which it asks them changes
/// from round to round, so that all are asked in turn.
pub(super) fn informs_in_rounds(
    world: &World<Founding>,
    rounds: &[[u64; 2]],
    to: u64,
    founding: FoundingId,
) -> Vec<Done> {
    rounds.iter().flatten().map(|&from| informs(world, from, to, founding)).collect()
}

/// A founding in which all goes well, by one member and two others.
pub(super) fn whole_founding(
    world: &World<Founding>,
    by: u64,
    [first, second]: [u64; 2],
    founding: FoundingId,
) -> Vec<Done> {
    [
        &[asks(world, by, first, founding), asks(world, by, second, founding)][..],
        &pledges(world, first, by, founding),
        &pledges(world, second, by, founding),
        &ends_founding(world, by, [first, second], founding),
    ]
    .concat()
}

/// The end of a founding in which all goes well, once nobody's pledge is missing.
pub(super) fn ends_founding(
    world: &World<Founding>,
    by: u64,
    [first, second]: [u64; 2],
    founding: FoundingId,
) -> Vec<Done> {
    [
        &founds(by, founding)[..],
        &[
            answers_founded(by, founding),
            informs(world, by, first, founding),
            informs(world, by, second, founding),
        ],
        &founds(first, founding),
        &founds(second, founding),
    ]
    .concat()
}

/// A founding by the first member, of the end of which the second does not hear.
pub(super) fn founding_unheard(world: &World<Founding>) -> Vec<Done> {
    let whole = whole_founding(world, 1, [2, 3], FOUNDING);
    let unheard = founds(2, FOUNDING);
    let heard = whole.into_iter().filter(|done| !unheard.contains(done));
    heard.chain(informs_in_rounds(world, &[[3, 1], [1, 3]], 2, FOUNDING)).collect()
}
