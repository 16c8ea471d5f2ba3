//! Tasks that belong together: none outlives the node that it was begun for. (The deterministic
//! runtime has no `JoinSet`.) And work that would keep all tasks waiting, and is done elsewhere.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The tasks of a node; those that are left when this is dropped are aborted.
#[derive(Debug, Default)]
pub struct Tasks(Vec<JoinHandle<()>>);

impl Tasks {
    /// Begins a task.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        if self.0.len() >= self.0.capacity() {
            self.0.retain(|task| !task.is_finished());
        }
        self.0.push(tokio::spawn(task));
    }

    /// Waits until all have ended, for so long at most; aborts those that have not. Returns the
    /// number of those.
    pub async fn end(mut self, longest: Duration) -> usize {
        let end = Instant::now() + longest;
        let mut aborted = 0;
        for task in &mut self.0 {
            let left = end.saturating_duration_since(Instant::now());
            if timeout(left, &mut *task).await.is_err() {
                aborted += 1;
                task.abort();
            }
        }
        aborted
    }
}

/// Does work that may block on a thread for such work.
///
/// # Panics
/// If the work does.
#[cfg(not(madsim))]
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work ends without a panic")
}

/// Does the work: nothing blocks where everything is simulated.
#[cfg(madsim)]
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    work()
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
