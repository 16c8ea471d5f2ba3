//! Pairs of faults that meet, at one node or at a node and one that stands in for it: by chance alone
//! that happens too seldom, as the second must strike within some tenths of a second.

use toml::Table;

use super::cluster::DrawnCluster;
use super::dice::{Dice, integer};
use crate::faults::FaultWord;

/// The faults of a node that a pair may be made of.
const OF_A_NODE: &[&str] = &[
    "kill",
    "pause",
    "lost-sync",
    "wipe",
    "torn-write",
    "bit-rot",
    "io-error",
    "disk-full",
    "slow-disk",
    "rollback-disk",
];

/// Draws a pair.
pub(super) fn draw(dice: Dice, cluster: &DrawnCluster, chaos_ms: u64) -> Vec<Table> {
    let nodes = dice.some_of("nodes", &cluster.names, 2);
    let (one, other) = (&nodes[0], nodes.last().expect("a cluster has nodes"));
    let from = dice.between("from", (0, chaos_ms / 2));
    let lasts = dice.between("lasts", (200, (chaos_ms / 2).max(200)));
    let until = from + lasts;
    let [first, second] =
        ["first", "second"].map(|which| NodeFault { dice: dice.of(which), cluster });
    match dice.one_of("kind", &["sync in a hand-over", "no fallback", "rot", "any", "any"]) {
        // It comes back, is handed what others kept, and dies before that is synced.
        "sync in a hand-over" => {
            let again = until + dice.between("comes back for", (0, 100));
            let mut dies =
                second.at("kill", one, (again, again + dice.between("waits", (100, 1_500))));
            dies.insert("at".to_owned(), "sync".into());
            vec![first.killed(one, (from, until)), dies]
        }
        // Those who keep hints for it may be the ones whose disks are lost.
        "no fallback" => {
            let wiped = from + dice.between("waits", (0, lasts + 300));
            let lasts = dice.between("is wiped for", (20, 300));
            vec![first.killed(one, (from, until)), second.at("wipe", other, (wiped, wiped + lasts))]
        }
        "rot" => {
            let killed = from + dice.between("waits", (0, 300));
            vec![
                first.at("bit-rot", one, (from, until)),
                second.killed(one, (killed, killed + dice.between("is down for", (20, 500)))),
            ]
        }
        _ => {
            let begins = from + dice.between("waits", (0, lasts));
            let ends = begins + dice.between("lasts too", (20, lasts));
            let [a, b] = ["one", "other"].map(|which| dice.one_of(which, OF_A_NODE));
            vec![first.at(a, one, (from, until)), second.at(b, one, (begins, ends))]
        }
    }
}

/// A fault whose node and times are given: the rest is drawn.
pub(super) struct NodeFault<'a> {
    pub(super) dice: Dice,
    pub(super) cluster: &'a DrawnCluster,
}

impl NodeFault<'_> {
    pub(super) fn at(&self, kind: &str, node: &str, (from, until): (u64, u64)) -> Table {
        let mut fault = Table::new();
        fault.insert("kind".to_owned(), kind.into());
        fault.insert("from_ms".to_owned(), integer(from));
        fault.insert("until_ms".to_owned(), integer(until));
        let word = FaultWord::find(kind).expect("it is one of the list");
        (word.draw)(self.dice, self.cluster, &mut fault);
        fault.remove("random");
        fault.insert("nodes".to_owned(), vec![node.to_owned()].into());
        fault
    }

    /// A kill at once.
    fn killed(&self, node: &str, times: (u64, u64)) -> Table {
        let mut fault = self.at("kill", node, times);
        fault.remove("at");
        fault
    }
}
