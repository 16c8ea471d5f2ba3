//! Storage on two threads: one executes, one waits for the disk.
//!
//! While the disk is full the committer holds on to its group, and the executor, which has been
//! told, refuses what would commit and goes on reading.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kv_core::store::StoreFault;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::committer::{CHECK_PAUSE, Committer};
use super::directory::Directory;
use super::engine::{Engine, EngineError};
use super::executor::Executor;
use super::overlay::Group;
use super::{Meter, Report, StorageEvent, StorageRequest};

/// The interval at which a pause checks whether storage is to end.
const PAUSE_STEP: Duration = Duration::from_millis(50);

/// The threads of a running storage, and the directory that they work in.
#[derive(Debug)]
pub(super) struct Threads {
    executor: JoinHandle<()>,
    committer: JoinHandle<()>,
    directory: Option<Directory>,
}

impl Threads {
    pub(super) fn start<E: Engine>(
        executor: Executor<E>,
        committer: Committer<E>,
        (requests, incoming): (UnboundedSender<StorageRequest>, UnboundedReceiver<StorageRequest>),
        report: &Report,
        meter: &Arc<Meter>,
    ) -> Self {
        let (groups, groups_incoming) = channel();
        let executing = Executing {
            executor,
            requests: incoming,
            groups,
            reporter: Reporter::new(report, meter),
        };
        let committing = Committing {
            committer,
            groups: groups_incoming,
            requests,
            reporter: Reporter::new(report, meter),
        };
        Self {
            executor: spawn("kv-execute", || executing.run()),
            committer: spawn("kv-commit", || committing.run()),
            directory: None,
        }
    }

    /// Keeps a directory locked as long as the threads run.
    pub(super) fn keep(&mut self, directory: Directory) {
        self.directory = Some(directory);
    }

    /// Waits for both threads to end.
    pub(super) fn join(self) {
        let Self { executor, committer, directory } = self;
        // A thread that panicked has said so, and was reported as a failure of the disk.
        let _ = executor.join();
        let _ = committer.join();
        drop(directory);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.into());
    thread.spawn(run).expect("the system has room for two more threads")
}

/// The reporter to the node. A thread that panics reports through it that the disk failed: a node
/// whose storage is gone must not seem to be there.
struct Reporter {
    report: Report,
    meter: Arc<Meter>,
}

impl Reporter {
    fn new(report: &Report, meter: &Arc<Meter>) -> Self {
        Self { report: Arc::clone(report), meter: Arc::clone(meter) }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let message = "a storage thread panicked".into();
            let error = EngineError { fault: StoreFault::Failed, message };
            self.meter.states.on_failed();
            (self.report)(vec![StorageEvent::Failed(error)]);
        }
    }
}

struct Executing<E> {
    executor: Executor<E>,
    requests: UnboundedReceiver<StorageRequest>,
    groups: Sender<Group>,
    reporter: Reporter,
}

impl<E: Engine> Executing<E> {
    fn run(mut self) {
        let mut stopping = false;
        loop {
            if !self.executor.has_work() {
                if stopping && self.executor.is_done() {
                    return;
                }
                let Some(request) = self.requests.blocking_recv() else { return };
                stopping |= self.take(request);
            }
            while let Ok(request) = self.requests.try_recv() {
                stopping |= self.take(request);
            }
            let events = self.executor.turn();
            if !events.is_empty() {
                self.reporter.meter.on_executed(events.len());
                (self.reporter.report)(events);
            }
            if let Some(group) = self.executor.begin_commit() {
                // A committer that ended has failed, and its last word is on its way.
                let _ = self.groups.send(group);
            }
        }
    }

    /// Takes a request, and returns whether storage is to end.
    fn take(&mut self, request: StorageRequest) -> bool {
        match request {
            StorageRequest::Execute(commands) => self.executor.queue(commands),
            StorageRequest::Written => self.executor.on_written(),
            StorageRequest::Fault(fault) => self.executor.on_fault(fault),
            StorageRequest::Resumed => self.executor.on_resumed(),
            StorageRequest::Stop => {
                self.reporter.meter.on_dropped(self.executor.drop_reads());
                return true;
            }
        }
        false
    }
}

