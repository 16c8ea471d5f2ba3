//! Storage as one task, where there are no threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::committer::{CHECK_PAUSE, Committer};
use super::engine::{Engine, EngineError};
use super::executor::Executor;
use super::overlay::Group;
use super::{Meter, Report, StorageEvent, StorageRequest};

/// Storage that executes and commits in turns. Dropping it at any moment is a crash: what was not
/// durable is gone.
pub struct StorageTask<E> {
    executor: Executor<E>,
    committer: Committer<E>,
    requests: UnboundedReceiver<StorageRequest>,
    /// The time that a group takes to the disk. Commands are executed meanwhile.
    sync_time: Duration,
    /// The group that is under way, and the time at which it began.
    writing: Option<(Group, Instant)>,
    /// The time at which a disk that refused for a passing reason is asked again.
    resume_at: Option<Instant>,
    stopping: bool,
    report: Report,
    meter: Arc<Meter>,
}

impl<E: Engine> StorageTask<E> {
    pub(super) const fn new(
        executor: Executor<E>,
        committer: Committer<E>,
        requests: UnboundedReceiver<StorageRequest>,
        sync_time: Duration,
        report: Report,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            executor,
            committer,
            requests,
            sync_time,
            writing: None,
            resume_at: None,
            stopping: false,
            report,
            meter,
        }
    }

    /// Runs until storage is stopped or the disk fails; after a failure commits are refused, and
    /// reads go on.
    pub async fn run(mut self) {
        loop {
            while let Ok(request) = self.requests.try_recv() {
                self.take(request);
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
                request = self.requests.recv(), if !self.stopping => match request {
                    Some(request) => self.take(request),
                    None => self.stopping = true,
                },
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
                else => unreachable!("whoever is stopping and not done is writing"),
            }
        }
    }

    /// Executes waiting commands, and writes the group that is due.
    fn turn(&mut self) {
        let events = self.executor.turn();
        if !events.is_empty() {
            self.meter.on_executed(events.len());
            (self.report)(events);
        }
        let resumed = self.resume_if_due();
        let written = resumed.and_then(|()| self.write_if_due()).and_then(|()| self.sync_if_due());
        if let Err(error) = written {
            self.on_error(error);
        }
        if let Some(group) = self.executor.begin_commit() {
            self.writing = Some((group, Instant::now()));
        }
    }

    fn resume_if_due(&mut self) -> Result<(), EngineError> {
        if self.resume_at.is_some_and(|at| at <= Instant::now()) {
            self.committer.resume()?;
            self.resume_at = None;
            self.executor.on_resumed();
            if let Some(event) = self.meter.states.on_taken() {
                (self.report)(vec![event]);
            }
        }
        Ok(())
    }

    fn write_if_due(&mut self) -> Result<(), EngineError> {
        let due = |(_, begun): &mut (Group, Instant)| begun.elapsed() >= self.sync_time;
        if self.resume_at.is_some() || !self.writing.as_mut().is_some_and(due) {
            return Ok(());
        }
        let Some((group, begun)) = self.writing.take() else { return Ok(()) };
        if let Err(error) = self.committer.write(&group) {
            // Kept: it is written again, as a whole, if that passes.
            self.writing = Some((group, begun));
            return Err(error);
        }
        self.meter.on_written(begun.elapsed());
        self.executor.on_written();
        (self.report)(vec![StorageEvent::Durable { seq: group.seq }]);
        Ok(())
    }

    fn sync_if_due(&mut self) -> Result<(), EngineError> {
        if self.resume_at.is_none() && self.committer.sync_due_in() == Some(Duration::ZERO) {
            self.committer.sync()?;
        }
        Ok(())
    }

    /// The time until there is something to write or to sync.
    fn due_in(&self) -> Option<Duration> {
        if let Some(at) = self.resume_at {
            return Some(at.saturating_duration_since(Instant::now()));
        }
        let writing = self.writing.as_ref();
        let write = writing.map(|(_, begun)| self.sync_time.saturating_sub(begun.elapsed()));
        [write, self.committer.sync_due_in()].into_iter().flatten().min()
    }

    fn take(&mut self, request: StorageRequest) {
        match request {
            StorageRequest::Execute(commands) => self.executor.queue(commands),
            StorageRequest::Stop => {
                self.meter.on_dropped(self.executor.drop_reads());
                self.stopping = true;
            }
            #[cfg(not(madsim))]
            StorageRequest::Written | StorageRequest::Fault(_) | StorageRequest::Resumed => {
                unreachable!("a task writes by itself")
            }
        }
    }

    fn on_error(&mut self, error: EngineError) {
        self.executor.on_fault(error.fault);
        if error.fault.is_passing() {
            self.resume_at = Some(Instant::now() + CHECK_PAUSE);
            if let Some(event) = self.meter.states.on_refused(&error) {
                (self.report)(vec![event]);
            }
        } else {
            (self.writing, self.resume_at) = (None, None);
            self.meter.states.on_failed();
            (self.report)(vec![StorageEvent::Failed(error)]);
        }
    }
}
