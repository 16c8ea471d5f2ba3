//! One connection of a client: carries bytes and operations between its socket and the core.
//!
//! One task reads, writes and hears replies side by side. So a client that sends a long pipeline
//! before it reads the first reply gets all of it answered, as far as [`Limits::held_bytes`] goes;
//! then no more is read until the client takes its replies, and if it never does, it is dropped
//! (see [`super::accounts`]). An idle connection holds a buffer of 1 KiB and little else.
//!
//! At the end of the client's stream what it asked for is still answered. When the connection is
//! broken or dropped, whatever the core was not asked for yet is forgotten.
//!
//! [`Limits::held_bytes`]: crate::config::Limits::held_bytes

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use kv_core::client::{Reply, RequestRefusal, Verb};
use kv_core::version::Container;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use super::accounts::{Account, Standing};
use super::budget::BudgetShare;
use super::flights::Flights;
use super::read_gate::{Charge, Reads};
use super::registry::ConnectionEntry;
use super::shared::{RedisShared, SeenByConnection};
use crate::core_loop::{ConnectionId, OperationTag, Urgent, Work};
use crate::metrics::{ConnectionDropReason, Direction, RequestOutcome};
use crate::redis::{Ask, Connection, ConnectionIdentity, Pipeline};
use crate::resp::Parser;
use crate::socket::{self, ReadHalf, WriteHalf};
use crate::stop::Stopping;

/// The room for a read on a connection with little traffic, in bytes.
const READ_BYTES_MIN: usize = 1_024;

/// The room for a read on a busy connection, in bytes. Arguments share the memory of the read that
/// brought them.
const READ_BYTES_MAX: usize = 64 * 1_024;

/// The time within which a client that is turned away must read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// The replies of the core to one connection.
type Inbox = mpsc::UnboundedReceiver<Vec<(OperationTag, Reply)>>;

/// The task of one connection.
pub(super) struct Client {
    id: ConnectionId,
    from: SocketAddr,
    shared: Arc<RedisShared>,
    account: Arc<Account>,
    entry: Arc<ConnectionEntry>,
    share: BudgetShare,
    pipeline: Pipeline,
    parser: Parser,
    input: BytesMut,
    /// The room for the next read, in bytes.
    room: usize,
    /// The largest capacity of `input` since it was last made anew.
    input_room: usize,
    flights: Flights,
    reads: Reads,
    /// The reads that wait until they are admitted.
    waiting: VecDeque<Ask>,
    /// The next operations to ask of the core. Kept for its allocation.
    asks: Vec<Ask>,
}

/// The way in which a connection ends.
enum ConnectionEnd {
    /// The client has all that it is owed, and has ended its stream.
    Complete,
    /// The client has all that it is owed, and may still be sending.
    Closed,
    /// The core has ended, and no replies will come.
    CoreEnded,
}

impl Client {
    pub(super) fn new(
        id: ConnectionId,
        from: SocketAddr,
        stream: &TcpStream,
        shared: &Arc<RedisShared>,
    ) -> Self {
        let local = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let identity = ConnectionIdentity { id: id.0, peer: from.to_string(), local };
        let connection = Connection::new(identity, Arc::clone(&shared.settings));
        let entry = shared.registry.open(id, connection.profile().clone(), Instant::now());
        Self {
            id,
            from,
            shared: Arc::clone(shared),
            account: Arc::new(Account::new(Instant::now())),
            entry,
            share: shared.budget.share(),
            pipeline: Pipeline::new(connection),
            parser: Parser::new(shared.parser),
            input: BytesMut::new(),
            room: READ_BYTES_MIN,
            input_room: 0,
            flights: Flights::default(),
            reads: shared.read_gate.reads(),
            waiting: VecDeque::new(),
            asks: Vec::new(),
        }
    }

