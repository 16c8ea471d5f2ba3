//! Redis clients: accepts them, and carries bytes and operations between their sockets and the core.
//! What the bytes mean is the business of [`crate::resp`] and [`crate::redis`].
//!
//! One task per connection reads, writes and hears replies side by side. So a client that sends a
//! long pipeline before it reads the first reply gets all of it answered, as far as
//! [`Limits::held_bytes`] goes. An idle connection holds a buffer of 1 KiB and little
//! else.

mod info;
mod process;
mod rate;
mod registry;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use kv_core::client::{ClientOperation, Reply, RequestRefusal, Verb};
use kv_core::config::Config;
use kv_core::types::NodeId;
use kv_core::version::Content;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use crate::config::Limits;
use crate::core_loop::{ConnectionId, CoreHandle, Tag, Urgent, Work};
use crate::log::LogLimiter;
use crate::metrics::{Direction, Metrics, RequestOutcome, RequestVerb};
use crate::redis::{Ask, Connection, Identity, Pipeline, PipelineTicket, Settings};
use crate::resp::{self, Parser};
use crate::stop::Stopping;
use crate::storage::Durability;
use crate::tasks::Tasks;
use rate::Rate;
use registry::{Entry, Registry};

/// Room for a read on a connection that says little, in bytes.
const READ_BYTES_MIN: usize = 1_024;

/// Room for a read on a busy connection, in bytes. Arguments share the memory of the read that
/// brought them.
const READ_BYTES_MAX: usize = 64 * 1_024;

/// The pause after the system refused a connection (no more file descriptors, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long one who is turned away may take to hear why.
const TURN_AWAY: Duration = Duration::from_secs(1);

/// How many are told why at once; more are closed without a word. Each holds a descriptor beyond
/// `limits.connections`, and `descriptors.rs` leaves room for so many.
const TURNED_AWAY_MAX: usize = 32;

/// What a listener for Redis clients must know.
#[derive(Debug)]
pub struct RedisSetup {
    /// The node's name.
    pub name: String,
    /// The node.
    pub node: NodeId,
    /// The cluster's name.
    pub cluster: String,
    /// Who is asked.
    pub core: CoreHandle,
    /// What the core was told.
    pub config: Config,
    /// What the node will bear.
    pub limits: Limits,
    /// What an acknowledged write has survived.
    pub durability: Durability,
    /// Who counts.
    pub metrics: Arc<Metrics>,
    /// What keeps the log short.
    pub log_limiter: Arc<LogLimiter>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    setup: RedisSetup,
    settings: Arc<Settings>,
    parser: resp::Limits,
    address: Option<SocketAddr>,
    started: Instant,
    registry: Registry,
    rate: Rate,
}

/// Serves clients until the node stops, and then until they have what they are owed. Returns how many
/// had to be left.
pub async fn listen(listener: TcpListener, setup: RedisSetup, mut stopping: Stopping) -> usize {
    let room = Arc::new(Semaphore::new(setup.limits.connections));
    let room_outside = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let patience = Duration::from_millis(setup.limits.stop_ms as u64);
    let shared = Arc::new(Shared::new(setup, listener.local_addr().ok()));
    let (mut tasks, mut next) = (Tasks::default(), 0);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.stopped() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(permit) => {
                    next += 1;
                    let client = Client::new(ConnectionId(next), from, &stream, &shared);
                    tasks.spawn(client.serve(stream, stopping.clone(), permit));
                }
                Err(_) => {
                    shared.setup.metrics.connections_refused.inc();
                    if let Ok(permit) = Arc::clone(&room_outside).try_acquire_owned() {
                        tasks.spawn(turn_away(stream, permit));
                    }
                }
            },
            Err(error) => {
                let kind = error.to_string();
                shared.setup.log_limiter.tell("clients", &kind, move |repeated| {
                    tracing::warn!(repeated, "a client cannot be accepted: {error}");
                });
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let left = tasks.end(patience).await;
    if left > 0 {
        tracing::warn!(connections = left, "clients were left that waited or did not read");
    }
    left
}

async fn turn_away(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let say = async {
        stream.write_all(b"-ERR max number of clients reached\r\n").await?;
        stream.flush().await
    };
    // It is turned away in any case.
    let _heard = timeout(TURN_AWAY, say).await;
}

