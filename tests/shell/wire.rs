//! What lies between two nodes: one wire for each direction in which connections are made.
//!
//! A wire accepts the connections of one node and makes one to the other for each. It carries bytes
//! in pieces of its own choosing, counts the messages among them, and ends connections when it is
//! told to: between messages, in the middle of one, or as soon as both sides have said hello. The
//! last is the moment at which the next write of the node fails: in this runtime writes never fail
//! on a connection that stands.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use kv_core::wire;
use kv_node::peers::assembly::{Added, Assembly};
use kv_node::peers::frame::{Decoder, FrameKind, PAYLOAD_BYTES_MAX};
use madsim::net::NetSim;
use madsim::runtime::Handle;
use madsim::task::NodeId;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::accounts::{Ledger, Life};
use crate::chance::Chance;
use crate::log::Log;

/// The port on which every wire listens.
const PORT: u16 = 7_000;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Now.
    Cut,
    /// Now, if both sides have said hello.
    CutStanding,
    /// In the middle of what comes next.
    Tear,
}

/// A wire from one node to another.
#[derive(Debug)]
pub(crate) struct Wire {
    /// The one whose connections it takes.
    pub(crate) from: usize,
    /// The one to whom it carries them.
    pub(crate) to: usize,
    node: NodeId,
    target: SocketAddr,
    /// To each connection, in the order in which they began.
    orders: Mutex<Vec<mpsc::UnboundedSender<Order>>>,
    /// So many connections end as soon as both sides have said hello.
    brief: AtomicU64,
    connections: AtomicU64,
    ledger: Ledger,
    log: Log,
    seed: u64,
}

impl Wire {
    /// Where the wire between these two listens.
    pub(crate) fn address(from: usize, to: usize) -> SocketAddr {
        let host = (from * 10 + to) as u8;
        SocketAddr::from((Ipv4Addr::new(10, 0, 1, host), PORT))
    }

    /// Lays a wire to where a node listens for peers.
    pub(crate) fn lay(
        (from, to): (usize, usize),
        target: SocketAddr,
        seed: u64,
        ledger: &Ledger,
        log: &Log,
    ) -> Arc<Self> {
        let address = Self::address(from, to);
        let name = format!("n{}>n{}", from + 1, to + 1);
        let node = Handle::current().create_node().name(name).ip(address.ip()).build();
        let wire = Arc::new(Self {
            from,
            to,
            node: node.id(),
            target,
            orders: Mutex::default(),
            brief: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            ledger: ledger.clone(),
            log: log.clone(),
            seed,
        });
        node.spawn(Arc::clone(&wire).listen(address));
        wire
    }

    /// Ends the connections that stand.
    pub(crate) fn cut(&self) {
        self.order(Order::Cut);
    }

    /// Ends them in the middle of what they carry next.
    pub(crate) fn tear(&self) {
        self.order(Order::Tear);
    }

    fn order(&self, order: Order) {
        let mut orders = self.orders.lock().expect("nothing panics while it gives orders");
        // A connection that has ended takes none.
        orders.retain(|connection| connection.send(order).is_ok());
    }

    fn take_orders(&self) -> mpsc::UnboundedReceiver<Order> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.orders.lock().expect("nothing panics while it gives orders").push(sender);
        receiver
    }

    /// Ends the connection that stands, and so many after it when they have hardly begun. All of
    /// them get as far as a hello from either side: nobody seems out of reach.
    pub(crate) fn flicker(&self, times: u64) {
        self.brief.store(times, Ordering::Relaxed);
        self.order(Order::CutStanding);
    }

    /// Lets connections live.
    pub(crate) fn stop_troubles(&self) {
        self.brief.store(0, Ordering::Relaxed);
    }

    /// Holds up, or no longer, what comes `out` of a machine into the wire, or what goes into it.
    pub(crate) fn clog(&self, machine: NodeId, out: bool, is_clogged: bool) {
        let (from, to) = if out { (machine, self.node) } else { (self.node, machine) };
        let net = NetSim::current();
        if is_clogged {
            net.clog_link(from, to);
        } else {
            net.unclog_link(from, to);
        }
    }

    async fn listen(self: Arc<Self>, address: SocketAddr) {
        let listener = TcpListener::bind(address).await.expect("nobody else is here");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::spawn(Arc::clone(&self).carry(stream));
        }
    }

    async fn carry(self: Arc<Self>, inbound: TcpStream) {
        let from = self.ledger.current(self.from);
        let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let stream = ((self.from * 10 + self.to) as u64) << 32 | number;
        let Ok(outbound) = TcpStream::connect(self.target).await else {
            self.note(number, "finds nobody");
            return;
        };
        // It may have started while it was looked for.
        let to = self.ledger.current(self.to);
        self.note(number, "begins");
        self.log.count("connections");
        let mut connection = Connection {
            wire: &self,
            number,
            from,
            to,
            chance: Chance::new(self.seed, stream),
            entered: Meter::default(),
            left: Meter::default(),
            stands: false,
        };
        let end = connection.run(inbound, outbound).await;
        if connection.stands {
            self.ledger.change(from, |seen| seen.standing -= 1);
        }
        self.note(number, end);
    }

    fn note(&self, number: u64, what: &str) {
        self.log.note(format_args!("n{}>n{} #{number} {what}", self.from + 1, self.to + 1));
    }
}

