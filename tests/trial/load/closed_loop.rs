//! Connections that send a pipeline of requests, wait until all of it is answered, and send the next.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::protocol::{LoadOperation, Verdict};
use super::{Measured, Shared};

/// How long after its end a load waits for what is in flight.
const DRAIN: Duration = Duration::from_secs(30);

/// Drives the connections until so many operations are done, or the time is up.
pub(super) async fn drive(
    shared: &Rc<Shared>,
    connections: Vec<Connection>,
    operations: u64,
) -> io::Result<Measured> {
    let numbers = Rc::new(Numbers { given_out: Cell::new(0), operations });
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (index, connection) in (0..).zip(connections) {
        tasks.spawn_local(run(connection, Rc::clone(shared), Rc::clone(&numbers), index, begun));
    }
    let ended = tokio::time::timeout(shared.load.time_max + DRAIN, async {
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no connection panics")?;
        }
        io::Result::Ok(())
    });
    ended.await.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
    let mut measured = shared.measured.replace(Measured::nothing());
    measured.took = begun.elapsed();
    Ok(measured)
}

/// The numbers of the operations.
struct Numbers {
    given_out: Cell<u64>,
    operations: u64,
}

impl Numbers {
    /// Those of the next pipeline.
    fn take(&self, depth: u64) -> Range<u64> {
        let first = self.given_out.get();
        self.given_out.set(first + depth);
        first..self.operations.min(first + depth)
    }
}

async fn run(
    mut connection: Connection,
    shared: Rc<Shared>,
    numbers: Rc<Numbers>,
    index: u64,
    load_begun: Instant,
) -> io::Result<()> {
    let load = &shared.load;
    let mut random = shared.random(index);
    let (mut output, mut pipeline, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    while load_begun.elapsed() < load.time_max {
        let numbers = numbers.take(load.depth as u64);
        if numbers.is_empty() {
            break;
        }
        output.clear();
        pipeline.clear();
        let last = numbers.end - 1;
        for number in numbers {
            let key = load.keys.key(number, &mut random);
            let operation = LoadOperation::new(load.request, key, number == last);
            load.protocol.encode(&operation, &shared.values, &mut output);
            pipeline.push(operation);
        }
        let waits_for_answers =
            pipeline.last().is_some_and(|last| load.protocol.waits_for_answers(last));
        let begun = Instant::now();
        let Connection { stream, input } = &mut connection;
        let (mut reader, mut writer) = stream.split();
        let send = async {
            let sent = writer.write_all(&output).await;
            // Without the error an answer would be waited for that nobody can give.
            if sent.is_ok() { std::future::pending().await } else { sent }
        };
        let receive = async {
            for operation in &pipeline {
                let verdict = input.verdict(&mut reader, &shared, operation).await?;
                if waits_for_answers {
                    verdicts.push(verdict);
                } else {
                    shared.on_answer(verdict, begun, load_begun);
                }
            }
            io::Result::Ok(())
        };
        // Both at once: a store that answers the first before it reads the last must not wait for us.
        tokio::select! {
            biased;
            sent = send => sent?,
            received = receive => received?,
        }
        if let (true, Some(last)) = (waits_for_answers, pipeline.last()) {
            let waiting = last.waiting();
            output.clear();
            load.protocol.encode(&waiting, &shared.values, &mut output);
            writer.write_all(&output).await?;
            let waited = input.verdict(&mut reader, &shared, &waiting).await?;
            for verdict in verdicts.drain(..) {
                let verdict = if verdict == Verdict::Right { waited.clone() } else { verdict };
                shared.on_answer(verdict, begun, load_begun);
            }
        }
    }
    Ok(())
}
