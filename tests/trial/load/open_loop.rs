//! Operations that come at a rate, however long answers take.
//!
//! One task deals them out to the connections when they are due; each connection sends what it was dealt
//! while fewer than so many of its operations are unanswered. What waits for that longer than the time-out is
//! never sent: whoever asked has gone. A connection that breaks takes with it what was on it, and is opened anew.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::connection::{Connection, LoadInput};
use super::protocol::{LoadOperation, Verdict};
use super::schedule::Schedule;
use super::timer::PreciseTimer;
use super::{Measured, Shared};

/// Operations closer together than this are dealt out together: waking up for each would cost more than it.
const PAUSE_MIN: Duration = Duration::from_micros(50);

/// How many time-outs after the last operation was due its answer is still looked for.
const DRAIN_TIMEOUTS: u32 = 3;

/// The same where there is no time-out.
const DRAIN: Duration = Duration::from_secs(30);

/// How long after a connection broke it is opened anew.
const REOPEN_AFTER: Duration = Duration::from_millis(10);

/// The bytes that are gathered before they are sent.
const SEND_BYTES: usize = 64 * 1_024;

/// An operation that was due.
#[derive(Clone, Copy)]
struct Due {
    operation: LoadOperation,
    intended: Instant,
}

/// What one connection has to do.
#[derive(Default)]
struct Lane {
    waiting: RefCell<VecDeque<Due>>,
    in_flight: RefCell<VecDeque<Due>>,
    /// No more will be dealt.
    is_last_dealt: Cell<bool>,
    /// There may be something to send, or nothing more to come.
    changed: Notify,
    /// There is something to be answered.
    asked: Notify,
}

impl Lane {
    fn is_done(&self) -> bool {
        self.is_last_dealt.get()
            && self.waiting.borrow().is_empty()
            && self.in_flight.borrow().is_empty()
    }
}

/// Drives the connections at this rate for the time of the load.
pub(super) async fn drive(
    shared: &Rc<Shared>,
    connections: Vec<Connection>,
    per_second: f64,
) -> io::Result<Measured> {
    let load = &shared.load;
    let schedule = Schedule::new(per_second, load.time_max);
    let begun = Instant::now();
    let mut lanes = Vec::new();
    let mut tasks = JoinSet::new();
    for (index, connection) in connections.into_iter().enumerate() {
        let lane = Rc::new(Lane::default());
        lanes.push(Rc::clone(&lane));
        tasks.spawn_local(run(connection, Rc::clone(shared), lane, index, begun));
    }
    deal(shared, &schedule, &lanes, begun).await?;
    if let Some(teller) = &load.last_due {
        // Whoever wanted to know may have given up.
        let _told = teller.send(Instant::now());
    }
    let drain = load.timeout.map_or(DRAIN, |timeout| timeout * DRAIN_TIMEOUTS);
    let drained = tokio::time::timeout(drain, async {
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no connection panics");
        }
    });
    // Whether all have ended or not, what is left is counted.
    let _in_time = drained.await;
    tasks.shutdown().await;
    let mut measured = shared.measured.replace(Measured::nothing());
    for lane in lanes {
        measured.unsent += lane.waiting.borrow().len() as u64;
        measured.unanswered += lane.in_flight.borrow().len() as u64;
    }
    // What was dealt last is done after the time.
    measured.took = measured.took.max(load.time_max);
    Ok(measured)
}

/// Deals out all operations, each when it is due, to the connections in turn.
async fn deal(
    shared: &Shared,
    schedule: &Schedule,
    lanes: &[Rc<Lane>],
    begun: Instant,
) -> io::Result<()> {
    let timer = PreciseTimer::new()?;
    // The streams below this one are the connections'.
    let mut random = shared.random(u64::MAX);
    let mut next = 0;
    while next < schedule.operations() {
        let due = schedule.due(begun.elapsed());
        for number in next..due {
            let key = shared.load.keys.key(number, &mut random);
            let operation = LoadOperation::new(shared.load.request, key, true);
            let lane = &lanes[number as usize % lanes.len()];
            let intended = begun + schedule.intended(number);
            lane.waiting.borrow_mut().push_back(Due { operation, intended });
            lane.changed.notify_one();
        }
        next = due;
        let wait = schedule.intended(next).saturating_sub(begun.elapsed());
        timer.sleep(wait.max(PAUSE_MIN)).await?;
    }
    for lane in lanes {
        lane.is_last_dealt.set(true);
        lane.changed.notify_one();
    }
    Ok(())
}

/// Sends what one connection is dealt, and opens it anew when it breaks, until there is nothing left.
async fn run(
    connection: Connection,
    shared: Rc<Shared>,
    lane: Rc<Lane>,
    index: usize,
    begun: Instant,
) {
    let mut connection = Some(connection);
    loop {
        if let Some(Connection { mut stream, mut input }) = connection.take() {
            let (mut reader, mut writer) = stream.split();
            tokio::select! {
                sent = send(&mut writer, &shared, &lane) => if sent.is_ok() { return },
                _broken = receive(&mut reader, &mut input, &shared, &lane, begun) => {}
            }
            let lost = std::mem::take(&mut *lane.in_flight.borrow_mut());
            shared.measured.borrow_mut().broken += lost.len() as u64;
        }
        if lane.is_done() {
            return;
        }
        tokio::time::sleep(REOPEN_AFTER).await;
        connection = Connection::open(&shared, index).await.ok();
    }
}

/// Sends until nothing more will come and all is answered.
async fn send(
    writer: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
    lane: &Lane,
) -> io::Result<()> {
    let load = &shared.load;
    let mut output = Vec::new();
    while !lane.is_done() {
        output.clear();
        while output.len() < SEND_BYTES && lane.in_flight.borrow().len() < load.depth {
            let Some(due) = lane.waiting.borrow_mut().pop_front() else { break };
            if load.timeout.is_some_and(|timeout| due.intended.elapsed() > timeout) {
                shared.measured.borrow_mut().unsent += 1;
                continue;
            }
            load.protocol.encode(&due.operation, &shared.values, &mut output);
            lane.in_flight.borrow_mut().push_back(due);
            lane.asked.notify_one();
        }
        match output.is_empty() {
            true if lane.is_done() => break,
            true => lane.changed.notified().await,
            false => writer.write_all(&output).await?,
        }
    }
    Ok(())
}

/// Counts answers until the connection breaks.
async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    input: &mut LoadInput,
    shared: &Shared,
    lane: &Lane,
    begun: Instant,
) -> io::Result<()> {
    loop {
        let first = lane.in_flight.borrow().front().copied();
        // That a connection broke on which nothing is asked is noticed when something is.
        let Some(due) = first else {
            lane.asked.notified().await;
            continue;
        };
        let verdict = input.verdict(reader, shared, &due.operation).await?;
        if verdict == Verdict::Right && shared.load.protocol.waits_for_answers(&due.operation) {
            let operation = due.operation.waiting();
            lane.waiting.borrow_mut().push_front(Due { operation, ..due });
        } else {
            shared.on_answer(verdict, due.intended, begun);
        }
        lane.in_flight.borrow_mut().pop_front();
        lane.changed.notify_one();
    }
}
