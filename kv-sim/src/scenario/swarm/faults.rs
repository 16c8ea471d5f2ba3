//! The faults of a drawn scenario, and their times.
//!
//! Each family of faults is on or off; one that is on strikes once or twice, somewhere in the time
//! of chaos, so that families overlap as chance has it.

use kv_core::message::Kind;
use toml::{Table, Value};

use super::super::fault::FAULTS;
use super::cluster::DrawnCluster;
use super::dice::{Dice, integer};

/// Draws `[[fault]]`: of the families that may be on, each with this chance.
pub(super) fn draw(
    dice: Dice,
    cluster: &DrawnCluster,
    chaos_ms: u64,
    may_be_on: &[&str],
    percent: u64,
) -> Vec<Value> {
    let on = FAULTS.iter().map(|fault| fault.name);
    let on = on.filter(|name| may_be_on.contains(name) && dice.of(name).chance("on", percent));
    let mut faults = Vec::new();
    for name in on {
        let dice = dice.of(name);
        for number in 0..dice.between("how often", (1, 2)) {
            let dice = dice.nth(number);
            let mut fault = Table::new();
            fault.insert("kind".to_owned(), name.into());
            when(dice.of("when"), chaos_ms, &mut fault);
            parameters(name, dice.of("what"), cluster, &mut fault);
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

/// Draws the keys that a family has beside its times.
fn parameters(name: &str, dice: Dice, cluster: &DrawnCluster, fault: &mut Table) {
    match name {
        "partition" => partition(dice, cluster, fault),
        "pause" | "lost-sync" => victims(dice, cluster.names.len() as u64, fault),
        "kill" => {
            victims(dice, cluster.names.len() as u64, fault);
            if dice.chance("at a step", 40) {
                let step = dice.one_of("step", &["execute", "sync", "answer"]);
                fault.insert("at".to_owned(), step.into());
            }
        }
        // Mostly one at a time: nobody promises to keep what is lost everywhere.
        "wipe" => victims(dice, if dice.chance("several", 10) { 2 } else { 1 }, fault),
        "loss" | "duplicate" | "reorder" | "corrupt" => {
            fault.insert("probability".to_owned(), dice.share("probability", (10, 500)));
            links(dice, cluster, fault);
            messages(dice, fault);
        }
        "slow-link" => {
            if dice.chance("long tail", 40) {
                fault.insert("tail_share".to_owned(), dice.share("tail share", (5, 200)));
                fault.insert("tail_ms".to_owned(), integer(dice.magnitude("tail", (10, 2_000))));
            } else {
                fault.insert("factor".to_owned(), integer(dice.magnitude("factor", (2, 100))));
            }
            links(dice, cluster, fault);
            messages(dice, fault);
        }
        "clog" => {
            fault.insert("order".to_owned(), dice.one_of("order", &["sent", "drawn"]).into());
            links(dice, cluster, fault);
            messages(dice, fault);
        }
        // The number of victims and the victims are drawn when it strikes.
        "swizzle" => {}
        "clock-step" => {
            let ms = dice.magnitude("by", (1, 100_000_000)) as i64;
            let step = if dice.chance("backwards", 50) { -ms } else { ms };
            fault.insert("step_ms".to_owned(), Value::Integer(step));
            victims(dice, 2, fault);
        }
        "clock-drift" => {
            let ppm = dice.magnitude("by", (100, 300_000)) as i64;
            let drift = if dice.chance("slow", 50) { -ppm } else { ppm };
            fault.insert("drift_ppm".to_owned(), Value::Integer(drift));
            clock(dice, fault);
            victims(dice, 2, fault);
        }
        "clock-freeze" => {
            clock(dice, fault);
            victims(dice, 2, fault);
        }
        "datacenter-outage" | "rack-outage" => outage(name, dice, cluster, fault),
        "torn-write" => victims(dice, cluster.names.len() as u64, fault),
        "disk-full" => victims(dice, 2, fault),
        "clone-disk" | "rollback-disk" => victims(dice, 1, fault),
        "bit-rot" => {
            fault.insert("share".to_owned(), dice.share("share", (5, 200)));
            victims(dice, 1, fault);
        }
        "io-error" => {
            let fails = if dice.chance("commits", 50) { "commit" } else { "sync" };
            fault.insert("fails".to_owned(), fails.into());
            victims(dice, 2, fault);
        }
        "slow-disk" => {
            if dice.chance("stalls", 25) {
                fault.insert("stall".to_owned(), true.into());
            } else {
                fault.insert("factor".to_owned(), integer(dice.magnitude("factor", (2, 1_000))));
            }
            victims(dice, 2, fault);
        }
        _ => {}
    }
}

fn partition(dice: Dice, cluster: &DrawnCluster, fault: &mut Table) {
    let nodes = dice.some_of("order", &cluster.names, cluster.names.len());
    messages(dice, fault);
    if dice.chance("flapping", 20) {
        fault.insert("flap_ms".to_owned(), integer(dice.magnitude("flap", (10, 500))));
    }
    // A smaller ring parts nobody.
    if nodes.len() > 3 && dice.chance("ring", 20) {
        fault.insert("ring".to_owned(), nodes.into());
        return;
    }
    let at = dice.between("cut", (1, nodes.len() as u64 - 1)) as usize;
    let (one, other) = nodes.split_at(at);
    // A node of the other side may hear both.
    let bridge = usize::from(other.len() > 1 && dice.chance("bridge", 25));
    let other = &other[bridge..];
    if dice.chance("one way", 25) {
        fault.insert("from".to_owned(), one.to_vec().into());
        fault.insert("to".to_owned(), other.to_vec().into());
    } else {
        fault.insert("groups".to_owned(), vec![one.to_vec(), other.to_vec()].into());
    }
}

fn victims(dice: Dice, most: u64, fault: &mut Table) {
    fault.insert("random".to_owned(), dice.number("victims", (1, most)));
}

/// Draws the kinds of messages: all, or one to three of them.
fn messages(dice: Dice, fault: &mut Table) {
    let dice = dice.of("messages");
    if dice.chance("some", 20) {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let number = dice.between("how many", (1, 3)) as usize;
        fault.insert("messages".to_owned(), dice.some_of("which", &names, number).into());
    }
}

fn clock(dice: Dice, fault: &mut Table) {
    let clock = dice.one_of("clock", &["wall", "monotonic", "both"]);
    fault.insert("clock".to_owned(), clock.into());
}

/// Draws a place at which some node stands. It is not cut off if all nodes stand there.
fn outage(name: &str, dice: Dice, cluster: &DrawnCluster, fault: &mut Table) {
    let (datacenter, rack) = dice.one_of("place", &cluster.places);
    fault.insert("datacenter".to_owned(), datacenter.into());
    let mut is_whole = cluster.places.iter().all(|place| place.0 == datacenter);
    if name == "rack-outage" {
        fault.insert("rack".to_owned(), rack.into());
        is_whole = cluster.places.iter().all(|place| *place == (datacenter, rack));
    }
    let how = if is_whole { "power" } else { dice.one_of("how", &["power", "network"]) };
    fault.insert("how".to_owned(), how.into());
}

/// Draws the links: all, or those from or to some nodes.
fn links(dice: Dice, cluster: &DrawnCluster, fault: &mut Table) {
    for end in ["from", "to"] {
        let dice = dice.of(end);
        if dice.chance("some", 30) {
            let number = dice.between("how many", (1, cluster.names.len() as u64)) as usize;
            fault.insert(end.to_owned(), dice.some_of("which", &cluster.names, number).into());
        }
    }
}
