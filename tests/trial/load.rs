//! A closed loop of clients that speak the Redis protocol: each connection sends a pipeline of
//! requests, waits until all of it is answered, and sends the next.
//!
//! All connections share one thread, so that the load takes little from who bears it. It ends after
//! so many operations, or when the time is up, whichever comes first.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use hdrhistogram::Histogram;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::command;

/// How long after its end a load waits for what is in flight.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A command of some words.
pub(crate) type Words = &'static [&'static str];

/// What every connection asks for.
#[derive(Clone, Copy)]
pub(crate) enum Request {
    Get,
    Set {
        /// A command that waits for replicas, and how often it is sent.
        wait: Option<(Words, Often)>,
    },
}

/// After which requests replicas are waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Often {
    /// After each.
    Request,
    /// After the last of each pipeline.
    Pipeline,
}

/// Which keys are asked for.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// One after the other.
    InTurn,
    /// Drawn by chance.
    ByChance,
}

/// A load.
pub(crate) struct Load {
    /// Who is asked; the connections are dealt out in turn.
    pub(crate) addresses: Vec<String>,
    pub(crate) request: Request,
    /// What each connection says first.
    pub(crate) greeting: Option<Words>,
    pub(crate) connections: usize,
    /// Requests in a pipeline.
    pub(crate) depth: usize,
    /// So many keys there are.
    pub(crate) keys: u64,
    pub(crate) order: Order,
    pub(crate) value_bytes: usize,
    pub(crate) operations: u64,
    pub(crate) time_max: Duration,
    pub(crate) seed: u64,
}

/// What came of a load.
pub(crate) struct Measured {
    pub(crate) operations: u64,
    pub(crate) took: Duration,
    /// In microseconds, from the sending of the pipeline to the answer.
    pub(crate) latency: Histogram<u64>,
    /// Requests that were not answered as they should be.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

/// Drives a load to its end.
///
/// # Errors
/// A connection broke, or nothing was answered any more.
pub(crate) fn drive(load: Load) -> io::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (values, connections) = (Values::new(&load), load.connections);
        let shared = Arc::new(Shared { load, values, given_out: AtomicU64::new(0) });
        let mut tasks = JoinSet::new();
        let mut open = Vec::new();
        for index in 0..connections {
            open.push(Connection::open(Arc::clone(&shared), index).await?);
        }
        let begun = Instant::now();
        for connection in open {
            tasks.spawn(connection.run(begun + shared.load.time_max));
        }
        let mut measured = Measured::nothing();
        let ended = tokio::time::timeout(shared.load.time_max + TIMEOUT, async {
            while let Some(ended) = tasks.join_next().await {
                measured.add(&ended.expect("no connection panics")?);
            }
            io::Result::Ok(())
        });
        ended.await.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
        measured.took = begun.elapsed();
        Ok(measured)
    })
}

impl Measured {
    pub(crate) fn nothing() -> Self {
        let latency = Histogram::new(3).expect("three digits are allowed");
        Self { operations: 0, took: Duration::ZERO, latency, errors: 0, first_error: None }
    }

    /// Adds what was done at the same time or after it.
    pub(crate) fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.took += other.took;
        self.latency.add(&other.latency).expect("histograms grow");
        self.errors += other.errors;
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.operations as f64 / self.took.as_secs_f64()
    }

    fn on_error(&mut self, error: impl FnOnce() -> String) {
        self.errors += 1;
        self.first_error.get_or_insert_with(error);
    }
}

/// Each key has one value, so that a read can be held against it. They do not compress.
struct Values {
    pool: Vec<u8>,
    bytes: usize,
}

impl Values {
    fn new(load: &Load) -> Self {
        // The same for all loads: one reads what another wrote.
        let mut pool = vec![0; load.value_bytes + 65_536];
        ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut pool);
        Self { pool, bytes: load.value_bytes }
    }

    fn of(&self, key: u64) -> &[u8] {
        let start = key as usize % (self.pool.len() - self.bytes);
        &self.pool[start..][..self.bytes]
    }
}

/// What the connections of a load share.
struct Shared {
    load: Load,
    values: Values,
    given_out: AtomicU64,
}

impl Shared {
    /// The numbers of the operations of the next pipeline.
    fn take(&self) -> Range<u64> {
        let depth = self.load.depth as u64;
        let first = self.given_out.fetch_add(depth, Ordering::Relaxed);
        first..self.load.operations.min(first + depth)
    }
}

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    input: BytesMut,
    random: ChaCha8Rng,
}

impl Connection {
    async fn open(shared: Arc<Shared>, index: usize) -> io::Result<Self> {
        let load = &shared.load;
        let stream = TcpStream::connect(&load.addresses[index % load.addresses.len()]).await?;
        stream.set_nodelay(true)?;
        let mut random = ChaCha8Rng::seed_from_u64(load.seed);
        random.set_stream(index as u64);
        let greeting = load.greeting;
        let mut connection = Self { shared, stream, input: BytesMut::new(), random };
        if let Some(words) = greeting {
            connection.stream.write_all(&command(words)).await?;
            let (reply, length) = connection.reply().await?;
            if matches!(reply, Reply::Error) {
                let said = String::from_utf8_lossy(&connection.input[..length]).into_owned();
                return Err(io::Error::other(said));
            }
            connection.input.advance(length);
        }
        Ok(connection)
    }