impl Shared {
    fn new(setup: RedisSetup, address: Option<SocketAddr>) -> Self {
        let RedisSetup { config, limits, .. } = &setup;
        let settings = Settings {
            config: config.clone(),
            session_keys_max: limits.session_keys,
            commands_max: limits.pipeline,
            operations_max: limits.pipeline,
            held_bytes_max: limits.held_bytes,
            reply_bytes_max: limits.reply_bytes,
        };
        let parser = resp::Limits { arguments_max: limits.arguments, ..settings.limits() };
        let (settings, started) = (Arc::new(settings), Instant::now());
        let (registry, rate) = (Registry::default(), Rate::default());
        Self { setup, settings, parser, address, started, registry, rate }
    }
}

/// What one connection sees of the node.
struct Seen<'a> {
    shared: &'a Shared,
    by: ConnectionId,
    entry: &'a Entry,
}

/// One connection.
struct Client {
    id: ConnectionId,
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    pipeline: Pipeline,
    parser: Parser,
    input: BytesMut,
    /// Room for the next read.
    room: usize,
    flights: Flights,
    /// What the core is to be asked. Kept for its room.
    asks: Vec<Ask>,
}

impl Client {
    fn new(id: ConnectionId, from: SocketAddr, stream: &TcpStream, shared: &Arc<Shared>) -> Self {
        let local = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let identity = Identity { id: id.0, peer: from.to_string(), local };
        let connection = Connection::new(identity, Arc::clone(&shared.settings));
        let entry = shared.registry.open(id, connection.profile().clone(), Instant::now());
        shared.setup.metrics.connections.inc();
        shared.setup.metrics.connections_received.inc();
        Self {
            id,
            shared: Arc::clone(shared),
            entry,
            pipeline: Pipeline::new(connection),
            parser: Parser::new(shared.parser),
            input: BytesMut::new(),
            room: READ_BYTES_MIN,
            flights: Flights::default(),
            asks: Vec::new(),
        }
    }

    async fn serve(mut self, stream: TcpStream, stopping: Stopping, _permit: OwnedSemaphorePermit) {
        let (replies, inbox) = mpsc::unbounded_channel();
        let core = self.shared.setup.core.clone();
        core.tell(Urgent::Opened { connection: self.id, replies });
        if let Err(error) = self.talk(stream, inbox, stopping).await {
            tracing::debug!(connection = self.id.0, "a client is gone: {error}");
        }
    }

