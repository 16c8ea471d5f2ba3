//! Clients: each has one operation in flight, and asks the next when it has been answered.
//!
//! Operations go out and answers come in. A client's acts depend on what it was told and on draws
//! at (client, operation), so that one operation more or less changes no other client. Values are
//! unique, and requests are named after their operation, so that a check can tell them apart.

use std::io::Write as _;

use bytes::Bytes;
use kv_core::client::{ClientOperation, Options, PutContext, Reply, RequestRefusal, Session, Verb};
use kv_core::sampling::PPM;
use kv_core::time::Span;
use kv_core::types::Key;
use kv_core::version::{Container, Content};

use crate::checks::{Dots, learn};
use crate::cluster::client_ids::request_id;
use crate::cluster::scene::Scene;
use crate::cluster::world_time::WorldTime;
use crate::hashing::Table;
use crate::ledger::Ledger;
use crate::random::address::{Address, Aspect};
use crate::random::draws::Draws;
use crate::scenario::{NodeIndex, Workload, WorkloadKind};
use crate::story::result::Outcomes;
use crate::story::state::{ClientState, RequestState, StateFocus};

/// The number of keys whose order a session keeps.
const SESSION_KEYS_MAX: usize = 1_024;

/// The time for which a client waits longer than the cluster does.
const TIMEOUT: Span = Span::from_ms(500);

/// The share of the writes of `put-get-delete` that are deletes, in parts per million.
const DELETE_PPM: u32 = PPM / 4;

/// All clients of a world.
#[derive(Clone, Debug)]
pub struct Clients {
    workloads: Vec<Work>,
    clients: Vec<Client>,
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
    /// The keys that were asked for, by number: a key is hashed when it is made.
    keys: ClientKeys,
}

type ClientKeys = Table<u32, Key>;

/// The state of one client.
#[derive(Clone, Debug)]
struct Client {
    workload: usize,
    node: NodeIndex,
    begun: u32,
    session: Option<Session>,
    /// The siblings that the session has seen and that nothing it saw has overwritten, by the
    /// number of the key.
    seen: Ledger<u32, Dots>,
    /// The token and siblings that the next write of a key needs, unless a session keeps them; by
    /// number.
    shown: Table<u32, ShownToken>,
    /// The key that was just read, to be written next.
    to_write: Option<u32>,
    waiting: Option<OperationInFlight>,
    reply: Option<Reply>,
    /// True if an entry of the event queue watches the timeout.
    watched: bool,
}

/// The token and siblings that a client was shown of a key with the last reply.
#[derive(Clone, Debug, Default)]
struct ShownToken {
    token: Bytes,
    /// The siblings that came with the token.
    dots: Dots,
}

/// An operation in flight.
#[derive(Clone, Debug)]
struct OperationInFlight {
    operation: u32,
    /// The key, with its number.
    key: (u32, Key),
    does: Does,
    /// The operation that the node is asked for, until it is.
    asked: Option<Box<ClientOperation>>,
    until: WorldTime,
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Get,
    Put,
    Delete,
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
    /// Creates the clients of some workloads, before any has begun.
    pub fn new(workloads: &[Workload], draws: &Draws) -> Self {
        let mut clients: Vec<Client> = Vec::new();
        for (at, workload) in workloads.iter().enumerate() {
            let room = session_room(workload);
            for _ in 0..workload.clients {
                let number = u32::try_from(clients.len()).expect("clients are counted in 32 bits");
                let turn = draws.only(Address::Client { client: number, operation: 0 });
                let node = draws.index(turn, Aspect::Coordinator, workload.nodes.len());
                clients.push(Client {
                    workload: at,
                    node: workload.nodes[node],
                    begun: 0,
                    session: workload.session.then(|| Session::with_room(SESSION_KEYS_MAX, room)),
                    seen: Ledger::with_room(room),
                    shown: Table::default(),
                    to_write: None,
                    waiting: None,
                    reply: None,
                    watched: false,
                });
            }
        }
        let work = |workload: &Workload| Work {
            workload: workload.clone(),
            begun: 0,
            keys: ClientKeys::default(),
        };
        Self {
            workloads: workloads.iter().map(work).collect(),
            active: clients.len(),
            clients,
            outcomes: Outcomes::default(),
            operations: 0,
        }
    }

