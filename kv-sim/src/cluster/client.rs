//! Clients: each has one operation in flight, and asks the next when it has been answered.
//!
//! Operations go out and answers come in. A client's acts depend on what it was told and on draws
//! at (client, operation), so that one operation more or less changes no other client. Requests are
//! named after their operation, so that a check can tell them apart; only a client that is not tidy
//! names one as it named another. Values are unique as far as they have room for that.

mod keys;
mod misuse;
mod one;

use kv_core::client::{ClientOperation, Reply, RequestRefusal};
use kv_core::time::Span;

use crate::checks::Dots;
use crate::cluster::scene::Scene;
use crate::cluster::world_time::WorldTime;
use crate::random::address::{Address, Aspect};
use crate::random::draws::Draws;
use crate::scenario::{ClientPace, Misuse, NodeIndex, Workload};
use crate::story::result::Outcomes;
use crate::story::state::{ClientState, StateFocus};

use keys::ClientKeys;
use one::Client;

/// All clients of a world.
#[derive(Clone, Debug)]
pub struct Clients {
    workloads: Vec<Work>,
    clients: Vec<Client>,
    /// The largest value that there may be, in bytes.
    value_bytes_max: u64,
    /// The number of clients that are not done yet.
    active: usize,
    /// The outcomes that clients saw.
    pub outcomes: Outcomes,
    /// The number of operations that were begun.
    pub operations: u64,
}

/// A workload, and the part of it that is done.
#[derive(Clone, Debug)]
struct Work {
    workload: Workload,
    begun: u64,
    keys: ClientKeys,
}

/// An operation that begins; [`Clients::asks`] returns the request.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The client's number for the operation.
    pub operation: u32,
    /// The node that the client asks.
    pub node: NodeIndex,
    /// The siblings that the client was shown and that the operation may overwrite.
    pub seen: Dots,
    /// The time at which the client gives up.
    pub until: WorldTime,
    /// The way in which the operation makes no sense, if it makes none.
    pub misuse: Option<Misuse>,
}

/// The end of an operation for its client.
#[derive(Clone, Debug)]
pub enum Ended {
    /// The operation was answered.
    Replied(Reply),
    /// The operation was not answered: nobody knows whether it happened.
    Unknown,
    /// No node listened: the operation did not happen.
    Unreachable,
}

impl Clients {
    /// Creates the clients of some workloads, before any has begun. `value_bytes_max` is the largest
    /// value that there may be, in bytes.
    pub fn new(workloads: &[Workload], value_bytes_max: u64, draws: &Draws) -> Self {
        let mut clients: Vec<Client> = Vec::new();
        for (at, workload) in workloads.iter().enumerate() {
            let room = session_room(workload);
            for _ in 0..workload.clients {
                let number = u32::try_from(clients.len()).expect("clients are counted in 32 bits");
                let turn = draws.only(Address::Client { client: number, operation: 0 });
                let node = draws.index(turn, Aspect::Coordinator, workload.nodes.len());
                clients.push(Client::new(at, workload.nodes[node], workload, room));
            }
        }
        let work = |workload: &Workload| Work {
            workload: workload.clone(),
            begun: 0,
            keys: ClientKeys::new(workload),
        };
        Self {
            workloads: workloads.iter().map(work).collect(),
            active: clients.len(),
            clients,
            value_bytes_max,
            outcomes: Outcomes::default(),
            operations: 0,
        }
    }

    /// All clients, each with the time at which it begins, since the chaos phase began.
    pub fn beginnings(&self, draws: &Draws) -> Vec<(u32, Span)> {
        let beginning = |(number, client): (u32, &Client)| {
            let Workload { from, pace, .. } = self.workloads[client.workload].workload;
            let turn = draws.only(Address::Client { client: number, operation: 0 });
            let after = match pace {
                ClientPace::Thinks(_) => Span::ZERO,
                ClientPace::Arrives(mean) => draws.delay(turn, Aspect::Think, Span::ZERO, mean),
            };
            (number, from + after)
        };
        (0..).zip(&self.clients).map(beginning).collect()
    }

    /// The longest time for which a node works on an operation of any client.
    pub fn timeout_max(&self) -> Span {
        let timeouts = self.workloads.iter().map(|work| work.workload.timeout);
        timeouts.max().unwrap_or(Span::ZERO)
    }

    /// True if all clients are done.
    pub const fn are_done(&self) -> bool {
        self.active == 0
    }

    /// Lets a client begin its next operation, if its workload has any left.
    pub fn begin(&mut self, number: u32, at: WorldTime, draws: &Draws) -> Option<Begun> {
        let client = &mut self.clients[number as usize];
        let Work { workload, begun, keys } = &mut self.workloads[client.workload];
        if *begun == workload.operations {
            self.active -= 1;
            return None;
        }
        *begun += 1;
        self.operations += 1;
        Some(client.begin((number, at), (workload, keys), self.value_bytes_max, draws))
    }

    /// The node that a client asked; none, if it no longer waits for that operation.
    pub fn whom(&self, number: u32, operation: u32) -> Option<NodeIndex> {
        let client = &self.clients[number as usize];
        let waiting = client.waiting.as_ref()?;
        (waiting.operation == operation).then_some(client.node)
    }

    /// The request that a client is about to send; none, if it has, or no longer waits for it.
    pub fn asks(&self, number: u32, operation: u32) -> Option<&ClientOperation> {
        let waiting = self.clients[number as usize].waiting.as_ref()?;
        waiting.asked.as_deref().filter(|_| waiting.operation == operation)
    }

    /// Takes the request that a client sends to its node now.
    pub fn ask(&mut self, number: u32, operation: u32) -> Option<Box<ClientOperation>> {
        let waiting = self.clients[number as usize].waiting.as_mut()?;
        if waiting.operation == operation { waiting.asked.take() } else { None }
    }

