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
use std::fmt;

use super::error::{CommandError, quote};
use crate::resp::{Command, Protocol};

/// A fact that a client takes for granted about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assumption {
    /// Commands wait for `EXEC` (`MULTI`).
    Transaction,
    /// Keys are those of another database (`SELECT`), or of databases that were swapped (`SWAPDB`).
    Database,
    /// Commands are those of another user (`AUTH`, `HELLO … AUTH`).
    User,
    /// The client is told of changes to the keys that it has read (`CLIENT TRACKING`).
    Tracking,
    /// The connection carries messages of the server and executes nothing that touches keys
    /// (`SUBSCRIBE` in RESP2, `MONITOR`, `SYNC`).
    Feed,
    /// Requests use these levels, this mode or this time-out (`KV.OPTIONS`).
    Options,
}

/// The assumptions of one connection that were refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefusedAssumptions(BTreeSet<Assumption>);

impl Assumption {
    /// Returns the code of an error that names it: for the user, the one that clients know.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::User => "NOAUTH",
            Self::Transaction | Self::Database | Self::Tracking | Self::Feed | Self::Options => {
                "ERR"
            }
        }
    }

    /// Returns the assumption that a command sets up, if it sets up one.
    fn of(command: &Command, protocol: Protocol) -> Option<Self> {
        let named = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let is = |name: &str| named(command.name(), name);
        let arguments = command.arguments();
        let has = |at: usize, name: &str| arguments.get(at).is_some_and(|word| named(word, name));
        if is("multi") {
            Some(Self::Transaction)
        } else if is("select") || is("swapdb") {
            Some(Self::Database)
        } else if is("auth") || is("hello") && arguments.iter().any(|word| named(word, "auth")) {
            Some(Self::User)
        } else if is("client") && has(0, "tracking") {
            Some(Self::Tracking)
        } else if ["monitor", "sync", "psync"].into_iter().any(is)
            // In RESP3 messages come beside replies, and every command is executed.
            || protocol == Protocol::Resp2
                && ["subscribe", "psubscribe", "ssubscribe"].into_iter().any(is)
        {
            Some(Self::Feed)
        } else if is("kv.options") && !arguments.is_empty() {
            Some(Self::Options)
        } else {
            None
        }
    }
}

impl fmt::Display for Assumption {
    /// Writes which command was refused, and what to do next.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transaction => {
                "MULTI was refused before it. Send EXEC or DISCARD: nothing of the transaction is \
                 executed"
            }
            Self::Database => {
                "SELECT or SWAPDB was refused before it, and the keys of another database are not \
                 those of database 0. Send SELECT 0 or RESET to go on there"
            }
            Self::User => {
                "AUTH was refused before it. There are no users and no passwords: connect without, \
                 or send AUTH default with any password, or RESET"
            }
            Self::Tracking => {
                "CLIENT TRACKING was refused before it, and nobody would say when what was read \
                 has changed. Send CLIENT TRACKING OFF or RESET, and cache nothing"
            }
            Self::Feed => {
                "SUBSCRIBE, MONITOR or SYNC was refused before it, after which Redis would execute \
                 nothing here either. Send RESET, or use another connection"
            }
            Self::Options => {
                "KV.OPTIONS was refused before it, and with it the levels that were wanted. Send \
                 KV.OPTIONS as it should be, or RESET"
            }
        })
    }
}

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
