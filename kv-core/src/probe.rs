//! Rare branches of the core that are worth counting: a test that never gets to one has not tested
//! it (FoundationDB's `CODE_PROBE`, SQLite's `testcase()`).
//!
//! A machine says that it is in one with [`crate::cx::Cx::probe`], storage in the events of its
//! outcome; what other events tell already is a probe as well ([`crate::event::Event::probe`]). The
//! simulator counts them, and fails a sweep that misses one which its scenario declares reachable.

macro_rules! probes {
    ($($(#[doc = $about:literal])+ $probe:ident $name:literal,)*) => {
        /// A rare branch. To add one, list it here and call [`crate::cx::Cx::probe`] where it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Probe {
            $($(#[doc = $about])+ $probe,)*
        }

        impl Probe {
            /// Every probe, in the order of the parts of the core.
            pub const ALL: &'static [Self] = &[$(Self::$probe,)*];

            /// The name that results, scenarios and metrics use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$probe => $name,)*
                }
            }

            /// A description of the branch, in a sentence.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$probe => concat!($($about),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

probes! {
    /// A client was refused, as too many requests were in flight.
    Busy "busy",
    /// A write was refused, as its value is too long.
    ValueTooLong "value-too-long",
    /// A replica that was to mint a dot was silent or refused, and another was asked.
    AnotherMinterAsked "another-minter-asked",
    /// A fallback minted in the place of an owner.
    FallbackMinted "fallback-minted",
    /// Two replicas minted for one write, as the answer of the first was late.
    TwinsMinted "twins-minted",
    /// A replica took a request for old, and was asked once more.
    LateAskedAgain "late-mint-asked-again",
    /// Everybody who was asked refused to mint.
    WriteRefused "write-refused",
    /// Owners were silent after a write was minted, and fallbacks were asked.
    WriteHedged "write-hedged",
    /// Owners were silent at a read, and others were asked too.
    ReadHedged "read-hedged",
    /// An owner was asked in place of one that refused a read or was silent.
    SpareAsked "spare-asked",
    /// Owners that were incomplete were asked again, as too few others hold the key.
    IncompleteAskedAgain "incomplete-asked-again",
    /// Nobody was asked in place of an owner that was slow, as too many reads had hedged before.
    HedgeOverBudget "hedge-over-budget",
    /// A fallback was asked in a second place, as no other node was free.
    FallbackForTwo "fallback-for-two",
    /// Nobody was left to be a fallback, and the coordinator kept the hint itself.
    CoordinatorKeptHint "coordinator-kept-hint",
    /// A read of one copy was answered by an owner for which hints are kept.
    AnswerInDoubt "answer-in-doubt",
    /// An answer of an owner for which hints are kept was counted after all, as no better one came.
    DoubtCounted "answer-in-doubt-counted",
    /// A monotonic read had to write its answer to more owners before it gave it.
    ReadWrittenBack "read-written-back",
    /// A put overwrote what it had to read first.
    ReadBeforeWrite "read-before-write",
    /// A read found a replica behind and brought it up.
    ReadRepair "read-repair",
    /// A client's time was up before enough had answered.
    OperationExpired "operation-expired",
    /// The connection to a node broke while an operation waited for it.
    LinkBrokeUnderOperation "link-broke-under-operation",

    /// A write overwrote siblings because its writer asked to overwrite whatever is held.
    MintedUponHeld "minted-upon-held-siblings",
    /// A replica was asked a second time to mint for a write that still stands, and kept its dot.
    MintRepeated "mint-repeated",
    /// A replica was asked a second time to mint for a write that was overwritten since, and knew
    /// its dot.
    MintRemembered "mint-remembered",
    /// The first of the request ids that a replica remembers had to make room for another.
    RequestForgotten "request-forgotten",
    /// A write was refused, as its key has too many siblings.
    TooManySiblings "too-many-siblings",
    /// A request to overwrite what is held was refused, as nothing proved that it is fresh.
    OldRequestRefused "old-request-refused",
    /// The first mint since a start drew an epoch.
    EpochAtStart "epoch-at-start",
    /// A fallback drew an epoch after a hint that it had minted into was deleted.
    EpochAfterHint "epoch-after-hint-deleted",
    /// A replica drew an epoch after a record was corrupt.
    EpochAfterCorruption "epoch-after-corruption",
    /// A replica drew an epoch, as others knew more of what it minted than it did itself.
    EpochAhead "epoch-shown-ahead",
    /// A version was stamped far ahead of the clock of the node that got it.
    ClockAhead "clock-ahead",
    /// An owner that has lost its data refused a read.
    IncompleteReadRefused "incomplete-read-refused",
    /// A read was refused, as the record is corrupt or not repaired yet.
    CorruptReadRefused "corrupt-read-refused",
    /// A record could not be read.
    Corrupt "record-corrupt",
    /// A join wrote over a record that could not be read.
    CorruptReplaced "corrupt-record-replaced",
    /// A record that could not be read, and of which nobody knew anything, was deleted.
    CorruptDeleted "corrupt-record-deleted",
    /// A corrupt Merkle leaf or data marker was written anew from memory.
    LeafRewritten "leaf-rewritten",
    /// The disk had no room for a command.
    DiskFull "disk-full",
    /// The disk failed, and the node says nothing any more.
    StoreFailed "store-failed",

    /// A hint was kept for an owner.
    HintStored "hint-stored",
    /// A hint was refused, as too many bytes of them are kept.
    HintOverBudget "hint-over-budget",
    /// A hint was refused, as those for all targets together have no room left.
    HintOverTotal "hint-over-total",
    /// A batch of hints was as large as it may be.
    HintBatchFull "hint-batch-full",
    /// A hint was refused or dropped: its target is stale until it is repaired.
    HintDropped "hint-dropped",
    /// Hints were applied by their target, and deleted.
    HintsDelivered "hints-delivered",
    /// A delivery of hints was given up, to be tried again.
    HintDeliveryTimedOut "hint-delivery-timed-out",
    /// A target came up in the middle of a delivery, which was begun anew.
    HintReplayRestarted "hint-replay-restarted",
    /// A hint had grown while it was delivered, and was kept.
    HintGrewInDelivery "hint-grew-in-delivery",
    /// A hint expired, and other owners took it over.
    HintInherited "hint-inherited",
    /// A hint could not be read.
    HintCorrupt "hint-corrupt",

    /// A new member learned that its cluster is founded, and that it lacks nothing.
    Founded "founded",
    /// A member whose store was empty learned that its cluster had been founded before.
    DataMissing "data-missing",
    /// A member that could not read from which founding its cluster comes learned it from another.
    FoundingRelearned "founding-relearned",
    /// An operator told a member to found the cluster, and others did not answer.
    FoundingTimedOut "founding-timed-out",
    /// Two members were told to found the cluster at once.
    FoundingCrossed "founding-crossed",
    /// The store had no room for a pledge.
    FoundingNotWritten "founding-not-written",
    /// A message came to a member that waits for the founding.
    NotFounded "not-founded",
    /// A node learned that others remember more of its log than it has: it takes its data markers away.
    LogFellBehind "log-fell-behind",
    /// A node told another, without being asked, that it remembers more of that one's log.
    LogLossTold "log-loss-told",
    /// A message about repair came to a node that still had to ask how far its log had come.
    NotRecalled "not-recalled",
    /// An owner learned that too few complete ones are left for it to copy from.
    LossUndecided "loss-undecided",

    /// A peer seemed to be down.
    Suspected "peer-suspected",
    /// A peer seemed to be up again.
    Trusted "peer-trusted",
    /// A round of gossip tried a peer that seems down.
    DownPeerProbed "down-peer-probed",
    /// News of a peer that seems down was too old to be a sign of life.
    StaleNews "stale-news-of-peer",
    /// A peer was found to have been started again.
    PeerRestarted "peer-restarted",
    /// Others knew more of this node than it ever said: it runs twice, or with an old generation.
    UnsaidNews "unsaid-news-of-self",
    /// The node's own loop had stood still.
    Stalled "loop-stalled",
    /// A message was refused, or a part of it.
    Rejected "message-rejected",

    /// A repair found keys that differ.
    RepairDiffered "repair-differed",
    /// A repair ended with a partition known to be equal.
    RepairClean "repair-clean",
    /// A partition that differed at the first look of a repair was equal at the second.
    SecondLookEqual "second-look-equal",
    /// A comparison was given up, as the peer was silent.
    RepairTimedOut "repair-timed-out",
    /// The keys of a leaf took more than one page.
    RepairPaged "repair-paged",
    /// A message of containers was as large as it may be, and others were left for the next.
    RepairBatchFull "repair-batch-full",
    /// The reading of what is held stopped inside a partition, as it had read enough.
    ScrubCutOff "scrub-cut-off",
    /// The peer no longer knew anything of the keys that it was asked for.
    ExchangeCameEmpty "exchange-came-empty",
    /// A peer could store nothing of what was pushed, and is only asked from then on.
    ExchangeRefused "exchange-refused",
    /// An owner that had lost its data holds it again.
    Completed "partition-complete",
    /// A data marker could not be written.
    MarkerNotWritten "marker-not-written",
    /// An operator gave up what nobody can copy back.
    LossAccepted "loss-accepted",
    /// A key whose record was corrupt was repaired.
    KeyRepaired "key-repaired",
    /// A key that had been repaired could not be read once more.
    RepairedInVain "key-repaired-in-vain",
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_probe_has_a_name_of_its_own_and_says_what_it_is() {
        let names: BTreeSet<_> = Probe::ALL.iter().map(|mark| mark.name()).collect();
        assert_eq!(names.len(), Probe::ALL.len());
        for mark in Probe::ALL {
            let is_word = |letter: char| letter.is_ascii_lowercase() || letter == '-';
            assert!(mark.name().chars().all(is_word), "{}", mark.name());
            let about = mark.about();
            assert!(about.ends_with('.') && !about.starts_with(' '), "{about}");
        }
    }
}