    /// Until the connection is over, on either side.
    async fn talk(
        &mut self,
        stream: TcpStream,
        mut inbox: mpsc::UnboundedReceiver<Vec<(Tag, Reply)>>,
        mut stopping: Stopping,
    ) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let metrics = Arc::clone(&self.shared.setup.metrics);
        let mut ends = false;
        loop {
            self.read_commands();
            self.ask().await;
            let has_output = !self.pipeline.ready().is_empty();
            if self.pipeline.is_over() && !has_output {
                return writer.shutdown().await;
            }
            let reads = !ends && self.pipeline.has_room();
            if reads {
                self.input.reserve(self.room);
            }
            tokio::select! {
                biased;
                replies = inbox.recv() => match replies {
                    Some(replies) => self.on_replies(replies),
                    // The core is gone, and with it all answers.
                    None => return Ok(()),
                },
                written = writer.write_buf(self.pipeline.ready()), if has_output => {
                    let written = written?;
                    metrics.on_client_bytes(Direction::Out, written);
                    self.entry.on_sent(written, self.pipeline.ready().len());
                    if self.pipeline.ready().is_empty() {
                        writer.flush().await?;
                        // A connection that had much to say once need not keep the room for it.
                        *self.pipeline.ready() = BytesMut::new();
                    }
                }
                () = stopping.stopped(), if !ends => {
                    ends = true;
                    self.pipeline.on_end();
                }
                count = reader.read_buf(&mut self.input), if reads => match count? {
                    0 => {
                        ends = true;
                        self.pipeline.on_end();
                    }
                    count => {
                        metrics.on_client_bytes(Direction::In, count);
                        self.entry.on_received(count, Instant::now());
                        self.on_read(count);
                    }
                },
            }
        }
    }

    /// Chooses the room for the next read by what this one brought.
    fn on_read(&mut self, count: usize) {
        if count >= self.room {
            self.room = (self.room * 4).min(READ_BYTES_MAX);
        } else if count < self.room / 8 {
            self.room = (self.room / 2).max(READ_BYTES_MIN);
        }
    }

    /// Takes commands out of what has arrived, as long as there is room for them.
    fn read_commands(&mut self) {
        let mut commands = 0;
        while self.pipeline.has_room() {
            match self.parser.next(&mut self.input) {
                Ok(Some(command)) => {
                    let (shared, entry) = (&*self.shared, &*self.entry);
                    let seen = Seen { shared, by: self.id, entry };
                    self.pipeline.on_command(&command, &seen, &mut self.asks);
                    commands += 1;
                }
                Ok(None) => {
                    if self.input.is_empty() {
                        self.input = BytesMut::new();
                    }
                    break;
                }
                Err(error) => {
                    self.shared.setup.metrics.protocol_errors.inc();
                    let skipped = self.parser.take_skipped();
                    self.pipeline.on_parse_error(error, skipped.as_ref());
                }
            }
        }
        if commands > 0 {
            self.shared.setup.metrics.commands.inc_by(u64::from(commands));
            self.shared.rate.add(self.shared.started.elapsed(), commands);
        }
        let (filled, room) = (self.input.len(), self.input.capacity() - self.input.len());
        self.entry.on_commands(&mut self.pipeline, commands, filled, room);
    }

    /// Hands to the core what it is to be asked, in one go.
    async fn ask(&mut self) {
        while !self.asks.is_empty() {
            let operations: Vec<_> =
                self.asks.drain(..).map(|ask| (self.flights.begin(&ask), ask.operation)).collect();
            let tags: Vec<_> = operations.iter().map(|(tag, _)| *tag).collect();
            let work = Work::Client { connection: self.id, operations };
            if self.shared.setup.core.work(work).await.is_err() {
                let refused = Reply::Refused(RequestRefusal::Stopping);
                self.on_replies(tags.into_iter().map(|tag| (tag, refused.clone())).collect());
            }
        }
    }

    fn on_replies(&mut self, replies: Vec<(Tag, Reply)>) {
        for (tag, reply) in replies {
            let flight = self.flights.end(tag);
            let metrics = &self.shared.setup.metrics;
            let seconds = flight.begun.elapsed().as_secs_f64();
            metrics.on_request(flight.verb, outcome_of(&reply), seconds);
            if let Reply::Value { container, .. } = &reply {
                metrics.on_siblings(container.siblings().len());
                let is_found = container
                    .siblings()
                    .iter()
                    .any(|(_, version)| matches!(version.content, Content::Value(_)));
                let reads = if is_found { &metrics.reads_found } else { &metrics.reads_not_found };
                reads.inc();
            }
            self.pipeline.on_reply(flight.ticket, reply, &mut self.asks);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.setup.core.tell(Urgent::Closed(self.id));
        self.shared.registry.close(self.id);
        self.shared.setup.metrics.connections.dec();
    }
}

const fn outcome_of(reply: &Reply) -> RequestOutcome {
    match reply {
        Reply::Value { .. } | Reply::Stored { .. } => RequestOutcome::Done,
        Reply::Refused(_) => RequestOutcome::Refused,
        Reply::Unknown { .. } => RequestOutcome::Unknown,
    }
}

const fn verb_of(operation: &ClientOperation) -> RequestVerb {
    match &operation.verb {
        Verb::Get => RequestVerb::Get,
        Verb::Put { content: Content::Value(_), .. } => RequestVerb::Put,
        Verb::Put { content: Content::Tombstone, .. } => RequestVerb::Delete,
    }
}

/// The operations of one connection that the core works on. Tags are places in a table: the most
/// that were ever in flight at once.
#[derive(Debug, Default)]
struct Flights {
    flights: Vec<Option<Flight>>,
    free: Vec<Tag>,
}

#[derive(Debug)]
struct Flight {
    ticket: PipelineTicket,
    verb: RequestVerb,
    begun: Instant,
}

impl Flights {
    fn begin(&mut self, ask: &Ask) -> Tag {
        let verb = verb_of(&ask.operation);
        let flight = Flight { ticket: ask.ticket, verb, begun: Instant::now() };
        match self.free.pop() {
            Some(tag) => {
                self.flights[tag as usize] = Some(flight);
                tag
            }
            None => {
                self.flights.push(Some(flight));
                Tag::try_from(self.flights.len() - 1).expect("limits.pipeline is far smaller")
            }
        }
    }

    /// # Panics
    /// If there is none: the core answers each operation once.
    fn end(&mut self, tag: Tag) -> Flight {
        self.free.push(tag);
        self.flights[tag as usize].take().expect("the core answers each operation once")
    }
}
