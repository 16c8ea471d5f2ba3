//! The run of each peer that is connected to this node: one connection per peer, of the newest run.
//!
//! A process has one connection to each of its peers. A second one of the same run means that it
//! has given up the first, which may only finish what is under way. One of a newer run is a
//! restart, or a second process with the same identity; which of the two shows when the older run
//! comes back while the newer one is connected: then two processes live, and the older is refused
//! and told so.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kv_core::types::NodeId;
use tokio::sync::{Notify, mpsc};

use super::hello::ProcessRun;

/// The reason why a connection is no longer the current one of its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// The same process has made another connection.
    SameRun,
    /// A process that began later has connected.
    NewerRun {
        /// The address of the newer process.
        from: IpAddr,
    },
}

/// The current connections by peer. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence(Arc<Mutex<PresenceState>>);

#[derive(Debug, Default)]
struct PresenceState {
    entries: u64,
    peers: BTreeMap<NodeId, Present>,
    /// Who waits for a peer to connect.
    arrivals: BTreeMap<NodeId, Arc<Notify>>,
}

#[derive(Debug)]
struct Present {
    entry: u64,
    run: ProcessRun,
    from: IpAddr,
    current: mpsc::UnboundedSender<Replaced>,
    /// The sender of the connection before: dropped, it ends that connection at once.
    _previous: Option<mpsc::UnboundedSender<Replaced>>,
}

/// A connection's place among those of all peers, until it is dropped.
#[derive(Debug)]
pub(super) struct PresenceEntry {
    presence: Presence,
    peer: NodeId,
    number: u64,
    replaced: mpsc::UnboundedReceiver<Replaced>,
}

impl Presence {
    /// Takes the place of a peer's connection. If a newer run of the peer holds it, returns the
    /// address of that run.
    pub(super) fn enter(
        &self,
        peer: NodeId,
        run: ProcessRun,
        from: IpAddr,
    ) -> Result<PresenceEntry, IpAddr> {
        let (current, replaced) = mpsc::unbounded_channel();
        let mut state = self.state();
        if let Some(present) =
            state.peers.get(&peer).filter(|present| present.run.is_newer_than(run))
        {
            return Err(present.from);
        }
        state.entries += 1;
        let entry = state.entries;
        let previous = state.peers.remove(&peer).map(|present| {
            let is_other = run.is_newer_than(present.run);
            let why = if is_other { Replaced::NewerRun { from } } else { Replaced::SameRun };
            // It may be ending by itself at this moment.
            let _gone = present.current.send(why);
            present.current
        });
        let present = Present { entry, run, from, current, _previous: previous };
        state.peers.insert(peer, present);
        if let Some(arrival) = state.arrivals.get(&peer) {
            arrival.notify_waiters();
        }
        Ok(PresenceEntry { presence: self.clone(), peer, number: entry, replaced })
    }

    /// Signals each time at which a peer connects: it is there again, and can be dialled.
    pub(super) fn arrivals_of(&self, peer: NodeId) -> Arc<Notify> {
        Arc::clone(self.state().arrivals.entry(peer).or_default())
    }

    /// Returns the address of a newer run of a peer than this one, if one is connected.
    pub(super) fn newer_than(&self, peer: NodeId, run: ProcessRun) -> Option<IpAddr> {
        let state = self.state();
        state
            .peers
            .get(&peer)
            .filter(|present| present.run.is_newer_than(run))
            .map(|present| present.from)
    }

    fn state(&self) -> MutexGuard<'_, PresenceState> {
        // Nothing in here panics half way: what a poisoned lock holds is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PresenceEntry {
    /// Waits until another connection takes this place, and returns why; `None` once there is a
    /// third.
    pub(super) async fn replaced(&mut self) -> Option<Replaced> {
        self.replaced.recv().await
    }
}

impl Drop for PresenceEntry {
    fn drop(&mut self) {
        let mut state = self.presence.state();
        if state.peers.get(&self.peer).is_some_and(|present| present.entry == self.number) {
            state.peers.remove(&self.peer);
        }
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use std::net::Ipv4Addr;

    use kv_core::types::Generation;

    use super::*;

    const PEER: NodeId = NodeId(2);
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

    fn run(generation: u64, nonce: u64) -> ProcessRun {
        ProcessRun { generation: Generation(generation), nonce }
    }

    #[tokio::test]
    async fn a_second_connection_of_a_process_replaces_its_first_and_a_third_ends_it() {
        let presence = Presence::default();
        let mut first = presence.enter(PEER, run(1, 7), HERE).expect("nobody is there");
        let mut second = presence.enter(PEER, run(1, 7), HERE).expect("it is the same");
        assert_eq!(first.replaced().await, Some(Replaced::SameRun));
        let _third = presence.enter(PEER, run(1, 7), HERE).expect("it is the same");
        assert_eq!(first.replaced().await, None);
        assert_eq!(second.replaced().await, Some(Replaced::SameRun));
    }

    #[tokio::test]
    async fn an_older_run_is_refused_while_a_newer_one_is_connected() {
        let presence = Presence::default();
        let mut older = presence.enter(PEER, run(1, 9), HERE).expect("nobody is there");
        let newer = presence.enter(PEER, run(2, 3), THERE).expect("it is newer");
        assert_eq!(older.replaced().await, Some(Replaced::NewerRun { from: THERE }));
        drop(older);
        assert_eq!(presence.enter(PEER, run(1, 9), HERE).err(), Some(THERE));
        assert_eq!(presence.newer_than(PEER, run(1, 9)), Some(THERE));
        drop(newer);
        assert_eq!(presence.newer_than(PEER, run(1, 9)), None);
        assert!(presence.enter(PEER, run(1, 9), HERE).is_ok());
    }

    #[tokio::test]
    async fn two_processes_that_began_in_the_same_second_are_two() {
        let presence = Presence::default();
        let _one = presence.enter(PEER, run(1, 5), HERE).expect("nobody is there");
        assert_eq!(presence.enter(PEER, run(1, 4), THERE).err(), Some(HERE));
    }
}
