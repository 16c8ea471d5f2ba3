//! How tasks learn that the node stops.

use tokio::sync::watch;

/// Says that the node stops. Dropped, it says so too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears it.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

/// A pair that belongs together.
pub fn channel() -> (Stopper, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stopping(receiver))
}

impl Stopper {
    /// Says it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Returns once it was said, however long ago.
    pub async fn stopped(&mut self) {
        // An error means that the stopper is gone.
        let _stopped = self.0.wait_for(|stops| *stops).await;
    }

    /// Whether it was said.
    pub fn has_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
