//! What was done to the run from outside: its faults, and the messages about violated keys that the
//! network lost.

use super::Report;
use crate::cluster::world_time::WorldTime;
use crate::story::record::fact::RecordedMessage;

/// The most moments of the timeline that are told, the first and the last ones.
const MOMENTS_MAX: usize = 400;
/// The way in which a message is lost that no fault explains.
const ORDINARY_LOSS: &str = "is lost";

impl Report<'_> {
    /// The moments of the timeline and the lost messages that are told, and the number of those left
    /// out.
    pub(super) fn moments_told(&self) -> (Vec<(WorldTime, String)>, usize) {
        let timeline = self.result.timeline.iter().map(|moment| (moment.at, moment.what.clone()));
        let mut moments: Vec<_> = timeline.chain(self.losses()).collect();
        moments.sort_by_key(|&(at, _)| at);
        let left_out = moments.len().saturating_sub(MOMENTS_MAX);
        if left_out > 0 {
            moments.drain(MOMENTS_MAX / 2..MOMENTS_MAX / 2 + left_out);
        }
        (moments, left_out)
    }

    fn losses(&self) -> impl Iterator<Item = (WorldTime, String)> {
        let focus = &self.record.focus;
        let is_told = |message: &&RecordedMessage| {
            let place = message.key.as_ref().and_then(|key| focus.position(key));
            message.lost == Some(ORDINARY_LOSS) && place.is_some_and(|place| place < focus.foremost)
        };
        self.record.messages.iter().filter(is_told).map(|message| {
            let RecordedMessage { from, to, kind, ended, key, .. } = message;
            let (from, to, kind) = (self.node(*from), self.node(*to), kind.name());
            let about = key.as_ref().map(|key| format!(" about {key:?}")).unwrap_or_default();
            let content = self.content(message);
            (*ended, format!("the network loses a {kind} from {from} to {to}{about}{content}"))
        })
    }
}
