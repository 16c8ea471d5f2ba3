//! What is known of one connection: what the client has said of itself, and what was seen of it.

use bytes::Bytes;

use crate::resp::Protocol;

/// The client's own description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The number and the addresses of the connection.
    pub identity: ConnectionIdentity,
    /// The client's name; empty, if it has given none.
    pub name: Bytes,
    /// The name of the client's library; empty, if it has given none.
    pub library_name: Bytes,
    /// The version of the client's library; empty, if it has given none.
    pub library_version: Bytes,
    /// The protocol of the client's replies.
    pub protocol: Protocol,
}

/// The work that a connection has done, and the bytes that it holds at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionActivity {
    /// The age of the connection in seconds.
    pub age_s: u64,
    /// The number of seconds since the client sent something.
    pub idle_s: u64,
    /// The bytes that have arrived and are no whole command yet.
    pub input_bytes: usize,
    /// The room for more input, in bytes.
    pub input_room: usize,
    /// The bytes of commands that were not answered yet, and of replies that wait for earlier ones.
    pub held_bytes: usize,
    /// The bytes of replies that the client has not taken.
    pub output_bytes: usize,
    /// The number of bytes that the client has sent.
    pub received_bytes: u64,
    /// The number of bytes that the client was sent.
    pub sent_bytes: u64,
    /// The number of commands that were read.
    pub commands: u64,
    /// The last command of the connection.
    pub last: LastCommand,
}

/// The last command of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastCommand {
    /// The command's name; `None`, if there was no command yet, or none that exists.
    pub name: Option<&'static str>,
    /// The command's subcommand, if it has one.
    pub subcommand: Option<&'static str>,
}

/// The number and the addresses of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionIdentity {
    /// The node's number for the connection, never used twice while it runs.
    pub id: u64,
    /// The client's address.
    pub peer: String,
    /// The node's address to which the client connected.
    pub local: String,
}

impl LastCommand {
    /// The command in the form of `CLIENT LIST`: `client|list`, or `NULL` if there was none.
    pub fn shown(self) -> String {
        match self {
            Self { name: Some(name), subcommand: Some(subcommand) } => {
                format!("{name}|{}", subcommand.to_ascii_lowercase())
            }
            Self { name: Some(name), subcommand: None } => name.to_owned(),
            Self { name: None, subcommand: _ } => "NULL".to_owned(),
        }
    }
}
