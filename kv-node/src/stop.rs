//! The signal by which tasks learn that the node stops.
//!
//! Waiting tasks are woken in the order in which they began to wait, so that a run under the
//! deterministic runtime can be repeated. (A `watch` channel draws that order.)

use std::sync::Arc;

use tokio::sync::Semaphore;

/// The sender of the signal to stop. Dropping it sends the signal too.
#[derive(Debug)]
pub struct Stopper(Arc<Semaphore>);

/// The receiver of the signal to stop.
#[derive(Clone, Debug)]
pub struct Stopping(Arc<Semaphore>);

/// Creates a sender and its receiver.
pub fn channel() -> (Stopper, Stopping) {
    // Without permits the only thing that can happen to whoever waits is that it is closed.
    let gate = Arc::new(Semaphore::new(0));
    (Stopper(Arc::clone(&gate)), Stopping(gate))
}

impl Stopper {
    /// Sends the signal to stop.
    pub fn stop(&self) {
        self.0.close();
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stopping {
    /// Waits until the signal was sent, however long ago.
    pub async fn stopped(&mut self) {
        let _closed = self.0.acquire().await;
    }

    /// Tells whether the signal was sent.
    pub fn has_stopped(&self) -> bool {
        self.0.is_closed()
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn all_who_wait_are_woken_in_their_order_and_whoever_comes_late_does_not_wait() {
        let (stopper, mut stopping) = channel();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let wait = |number: u32| {
            let (mut stopping, woken) = (stopping.clone(), Arc::clone(&woken));
            tokio::spawn(async move {
                stopping.stopped().await;
                woken.lock().expect("nobody panics").push(number);
            })
        };
        let waiting: Vec<_> = (0..20).map(wait).collect();
        tokio::task::yield_now().await;
        assert!(!stopping.has_stopped());
        drop(stopper);
        for waiting in waiting {
            waiting.await.expect("it is woken");
        }
        assert_eq!(*woken.lock().expect("nobody panics"), Vec::from_iter(0..20));
        assert!(stopping.has_stopped());
        stopping.stopped().await;
    }
}
