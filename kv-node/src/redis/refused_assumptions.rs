//! The assumptions of a client that has sent a command which changes the meaning of later ones.
//!
//! Clients send such a command and what depends on it in one go, or do not look at its reply. So a
//! refused one is remembered: in goes each command with what came of it, out comes whether a later
//! command may be executed. Nothing is executed under an assumption that was refused (semantics.md
//! §11).
//!
//! - A command that sets up an assumption records it when it is refused, for whatever reason (it is
//!   not there, its arguments are wrong, it was too long), and lifts it when it is taken.
//! - Within a transaction only the commands that leave it are looked at. `WATCH` needs no record:
//!   it changes what `EXEC` does, and no `EXEC` executes anything here.
//! - Under the other assumptions the commands about the connection itself go on, since they are the
//!   way out; everything else is refused.
//! - `RESET` lifts everything.

use std::collections::BTreeSet;

use super::assumption::Assumption;
use super::error::{CommandError, quote};
use crate::resp::{Command, Protocol};

/// The assumptions of one connection that were refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefusedAssumptions(BTreeSet<Assumption>);

impl RefusedAssumptions {
    /// Decides whether a command may be looked at.
    ///
    /// # Errors
    /// [`CommandError::Assumed`] within a transaction that was refused, unless the command leaves
    /// it.
    pub(crate) fn admit_within_transaction(&self, command: &Command) -> Result<(), CommandError> {
        const LEAVES: [&str; 4] = ["discard", "exec", "quit", "reset"];
        let name = command.name();
        let leaves = LEAVES.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
        if leaves || !self.0.contains(&Assumption::Transaction) {
            return Ok(());
        }
        Err(assumed(name, Assumption::Transaction))
    }

    /// Decides whether a command that exists may be executed.
    ///
    /// # Errors
    /// [`CommandError::Assumed`] if an assumption was refused and the command is none of those
    /// about the connection itself.
    pub(crate) fn admit(&self, name: &'static str) -> Result<(), CommandError> {
        const OF_THE_CONNECTION: [&str; 10] = [
            "auth",
            "client",
            "discard",
            "exec",
            "hello",
            "kv.options",
            "quit",
            "reset",
            "select",
            "unwatch",
        ];
        match self.0.first() {
            Some(&assumption) if !OF_THE_CONNECTION.contains(&name) => {
                Err(assumed(name.as_bytes(), assumption))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Notes that a command was refused outside of a transaction.
    pub(crate) fn on_refused(&mut self, command: &Command, protocol: Protocol) {
        self.0.extend(Assumption::of(command, protocol));
    }

    /// Notes that a command was taken.
    pub(crate) fn on_taken(&mut self, command: &Command, protocol: Protocol) {
        if !self.0.is_empty()
            && let Some(assumption) = Assumption::of(command, protocol)
        {
            self.lift(assumption);
        }
    }

    /// Forgets that this was refused; returns whether it was.
    pub(crate) fn lift(&mut self, assumption: Assumption) -> bool {
        self.0.remove(&assumption)
    }

    /// Forgets all refused assumptions.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

fn assumed(name: &[u8], assumption: Assumption) -> CommandError {
    CommandError::Assumed { command: quote(name).to_ascii_uppercase(), assumption }
}

#[cfg(test)]
mod tests;
