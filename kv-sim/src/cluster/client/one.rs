//! One client: what it knows, and what it asks next.

use std::collections::VecDeque;
use std::io::Write as _;

use bytes::Bytes;
use kv_core::client::{ClientOperation, Options, PutContext, Reply, Session, Verb};
use kv_core::sampling::PPM;
use kv_core::time::Span;
use kv_core::types::{Key, RequestId};
use kv_core::version::{Container, Content};

use super::Begun;
use super::keys::ClientKeys;
use super::misuse::{LastToken, MisuseOf, misused};
use crate::checks::{Dots, learn};
use crate::cluster::client_ids::request_id;
use crate::cluster::scene::Scene;
use crate::cluster::world_time::WorldTime;
use crate::hashing::Table;
use crate::ledger::Ledger;
use crate::random::address::{Address, Aspect};
use crate::random::draws::{Draws, Turn};
use crate::scenario::{Misuse, NodeIndex, Workload, WorkloadKind};
use crate::story::state::{ClientState, RequestState};

/// The number of keys whose order a session keeps.
const SESSION_KEYS_MAX: usize = 1_024;

/// The time for which a client waits longer than the cluster does.
const TIMEOUT: Span = Span::from_ms(500);

/// The number of earlier writes that a client which is not tidy comes back to.
const EARLIER_MAX: usize = 16;

/// The share of the writes of `put-get-delete` that are deletes, in parts per million.
const DELETE_PPM: u32 = PPM / 4;

/// The state of one client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) workload: usize,
    pub(super) node: NodeIndex,
    pub(super) begun: u32,
    session: Option<Session>,
    /// The siblings that the session has seen and that nothing it saw has overwritten, by the
    /// number of the key.
    seen: Ledger<u32, Dots>,
    /// The token and siblings that the next write of a key needs, unless a session keeps them; by
    /// number.
    shown: Table<u32, ShownToken>,
    /// The key that was just read, to be written next.
    to_write: Option<u32>,
    /// The time at which the next operation begins or should have begun, if they come at a rate.
    pub(super) due: Option<WorldTime>,
    /// The write that is asked for again next, as nobody knows whether it happened.
    to_retry: Option<Box<ClientWrite>>,
    /// The last writes, the oldest first, if the client comes back to them.
    earlier: VecDeque<ClientWrite>,
    /// The token that was given last, if the client misuses tokens.
    last_token: Option<LastToken>,
    pub(super) waiting: Option<OperationInFlight>,
    pub(super) reply: Option<Reply>,
    /// True if an entry of the event queue watches the timeout.
    pub(super) watched: bool,
}

/// The token and siblings that a client was shown of a key with the last reply.
#[derive(Clone, Debug, Default)]
struct ShownToken {
    pub(super) token: Bytes,
    /// The siblings that came with the token.
    pub(super) dots: Dots,
}

/// A write as a client asks for it, once or several times.
#[derive(Clone, Debug)]
pub(super) struct ClientWrite {
    pub(super) request: RequestId,
    /// The key, with its number.
    pub(super) key: (u32, Key),
    pub(super) verb: Verb,
    /// The siblings that the write may overwrite.
    pub(super) seen: Dots,
    /// The number of times that the client has asked again.
    pub(super) retries: u32,
}

/// An operation in flight.
#[derive(Clone, Debug)]
pub(super) struct OperationInFlight {
    pub(super) operation: u32,
    pub(super) request: RequestId,
    /// The key, with its number.
    pub(super) key: (u32, Key),
    pub(super) does: Does,
    /// The write, if it may be asked for again.
    pub(super) write: Option<Box<ClientWrite>>,
    /// The way in which the operation makes no sense, if it makes none.
    pub(super) misuse: Option<Misuse>,
    /// The operation that the node is asked for, until it is.
    pub(super) asked: Option<Box<ClientOperation>>,
    pub(super) until: WorldTime,
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Get,
    Put,
    Delete,
}

impl Client {
    /// Creates a client of a workload, which is the `at`-th, with room for so many keys in its
    /// session.
    pub(super) fn new(at: usize, node: NodeIndex, workload: &Workload, room: usize) -> Self {
        Self {
            workload: at,
            node,
            begun: 0,
            session: workload.session.then(|| Session::with_room(SESSION_KEYS_MAX, room)),
            seen: Ledger::with_room(room),
            shown: Table::default(),
            to_write: None,
            due: None,
            to_retry: None,
            earlier: VecDeque::new(),
            last_token: None,
            waiting: None,
            reply: None,
            watched: false,
        }
    }

