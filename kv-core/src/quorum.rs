//! The quorum that a request asks for: which answers count, and how many are enough.

use serde::{Deserialize, Serialize};

/// The nodes whose answers count in a quorum (semantics.md §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Owners count, and fallbacks in the place of others, on distinct machines: writable while W
    /// machines are reachable; replicas converge.
    #[default]
    Sloppy,
    /// Only owners count: if R + W > N, a read sees every write acked before it began.
    Strict,
}

/// The number of answers that are enough, and the owners that they must come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// So many answers, of any owners.
    Count(u8),
    /// One answer, of any owner.
    One,
    /// Answers of more than half of all owners.
    Quorum,
    /// Answers of all owners.
    All,
    /// Answers of more than half of the owners in the coordinator's own data center.
    LocalQuorum,
    /// Answers of more than half of the owners in each data center.
    EachQuorum,
}

/// The number of other owners from which an owner must copy what it has lost.
///
/// A write that was acknowledged stands on `w` of `n` owners. One of them may be this one, which
/// lost it: then at least `w - 1` of the `n - 1` others hold it, and at most `n - w` of them do
/// not. So one more than `n - w` others include one that holds it. If writes wait for one copy
/// only, this one may have had the only one, and all others together cannot bring it back; all
/// others is then the best there is.
///
/// `w` is the configured one, and a majority at most: a request may ask for less than is configured.
pub fn sources_needed(owners: usize, write_quorum: u64) -> usize {
    let majority = owners / 2 + 1;
    let write_quorum = usize::try_from(write_quorum).unwrap_or(usize::MAX).clamp(1, majority);
    (owners - write_quorum + 1).min(owners - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells whether every write that `w` of `n` owners hold, the first of which lost it, is met in
    /// every choice of `sources` others.
    fn every_write_is_met(n: usize, w: usize, sources: usize) -> bool {
        let sets =
            |size: usize| (0_u32..1 << n).filter(move |set| set.count_ones() as usize == size);
        let chosen = sets(sources).filter(|set| set & 1 == 0);
        let mut pairs = chosen.flat_map(|chosen| sets(w).map(move |holders| (chosen, holders)));
        pairs.all(|(chosen, holders)| chosen & holders & !1 != 0)
    }

    #[test]
    fn so_many_sources_meet_every_write_and_one_less_does_not() {
        for n in 2..=6_usize {
            for w in 2..=n / 2 + 1 {
                let needed = sources_needed(n, w as u64);
                assert!(every_write_is_met(n, w, needed), "n = {n}, w = {w}");
                assert!(needed == 0 || !every_write_is_met(n, w, needed - 1), "n = {n}, w = {w}");
            }
        }
    }

    #[test]
    fn writes_of_a_majority_are_met_where_more_is_configured() {
        assert_eq!(sources_needed(3, 3), 2);
        assert_eq!(sources_needed(5, 99), 3);
    }

    #[test]
    fn where_one_copy_was_enough_all_others_are_asked() {
        assert_eq!(sources_needed(3, 1), 2);
        assert_eq!(sources_needed(1, 1), 0);
    }
}