    /// Serves the client until the connection is over, and then waits for the operations that the
    /// core still works on.
    pub(super) async fn serve(
        mut self,
        stream: TcpStream,
        stopping: Stopping,
        _permit: OwnedSemaphorePermit,
    ) {
        let (replies, mut inbox) = mpsc::unbounded_channel();
        self.shared.setup.core.tell(Urgent::Opened { connection: self.id, replies });
        let _registered = Registered::new(&self);
        self.set_options(&stream);
        let (mut reader, mut writer) = socket::split(stream);
        let account = Arc::clone(&self.account);
        tokio::select! {
            biased;
            reason = account.dropped() => {
                self.on_dropped(reason);
                let last_word = self.last_word(reason);
                let (flights, reads) = self.forget();
                match last_word {
                    Some(text) => farewell(reader, writer, text.as_bytes()).await,
                    None => drop((reader, writer)),
                }
                drain(inbox, flights, reads).await;
            }
            ended = self.talk(&mut reader, &mut writer, &mut inbox, stopping) => {
                let id = self.id;
                let (flights, reads) = self.forget();
                match ended {
                    Ok(ConnectionEnd::Complete | ConnectionEnd::CoreEnded) => drop((reader, writer)),
                    Ok(ConnectionEnd::Closed) => farewell(reader, writer, b"").await,
                    Err(error) => {
                        tracing::debug!(connection = id.0, "a client is gone: {error}");
                        drop((reader, writer));
                    }
                }
                drain(inbox, flights, reads).await;
            }
        }
    }

    /// Gives back all memory except that of the operations that the core works on.
    fn forget(self) -> (Flights, Reads) {
        let Self { flights, reads, .. } = self;
        (flights, reads)
    }

    /// Writes the last reply to a client that is dropped. `None` behind a reply of which it has
    /// read a part, and for an idle one, which would take it for the reply to its next command.
    fn last_word(&mut self, reason: ConnectionDropReason) -> Option<String> {
        let text = match reason {
            ConnectionDropReason::Idle => return None,
            ConnectionDropReason::SlowReader
            | ConnectionDropReason::Unfinished
            | ConnectionDropReason::Memory => {
                format!("-ERR this connection is closed: the client {reason}\r\n")
            }
        };
        self.pipeline.ready().is_empty().then_some(text)
    }

    fn set_options(&self, stream: &TcpStream) {
        let keepalive = Duration::from_millis(self.shared.setup.limits.keepalive_ms as u64);
        let set = stream.set_nodelay(true).and_then(|()| {
            if keepalive.is_zero() {
                return Ok(());
            }
            // Twice the time is what the probes take to find out the same of a silent client.
            socket::keep_alive(stream, keepalive, keepalive * 2)
        });
        if let Err(error) = set {
            tracing::debug!(connection = self.id.0, "a socket takes not all options: {error}");
        }
    }

    fn on_dropped(&self, reason: ConnectionDropReason) {
        let Self { from, account, shared, .. } = self;
        shared.setup.metrics.on_client_dropped(reason);
        let (from, held_bytes) = (*from, account.held());
        let fact = format!("dropped: {}", reason.name());
        shared.setup.log_limiter.tell("clients", &fact, move |repeated| match reason {
            ConnectionDropReason::Idle => {
                tracing::info!(repeated, client = %from, "a client is dropped: it {reason}");
            }
            ConnectionDropReason::SlowReader
            | ConnectionDropReason::Unfinished
            | ConnectionDropReason::Memory => {
                tracing::warn!(
                    repeated,
                    client = %from,
                    held_bytes,
                    "a client is dropped: it {reason}"
                );
            }
        });
    }

