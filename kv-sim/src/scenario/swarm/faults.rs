//! The faults of a drawn scenario, and their times.
//!
//! Each family of faults is on or off; one that is on strikes once or twice, somewhere in the time
//! of chaos, so that families overlap as chance has it. The keys that a family has beside its times
//! are drawn by its file in [`crate::faults`].

use toml::{Table, Value};

use super::cluster::DrawnCluster;
use super::dice::{Dice, integer};
use crate::faults::FAULTS;

/// Draws `[[fault]]`: of the families that may be on, each with this chance.
pub(super) fn draw(
    dice: Dice,
    cluster: &DrawnCluster,
    chaos_ms: u64,
    may_be_on: &[&str],
    percent: u64,
) -> Vec<Value> {
    let is_on = |name| may_be_on.contains(&name) && dice.of(name).chance("on", percent);
    let mut faults = Vec::new();
    for word in FAULTS.iter().filter(|word| is_on(word.name)) {
        let dice = dice.of(word.name);
        for number in 0..dice.between("how often", (1, 2)) {
            let dice = dice.nth(number);
            let mut fault = Table::new();
            fault.insert("kind".to_owned(), word.name.into());
            when(dice.of("when"), chaos_ms, &mut fault);
            (word.draw)(dice.of("what"), cluster, &mut fault);
            faults.push(fault.into());
        }
    }
    faults
}

/// Draws when a fault strikes, how long it lasts, and how often it comes again.
fn when(dice: Dice, chaos_ms: u64, fault: &mut Table) {
    let from = dice.between("from", (0, chaos_ms * 3 / 4));
    let lasts = dice.magnitude("lasts", (20, chaos_ms.max(20)));
    fault.insert("from_ms".to_owned(), integer(from));
    fault.insert("until_ms".to_owned(), integer(from + lasts));
    if dice.chance("again", 15) {
        fault.insert("every_ms".to_owned(), integer(lasts + dice.between("pause", (10, 500))));
        fault.insert("times".to_owned(), integer(dice.between("times", (2, 4))));
    }
}
