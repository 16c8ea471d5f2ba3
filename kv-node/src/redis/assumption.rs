//! The facts that a client may take for granted about its connection, and the commands that set them up.

use std::fmt;

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
    pub(crate) fn of(command: &Command, protocol: Protocol) -> Option<Self> {
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
