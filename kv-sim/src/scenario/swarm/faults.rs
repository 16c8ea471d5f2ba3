//! The faults of a drawn scenario, and their times.
//!
//! Each family of faults is on or off; one that is on strikes once or twice, somewhere in the time
//! of chaos, so that families overlap as chance has it. The keys that a family has beside its times
//! are drawn by its file in [`crate::faults`].
//!
//! Chance seldom lets two faults meet at one node at the right moment, so some scenarios have a pair
//! that does; and in some a fault of a minority never ends.

use toml::{Table, Value};

use super::ChaosLength;
use super::cluster::DrawnCluster;
use super::dice::{Dice, integer};
use super::{lasting, pairs};
use crate::faults::FAULTS;

/// The longest that a fault of a long run lasts that is as short as ever, in milliseconds.
const SHORT_MS: u64 = 4_000;

/// The chance of a scenario to have a pair of faults that meet, in percent.
const PAIR_PERCENT: u64 = 10;

/// The chance of a scenario to have a fault that never ends, in percent.
const LASTING_PERCENT: u64 = 6;

/// Draws `[[fault]]`: of the families that may be on, each with this chance.
pub(super) fn draw(
    dice: Dice,
    cluster: &DrawnCluster,
    chaos: ChaosLength,
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
            when(dice.of("when"), chaos, &mut fault);
            (word.draw)(dice.of("what"), cluster, &mut fault);
            faults.push(fault);
        }
    }
    let dice = dice.of("more");
    if percent > 0 && dice.chance("a pair", PAIR_PERCENT) {
        faults.extend(pairs::draw(dice.of("pair"), cluster, chaos.ms));
    }
    if percent > 0 && dice.chance("a fault that lasts", LASTING_PERCENT) {
        faults.push(lasting::draw(dice.of("lasting"), cluster, chaos.ms));
    }
    let may_be_on = |fault: &Table| {
        fault.get("kind").and_then(Value::as_str).is_some_and(|kind| may_be_on.contains(&kind))
    };
    faults.retain(may_be_on);
    faults.into_iter().map(Value::Table).collect()
}

/// Draws when a fault strikes, how long it lasts, and how often it comes again. Of those in a long
/// run most last for a large part of it, and the others are as short as ever.
fn when(dice: Dice, chaos: ChaosLength, fault: &mut Table) {
    let mut put = |key: &str, number| fault.insert(key.to_owned(), integer(number));
    if chaos.is_long && dice.chance("lasting", 60) {
        let from = dice.between("from", (0, chaos.ms / 4));
        let lasts = dice.between("lasts long", (chaos.ms / 4, chaos.ms - from));
        put("from_ms", from);
        put("until_ms", from + lasts);
        return;
    }
    let from = dice.between("from", (0, chaos.ms * 3 / 4));
    let longest = if chaos.is_long { SHORT_MS } else { chaos.ms };
    let lasts = dice.magnitude("lasts", (20, longest.max(20)));
    put("from_ms", from);
    put("until_ms", from + lasts);
    if dice.chance("again", 15) {
        put("every_ms", lasts + dice.between("pause", (10, 500)));
        put("times", dice.between("times", (2, 4)));
    }
}
