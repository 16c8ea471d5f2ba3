//! What a node remembers of another one that it compares itself with.

use super::session::RepairSession;
use crate::time::{Span, Time};

/// The memory of a node that shares partitions with this one.
#[derive(Clone, Debug, Default)]
pub(super) struct Partner {
    /// The time at which the last session with it ended, well or not. `None` sorts before any time.
    pub(super) served_at: Option<Time>,
    /// The time at which the last session began that ended well.
    pub(super) clean_since: Option<Time>,
    /// True if the last session brought nothing of what was lost here: then it waits its turn, or
    /// one that cannot help would keep all others waiting.
    pub(super) fruitless: bool,
    /// The number of sessions, one after the other, in which it could take nothing and gave nothing.
    pub(super) vain: u32,
    /// The time before which it is not asked again, as that was in vain.
    pub(super) rests_until: Option<Time>,
}

/// The doublings of the pause before a partner is asked again that can take nothing.
const PAUSE_DOUBLINGS_MAX: u32 = 6;

impl Partner {
    /// Tells whether the partner is not to be asked yet, as that was in vain.
    pub(super) fn rests(&self, now: Time) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// A session with the partner has ended. Of one in which it took nothing and gave nothing the next
    /// is the later the more there have been, in intervals of repair.
    pub(super) fn on_ended(
        &mut self,
        now: Time,
        session: &RepairSession,
        is_clean: bool,
        interval: Span,
    ) {
        self.served_at = Some(now);
        self.fruitless = session.sources() == 0;
        if is_clean {
            self.clean_since = Some(session.began());
        }
        if session.was_in_vain() {
            let pause = interval.times(1 << self.vain.min(PAUSE_DOUBLINGS_MAX));
            self.vain = self.vain.saturating_add(1);
            self.rests_until = Some(now + pause);
        } else {
            (self.vain, self.rests_until) = (0, None);
        }
    }
}
