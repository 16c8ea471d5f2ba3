//! Storage as one task, for where there are no threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::committer::Committer;
use super::engine::{Engine, EngineError};
use super::executor::Executor;
use super::overlay::Group;
use super::{Errand, Meter, Report, StorageEvent};

/// Executes and commits in turns. Dropping it at any moment is a crash: what was not durable is
/// gone.
pub struct StorageTask<E> {
    executor: Executor<E>,
    committer: Committer<E>,
    errands: UnboundedReceiver<Errand>,
    /// How long a group takes to the disk. Commands are executed meanwhile.
    sync_time: Duration,
    /// The group that is under way, and since when.
    writing: Option<(Group, Instant)>,
    stopping: bool,
    report: Report,
    meter: Arc<Meter>,
}

impl<E: Engine> StorageTask<E> {
    pub(super) const fn new(
        executor: Executor<E>,
        committer: Committer<E>,
        errands: UnboundedReceiver<Errand>,
        sync_time: Duration,
        report: Report,
        meter: Arc<Meter>,
    ) -> Self {
        let (writing, stopping) = (None, false);
        Self { executor, committer, errands, sync_time, writing, stopping, report, meter }
    }

    /// Runs until storage is stopped or the disk fails; then commits are refused, and reads go on.
    pub async fn run(mut self) {
        loop {
            while let Ok(errand) = self.errands.try_recv() {
                self.take(errand);
            }
            self.turn();
            if self.executor.has_work() {
                continue;
            }
            if self.stopping && self.executor.is_done() {
                if let Err(error) = self.committer.sync() {
                    self.on_error(error);
                }
                return;
            }
            let due = self.due_in();
            tokio::select! {
                biased;
                errand = self.errands.recv(), if !self.stopping => match errand {
                    Some(errand) => self.take(errand),
                    None => self.stopping = true,
                },
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
                else => unreachable!("whoever is stopping and not done is writing"),
            }
        }
    }

    /// Executes what waits, and writes what is due.
    fn turn(&mut self) {
        let events = self.executor.turn();
        if !events.is_empty() {
            self.meter.on_executed(events.len());
            (self.report)(events);
        }
        let written = self.write_if_due().and_then(|()| self.sync_if_due());
        if let Err(error) = written {
            self.on_error(error);
        }
        if let Some(group) = self.executor.begin_commit() {
            self.writing = Some((group, Instant::now()));
        }
    }

    fn write_if_due(&mut self) -> Result<(), EngineError> {
        let due = |(_, begun): &mut (Group, Instant)| begun.elapsed() >= self.sync_time;
        let Some((group, begun)) = self.writing.take_if(due) else { return Ok(()) };
        self.committer.write(&group)?;
        self.meter.on_written(begun.elapsed());
        self.executor.on_written();
        (self.report)(vec![StorageEvent::Durable { seq: group.seq }]);
        Ok(())
    }

    fn sync_if_due(&mut self) -> Result<(), EngineError> {
        if self.committer.sync_due_in() == Some(Duration::ZERO) {
            self.committer.sync()?;
        }
        Ok(())
    }

    /// How long until there is something to write or to sync.
    fn due_in(&self) -> Option<Duration> {
        let writing = self.writing.as_ref();
        let write = writing.map(|(_, begun)| self.sync_time.saturating_sub(begun.elapsed()));
        [write, self.committer.sync_due_in()].into_iter().flatten().min()
    }

    fn take(&mut self, errand: Errand) {
        match errand {
            Errand::Execute(commands) => self.executor.queue(commands),
            Errand::Stop => {
                self.meter.on_dropped(self.executor.drop_reads());
                self.stopping = true;
            }
            #[cfg(not(madsim))]
            Errand::Written | Errand::Fault(_) => unreachable!("a task writes by itself"),
        }
    }

    fn on_error(&mut self, error: EngineError) {
        tracing::error!(%error, "storage stops writing");
        self.writing = None;
        self.executor.on_fault(error.fault);
        (self.report)(vec![StorageEvent::Failed(error)]);
    }
}
