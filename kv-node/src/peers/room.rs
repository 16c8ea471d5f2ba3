//! Room for the large messages of all peers together: from the first part until the core has them.
//!
//! Whoever needs more than is left waits a little: what waits for the core makes room soon. After
//! that one message at a time may go on beyond the bound, so that there is none, however large,
//! that can never arrive and so that unfinished messages do not wait for each other for ever. The
//! others are discarded.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The time for which a part may wait for room.
const WAIT: Duration = Duration::from_secs(2);

/// The room of a node. Clones are the same room.
#[derive(Clone, Debug)]
pub struct Room {
    bytes: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
    wait: Duration,
}

/// The room that one message takes, given back when it is dropped.
#[derive(Debug, Default)]
pub struct RoomShare {
    bytes: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Creates room for so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        let (bytes, beyond) = (Semaphore::new(bytes_max), Semaphore::new(1));
        Self { bytes: Arc::new(bytes), beyond: Arc::new(beyond), wait: WAIT }
    }

    /// Takes room for so many more bytes of a message. Returns whether there was any.
    pub async fn extend(&self, share: &mut RoomShare, bytes: usize) -> bool {
        if share.beyond.is_some() {
            return true;
        }
        let count = u32::try_from(bytes).expect("parts are small");
        match timeout(self.wait, Arc::clone(&self.bytes).acquire_many_owned(count)).await {
            Ok(permit) => {
                let permit = permit.expect("nobody closes it");
                match &mut share.bytes {
                    Some(held) => held.merge(permit),
                    None => share.bytes = Some(permit),
                }
                true
            }
            Err(_) => {
                share.beyond = Arc::clone(&self.beyond).try_acquire_owned().ok();
                share.beyond.is_some()
            }
        }
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_bounded_in_sum_but_for_one_message() {
        let room = Room { wait: Duration::from_millis(20), ..Room::new(100) };
        let (mut one, mut other) = (RoomShare::default(), RoomShare::default());
        assert!(room.extend(&mut one, 60).await);
        assert!(room.extend(&mut other, 40).await);
        assert!(room.extend(&mut one, 1_000).await, "one may go beyond");
        assert!(room.extend(&mut one, 1_000).await);
        assert!(!room.extend(&mut other, 1).await, "a second may not");
        drop(one);
        assert!(room.extend(&mut other, 60).await);
        assert!(other.beyond.is_none(), "there is room again");
    }

    #[tokio::test]
    async fn whoever_finds_no_room_waits_for_it_a_little() {
        let room = Room::new(100);
        let mut one = RoomShare::default();
        assert!(room.extend(&mut one, 100).await);
        let leave = async {
            tokio::time::sleep(WAIT / 2).await;
            drop(one);
        };
        let mut other = RoomShare::default();
        let (taken, ()) = tokio::join!(room.extend(&mut other, 100), leave);
        assert!(taken && other.beyond.is_none());
    }
}
