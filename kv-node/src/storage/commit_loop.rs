//! The loop of the committer: waits for groups, appends them one by one to the log, and tells what
//! became of each. A thread of its own runs it where the disk is real, because writes and syncs block;
//! where there are no threads it is a task.
//!
//! While the disk refuses for a passing reason the loop holds on to its group. Whoever executes has
//! been told, refuses what would commit, and goes on reading. It is the loop, too, that says so when
//! tables cannot be written: groups are then held back as if the log had refused them.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{sleep, timeout};

use super::StorageEvent;
use super::committer::Committer;
use super::engine::{Engine, EngineError};
use super::flush_loop::FlushOrder;
use super::group::Group;
use super::reporter::{FlushFault, Reporter, pause};

/// The interval at which an engine with nothing to write is checked, so that an operator hears of a
/// full disk before a client does.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The committer at work. Dropping it at any moment is a crash: what was not durable is gone.
#[derive(Debug)]
pub(super) struct CommitLoop<E> {
    committer: Committer<E>,
    groups: UnboundedReceiver<Group>,
    /// The orders for the flusher.
    flushes: UnboundedSender<FlushOrder>,
    /// The time that a simulated disk takes for a group; zero for a real one.
    sync_time: Duration,
    reporter: Reporter,
    flush_fault: FlushFault,
}

/// The fate of an operation that was offered to the engine.
#[derive(PartialEq, Eq)]
enum Taken {
    Yes,
    /// The engine refuses, and storage ends meanwhile. Nothing of it was promised to anybody.
    Never,
}

impl<E: Engine> CommitLoop<E> {
    pub(super) const fn new(
        committer: Committer<E>,
        groups: UnboundedReceiver<Group>,
        flushes: UnboundedSender<FlushOrder>,
        sync_time: Duration,
        reporter: Reporter,
        flush_fault: FlushFault,
    ) -> Self {
        Self { committer, groups, flushes, sync_time, reporter, flush_fault }
    }

    /// Runs until the storage ends. After a failure of the disk nothing more is written.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.commit_all().await {
            self.reporter.on_failed(error);
            // Whatever it says: there is nothing left to lose.
            let _ = self.committer.close();
            // The engine is let go of here in the end, and not where it might keep others waiting.
            while self.groups.recv().await.is_some() {}
        }
    }

    async fn commit_all(&mut self) -> Result<(), EngineError> {
        let flush_fault = self.flush_fault.clone();
        loop {
            let due = self.committer.sync_due_in();
            let taken = if due == Some(Duration::ZERO) {
                self.until_taken(|committer| {
                    committer.sync()?;
                    flush_fault.check()
                })
                .await?
            } else {
                let pause = due.unwrap_or(CHECK_INTERVAL).min(CHECK_INTERVAL);
                match timeout(pause, self.groups.recv()).await {
                    Ok(Some(group)) => self.commit(&group).await?,
                    Ok(None) => return self.committer.close(),
                    Err(_) => {
                        self.until_taken(|committer| {
                            flush_fault.check()?;
                            committer.check()
                        })
                        .await?
                    }
                }
            };
            if taken == Taken::Never {
                // What was acknowledged is there; that nothing else can be is no failure.
                let _ = self.committer.close();
                return Ok(());
            }
        }
    }

    async fn commit(&mut self, group: &Group) -> Result<Taken, EngineError> {
        let begun = Instant::now();
        if !self.sync_time.is_zero() {
            sleep(self.sync_time).await;
        }
        let flush_fault = self.flush_fault.clone();
        let taken = self.until_taken(|committer| {
            // What was acknowledged earlier does not wait for what is refused.
            committer.sync_if_due()?;
            flush_fault.check()?;
            committer.append(group)
        });
        if taken.await? == Taken::Never {
            return Ok(Taken::Never);
        }
        self.reporter.on_written(begun.elapsed());
        let log = self.committer.log_end();
        self.reporter.tell(StorageEvent::Durable { seq: group.seq(), log });
        if self.committer.prepare_is_due() {
            // A flusher that ended has failed, and has said so.
            let _ = self.flushes.send(FlushOrder::Prepare);
        }
        Ok(Taken::Yes)
    }

    /// Attempts an operation of the engine, again and again while it is refused for a passing
    /// reason.
    async fn until_taken(
        &mut self,
        attempt: impl Fn(&mut Committer<E>) -> Result<(), EngineError>,
    ) -> Result<Taken, EngineError> {
        loop {
            match attempt(&mut self.committer) {
                Ok(()) => {
                    self.reporter.on_taken();
                    return Ok(Taken::Yes);
                }
                Err(error) if error.fault.is_passing() => self.reporter.on_refused(&error),
                Err(error) => return Err(error),
            }
            if pause(|| self.groups.is_closed()).await.is_break() {
                return Ok(Taken::Never);
            }
        }
    }
}
