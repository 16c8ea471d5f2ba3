//! One connection as `CLIENT INFO` and `CLIENT LIST` show it, with the fields of Redis.
//!
//! The client's description of itself comes from its connection, its activity from the side of the
//! sockets. Fields of Redis whose value would have to be made up (`fd`, `rbs`, `rbp`) are left out.

use bytes::Bytes;

use super::connection::{Connection, Identity};
use crate::resp::Protocol;

/// The client's own description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The number and the addresses of the connection.
    pub identity: Identity,
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
pub struct Activity {
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

/// Writes the line of one connection, without its line break.
pub fn client_line(profile: &Profile, activity: &Activity) -> String {
    let Profile { identity, name, library_name, library_version, protocol } = profile;
    let Identity { id, peer, local } = identity;
    let Activity {
        age_s,
        idle_s,
        input_bytes,
        input_room,
        held_bytes,
        output_bytes,
        received_bytes,
        sent_bytes,
        commands,
        last,
    } = activity;
    let memory = size_of::<Connection>() + input_bytes + input_room + held_bytes + output_bytes;
    let events = if *output_bytes > 0 { "rw" } else { "r" };
    format!(
        "id={id} addr={peer} laddr={local} name={name} age={age_s} idle={idle_s} flags=N db=0 \
         sub=0 psub=0 ssub=0 multi=-1 watch=0 qbuf={input_bytes} qbuf-free={input_room} \
         argv-mem={held_bytes} multi-mem=0 obl={output_bytes} oll=0 omem={output_bytes} \
         tot-mem={memory} events={events} cmd={command} user=default redir=-1 resp={resp} \
         lib-name={library_name} lib-ver={library_version} tot-net-in={received_bytes} \
         tot-net-out={sent_bytes} tot-cmds={commands}",
        name = name.escape_ascii(),
        command = last.shown(),
        resp = protocol.number(),
        library_name = library_name.escape_ascii(),
        library_version = library_version.escape_ascii(),
    )
}

impl LastCommand {
    fn shown(self) -> String {
        match self {
            Self { name: Some(name), subcommand: Some(subcommand) } => {
                format!("{name}|{}", subcommand.to_ascii_lowercase())
            }
            Self { name: Some(name), subcommand: None } => name.to_owned(),
            Self { name: None, subcommand: _ } => "NULL".to_owned(),
        }
    }
}
