//! Rare branches that a run has reached: a sweep that never reaches one has not tested it.

use std::collections::BTreeMap;

use kv_core::event::{EpochReason, Event};

use crate::scenario::StorageStep;

macro_rules! marks {
    ($($mark:ident $name:literal,)*) => {
        /// A branch worth counting.
        #[derive(Clone, Copy)]
        enum Mark {
            $($mark,)*
        }

        const NAMES: &[&str] = &[$($name,)*];
    };
}

marks! {
    MintedUponHeld "minted-upon-held-siblings",
    ReadBeforeWrite "read-before-write",
    EpochAtStart "epoch-at-start",
    EpochAfterHint "epoch-after-hint-deleted",
    EpochAfterDamage "epoch-after-damage",
    EpochAhead "epoch-shown-ahead",
    Damaged "record-damaged",
    Suspected "peer-suspected",
    Trusted "peer-trusted",
    Stalled "loop-stalled",
    ClockAhead "clock-ahead",
    HintStored "hint-stored",
    HintDropped "hint-dropped",
    HintsDelivered "hints-delivered",
    RepairDiffered "repair-differed",
    RepairClean "repair-clean",
    Synced "partition-synced",
    ReadRepair "read-repair",
    Rejected "message-rejected",
    StoreFailed "store-failed",
    MessageHeld "message-held",
    MessageDamaged "message-damaged",
    DamageUndetected "damage-not-seen-by-decoder",
    DiedBeforeExecute "died-before-execute",
    DiedBeforeSync "died-before-sync",
    DiedBeforeAnswer "died-before-answer",
    Mended "key-mended",
    ForeignData "foreign-data-refused",
}

/// How often each branch was reached.
#[derive(Clone, Debug)]
pub(super) struct Marks([u64; NAMES.len()]);

impl Marks {
    pub(super) const fn count(&mut self, event: &Event) {
        if let Some(mark) = mark(event) {
            self.0[mark as usize] += 1;
        }
    }

    /// A message waits on a clogged link.
    pub(super) const fn message_held(&mut self) {
        self.0[Mark::MessageHeld as usize] += 1;
    }

    /// A message was damaged on its way, and without a checksum would have passed for another one,
    /// or not.
    pub(super) const fn message_damaged(&mut self, passes: bool) {
        self.0[Mark::MessageDamaged as usize] += 1;
        self.0[Mark::DamageUndetected as usize] += passes as u64;
    }

    /// A node died at a step of its disk.
    pub(super) const fn died_at(&mut self, step: StorageStep) {
        let mark = match step {
            StorageStep::Execute => Mark::DiedBeforeExecute,
            StorageStep::Sync => Mark::DiedBeforeSync,
            StorageStep::Answer => Mark::DiedBeforeAnswer,
        };
        self.0[mark as usize] += 1;
    }

    /// A node did not start, because the data on its disk was another's.
    pub(super) const fn count_foreign_data(&mut self) {
        self.0[Mark::ForeignData as usize] += 1;
    }

    /// The branches that were reached, by name.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let counts = NAMES.iter().zip(self.0).filter(|(_, count)| *count > 0);
        counts.map(|(&name, count)| (name.to_owned(), count)).collect()
    }
}

impl Default for Marks {
    fn default() -> Self {
        Self([0; NAMES.len()])
    }
}

const fn mark(event: &Event) -> Option<Mark> {
    Some(match event {
        Event::Minted { replaced, .. } if replaced.len() > 1 => Mark::MintedUponHeld,
        Event::Minted { .. } => return None,
        Event::ReadBeforeWrite { .. } => Mark::ReadBeforeWrite,
        Event::EpochDrawn { reason, .. } => match reason {
            EpochReason::Start => Mark::EpochAtStart,
            EpochReason::HintDeleted => Mark::EpochAfterHint,
            EpochReason::Damage => Mark::EpochAfterDamage,
            EpochReason::Ahead => Mark::EpochAhead,
        },
        Event::Damaged { .. } => Mark::Damaged,
        Event::Suspected { .. } => Mark::Suspected,
        Event::Trusted { .. } => Mark::Trusted,
        Event::Stalled { .. } => Mark::Stalled,
        Event::ClockAhead { .. } => Mark::ClockAhead,
        Event::HintStored { .. } => Mark::HintStored,
        Event::HintDropped { .. } => Mark::HintDropped,
        Event::HintsDelivered { .. } => Mark::HintsDelivered,
        Event::RepairDiffered { .. } => Mark::RepairDiffered,
        Event::RepairClean { .. } => Mark::RepairClean,
        Event::Synced { .. } => Mark::Synced,
        Event::ReadRepair { .. } => Mark::ReadRepair,
        Event::Rejected { .. } => Mark::Rejected,
        Event::StoreFailed => Mark::StoreFailed,
        Event::Mended { .. } => Mark::Mended,
    })
}
