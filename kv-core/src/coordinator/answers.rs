//! The answers of nodes, as tallies count them and as clients are told of them.

use smallvec::SmallVec;

use crate::client::Achieved;
use crate::cx::NodeContext;
use crate::ring::MachineIndex;
use crate::tally::{Nodes, Tally, TallyAnswer};
use crate::types::NodeId;

/// The answer of a node, as a tally counts it; none for a node that is not in the ring.
pub(super) fn answer(local: &NodeContext, by: NodeId, for_owner: NodeId) -> Option<TallyAnswer> {
    let machine = local.topology().machine(by)?;
    Some(TallyAnswer { by, machine, for_owner })
}

/// The nodes that have answered.
pub(super) fn achieved(tally: &Tally) -> Achieved {
    let mut machines: SmallVec<[MachineIndex; 8]> =
        tally.answers().iter().map(|answer| answer.machine).collect();
    machines.sort_unstable();
    machines.dedup();
    // A fallback of two owners has answered twice, and is one node.
    let by = |fallback: bool| {
        let mut nodes = Nodes::new();
        for answer in tally.answers().iter().filter(|answer| answer.is_fallback() == fallback) {
            if !nodes.contains(&answer.by) {
                nodes.push(answer.by);
            }
        }
        nodes
    };
    Achieved { owners: by(false), fallbacks: by(true), machines: machines.len() }
}
