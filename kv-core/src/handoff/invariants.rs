//! The invariants of the kept hints and their replays between two inputs.

use super::ledger::{Account, Amount, Ledger};
use super::{Delivery, Handoff, Replay, ReplayTurn};
use crate::types::{NodeId, RequestId};

impl Handoff {
    /// Checks the counts of hints, and that each target has one replay, which is at one thing.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self) {
        let Self {
            ledger,
            replays,
            pace_at: _,
            last_turn: _,
            deliveries,
            commands,
            life,
            receipts,
            stale: _,
        } = self;
        ledger.invariants();
        deliveries.invariants();
        receipts.invariants();
        for target in ledger.targets() {
            assert!(
                replays.contains_key(&target),
                "hints for {target:?} are kept and not replayed"
            );
        }
        for (&target, replay) in replays {
            assert!(
                ledger.of(target).count > 0,
                "a replay for {target:?}, for whom nothing is kept"
            );
            self.check_turn(target, replay);
        }
        for (id, delivery) in deliveries.iter() {
            let Delivery { target, partition, request, items, waits_for, reason: _ } = delivery;
            let replay = replays.get(target).map(|replay| replay.turn);
            assert!(
                matches!(replay, Some(ReplayTurn::Delivers { delivery, .. }) if delivery == id),
                "delivery {id} to {target:?} is on its way, and its replay does not know it"
            );
            assert!(!items.is_empty(), "delivery {id} to {target:?} delivers nothing");
            assert!(!waits_for.is_empty(), "delivery {id} to {target:?} waits for nobody");
            let life = life.expect("each delivery has a request id of this life");
            assert!(
                *request == RequestId(u128::from(life) << 64 | u128::from(id)),
                "delivery {id} has the request id of another one"
            );
            assert!(
                ledger.partitions_of(*target).any(|kept| kept == *partition),
                "hints of {partition:?} are delivered to {target:?}, and none are kept"
            );
        }
        // What others handed over is written here too, so there may be more commands.
        let at_store = replays.values().filter(|replay| matches!(replay.turn, ReplayTurn::AtStore));
        assert!(
            commands.in_flight() >= at_store.count(),
            "a replay waits for the storage, which was asked for nothing"
        );
    }

    fn check_turn(&self, target: NodeId, replay: &Replay) {
        match replay.turn {
            ReplayTurn::Rests { until: _ } => {}
            ReplayTurn::AtStore => assert!(
                replay.last_partition.is_some(),
                "the storage reads hints for {target:?}, of no partition"
            ),
            ReplayTurn::Delivers { delivery, until: _ } => {
                let found = self.deliveries.get(delivery);
                assert!(
                    found.is_some_and(|delivery| delivery.target == target),
                    "the replay for {target:?} waits for delivery {delivery}, which is not its own"
                );
            }
        }
    }
}

impl Ledger {
    fn invariants(&self) {
        let Self { accounts, total } = self;
        let sum = |sum: Amount, one: &Amount| Amount {
            count: sum.count + one.count,
            bytes: sum.bytes + one.bytes,
        };
        for (target, Account { partitions, total }) in accounts {
            assert!(!partitions.is_empty(), "{target:?} has an account of nothing");
            assert!(
                partitions.values().all(|amount| amount.count > 0),
                "{target:?} has an entry of no hints"
            );
            assert!(
                *total == partitions.values().fold(Amount::default(), sum),
                "the hints for {target:?} are not the sum of those of its partitions"
            );
        }
        let totals = accounts.values().map(|account| &account.total);
        assert!(
            *total == totals.fold(Amount::default(), sum),
            "all hints are not the sum of those of the targets"
        );
    }
}