    /// Serves the client until the connection is over, on either side.
    async fn talk(
        &mut self,
        reader: &mut ReadHalf,
        writer: &mut WriteHalf,
        inbox: &mut Inbox,
        mut stopping: Stopping,
    ) -> io::Result<ConnectionEnd> {
        let shared = Arc::clone(&self.shared);
        let metrics = &shared.setup.metrics;
        let mut ends = false;
        loop {
            let given_back = shared.budget.given_back();
            let has_taken_all = self.read_commands();
            self.ask().await;
            self.settle();
            let has_output = !self.pipeline.ready().is_empty();
            if self.pipeline.is_over() && !has_output {
                return Ok(if ends { ConnectionEnd::Complete } else { ConnectionEnd::Closed });
            }
            let wants = !ends && self.pipeline.has_room();
            let reads = wants && has_taken_all && self.share.may_grow();
            if reads {
                self.input.reserve(self.room);
                self.input_room = self.input_room.max(self.input.capacity());
            }
            let received = async {
                if reads {
                    reader.read_buf(&mut self.input).await
                } else {
                    socket::reset(reader).await;
                    Err(io::ErrorKind::ConnectionReset.into())
                }
            };
            tokio::select! {
                biased;
                replies = inbox.recv() => match replies {
                    Some(replies) => self.on_replies(replies),
                    // The core is gone, and with it all answers.
                    None => return Ok(ConnectionEnd::CoreEnded),
                },
                written = writer.write_buf(self.pipeline.ready()), if has_output => {
                    let written = written?;
                    metrics.on_client_bytes(Direction::Out, written);
                    self.account.on_moved(written);
                    self.entry.on_sent(written, self.pipeline.ready().len());
                    self.pipeline.on_written(&mut self.asks);
                    if !self.pipeline.ready().has_remaining() {
                        writer.flush().await?;
                    }
                }
                () = self.reads.granted() => {}
                () = stopping.stopped(), if !ends => {
                    ends = true;
                    self.pipeline.on_end();
                }
                () = given_back, if wants && !reads => {}
                count = received => match count? {
                    0 => {
                        ends = true;
                        self.pipeline.on_end();
                    }
                    count => {
                        metrics.on_client_bytes(Direction::In, count);
                        self.account.on_moved(count);
                        self.entry.on_received(count, Instant::now());
                        self.on_read(count);
                    }
                },
            }
        }
    }

    /// Publishes the bytes that the connection holds, and the side for which it waits.
    fn settle(&mut self) {
        let ready = self.pipeline.ready();
        let (has_output, output) = (!ready.is_empty(), ready.held_bytes());
        let unfinished = self.input.capacity() + self.parser.held_bytes();
        self.share.set(output + unfinished + self.pipeline.held_bytes());
        let standing = if has_output {
            Standing::Sending
        } else if self.pipeline.is_working() {
            Standing::Working
        } else if !self.input.is_empty() || self.parser.held_bytes() > 0 {
            Standing::Receiving
        } else {
            Standing::Idle
        };
        self.account.update(self.share.bytes(), standing);
    }

    /// Chooses the room for the next read by the bytes of this one.
    fn on_read(&mut self, count: usize) {
        if count >= self.room {
            self.room = (self.room * 4).min(READ_BYTES_MAX);
        } else if count < self.room / 8 {
            self.room = (self.room / 2).max(READ_BYTES_MIN);
        }
    }

