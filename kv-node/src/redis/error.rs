//! The reasons why a command was not done, in words that say what to do about it.

use std::fmt;

use kv_core::client::{Achieved, RequestRefusal};
use kv_core::store::Refusal;
use thiserror::Error;

use super::assumption::Assumption;
use crate::resp::ParseError;

/// The answer to a command that was not done. The text begins with its code, as clients expect.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// Neither this store nor Redis has such a command.
    #[error("ERR unknown command '{name}', with args beginning with: {arguments}{nearest}")]
    UnknownCommand {
        /// The name that was sent, printable and cut.
        name: String,
        /// The first arguments, printable and cut.
        arguments: String,
        /// The most similar name, for a hint.
        nearest: Nearest,
    },
    /// Redis has the command, and this store does not. The text begins as that of an unknown one,
    /// since client libraries look for that.
    #[error(
        "ERR unknown command '{name}': Redis has it, this store does not; nothing was done. {instead}"
    )]
    AbsentCommand {
        /// The command, in upper case.
        name: String,
        /// The reason, and the command to use in its place.
        instead: &'static str,
    },
    /// Neither this store nor Redis has such a subcommand.
    #[error("ERR unknown subcommand '{subcommand}' of '{command}'. Try: {known}")]
    UnknownSubcommand {
        /// The command, in upper case.
        command: String,
        /// The subcommand that was sent, printable and cut.
        subcommand: String,
        /// The subcommands of the command.
        known: String,
    },
    /// Redis has the subcommand, and this store does not.
    #[error(
        "ERR unknown subcommand '{subcommand}' of '{command}': Redis has it, this store does not; \
         nothing was done. {instead}"
    )]
    AbsentSubcommand {
        /// The command, in upper case.
        command: String,
        /// The subcommand, in upper case.
        subcommand: &'static str,
        /// The reason, and the command to use in its place.
        instead: &'static str,
    },
    /// The command is valid, but depends on an earlier one that was refused.
    #[error("{} '{command}' was not executed: {assumption}", assumption.code())]
    Assumed {
        /// The command, printable, cut and in upper case.
        command: String,
        /// The assumption that was refused.
        assumption: Assumption,
    },
    /// `EXEC` of a transaction that was refused.
    #[error(
        "EXECABORT Transaction discarded because of previous errors: MULTI was refused, so nothing \
         of it was executed"
    )]
    TransactionRefused,
    /// The end of a transaction that was never begun; holds the command.
    #[error("ERR {0} without MULTI")]
    NoTransaction(&'static str),
    /// The client's stream cannot be parsed.
    #[error("ERR {0}")]
    Parse(ParseError),
    /// The command has too few arguments or too many.
    #[error("ERR wrong number of arguments for '{command}' command")]
    WrongNumberOfArguments {
        /// The command.
        command: String,
    },
    /// The command does not have this option.
    #[error("ERR syntax error: '{command}' has no option '{option}'{}", did_you_mean(*.nearest))]
    UnknownOption {
        /// The command.
        command: &'static str,
        /// The option that was sent, printable and cut.
        option: String,
        /// The most similar option that there is.
        nearest: Option<&'static str>,
    },
    /// An option lacks its value.
    #[error("ERR syntax error: {option} is followed by {expected}")]
    MissingValue {
        /// The option.
        option: &'static str,
        /// The values that the option takes, in words.
        expected: String,
    },
    /// An option has a value that it does not take.
    #[error("ERR {option} takes {expected}, not '{found}'")]
    BadValue {
        /// The option.
        option: &'static str,
        /// The values that the option takes, in words.
        expected: String,
        /// The value that was sent, printable and cut.
        found: String,
    },
    /// An option is given twice, or two exclude each other.
    #[error("ERR syntax error: {0}")]
    Conflict(&'static str),
    /// Redis supports this, and this store does not.
    #[error("ERR {what} is not supported by this store yet; nothing was done. {instead}")]
    NotSupported {
        /// The unsupported feature.
        what: &'static str,
        /// The remedy for the client.
        instead: &'static str,
    },
    /// The database is another than the first.
    #[error(
        "ERR DB index is out of range: there is one database, 0. Until SELECT 0 or RESET nothing \
         else is executed here"
    )]
    NoSuchDatabase,
    /// The protocol version is not spoken here.
    #[error("NOPROTO unsupported protocol version: use 2 or 3")]
    NoSuchProtocol,
    /// A password came without a user.
    #[error(
        "ERR AUTH <password> called without any password configured for the default user. Are you \
         sure your configuration is correct? There are no passwords here: connect without one"
    )]
    NoPassword,
    /// The user is another than `default`.
    #[error(
        "WRONGPASS invalid username-password pair or user is disabled. There is one user, default, \
         without a password"
    )]
    NoSuchUser,
    /// The mode of `CLIENT REPLY` is unknown, and with it which commands the client expects to be
    /// answered. The connection ends.
    #[error(
        "ERR CLIENT REPLY takes ON, OFF or SKIP. It is not known which replies are expected now, so \
         the connection is closed"
    )]
    ReplyMode,
    /// The client's name would break the lines of `CLIENT LIST`.
    #[error("ERR Client names cannot contain spaces, newlines or special characters.")]
    ClientName,
    /// The stream is HTTP, sent to the wrong port.
    #[error("ERR this port speaks the Redis protocol, not HTTP")]
    Http,
    /// The context is not even hexadecimal.
    #[error("CONTEXT the context token is corrupt: pass it back exactly as it was received")]
    ContextEncoding,
    /// The requested values are too many to be held at once.
    #[error("ERR the reply would have more than {max} bytes: ask for fewer keys at a time")]
    ReplyTooLong {
        /// The limit on the values of one reply, in bytes.
        max: usize,
    },
    /// This node holds so many bytes for all its clients that the requested values cannot be held
    /// as well.
    #[error(
        "BUSY this node holds as many bytes for its clients as it may (limits.client_bytes); nothing \
         was done. Take the replies that wait for you, ask for fewer keys at a time, or try again"
    )]
    NoRoom,
    /// The core refused the request and did nothing.
    #[error("{} {}", code_of(.0), advice_of(.0))]
    Refused(RequestRefusal),
    /// A read got too few answers in time.
    #[error(
        "TIMEOUT too few replicas answered in time ({}): try again, with a smaller R or a longer \
         TIMEOUT",
        backers(.0)
    )]
    ReadTimeout(Achieved),
    /// A write was not confirmed in time, and may stand or not.
    #[error(
        "TIMEOUT the write may stand or not, now or later ({} durable in time): read the key, or \
         write it again; KV.PUT with the same REQUEST is safe to repeat",
        backers(.0)
    )]
    WriteTimeout(Achieved),
    /// One of several keys could not be written.
    #[error(
        "{error}. Of {keys} keys {written} are known to be written: writing several is not atomic"
    )]
    Partly {
        /// The error of the key that failed.
        error: Box<CommandError>,
        /// The number of keys whose write is known to stand.
        written: usize,
        /// The number of all keys.
        keys: usize,
    },
}