struct Committing<E> {
    committer: Committer<E>,
    groups: Receiver<Group>,
    requests: UnboundedSender<StorageRequest>,
    reporter: Reporter,
}

impl<E> Drop for Committing<E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Else the executor would wait for this group for ever.
            let _ = self.requests.send(StorageRequest::Fault(StoreFault::Failed));
        }
    }
}

/// The fate of an operation that was offered to the engine.
#[derive(PartialEq, Eq)]
enum Taken {
    Yes,
    /// The engine refuses, and storage ends meanwhile. Nothing of it was promised to anybody.
    Never,
}

impl<E: Engine> Committing<E> {
    fn run(mut self) {
        if let Err(error) = self.commit_all() {
            // The executor may have ended already.
            let _ = self.requests.send(StorageRequest::Fault(error.fault));
            self.reporter.meter.states.on_failed();
            (self.reporter.report)(vec![StorageEvent::Failed(error)]);
        }
    }

    fn commit_all(&mut self) -> Result<(), EngineError> {
        loop {
            let due = self.committer.sync_due_in();
            let taken = if due == Some(Duration::ZERO) {
                self.until_taken(Committer::sync)?
            } else {
                match self.groups.recv_timeout(due.unwrap_or(CHECK_PAUSE).min(CHECK_PAUSE)) {
                    Ok(group) => self.commit(&group)?,
                    Err(RecvTimeoutError::Timeout) => {
                        self.until_taken(|committer| committer.check())?
                    }
                    Err(RecvTimeoutError::Disconnected) => return self.committer.sync(),
                }
            };
            if taken == Taken::Never {
                return Ok(());
            }
        }
    }

    fn commit(&mut self, group: &Group) -> Result<Taken, EngineError> {
        let begun = Instant::now();
        if self.until_taken(|committer| committer.write(group))? == Taken::Never {
            return Ok(Taken::Never);
        }
        self.reporter.meter.on_written(begun.elapsed());
        // The executor may have ended only after this group.
        let _ = self.requests.send(StorageRequest::Written);
        (self.reporter.report)(vec![StorageEvent::Durable { seq: group.seq }]);
        Ok(Taken::Yes)
    }

    /// Attempts an operation of the engine, again and again while it is refused for a passing
    /// reason.
    fn until_taken(
        &mut self,
        attempt: impl Fn(&mut Committer<E>) -> Result<(), EngineError>,
    ) -> Result<Taken, EngineError> {
        let mut attempted = attempt(&mut self.committer);
        while let Err(error) = attempted {
            self.on_refused(error)?;
            if self.pause() == Taken::Never {
                return Ok(Taken::Never);
            }
            let resumed = self.committer.resume();
            attempted = resumed.and_then(|()| attempt(&mut self.committer));
        }
        if let Some(event) = self.reporter.meter.states.on_taken() {
            let _ = self.requests.send(StorageRequest::Resumed);
            (self.reporter.report)(vec![event]);
        }
        Ok(Taken::Yes)
    }

    fn on_refused(&self, error: EngineError) -> Result<(), EngineError> {
        if !error.fault.is_passing() {
            return Err(error);
        }
        if let Some(event) = self.reporter.meter.states.on_refused(&error) {
            let _ = self.requests.send(StorageRequest::Fault(error.fault));
            (self.reporter.report)(vec![event]);
        }
        Ok(())
    }

    /// Waits before the next attempt. Returns [`Taken::Never`] if the executor has ended.
    fn pause(&self) -> Taken {
        let begun = Instant::now();
        while begun.elapsed() < CHECK_PAUSE {
            if self.requests.is_closed() {
                return Taken::Never;
            }
            std::thread::sleep(PAUSE_STEP);
        }
        Taken::Yes
    }
}