    async fn run(mut self, end: Instant) -> io::Result<Measured> {
        let shared = Arc::clone(&self.shared);
        let mut measured = Measured::nothing();
        let (mut output, mut keys) = (Vec::new(), Vec::new());
        while Instant::now() < end {
            let numbers = shared.take();
            if numbers.is_empty() {
                break;
            }
            output.clear();
            keys.clear();
            keys.extend(numbers.map(|number| self.key(number)));
            for (index, key) in keys.iter().enumerate() {
                write_request(&mut output, &shared, *key, index + 1 == keys.len());
            }
            let begun = Instant::now();
            self.stream.write_all(&output).await?;
            for (index, key) in keys.iter().enumerate() {
                self.expect(*key, index + 1 == keys.len(), &mut measured).await?;
                let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                measured.latency.record(us).expect("histograms grow");
                measured.operations += 1;
            }
        }
        Ok(measured)
    }

    fn key(&mut self, number: u64) -> u64 {
        let number = match self.shared.load.order {
            Order::InTurn => number,
            Order::ByChance => self.random.next_u64(),
        };
        number % self.shared.load.keys
    }

    /// Reads what answers one request.
    async fn expect(&mut self, key: u64, last: bool, measured: &mut Measured) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        match shared.load.request {
            Request::Get => {
                let value = shared.values.of(key);
                self.check(measured, |reply, bytes| match reply {
                    Reply::Bulk => {
                        bytes.strip_suffix(b"\r\n").is_some_and(|it| it.ends_with(value))
                    }
                    Reply::Status | Reply::Error | Reply::Integers(_) => false,
                })
                .await
            }
            Request::Set { wait } => {
                self.check(measured, |reply, _| *reply == Reply::Status).await?;
                if waits(wait, last).is_some() {
                    // At least one of each: a replica, or for WAITAOF a local sync and a replica.
                    let enough = |reply: &Reply| match reply {
                        Reply::Integers(counts) => counts.iter().all(|count| *count >= 1),
                        Reply::Status | Reply::Error | Reply::Bulk => false,
                    };
                    self.check(measured, |reply, _| enough(reply)).await?;
                }
                Ok(())
            }
        }
    }

    async fn check(
        &mut self,
        measured: &mut Measured,
        is_right: impl Fn(&Reply, &[u8]) -> bool,
    ) -> io::Result<()> {
        let (reply, length) = self.reply().await?;
        let bytes = &self.input[..length];
        if !is_right(&reply, bytes) {
            measured.on_error(|| format!("{:?}", String::from_utf8_lossy(bytes)));
        }
        self.input.advance(length);
        Ok(())
    }

    /// The next reply, and how many bytes of the input it takes.
    async fn reply(&mut self) -> io::Result<(Reply, usize)> {
        loop {
            if let Some(found) = parse(&self.input)? {
                return Ok(found);
            }
            self.input.reserve(64 * 1_024);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn waits(wait: Option<(Words, Often)>, last: bool) -> Option<Words> {
    wait.and_then(|(words, often)| (last || often == Often::Request).then_some(words))
}

fn write_request(output: &mut Vec<u8>, shared: &Shared, key: u64, last: bool) {
    let key_text = format!("key-{key:08}");
    let mut words = |words: &[&[u8]]| {
        output.extend(format!("*{}\r\n", words.len()).into_bytes());
        for word in words {
            output.extend(format!("${}\r\n", word.len()).into_bytes());
            output.extend(*word);
            output.extend(b"\r\n");
        }
    };
    match shared.load.request {
        Request::Get => words(&[b"GET", key_text.as_bytes()]),
        Request::Set { wait } => {
            words(&[b"SET", key_text.as_bytes(), shared.values.of(key)]);
            if let Some(wait) = waits(wait, last) {
                output.extend(command(wait));
            }
        }
    }
}

/// A reply, as far as a load looks at it.
#[derive(PartialEq, Eq)]
enum Reply {
    Status,
    Error,
    /// One, or an array of them.
    Integers(Vec<i64>),
    Bulk,
}

/// The first reply in the bytes, if all of it is there, and its length.
fn parse(bytes: &[u8]) -> io::Result<Option<(Reply, usize)>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n") else { return Ok(None) };
    let (kind, text) = (bytes[0], &bytes[1..end.max(1)]);
    let number = || {
        let text = str::from_utf8(text).map_err(io::Error::other)?;
        text.parse::<i64>().map_err(io::Error::other)
    };
    let after = end + 2;
    match kind {
        b'+' => Ok(Some((Reply::Status, after))),
        b'-' => Ok(Some((Reply::Error, after))),
        b':' => Ok(Some((Reply::Integers(vec![number()?]), after))),
        b'$' => {
            // None at all is -1, and has no bytes.
            let length = usize::try_from(number()?).map_or(0, |length| length + 2);
            Ok((bytes.len() >= after + length).then_some((Reply::Bulk, after + length)))
        }
        b'*' => {
            let (mut integers, mut at) = (Vec::new(), after);
            for _ in 0..number()? {
                let Some((reply, length)) = parse(&bytes[at..])? else { return Ok(None) };
                if let Reply::Integers(more) = reply {
                    integers.extend(more);
                }
                at += length;
            }
            Ok(Some((Reply::Integers(integers), at)))
        }
        other => Err(io::Error::other(format!("no reply begins with {:?}", char::from(other)))),
    }
}