/// The most similar name to an unknown one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearest {
    /// A command of this store, in lower case.
    Here(&'static str),
    /// A command of Redis that this store does not have, in upper case.
    Absent(&'static str),
    /// No similar name was found.
    None,
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(name) => write!(f, "; did you mean {}?", name.to_ascii_uppercase()),
            Self::Absent(name) => {
                write!(f, "; did you mean {name}? Redis has it, this store does not")
            }
            Self::None => Ok(()),
        }
    }
}

/// The number of bytes that are quoted back to a client, at most.
const QUOTE_BYTES_MAX: usize = 64;

/// Quotes a client's bytes, printable and cut.
pub(crate) fn quote(bytes: &[u8]) -> String {
    match bytes.get(..QUOTE_BYTES_MAX) {
        Some(start) if bytes.len() > QUOTE_BYTES_MAX => format!("{}…", start.escape_ascii()),
        _ => bytes.escape_ascii().to_string(),
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest
        .map_or_else(String::new, |nearest| format!("; did you mean {}?", nearest.to_uppercase()))
}

fn backers(achieved: &Achieved) -> String {
    let Achieved { owners, fallbacks, machines: _ } = achieved;
    let things =
        |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!("{} and {}", things(owners.len(), "owner"), things(fallbacks.len(), "fallback"))
}

const fn code_of(refusal: &RequestRefusal) -> &'static str {
    match refusal {
        RequestRefusal::Context(_) => "CONTEXT",
        RequestRefusal::Quorum(_) => "NOQUORUM",
        RequestRefusal::Key { .. } | RequestRefusal::Value { .. } => "ERR",
        RequestRefusal::Busy { .. } => "BUSY",
        RequestRefusal::NotFounded | RequestRefusal::Stopping | RequestRefusal::StoreFailed => {
            "UNAVAILABLE"
        }
        RequestRefusal::Replica(refusal) => match refusal {
            Refusal::TooManySiblings { .. } => "SIBLINGS",
            Refusal::Corrupt
            | Refusal::Incomplete
            | Refusal::DiskFull
            | Refusal::OutOfFiles
            | Refusal::DiskFailed
            | Refusal::HintsFull
            | Refusal::Layout
            | Refusal::Late => "UNAVAILABLE",
        },
    }
}

fn advice_of(refusal: &RequestRefusal) -> String {
    match refusal {
        RequestRefusal::Replica(Refusal::TooManySiblings { .. }) => {
            format!("{refusal}. Nothing was stored")
        }
        RequestRefusal::Replica(_) => {
            format!("the replica refused: {refusal}. Nothing was done: try again, or another node")
        }
        RequestRefusal::Context(_)
        | RequestRefusal::Quorum(_)
        | RequestRefusal::Key { .. }
        | RequestRefusal::Value { .. }
        | RequestRefusal::Busy { .. }
        | RequestRefusal::NotFounded
        | RequestRefusal::Stopping
        | RequestRefusal::StoreFailed => format!("{refusal}. Nothing was done"),
    }
}

impl From<RequestRefusal> for CommandError {
    fn from(refusal: RequestRefusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use kv_core::version::ContextError;

    use super::*;

    #[test]
    fn every_refusal_of_the_core_begins_with_the_code_of_its_remedy() {
        let cases = [
            (RequestRefusal::Context(ContextError::OtherKey), "CONTEXT the context token belongs"),
            (
                RequestRefusal::Key { bytes: 0, max: 9 },
                "ERR a key has 1 to 9 bytes; this one has 0",
            ),
            (RequestRefusal::Busy { max: 3 }, "BUSY 3 requests are in flight"),
            (RequestRefusal::Stopping, "UNAVAILABLE this node is stopping"),
            (
                RequestRefusal::Replica(Refusal::TooManySiblings { max: 2 }),
                "SIBLINGS the key has as many siblings as are allowed (2)",
            ),
            (
                RequestRefusal::Replica(Refusal::DiskFull),
                "UNAVAILABLE the replica refused: the disk is full. Nothing was done",
            ),
        ];
        for (refusal, expected) in cases {
            let text = CommandError::from(refusal).to_string();
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn what_a_client_sent_is_quoted_printable_and_cut() {
        assert_eq!(quote(b"a\r\n\xff"), r"a\r\n\xff");
        assert_eq!(quote(&[b'a'; 64]), "a".repeat(64));
        assert_eq!(quote(&[b'a'; 65]), format!("{}…", "a".repeat(64)));
    }
}
