//! The faults that a history may meet.

macro_rules! torture_faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal $class:ident,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum TortureFault {
            $($(#[$doc])* $fault,)*
        }

        impl TortureFault {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$fault,)*];

            /// The word for the fault in reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }

            /// The moment at which it happens, and what it may cost.
            pub(super) const fn class(self) -> FaultClass {
                match self {
                    $(Self::$fault => FaultClass::$class,)*
                }
            }
        }
    };
}

/// The moment at which a fault happens, and what it may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultClass {
    /// A fault that is told of and costs nothing that was promised.
    Told,
    /// A fault of a write or a sync that is not told of, or takes what was promised.
    Hidden,
    /// A fault that happens to the files while the node is down.
    AtRest,
}

torture_faults! {
    /// A write that fails after a part of it was made.
    WriteError = "write-error" Told,
    /// A sync that fails, after which what was written is still to be synced.
    SyncError = "sync-error" Told,
    /// A read that fails once.
    ReadError = "read-error" Told,
    /// There is no room for another segment for a while.
    DiskFull = "disk-full" Told,
    /// A write that is reported and never made.
    LostWrite = "lost-write" Hidden,
    /// A write that goes to another place of the log.
    MisdirectedWrite = "misdirected-write" Hidden,
    /// A sync that is reported and not made.
    LyingSync = "lying-sync" Hidden,
    /// A sync that fails, after which the system takes what it did not write for written.
    ForgetfulSync = "forgetful-sync" Hidden,
    /// A bit that flips.
    Flip = "flip" AtRest,
    /// A range that reads as zeros.
    ZeroedRange = "zeroed-range" AtRest,
    /// A file that is shorter than it was.
    ShortFile = "short-file" AtRest,
    /// A file that is gone.
    DeletedFile = "deleted-file" AtRest,
    /// Two files that have each other's name.
    SwappedFiles = "swapped-files" AtRest,
    /// A file that was copied over another.
    CopiedFile = "copied-file" AtRest,
    /// A file that is as it was at some time before.
    OldFile = "old-file" AtRest,
    /// All files that are as they were at some time before, but not the tables.
    OldLog = "old-log" AtRest,
    /// All files that are as they were at some time before, and the tables too.
    OldDisk = "old-disk" AtRest,
    /// A file, or a part of one, from another future of the same past: of a snapshot that was
    /// restored.
    OtherFuture = "other-future" AtRest,
    /// The marker of a clean stop is gone.
    MarkerLost = "marker-lost" AtRest,
    /// The marker of an earlier stop is there.
    MarkerOld = "marker-old" AtRest,
    /// A bit of the marker flips.
    MarkerFlip = "marker-flip" AtRest,
}

impl TortureFault {
    /// Tells whether the fault may take what was promised.
    pub(super) fn costs_promises(self) -> bool {
        self.class() != FaultClass::Told
    }
}
