//! A fault of a minority that never ends: its nodes are gone, cut off, or useless.

use toml::Table;

use super::cluster::DrawnCluster;
use super::dice::{Dice, integer};
use super::pairs::NodeFault;

/// The faults of nodes that may last for ever.
const THAT_LAST: &[&str] = &["kill", "kill", "pause", "wipe", "io-error", "disk-full"];

/// Draws such a fault.
pub(super) fn draw(dice: Dice, cluster: &DrawnCluster, chaos_ms: u64) -> Table {
    let most = (cluster.names.len() as u64 - 1) / 2;
    let few = dice.between("how many", (1, most.max(1))) as usize;
    let order = dice.some_of("nodes", &cluster.names, cluster.names.len());
    let (minority, others) = order.split_at(few.min(order.len()));
    let from = dice.between("from", (0, chaos_ms));
    let mut fault = match dice.one_of("kind", &["nodes", "nodes", "nodes", "cut", "clog"]) {
        "cut" if !others.is_empty() => {
            let mut fault = Table::new();
            fault.insert("kind".to_owned(), "partition".into());
            fault.insert("groups".to_owned(), vec![minority.to_vec(), others.to_vec()].into());
            fault
        }
        "clog" => {
            let mut fault = Table::new();
            fault.insert("kind".to_owned(), "clog".into());
            fault.insert(dice.one_of("way", &["from", "to"]).to_owned(), minority.to_vec().into());
            fault
        }
        _ => {
            let kind = dice.one_of("which", THAT_LAST);
            let mut fault = NodeFault { dice, cluster }.at(kind, &minority[0], (from, from + 1));
            fault.insert("nodes".to_owned(), minority.to_vec().into());
            fault
        }
    };
    fault.remove("until_ms");
    fault.insert("from_ms".to_owned(), integer(from));
    fault.insert("until".to_owned(), "never".into());
    fault
}
