//! The work of a storage beside executing commands.

#[cfg(not(madsim))]
use std::sync::Arc;

use tokio::sync::oneshot;

use super::commit_loop::CommitLoop;
#[cfg(not(madsim))]
use super::directory::Directory;
use super::engine::Engine;
use super::flush_loop::FlushLoop;
#[cfg(not(madsim))]
use super::priority::yield_to_others;

/// The loops of a storage that block, or would if their disk was real: that which appends to the log,
/// and that which writes tables. Dropping it at any moment is a crash: what was not durable is gone.
#[derive(Debug)]
pub struct Background<E> {
    pub(super) commit: CommitLoop<E>,
    pub(super) flush: FlushLoop<E>,
    pub(super) held: Held,
}

/// The things that are let go of when both loops have ended.
#[derive(Debug)]
pub(super) struct Held {
    /// The directory of the data, locked as long as it is used.
    #[cfg(not(madsim))]
    directory: Option<Directory>,
    /// Told by being dropped, after all fields above: the data may be opened again.
    _ended: oneshot::Sender<()>,
}

impl Held {
    pub(super) const fn new(ended: oneshot::Sender<()>) -> Self {
        Self {
            #[cfg(not(madsim))]
            directory: None,
            _ended: ended,
        }
    }
}

impl<E: Engine> Background<E> {
    /// Runs until the storage ends. After a failure of the disk nothing more is written.
    pub async fn run(self) {
        let Self { commit, flush, held } = self;
        tokio::join!(commit.run(), flush.run());
        drop(held);
    }

    /// Runs on threads of its own, which end with the storage, and keeps a directory locked until
    /// then.
    ///
    /// # Panics
    /// If the system has no more threads.
    #[cfg(not(madsim))]
    pub(super) fn spawn_threads(mut self, directory: Option<Directory>) {
        self.held.directory = directory;
        let Self { commit, flush, held } = self;
        let held = Arc::new(held);
        spawn("kv-commit", commit.run(), Arc::clone(&held));
        let flush = async {
            yield_to_others();
            flush.run().await;
        };
        spawn("kv-flush", flush, held);
    }
}

/// Runs a loop on a thread, and lets go of what it holds when it has ended.
#[cfg(not(madsim))]
fn spawn(name: &str, run: impl Future<Output = ()> + Send + 'static, held: Arc<Held>) {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime for one thread needs nothing").block_on(run);
        drop(held);
    };
    let thread = std::thread::Builder::new().name(name.into());
    thread.spawn(run).expect("a node that is starting can have a thread");
}