    /// Begins the next operation.
    pub(super) fn begin(
        &mut self,
        (number, at): (u32, WorldTime),
        (workload, keys): (&Workload, &mut ClientKeys),
        value_bytes_max: u64,
        draws: &Draws,
    ) -> Begun {
        self.begun += 1;
        let operation = self.begun;
        let turn = draws.only(Address::Client { client: number, operation });
        if !workload.sticky {
            let node = draws.index(turn, Aspect::Coordinator, workload.nodes.len());
            self.node = workload.nodes[node];
        }
        self.due.get_or_insert(at);
        let again = self.to_retry.take().map(|write| *write);
        let again = again.or_else(|| self.repeated(workload, draws, turn));
        let is_again = again.is_some();
        let act = again.unwrap_or_else(|| self.next(number, (workload, keys), draws, turn));
        let ClientWrite { mut request, key: (key, mut name), mut verb, seen, retries } = act;
        let mut misuse = None;
        if !is_again {
            misuse = misuse_of(workload, draws, turn);
            if let Some(how) = misuse {
                let of = MisuseOf {
                    key,
                    value: self.value(number, workload, draws, turn),
                    last: self.last_token.as_ref(),
                    value_bytes_max,
                    altered: draws.choose(turn, Aspect::AlteredToken, |draw| draw),
                };
                (name, verb) = misused(how, verb, of, keys);
            } else if matches!(verb, Verb::Put { .. }) {
                request = self.id_used_before(workload, draws, turn).unwrap_or(request);
            }
        }
        let does = Does::of(&verb);
        let may_come_back = does != Does::Get && misuse.is_none() && workload.comes_back();
        let write = may_come_back.then(|| {
            let (key, verb, seen) = ((key, name.clone()), verb.clone(), seen.clone());
            ClientWrite { request, key, verb, seen, retries }.into()
        });
        let options = Options {
            read: Some(workload.read),
            write: Some(workload.write),
            mode: Some(workload.mode),
            timeout_ms: Some(workload.timeout.as_ms()),
            monotonic: None,
            request: Some(request),
        };
        let asked = Some(ClientOperation { key: name.clone(), verb, options }.into());
        let until = at + workload.timeout + TIMEOUT;
        let key = (key, name);
        let waiting =
            OperationInFlight { operation, request, key, does, write, misuse, asked, until };
        self.waiting = Some(waiting);
        Begun { operation, node: self.node, seen, until, misuse }
    }

