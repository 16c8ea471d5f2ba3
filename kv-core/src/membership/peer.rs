//! One peer as this node sees it: its state as far as known, and whether it seems up.
//!
//! Its silence is counted from when its newest known heartbeat was *raised*, not from when it was
//! heard of: the way that news takes through a large cluster varies by whole seconds, and must not
//! be allowed for twice, once in the silence and once in the timeout with it.

use crate::membership::Horizon;
use crate::membership::phi::Estimator;
use crate::membership::state::{News, NodeState};
use crate::message::gossip::Delta;
use crate::time::{Span, Time};
use crate::types::NodeId;

/// A peer as this node sees it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) id: NodeId,
    pub(super) state: NodeState,
    pub(super) seems_up: bool,
    pub(super) gaps: Estimator,
    /// The time at which its newest known heartbeat was raised, by this node's clock.
    pub(super) raised: Option<Time>,
    /// The time since which this node has been listening without a break.
    pub(super) listening_since: Time,
}

/// The meaning of a gossip delta for the failure detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing: it was not new.
    Nothing,
    /// The peer is alive.
    News,
    /// The peer was started again.
    Restart,
    /// The peer seems up again, having seemed down.
    UpAgain,
    /// The peer still seems down: news of one that fell silent long ago is no sign of life.
    Stale,
}

impl Peer {
    /// Makes a peer of which nothing is known. It seems up until its silence says otherwise.
    pub(super) fn new(id: NodeId) -> Self {
        Self {
            id,
            state: NodeState::default(),
            seems_up: true,
            gaps: Estimator::default(),
            raised: None,
            listening_since: Time(0),
        }
    }

    /// Begins to listen to the peer, with the estimate for one that speaks once per interval.
    pub(super) fn start(&mut self, now: Time, interval: Span) {
        self.gaps = Estimator::new(interval);
        self.listen_anew(now);
    }

    /// Begins to listen anew after a break, whose silence does not count against the peer.
    pub(super) const fn listen_anew(&mut self, now: Time) {
        self.listening_since = now;
    }

    /// The age of the peer's newest known heartbeat.
    pub(super) fn age(&self, now: Time) -> Span {
        now.since(self.raised.unwrap_or_default())
    }

    /// Forgets the peer's state if it cannot have been said by now: it was learned while clocks
    /// were wrong, and would make everything that the peer says from now on look old.
    pub(super) fn forget_beyond(&mut self, horizon: Horizon) {
        if !self.state.stamp.is_within(horizon) {
            self.state = NodeState::default();
        }
    }

    /// Learns a delta of the peer, from whomever it came.
    pub(super) fn learn(&mut self, delta: Delta, now: Time) -> Heard {
        let raised = Time(now.0.saturating_sub(Span::from_ms(delta.age_ms.into()).0));
        let was_known = self.raised.is_some();
        let news = self.state.learn(delta);
        match news {
            News::None => return Heard::Nothing,
            News::Run => {}
            News::Heartbeat => self.count_gap(now),
        }
        // A newer heartbeat was not raised earlier, whatever the clocks on its way say.
        self.raised = self.raised.max(Some(raised));
        match news {
            _ if !self.seems_up && self.is_suspect(now) => Heard::Stale,
            _ if !self.seems_up => {
                self.seems_up = true;
                Heard::UpAgain
            }
            News::Run if was_known => Heard::Restart,
            News::None | News::Run | News::Heartbeat => Heard::News,
        }
    }

    /// Takes the peer for down if its silence has lasted too long. Tells whether that is new.
    pub(super) fn judge(&mut self, now: Time) -> bool {
        let down = self.seems_up && self.is_suspect(now);
        self.seems_up &= !down;
        down
    }

    /// The first time at which the peer is taken for down if nothing is heard of it, should that be
    /// before `end`.
    pub(super) fn suspect_before(&self, end: Time) -> Option<Time> {
        let down = self.seems_up && self.is_suspect(end);
        down.then(|| self.silent_since() + self.gaps.timeout() + Span(1))
    }

    fn is_suspect(&self, now: Time) -> bool {
        self.gaps.suspects(now.since(self.silent_since()))
    }

    /// The time since which nothing was heard of the peer while this node was listening.
    pub(super) fn silent_since(&self) -> Time {
        self.raised.unwrap_or_default().max(self.listening_since)
    }

    /// Counts the silence that ends now, unless a part of it was this node's own. A long absence
    /// counts as the silence at which the peer was given up: it must not blind the estimate, and
    /// yet a network that has become slow is learned.
    fn count_gap(&mut self, now: Time) {
        if let Some(raised) = self.raised.filter(|&raised| raised >= self.listening_since) {
            let gap = now.since(raised);
            // The timeout costs a root: it is taken only for a gap that exceeds it.
            let counted = if self.gaps.suspects(gap) { self.gaps.timeout() } else { gap };
            self.gaps.record(counted);
        }
    }
}
