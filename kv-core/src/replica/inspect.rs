//! The work that a replica has in flight, for people.

use super::Replica;

/// The work that a replica has in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaSnapshot {
    /// Storage commands of coordinators that have not been answered.
    pub commands: usize,
    /// Answers that wait until what they tell of is durable.
    pub awaits_sync: usize,
}

impl Replica {
    /// The work that is in flight now.
    pub fn inspect(&self) -> ReplicaSnapshot {
        ReplicaSnapshot { commands: self.commands.in_flight(), awaits_sync: self.acks.len() }
    }
}
