//! One connection as `CLIENT INFO` and `CLIENT LIST` show it, with the fields of Redis.
//!
//! The client's description of itself comes from its connection, its activity from the side of the
//! sockets. Fields of Redis whose value would have to be made up (`fd`, `rbs`, `rbp`) are left out.

use super::connection::Connection;
use super::profile::{ConnectionActivity, ConnectionIdentity, Profile};

/// Writes the line of one connection, without its line break.
pub fn client_line(profile: &Profile, activity: &ConnectionActivity) -> String {
    let Profile { identity, name, library_name, library_version, protocol } = profile;
    let ConnectionIdentity { id, peer, local } = identity;
    let ConnectionActivity {
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
