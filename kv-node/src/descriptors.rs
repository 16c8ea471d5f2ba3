//! File descriptors: the number of files and sockets that this process may have open at once, and
//! the part of them that sockets may take.
//!
//! A storage that cannot open a file has failed, and its node with it. So sockets are bounded by
//! what is left when the storage has what it needs, whatever the configuration allows: clients,
//! peers and health checks beyond that are refused, which harms nobody else.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

use crate::config::Limits;
use crate::storage::FILES_CACHED;

/// The descriptors of a process whatever its nodes do: standard streams, the runtime, signals, a
/// log.
const OF_PROCESS: usize = 32;

/// The descriptors of one node beside the files that its storage keeps open for reads, and beside
/// its connections: segments of the log, tables that are being written or merged, directories that are being
/// synced, three listeners, connections that are being turned away.
const OF_NODE: usize = 128;

/// The number of health checks and scrapes that are always possible at once.
const HTTP_MIN: usize = 8;

/// The number of clients that are always possible at once. With fewer, a node is of no use.
const CLIENTS_MIN: usize = 16;

/// The number that is asked for where no hard limit is set: the kernel's default.
const ENOUGH: u64 = 1 << 20;

/// The error that a process cannot open as many files as its nodes need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "this process may open {may} files, and needs {needed} at least: raise the hard limit (`ulimit -Hn`, \
     `LimitNOFILE` of systemd, `--ulimit nofile` of a container)"
)]
pub struct TooFew {
    may: usize,
    needed: usize,
}

/// Lets this process open as many files as its hard limit allows. Returns that number.
pub fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or_else(|| current.unwrap_or(ENOUGH).max(ENOUGH));
    let raised = Rlimit { current: Some(wanted), maximum };
    let open = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!("the limit of open files cannot be raised to {wanted}: {error}");
            current.unwrap_or(wanted)
        }
    };
    usize::try_from(open).unwrap_or(usize::MAX)
}

/// The limits of one of `nodes` equal nodes in a process that may open `may` files: connections are
/// lowered to what is left for them. `peers` are the other members of its cluster.
///
/// # Errors
/// [`TooFew`], if not even a few clients could connect.
pub fn share(limits: &Limits, peers: usize, nodes: usize, may: usize) -> Result<Limits, TooFew> {
    // A peer that connects anew may do so before its former connection has ended, on either side. What
    // the limit bounds are connections that have not said yet whose they are.
    let (of_peers, incoming_min) = (4 * peers, 2 * peers + 2);
    let fixed = FILES_CACHED + OF_NODE + of_peers;
    let peers_min = incoming_min.min(limits.peer_connections);
    let http_min = HTTP_MIN.min(limits.http_connections);
    let clients_min = CLIENTS_MIN.min(limits.connections);
    let left = (may.saturating_sub(OF_PROCESS) / nodes).saturating_sub(fixed);
    let Some(mut spare) = left.checked_sub(peers_min + http_min + clients_min) else {
        let needed = OF_PROCESS + nodes * (fixed + peers_min + http_min + clients_min);
        return Err(TooFew { may, needed });
    };
    // Most goes to clients, for whom there is a node. Strangers may knock at the other two doors, so some
    // room is left there beside those who must come in.
    let some = spare / 10;
    let http = raised(http_min, limits.http_connections.min(http_min + some), &mut spare);
    let peer = raised(peers_min, limits.peer_connections.min(peers_min + some), &mut spare);
    let connections = raised(clients_min, limits.connections, &mut spare);
    let peer_connections = raised(peer, limits.peer_connections, &mut spare);
    let http_connections = raised(http, limits.http_connections, &mut spare);
    Ok(Limits { connections, peer_connections, http_connections, ..limits.clone() })
}

/// Raises a number towards `wanted`, as far as `spare` allows.
fn raised(number: usize, wanted: usize, spare: &mut usize) -> usize {
    let more = (wanted - number).min(*spare);
    *spare -= more;
    number + more
}

/// Lists the lowered limits in words; empty, if none was lowered.
pub fn lowered(asked: &Limits, given: &Limits) -> Vec<String> {
    let limits = [
        ("connections", asked.connections, given.connections),
        ("peer_connections", asked.peer_connections, given.peer_connections),
        ("http_connections", asked.http_connections, given.http_connections),
    ];
    let lowered = limits.into_iter().filter(|(_, asked, given)| given < asked);
    lowered.map(|(limit, asked, given)| format!("{limit} from {asked} to {given}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(connections: usize, peer_connections: usize, http_connections: usize) -> Limits {
        Limits { connections, peer_connections, http_connections, ..Limits::default() }
    }

    #[test]
    fn where_there_is_room_nothing_is_lowered() {
        let asked = Limits::default();
        let given = share(&asked, 2, 1, 20_000).expect("there is room");
        assert_eq!(given, asked);
        assert!(lowered(&asked, &given).is_empty());
    }

    #[test]
    fn under_the_usual_limit_hundreds_of_clients_are_left() {
        let asked = Limits::default();
        let given = share(&asked, 2, 1, 1_024).expect("there is room");
        assert!((500..1_024).contains(&given.connections), "{given:?}");
        assert_eq!(lowered(&asked, &given).len(), 3);
    }

    #[test]
    fn too_few_are_said_to_be_so_and_as_many_as_are_needed_suffice() {
        let error = share(&Limits::default(), 2, 3, 64).expect_err("that is nothing");
        assert!(error.to_string().contains("may open 64 files"), "{error}");
        assert!(share(&Limits::default(), 2, 3, error.needed).is_ok());
        assert!(share(&Limits::default(), 2, 3, error.needed - 1).is_err());
    }

    proptest! {
        #[test]
        fn sockets_never_take_what_the_storage_needs_and_nobody_is_left_without(
            connections in 1..20_000_usize,
            peer_connections in 1..2_000_usize,
            http_connections in 1..500_usize,
            peers in 0..150_usize,
            nodes in 1..8_usize,
            may in 0..40_000_usize,
        ) {
            let asked = limits(connections, peer_connections, http_connections);
            if let Ok(given) = share(&asked, peers, nodes, may) {
                let sockets = given.connections + given.peer_connections + given.http_connections;
                let reserved = FILES_CACHED + OF_NODE + 4 * peers;
                prop_assert!(OF_PROCESS + nodes * (reserved + sockets) <= may);
                prop_assert!(given.connections >= CLIENTS_MIN.min(connections));
                prop_assert!(given.http_connections >= HTTP_MIN.min(http_connections));
                prop_assert!(given.peer_connections >= peer_connections.min(2 * peers + 2));
                prop_assert!(given.connections <= connections);
                prop_assert!(given.peer_connections <= peer_connections);
                prop_assert!(given.http_connections <= http_connections);
            }
        }
    }
}
