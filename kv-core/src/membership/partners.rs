//! The peers that a round talks to. Their number is always the same, so that a node's messages do
//! not grow with the cluster; one of them, now and then, seems down, so that the two sides of a
//! healed partition find each other again.

use alloc::vec::Vec;

use crate::sampling::{PPM, chance_ppm, choose_distinct};
use crate::types::NodeId;

/// The least chance of a round to try a peer that seems down, if there is one.
const PROBE_PPM_MIN: u32 = PPM / 4;

/// The greatest such chance, so that the peers that seem up hear enough of each other.
const PROBE_PPM_MAX: u32 = PPM / 2;

/// Chooses `fanout` distinct peers, or all of them. Those that seem up are taken if there are
/// enough; one place goes to a peer that seems down with a chance of `down / (up + 1)`, within the
/// limits above.
pub(super) fn choose(
    up: &[NodeId],
    down: &[NodeId],
    fanout: usize,
    mut draws: impl FnMut() -> u64,
) -> Vec<NodeId> {
    let places = fanout.min(up.len() + down.len());
    let probes = usize::from(!down.is_empty() && chance_ppm(draws(), probe_ppm(up, down)));
    let from_up = up.len().min(places - probes);
    let mut pick = |from: &[NodeId], count| -> Vec<NodeId> {
        choose_distinct(from.len(), count, &mut draws).into_iter().map(|i| from[i]).collect()
    };
    let mut chosen = pick(up, from_up);
    chosen.extend(pick(down, places - from_up));
    chosen
}

fn probe_ppm(up: &[NodeId], down: &[NodeId]) -> u32 {
    let ppm = down.len() as u64 * u64::from(PPM) / (up.len() as u64 + 1);
    u32::try_from(ppm).unwrap_or(u32::MAX).clamp(PROBE_PPM_MIN, PROBE_PPM_MAX)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use core::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::sampling::mix;

    fn nodes(ids: Range<u64>) -> Vec<NodeId> {
        ids.map(NodeId).collect()
    }

    fn counted_draws(seed: u64) -> impl FnMut() -> u64 {
        let mut count = 0;
        move || {
            count += 1;
            mix(&[seed, count])
        }
    }

    /// Counts of 10,000 rounds those that try a peer that seems down.
    fn probes(up: u64, down: u64) -> usize {
        let (up, down) = (nodes(0..up), nodes(up..up + down));
        let mut draws = counted_draws(1);
        let tries = |_: &u64| choose(&up, &down, 3, &mut draws).iter().any(|id| down.contains(id));
        (0..10_000).filter(tries).count()
    }

    #[test]
    fn a_single_peer_that_seems_down_is_tried_about_every_fourth_round() {
        assert!((2_300..2_700).contains(&probes(100, 1)), "{}", probes(100, 1));
    }

    #[test]
    fn many_that_seem_down_are_tried_more_often_but_not_always() {
        assert!((3_000..3_600).contains(&probes(29, 10)), "{}", probes(29, 10));
        assert!((4_700..5_300).contains(&probes(50, 100)), "{}", probes(50, 100));
    }

    #[test]
    fn nobody_is_tried_in_vain_when_all_seem_up() {
        assert_eq!(probes(10, 0), 0);
    }

    proptest! {
        #[test]
        fn a_round_talks_to_the_same_number_of_distinct_peers_whoever_seems_up(
            up in 0_u64..12, down in 0_u64..12, fanout in 1_usize..8, seed: u64,
        ) {
            let (up, down) = (nodes(0..up), nodes(up..up + down));
            let chosen = choose(&up, &down, fanout, counted_draws(seed));
            prop_assert_eq!(chosen.len(), fanout.min(up.len() + down.len()));
            let distinct: BTreeSet<_> = chosen.iter().collect();
            prop_assert_eq!(distinct.len(), chosen.len());
            let alive = chosen.iter().filter(|id| up.contains(id)).count();
            prop_assert!(alive + 1 >= up.len().min(fanout));
        }
    }
}