    /// All clients, each with the time at which it begins, since the chaos phase began.
    pub fn beginnings(&self) -> impl Iterator<Item = (u32, Span)> + '_ {
        (0..)
            .zip(&self.clients)
            .map(|(number, client)| (number, self.workloads[client.workload].workload.from))
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
        client.begun += 1;
        self.operations += 1;
        let operation = client.begun;
        let turn = draws.only(Address::Client { client: number, operation });
        if !workload.sticky {
            let node = draws.index(turn, Aspect::Coordinator, workload.nodes.len());
            client.node = workload.nodes[node];
        }
        let (verb, key, seen) = match client.to_write.take() {
            Some(key) => client.put_upon_token(number, workload, key),
            None => {
                let key = draws.index(turn, Aspect::Key, workload.keys as usize) as u32;
                let reads = match workload.kind {
                    WorkloadKind::ReadModifyWrite => true,
                    WorkloadKind::PutGet | WorkloadKind::PutGetDelete | WorkloadKind::BlindPut => {
                        draws.chance(turn, Aspect::Read, workload.read_share_ppm)
                    }
                };
                let deletes = workload.kind == WorkloadKind::PutGetDelete
                    && draws.chance(turn, Aspect::Delete, DELETE_PPM);
                if reads {
                    (Verb::Get, key, Dots::new())
                } else {
                    client.put(number, (workload, keys), key, deletes)
                }
            }
        };
        let options = Options {
            read: Some(workload.read),
            write: Some(workload.write),
            mode: Some(workload.mode),
            timeout_ms: Some(workload.timeout.as_ms()),
            monotonic: None,
            request: Some(request_id(number, operation)),
        };
        let name = key_of(workload, keys, key).clone();
        let does = Does::of(&verb);
        let asked = Some(ClientOperation { key: name.clone(), verb, options }.into());
        let until = at + workload.timeout + TIMEOUT;
        client.waiting =
            Some(OperationInFlight { operation, key: (key, name), does, asked, until });
        Some(Begun { operation, node: client.node, seen, until })
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

