//! The loop of the committer: waits for groups, writes them one by one, and tells what became of
//! each. A thread of its own runs it where the disk is real, because writes and syncs block; where
//! there are no threads it is a task.
//!
//! While the disk refuses for a passing reason the loop holds on to its group. Whoever executes has
//! been told, refuses what would commit, and goes on reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kv_core::store::StoreFault;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::committer::Committer;
#[cfg(not(madsim))]
use super::directory::Directory;
use super::engine::{Engine, EngineError};
use super::meter::Meter;
use super::overlay::Group;
use super::{Report, StorageEvent};

/// The time after which a refusing engine is asked again, and the interval at which an engine with
/// nothing to write is checked, so that an operator hears of a full disk before a client does.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// The interval at which a pause checks whether storage is to end.
const PAUSE_STEP: Duration = Duration::from_millis(50);

/// The committer at work. Dropping it at any moment is a crash: what was not durable is gone.
#[derive(Debug)]
pub struct CommitLoop<E> {
    committer: Committer<E>,
    groups: UnboundedReceiver<Group>,
    /// The time that a simulated disk takes for a group; zero for a real one.
    sync_time: Duration,
    reporter: Reporter,
    /// The directory of the data, locked until the engine is closed.
    #[cfg(not(madsim))]
    directory: Option<Directory>,
    /// Told by being dropped, after all fields above: the data may be opened again.
    _ended: oneshot::Sender<()>,
}

/// The fate of an operation that was offered to the engine.
#[derive(PartialEq, Eq)]
enum Taken {
    Yes,
    /// The engine refuses, and storage ends meanwhile. Nothing of it was promised to anybody.
    Never,
}

impl<E: Engine> CommitLoop<E> {
    pub(super) fn new(
        committer: Committer<E>,
        groups: UnboundedReceiver<Group>,
        sync_time: Duration,
        reporter: Reporter,
        ended: oneshot::Sender<()>,
    ) -> Self {
        Self {
            committer,
            groups,
            sync_time,
            reporter,
            #[cfg(not(madsim))]
            directory: None,
            _ended: ended,
        }
    }

    /// Runs on a thread of its own, which ends with the storage, and keeps a directory locked until
    /// then.
    ///
    /// # Panics
    /// If the system has no more threads.
    #[cfg(not(madsim))]
    pub(super) fn spawn_thread(mut self, directory: Option<Directory>) {
        self.directory = directory;
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime for one thread needs nothing").block_on(self.run());
        };
        let thread = std::thread::Builder::new().name("kv-commit".into());
        thread.spawn(run).expect("a node that is starting can have a thread");
    }

    /// Runs until the storage ends. After a failure of the disk nothing more is written.
    pub async fn run(mut self) {
        if let Err(error) = self.commit_all().await {
            self.reporter.on_failed(error);
            // The engine is closed here in the end, and not where it might keep others waiting.
            while self.groups.recv().await.is_some() {}
        }
    }

    async fn commit_all(&mut self) -> Result<(), EngineError> {
        loop {
            let due = self.committer.sync_due_in();
            let taken = if due == Some(Duration::ZERO) {
                self.until_taken(Committer::sync).await?
            } else {
                let pause = due.unwrap_or(CHECK_PAUSE).min(CHECK_PAUSE);
                match timeout(pause, self.groups.recv()).await {
                    Ok(Some(group)) => self.commit(&group).await?,
                    Ok(None) => return self.committer.sync(),
                    Err(_) => self.until_taken(|committer| committer.check()).await?,
                }
            };
            if taken == Taken::Never {
                return Ok(());
            }
        }
    }

    async fn commit(&mut self, group: &Group) -> Result<Taken, EngineError> {
        let begun = Instant::now();
        if !self.sync_time.is_zero() {
            sleep(self.sync_time).await;
        }
        if self.until_taken(|committer| committer.write(group)).await? == Taken::Never {
            return Ok(Taken::Never);
        }
        self.reporter.meter.on_written(begun.elapsed());
        self.reporter.tell(StorageEvent::Durable { seq: group.seq });
        Ok(Taken::Yes)
    }

    /// Attempts an operation of the engine, again and again while it is refused for a passing
    /// reason.
    async fn until_taken(
        &mut self,
        attempt: impl Fn(&mut Committer<E>) -> Result<(), EngineError>,
    ) -> Result<Taken, EngineError> {
        let mut attempted = attempt(&mut self.committer);
        while let Err(error) = attempted {
            if !error.fault.is_passing() {
                return Err(error);
            }
            self.reporter.on_refused(&error);
            if self.pause().await == Taken::Never {
                return Ok(Taken::Never);
            }
            let resumed = self.committer.resume();
            attempted = resumed.and_then(|()| attempt(&mut self.committer));
        }
        self.reporter.on_taken();
        Ok(Taken::Yes)
    }

    /// Waits before the next attempt. Returns [`Taken::Never`] if the storage ends meanwhile.
    async fn pause(&mut self) -> Taken {
        let begun = Instant::now();
        while begun.elapsed() < CHECK_PAUSE {
            if self.groups.is_closed() {
                return Taken::Never;
            }
            sleep(PAUSE_STEP).await;
        }
        Taken::Yes
    }
}

/// The reporter to the node. A committer that panics reports through it that the disk failed: a
/// node whose storage is gone must not seem to be there.
pub(super) struct Reporter {
    report: Report,
    meter: Arc<Meter>,
}

impl Reporter {
    pub(super) const fn new(report: Report, meter: Arc<Meter>) -> Self {
        Self { report, meter }
    }

    fn tell(&self, event: StorageEvent) {
        (self.report)(event);
    }

    fn on_refused(&self, error: &EngineError) {
        if let Some(event) = self.meter.states.on_refused(error) {
            self.tell(event);
        }
    }

    fn on_taken(&self) {
        if let Some(event) = self.meter.states.on_taken() {
            self.tell(event);
        }
    }

    fn on_failed(&self, error: EngineError) {
        self.meter.states.on_failed();
        self.tell(StorageEvent::Failed(error));
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.on_failed(EngineError::new(StoreFault::Failed, "the committer panicked"));
        }
    }
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reporter").field("meter", &self.meter).finish_non_exhaustive()
    }
}