    pub(super) fn state(&self, number: u32, scene: &Scene) -> ClientState {
        let waits_for = self.waiting.as_ref().map(|waiting| RequestState {
            operation: waiting.operation,
            request: waiting.request.to_string(),
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

    /// Chooses the next operation: a read, or a write under a new id.
    fn next(
        &mut self,
        number: u32,
        (workload, keys): (&Workload, &mut ClientKeys),
        draws: &Draws,
        turn: Turn,
    ) -> ClientWrite {
        let (verb, key, seen) = match self.to_write.take() {
            Some(key) => {
                let (context, seen) = self.shown(key);
                let content = self.value(number, workload, draws, turn);
                (Verb::Put { content, expiry: None, context }, key, seen)
            }
            None => {
                let reads = match workload.kind {
                    WorkloadKind::ReadModifyWrite => true,
                    WorkloadKind::PutGet | WorkloadKind::PutGetDelete | WorkloadKind::BlindPut => {
                        draws.chance(turn, Aspect::Read, workload.read_share_ppm)
                    }
                };
                let key = keys.choose(draws, turn, self.begun, reads);
                let deletes = workload.kind == WorkloadKind::PutGetDelete
                    && draws.chance(turn, Aspect::Delete, DELETE_PPM);
                if reads {
                    (Verb::Get, key, Dots::new())
                } else {
                    let content = if deletes {
                        Content::Tombstone
                    } else {
                        self.value(number, workload, draws, turn)
                    };
                    let (context, seen) = self.context(workload, keys, key);
                    (Verb::Put { content, expiry: None, context }, key, seen)
                }
            }
        };
        let (request, key) = (request_id(number, self.begun), (key, keys.get(key).clone()));
        ClientWrite { request, key, verb, seen, retries: 0 }
    }

    /// The context of a write of a key that was not read for it, with the siblings that the write
    /// may overwrite.
    fn context(&self, workload: &Workload, keys: &mut ClientKeys, key: u32) -> (PutContext, Dots) {
        match (&self.session, workload.kind) {
            (Some(session), _) => {
                let seen = self.seen.get(&key).cloned();
                (session.latest(keys.get(key)), seen.unwrap_or_default())
            }
            (None, WorkloadKind::BlindPut) => (PutContext::Latest(Default::default()), Dots::new()),
            (None, _) if self.shown.contains_key(&key) => self.shown(key),
            (None, _) => (PutContext::Nothing, Dots::new()),
        }
    }

    /// The token that the client was shown of a key last, with the siblings that came with it.
    fn shown(&self, key: u32) -> (PutContext, Dots) {
        let ShownToken { token, dots } = self.shown.get(&key).cloned().unwrap_or_default();
        (PutContext::Token(token), dots)
    }

    /// Makes the value that the client's present operation writes.
    fn value(&self, number: u32, workload: &Workload, draws: &Draws, turn: Turn) -> Content {
        if draws.chance(turn, Aspect::Empty, workload.untidy.empty_ppm) {
            return Content::Value(Bytes::new());
        }
        let (min, max) = workload.value_bytes;
        let bytes = if min == max {
            min
        } else {
            let sizes = (max - min) as usize + 1;
            min + draws.index(turn, Aspect::Size, sizes) as u32
        };
        value(number, self.begun, bytes)
    }

    /// An earlier write that is to be asked for once more, if one is.
    fn repeated(&self, workload: &Workload, draws: &Draws, turn: Turn) -> Option<ClientWrite> {
        let is_wanted = !self.earlier.is_empty()
            && self.to_write.is_none()
            && draws.chance(turn, Aspect::Repeat, workload.untidy.repeat_ppm);
        is_wanted.then(|| self.earlier_write(draws, turn).clone())
    }

    /// The id of an earlier write, if the present one is to have it.
    fn id_used_before(&self, workload: &Workload, draws: &Draws, turn: Turn) -> Option<RequestId> {
        let is_wanted = !self.earlier.is_empty()
            && draws.chance(turn, Aspect::Reuse, workload.untidy.reuse_ppm);
        is_wanted.then(|| self.earlier_write(draws, turn).request)
    }

    fn earlier_write(&self, draws: &Draws, turn: Turn) -> &ClientWrite {
        &self.earlier[draws.index(turn, Aspect::Earlier, self.earlier.len())]
    }

    /// Keeps a write that has ended, to come back to it.
    pub(super) fn keep(&mut self, workload: &Workload, write: ClientWrite, is_unknown: bool) {
        if is_unknown && write.retries < workload.untidy.retries {
            let retries = write.retries + 1;
            self.to_retry = Some(ClientWrite { retries, ..write.clone() }.into());
        }
        if self.earlier.len() == EARLIER_MAX {
            self.earlier.pop_front();
        }
        self.earlier.push_back(ClientWrite { retries: 0, ..write });
    }

    pub(super) fn learn(&mut self, workload: &Workload, waiting: OperationInFlight, reply: &Reply) {
        let OperationInFlight { key: (key, name), does, .. } = waiting;
        let (Reply::Value { container, context, .. } | Reply::Stored { container, context, .. }) =
            reply
        else {
            return;
        };
        if let Some(session) = &mut self.session {
            session.on_reply(&name, reply);
        }
        if workload.untidy.misuse_ppm > 0 {
            self.last_token = Some(LastToken { key, token: context.clone() });
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

/// The way in which an operation makes no sense, if it makes none.
fn misuse_of(workload: &Workload, draws: &Draws, turn: Turn) -> Option<Misuse> {
    let ways = &workload.untidy.misuses;
    let is_one = draws.chance(turn, Aspect::Misuse, workload.untidy.misuse_ppm);
    is_one.then(|| ways[draws.index(turn, Aspect::HowMisused, ways.len())])
}

/// Makes a value of so many bytes that no other operation writes, and that names its writer: client,
/// operation, and dots. One that is too short for that has the beginning of it.
fn value(client: u32, operation: u32, bytes: u32) -> Content {
    let mut value = Vec::with_capacity(bytes as usize);
    write!(value, "c{client}#{operation}").expect("a vector takes everything");
    value.resize(bytes as usize, b'.');
    Content::Value(Bytes::from(value))
}
