//! The setting that decides which commands of a connection are answered (`CLIENT REPLY`).
//!
//! Invariant: a client that turns replies off reads none, not even errors, and one that skips the
//! next reply misses exactly that one, as in Redis; else it would take a reply for that of another
//! command.

/// The reply mode of one client. For each command: first [`ReplyFlags::begin`], then the command's
/// own change of the mode, then [`ReplyFlags::is_muted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplyFlags {
    /// True if no command is answered.
    off: bool,
    /// True if this command is not answered.
    skips: bool,
    /// True if the next command is not answered.
    skips_next: bool,
}

impl ReplyFlags {
    /// Begins a command.
    pub(crate) const fn begin(&mut self) {
        self.skips = self.skips_next;
        self.skips_next = false;
    }

    /// Executes `CLIENT REPLY ON`: from this command on all are answered.
    pub(crate) const fn turn_on(&mut self) {
        *self = Self { off: false, skips: false, skips_next: false };
    }

    /// Executes `CLIENT REPLY OFF`: from this command on none is answered.
    pub(crate) const fn turn_off(&mut self) {
        self.off = true;
    }

    /// Executes `CLIENT REPLY SKIP`: neither this command nor the next one is answered.
    pub(crate) const fn skip(&mut self) {
        self.skips = true;
        self.skips_next = !self.off;
    }

    /// Executes `RESET`. If its own reply is to be skipped, it still is.
    pub(crate) const fn reset(&mut self) {
        self.off = false;
        self.skips_next = false;
    }

    /// Tells whether the last command is not answered.
    pub(crate) const fn is_muted(self) -> bool {
        self.off || self.skips
    }
}