    /// Takes commands out of the input, as long as there is room for them. Returns whether that was
    /// all of them.
    fn read_commands(&mut self) -> bool {
        let (mut commands, mut has_taken_all) = (0, false);
        // A client that leaves its replies where all hold too much gets no more of them. One that has
        // left none is heard: what it has sent takes memory until it is answered.
        let may_take = self.share.may_grow() || self.pipeline.ready().is_empty();
        while may_take && self.pipeline.has_room() {
            match self.parser.next(&mut self.input) {
                Ok(Some(command)) => {
                    let (shared, entry) = (&*self.shared, &*self.entry);
                    let seen = SeenByConnection { shared, by: self.id, entry };
                    self.pipeline.on_command(&command, &seen, &mut self.asks);
                    commands += 1;
                }
                Ok(None) => {
                    self.shrink_input();
                    has_taken_all = true;
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
        has_taken_all
    }

    /// Gives back the memory of a large request, which the last bytes of the input would keep as a
    /// whole.
    fn shrink_input(&mut self) {
        let is_large = self.input_room > 2 * READ_BYTES_MAX;
        if self.input.is_empty() {
            self.input = BytesMut::new();
        } else if is_large && self.input.len() <= READ_BYTES_MAX {
            self.input = BytesMut::from(&self.input[..]);
        } else {
            return;
        }
        self.input_room = self.input.capacity();
    }

    /// Hands the operations that may be asked now to the core, in one go.
    async fn ask(&mut self) {
        loop {
            let mut operations = Vec::new();
            for ask in self.asks.drain(..) {
                match &ask.operation.verb {
                    Verb::Get => self.waiting.push_back(ask),
                    Verb::Put { content, .. } => {
                        self.shared.read_gate.learn(content.value().map_or(0, Bytes::len));
                        let tag = self.flights.begin(&ask, Charge::default());
                        operations.push((tag, ask.operation));
                    }
                }
            }
            while !self.waiting.is_empty()
                && let Some(charge) = self.reads.begin()
                && let Some(ask) = self.waiting.pop_front()
            {
                operations.push((self.flights.begin(&ask, charge), ask.operation));
            }
            if operations.is_empty() {
                return;
            }
            let tags: Vec<_> = operations.iter().map(|(tag, _)| *tag).collect();
            let work = Work::Client { connection: self.id, operations };
            if self.shared.setup.core.work(work).await.is_err() {
                let refused = Reply::Refused(RequestRefusal::Stopping);
                self.on_replies(tags.into_iter().map(|tag| (tag, refused.clone())).collect());
            }
        }
    }

    fn on_replies(&mut self, replies: Vec<(OperationTag, Reply)>) {
        let mut charged = Charge::default();
        for (tag, reply) in replies {
            let flight = self.flights.end(tag);
            charged += flight.charge;
            let metrics = &self.shared.setup.metrics;
            let seconds = flight.begun.elapsed().as_secs_f64();
            metrics.on_request(flight.verb, outcome_of(&reply), seconds);
            if let Reply::Value { container, .. } = &reply {
                metrics.on_siblings(container.siblings().len());
                let values = container.siblings().iter();
                let is_found =
                    values.filter_map(|(_, version)| version.content.value()).count() > 0;
                let reads = if is_found { &metrics.reads_found } else { &metrics.reads_not_found };
                reads.inc();
                self.reads.learn(value_bytes(container));
            }
            let room = self.share.room();
            self.pipeline.on_reply(flight.ticket, reply, room, &mut self.asks);
            self.settle();
        }
        self.reads.end(charged);
    }
}

/// The bytes of all values of a key.
fn value_bytes(container: &Container) -> usize {
    let values = container.siblings().iter().filter_map(|(_, version)| version.content.value());
    values.map(Bytes::len).sum()
}

const fn outcome_of(reply: &Reply) -> RequestOutcome {
    match reply {
        Reply::Value { .. } | Reply::Stored { .. } => RequestOutcome::Done,
        Reply::Refused(_) => RequestOutcome::Refused,
        Reply::Unknown { .. } => RequestOutcome::Unknown,
    }
}

/// Sends a last reply and closes the connection: the client is given some time to read it. Closed
/// with unread bytes, the connection would be reset, and the reply be lost.
pub(super) async fn farewell(mut reader: ReadHalf, mut writer: WriteHalf, text: &[u8]) {
    let say = async {
        writer.write_all(text).await?;
        writer.shutdown().await?;
        let mut ignored = vec![0; READ_BYTES_MIN];
        while reader.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // It is closed in any case.
    let _heard = timeout(FAREWELL, say).await;
}

/// Waits until the core has answered the open operations of a closed connection: their reads are
/// charged until then.
async fn drain(mut inbox: Inbox, mut flights: Flights, mut reads: Reads) {
    while !flights.is_empty()
        && let Some(replies) = inbox.recv().await
    {
        for (tag, _reply) in replies {
            reads.end(flights.end(tag).charge);
        }
    }
}

/// The entry of a connection with others, as long as it lasts.
struct Registered {
    id: ConnectionId,
    shared: Arc<RedisShared>,
}

impl Registered {
    fn new(client: &Client) -> Self {
        let Client { id, shared, account, .. } = client;
        shared.accounts.open(*id, Arc::clone(account));
        shared.setup.metrics.connections.inc();
        shared.setup.metrics.connections_received.inc();
        Self { id: *id, shared: Arc::clone(shared) }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let Self { id, shared } = self;
        shared.setup.core.tell(Urgent::Closed(*id));
        shared.registry.close(*id);
        shared.accounts.close(*id);
        shared.setup.metrics.connections.dec();
    }
}