struct Connection<'a> {
    wire: &'a Wire,
    number: u64,
    from: Life,
    to: Life,
    chance: Chance,
    entered: Meter,
    left: Meter,
    stands: bool,
}

impl Connection<'_> {
    /// Carries bytes until an end; says which.
    async fn run(&mut self, inbound: TcpStream, outbound: TcpStream) -> &'static str {
        let mut orders = self.wire.take_orders();
        let (mut source, mut source_back) = tokio::io::split(inbound);
        let (mut target_back, mut target) = tokio::io::split(outbound);
        let (mut there, mut back) = (BytesMut::new(), BytesMut::new());
        let mut tears = false;
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Tear) => tears = true,
                    Some(Order::CutStanding) if !self.stands => {}
                    Some(Order::Cut | Order::CutStanding) | None => return self.tear("is cut"),
                },
                count = source.read_buf(&mut there) => {
                    if !matches!(count, Ok(1..)) {
                        return "was left by its source";
                    }
                    self.on_entered(&there);
                    if tears {
                        there.truncate(self.chance.index(there.len()));
                        let _ended = self.pass_on(&mut there, &mut target).await;
                        return self.tear("is torn");
                    }
                    if self.pass_on(&mut there, &mut target).await.is_err() {
                        return self.tear("lost its target");
                    }
                }
                count = target_back.read_buf(&mut back) => {
                    if !matches!(count, Ok(1..)) {
                        return self.tear("was left by its target");
                    }
                    let sent = async {
                        source_back.write_all_buf(&mut back).await?;
                        source_back.flush().await
                    };
                    if sent.await.is_err() {
                        // The source is gone. What it has sent before may still be under way.
                        back.clear();
                        continue;
                    }
                    let answers_hello = !self.stands;
                    self.on_answered();
                    if answers_hello && self.is_brief() {
                        // The source has not even heard the hello: nothing is under way.
                        self.wire.log.count("connections_broken");
                        return "was brief";
                    }
                }
            }
        }
    }

    /// Ends it with, perhaps, something unread: what the source has sent meanwhile is lost.
    fn tear(&self, why: &'static str) -> &'static str {
        self.wire.ledger.change(self.from, |seen| seen.torn += 1);
        self.wire.log.count("connections_broken");
        why
    }

    fn on_answered(&mut self) {
        if !self.stands {
            self.stands = true;
            self.wire.ledger.change(self.from, |seen| seen.standing += 1);
        }
    }

    fn is_brief(&self) -> bool {
        let brief = &self.wire.brief;
        brief.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn on_entered(&mut self, bytes: &[u8]) {
        let Wire { from, to, log, ledger, .. } = self.wire;
        let number = self.number;
        for payload in self.entered.messages(bytes) {
            ledger.change(self.from, |seen| seen.entered += 1);
            log.count("messages");
            match wire::decode(&payload) {
                Ok(message) => {
                    let (kind, bytes) = (message.body.kind().name(), payload.len());
                    log.note(format_args!("n{}>n{} #{number} {kind} {bytes}", from + 1, to + 1));
                }
                Err(error) => log.violated("framing", format_args!("n{} sent {error}", from + 1)),
            }
        }
    }

    /// In pieces, some of them late.
    async fn pass_on(
        &mut self,
        bytes: &mut BytesMut,
        target: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let whole = self.chance.percent(70);
            let length = if whole { bytes.len() } else { 1 + self.chance.index(bytes.len()) };
            let piece = bytes.split_to(length);
            target.write_all(&piece).await?;
            target.flush().await?;
            let whole_messages = self.left.messages(&piece).len() as u64;
            self.wire.ledger.change(self.to, |seen| seen.left += whole_messages);
            if self.chance.percent(10) {
                sleep(self.chance.ms(1..20)).await;
            }
        }
        Ok(())
    }
}

/// Finds the messages in a stream.
#[derive(Default)]
struct Meter {
    buffer: BytesMut,
    assembly: Assembly,
}

impl Meter {
    /// The payloads of the messages that are whole with these bytes.
    fn messages(&mut self, bytes: &[u8]) -> Vec<bytes::Bytes> {
        self.buffer.extend_from_slice(bytes);
        let mut payloads = Vec::new();
        while let Ok(Some(frame)) = Decoder::new(PAYLOAD_BYTES_MAX).next(&mut self.buffer) {
            match frame.kind {
                FrameKind::Hello | FrameKind::Refusal | FrameKind::Beat => {}
                FrameKind::Message => payloads.push(frame.payload),
                FrameKind::FirstPart => {
                    let (_, part) = self.assembly.begin(&frame.payload).expect("a sound part");
                    payloads.extend(self.whole(&part));
                }
                FrameKind::NextPart => payloads.extend(self.whole(&frame.payload)),
            }
        }
        payloads
    }

    fn whole(&mut self, part: &[u8]) -> Option<bytes::Bytes> {
        match self.assembly.add(part).expect("a sound part") {
            Added::Whole(whole) => Some(whole),
            Added::Unfinished | Added::Discarded => None,
        }
    }
}
