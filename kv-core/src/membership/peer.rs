//! One peer as this node sees it: what is known of it, and whether it seems up.
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

/// A peer.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) id: NodeId,
    pub(super) state: NodeState,
    pub(super) seems_up: bool,
    pub(super) gaps: Estimator,
    /// When its newest known heartbeat was raised, by this node's clock.
    raised: Option<Time>,
    /// Since when this node has been listening without a break.
    listening_since: Time,
}

/// What news of a peer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was none.
    Nothing,
    /// It lives.
    News,
    /// It was started again.
    Restart,
    /// It seems up again, having seemed down.
    UpAgain,
    /// It still seems down: news of one that fell silent long ago is no sign of life.
    Stale,
}

impl Peer {
    /// A peer of which nothing is known. It is given the benefit.
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

    /// Begins to listen.
    pub(super) fn start(&mut self, now: Time, interval: Span) {
        self.gaps = Estimator::new(interval);
        self.listen_anew(now);
    }

    /// Begins to listen after a break. That nothing was heard before says nothing of the peer.
    pub(super) const fn listen_anew(&mut self, now: Time) {
        self.listening_since = now;
    }

    /// How old its newest known heartbeat is.
    pub(super) fn age(&self, now: Time) -> Span {
        now.since(self.raised.unwrap_or_default())
    }

    /// Forgets what it said, if that cannot have been said by now: it was learned while clocks were
    /// wrong, and would make all that it says from now on look old.
    pub(super) fn forget_beyond(&mut self, horizon: Horizon) {
        if !self.state.stamp.is_within(horizon) {
            self.state = NodeState::default();
        }
    }

    /// Learns what somebody knows of it.
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

    /// Gives it up, if its silence has lasted too long. Whether it seems down now, having seemed up.
    pub(super) fn judge(&mut self, now: Time) -> bool {
        let down = self.seems_up && self.is_suspect(now);
        self.seems_up &= !down;
        down
    }

    /// The first moment at which it will be given up if nothing is heard of it, should that be
    /// before a time.
    pub(super) fn suspect_before(&self, end: Time) -> Option<Time> {
        let down = self.seems_up && self.is_suspect(end);
        down.then(|| self.silent_since() + self.gaps.timeout() + Span(1))
    }

    fn is_suspect(&self, now: Time) -> bool {
        self.gaps.suspects(now.since(self.silent_since()))
    }

    /// Since when nothing was heard of it, while this node was listening.
    pub(super) fn silent_since(&self) -> Time {
        self.raised.unwrap_or_default().max(self.listening_since)
    }

    /// Counts the silence that ends now, unless a part of it was this node's own. A long absence
    /// counts as the silence at which the peer was given up: it must not blind the estimate, and yet
    /// a network that has become slow is learned.
    fn count_gap(&mut self, now: Time) {
        if let Some(raised) = self.raised.filter(|&raised| raised >= self.listening_since) {
            let gap = now.since(raised);
            // The timeout takes a root: only a gap that exceeds it needs the number.
            let counted = if self.gaps.suspects(gap) { self.gaps.timeout() } else { gap };
            self.gaps.record(counted);
        }
    }
}