    /// Ends an operation: the client learns from it. Returns the time for which the client thinks.
    pub fn end(&mut self, number: u32, operation: u32, ended: &Ended, draws: &Draws) -> Span {
        let client = &mut self.clients[number as usize];
        let waiting = client.waiting.take().expect("what ends was waited for");
        assert_eq!(waiting.operation, operation, "a client has one operation in flight");
        client.reply = None;
        let workload = &self.workloads[client.workload].workload;
        let turn = draws.only(Address::Client { client: number, operation });
        let moves_on = match ended {
            Ended::Replied(reply) => {
                count(&mut self.outcomes, reply);
                client.learn(workload, waiting, reply);
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
        if workload.think_mean == Span::ZERO {
            return Span::ZERO;
        }
        draws.delay(turn, Aspect::Think, Span::ZERO, workload.think_mean)
    }
}

impl Client {
    fn state(&self, number: u32, scene: &Scene) -> ClientState {
        let waits_for = self.waiting.as_ref().map(|waiting| RequestState {
            operation: waiting.operation,
            request: request_id(number, waiting.operation).to_string(),
            verb: match waiting.does {
                Does::Get => "get",
                Does::Put => "put",
                Does::Delete => "delete",
            },
            key: waiting.key.1.to_string(),
            until_us: waiting.until.0,
            is_answered: self.reply.is_some(),
        });
        let node = scene.name(self.node).to_owned();
        ClientState { client: number, node, begun: self.begun, waits_for }
    }

    /// Makes a write of a key that was not read for it.
    fn put(
        &self,
        number: u32,
        (workload, keys): (&Workload, &mut ClientKeys),
        key: u32,
        deletes: bool,
    ) -> (Verb, u32, Dots) {
        let content = if deletes {
            Content::Tombstone
        } else {
            value(number, self.begun, workload.value_bytes)
        };
        let (context, seen) = match (&self.session, workload.kind, self.shown.get(&key)) {
            (Some(session), _, _) => {
                let seen = self.seen.get(&key).cloned();
                (session.latest(key_of(workload, keys, key)), seen.unwrap_or_default())
            }
            (None, WorkloadKind::BlindPut, _) => {
                (PutContext::Latest(Default::default()), Dots::new())
            }
            (None, _, Some(shown)) => (PutContext::Token(shown.token.clone()), shown.dots.clone()),
            (None, _, None) => (PutContext::Nothing, Dots::new()),
        };
        (Verb::Put { content, expiry: None, context }, key, seen)
    }

    /// Makes a write of a key that was just read: it resolves the siblings that came back.
    fn put_upon_token(&self, number: u32, workload: &Workload, key: u32) -> (Verb, u32, Dots) {
        let content = value(number, self.begun, workload.value_bytes);
        let shown = self.shown.get(&key).cloned().unwrap_or_default();
        let context = PutContext::Token(shown.token);
        (Verb::Put { content, expiry: None, context }, key, shown.dots)
    }

    fn learn(&mut self, workload: &Workload, waiting: OperationInFlight, reply: &Reply) {
        let OperationInFlight { key: (key, name), does, .. } = waiting;
        let (Reply::Value { container, context, .. } | Reply::Stored { container, context, .. }) =
            reply
        else {
            return;
        };
        if let Some(session) = &mut self.session {
            session.on_reply(&name, reply);
        }
        self.remember(workload, key, container, context);
        if workload.kind == WorkloadKind::ReadModifyWrite && does == Does::Get {
            self.to_write = Some(key);
        }
    }

    fn remember(&mut self, workload: &Workload, key: u32, container: &Container, token: &Bytes) {
        if self.session.is_some() {
            learn(self.seen.get_or_add_with(key, Dots::new), container);
        }
        if self.session.is_none() || workload.kind == WorkloadKind::ReadModifyWrite {
            let shown = ShownToken { token: token.clone(), dots: container.dots().collect() };
            self.shown.insert(key, shown);
        }
    }
}

impl Does {
    const fn of(verb: &Verb) -> Self {
        match verb {
            Verb::Get => Self::Get,
            Verb::Put { content: Content::Value(_), .. } => Self::Put,
            Verb::Put { content: Content::Tombstone, .. } => Self::Delete,
        }
    }
}

/// The number of keys to make room for in each session from the beginning.
fn session_room(workload: &Workload) -> usize {
    const ROOM_MAX: u64 = 1 << 17;
    let each = workload.operations.min(ROOM_MAX) / u64::from(workload.clients);
    if workload.session { each.min(workload.keys.into()) as usize } else { 0 }
}

fn key_of<'a>(workload: &Workload, keys: &'a mut ClientKeys, number: u32) -> &'a Key {
    let name = || Key::from(format!("{}{number}", workload.key_prefix).into_bytes());
    keys.entry(number).or_insert_with(name)
}

/// Makes a value that no other operation writes, and that names its writer: client, operation, and
/// dots up to the length asked for. Longer, if the numbers leave no room.
fn value(client: u32, operation: u32, bytes: u32) -> Content {
    let mut value = Vec::with_capacity(bytes as usize);
    write!(value, "c{client}#{operation}").expect("a vector takes everything");
    let length = value.len().max(bytes as usize);
    value.resize(length, b'.');
    Content::Value(Bytes::from(value))
}

fn count(outcomes: &mut Outcomes, reply: &Reply) {
    match reply {
        Reply::Value { container, .. } => {
            outcomes.acknowledged += 1;
            outcomes.siblings += u64::from(container.distinct().len() > 1);
        }
        Reply::Stored { .. } => outcomes.acknowledged += 1,
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