    /// Puts a reply on its way. Returns whether its client still waits for it.
    pub fn take_reply(&mut self, number: u32, operation: u32, reply: Reply) -> bool {
        let client = &mut self.clients[number as usize];
        let waits = client.waiting.as_ref().is_some_and(|waiting| waiting.operation == operation);
        if waits {
            client.reply = Some(reply);
        }
        waits
    }

    /// Takes the reply that is delivered now.
    pub fn reply(&mut self, number: u32, operation: u32) -> Option<Reply> {
        self.whom(number, operation)?;
        self.clients[number as usize].reply.take()
    }

    /// The states of the clients that talk to nodes which are to be shown.
    pub fn states(&self, scene: &Scene, focus: &StateFocus) -> Vec<ClientState> {
        let shown = (0..).zip(&self.clients).filter(|(_, client)| focus.shows(client.node));
        shown.map(|(number, client)| client.state(number, scene)).collect()
    }

    /// The clients that wait for this node, each with its operation.
    pub fn waiting_for(&self, node: NodeIndex) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..)
            .zip(&self.clients)
            .filter(move |(_, client)| client.node == node)
            .filter_map(|(number, client)| Some((number, client.waiting.as_ref()?.operation)))
    }

    /// The operation that a client waits for, and the time at which it gives up; none, if it waits
    /// for none.
    pub fn timeout(&self, number: u32) -> Option<(u32, WorldTime)> {
        let waiting = self.clients[number as usize].waiting.as_ref()?;
        Some((waiting.operation, waiting.until))
    }

    /// Sets whether an entry of the event queue watches the client's timeout. Returns whether one
    /// did.
    pub fn watch(&mut self, number: u32, watched: bool) -> bool {
        std::mem::replace(&mut self.clients[number as usize].watched, watched)
    }

    /// Ends an operation: the client learns from it. Returns the time until it begins the next one.
    pub fn end(
        &mut self,
        (number, operation): (u32, u32),
        ended: &Ended,
        at: WorldTime,
        draws: &Draws,
    ) -> Span {
        let client = &mut self.clients[number as usize];
        let mut waiting = client.waiting.take().expect("what ends was waited for");
        assert_eq!(waiting.operation, operation, "a client has one operation in flight");
        client.reply = None;
        let workload = &self.workloads[client.workload].workload;
        let turn = draws.only(Address::Client { client: number, operation });
        if let Some(write) = waiting.write.take() {
            client.keep(workload, *write, ended.is_unknown());
        }
        let moves_on = match ended {
            Ended::Replied(reply) => {
                count(&mut self.outcomes, reply, waiting.misuse);
                if waiting.misuse.is_none() {
                    client.learn(workload, waiting, reply);
                }
                sends_away(reply)
            }
            Ended::Unknown => {
                self.outcomes.unknown += 1;
                true
            }
            Ended::Unreachable => {
                self.outcomes.refused += 1;
                true
            }
        };
        if moves_on && workload.nodes.len() > 1 {
            // Any node but the one that failed.
            let others = workload.nodes.iter().filter(|&&node| node != client.node);
            let count = others.clone().count();
            let chosen = draws.index(turn, Aspect::Coordinator, count.max(1));
            client.node = others.copied().nth(chosen).unwrap_or(client.node);
        }
        match workload.pace {
            ClientPace::Thinks(Span::ZERO) => Span::ZERO,
            ClientPace::Thinks(mean) => draws.delay(turn, Aspect::Think, Span::ZERO, mean),
            ClientPace::Arrives(mean) => {
                let due = client.due.get_or_insert(at);
                *due = *due + draws.delay(turn, Aspect::Think, Span::ZERO, mean);
                due.since(at)
            }
        }
    }
}

impl Ended {
    /// True if nobody knows whether the operation happened, or it did not as no node listened: a
    /// client asks again, elsewhere.
    const fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown | Self::Unreachable | Self::Replied(Reply::Unknown { .. }) => true,
            Self::Replied(_) => false,
        }
    }
}

/// The number of keys to make room for in each session from the beginning.
fn session_room(workload: &Workload) -> usize {
    const ROOM_MAX: u64 = 1 << 17;
    let each = workload.operations.min(ROOM_MAX) / u64::from(workload.clients);
    if workload.session { each.min(workload.keys.into()) as usize } else { 0 }
}

fn count(outcomes: &mut Outcomes, reply: &Reply, misuse: Option<Misuse>) {
    match reply {
        Reply::Value { container, .. } => {
            outcomes.acknowledged += 1;
            outcomes.siblings += u64::from(container.distinct().len() > 1);
        }
        Reply::Stored { .. } => outcomes.acknowledged += 1,
        Reply::Refused(_) if misuse.is_some() => outcomes.misused += 1,
        Reply::Refused(_) => outcomes.refused += 1,
        Reply::Unknown { .. } => outcomes.unknown += 1,
    }
}

/// Tells whether a client that is told this had better turn to another node.
const fn sends_away(reply: &Reply) -> bool {
    match reply {
        Reply::Value { .. } | Reply::Stored { .. } => false,
        Reply::Unknown { .. } => true,
        Reply::Refused(refusal) => match refusal {
            RequestRefusal::Busy { .. }
            | RequestRefusal::NotFounded
            | RequestRefusal::Stopping
            | RequestRefusal::StoreFailed => true,
            RequestRefusal::Context(_)
            | RequestRefusal::Quorum(_)
            | RequestRefusal::Key { .. }
            | RequestRefusal::Value { .. }
            | RequestRefusal::Replica(_) => false,
        },
    }
}
