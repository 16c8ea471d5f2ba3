//! The counts of draws at each address, so that the same question is another draw the next time.
//!
//! Over the life of a world nothing is forgotten: a node that restarts must not draw its old epoch
//! again. Nearly all questions are asked once, about a message, soon after other messages of the
//! same request; so these are kept by request, in the order in which requests came.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use kv_core::types::RequestId;

use crate::hashing::{Hashed, RequestHasher};
use crate::ledger::Ledger;
use crate::random::address::Address;

/// The addresses at which something was asked, by their hashes. Should two of them share all bits
/// that are kept, they are counted together, and in every run alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct DrawCounter {
    /// The addresses of messages, by request.
    messages: Ledger<RequestId, Few, RequestHasher>,
    /// All other addresses, and those of requests that have more messages than fit into [`Few`].
    others: HashSet<u64, BuildHasherDefault<Hashed>>,
    /// The number of times that an address was asked again: few are.
    again: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
}

/// The first addresses of a request: 31 bits of the hash of each, and one that is set. None is
/// zero.
#[derive(Clone, Copy, Debug, Default)]
struct Few([u32; 8]);

impl DrawCounter {
    /// Makes room for so many requests.
    pub(crate) fn expect_requests(&mut self, requests: usize) {
        self.messages.reserve(requests);
    }

    /// Counts a question at the address with this hash. Returns the number of those before.
    pub(crate) fn count(&mut self, address: &Address, hash: u64) -> u32 {
        let is_first = match address {
            Address::Message { request, .. } => {
                let few = self.messages.get_or_add_with(*request, Few::default);
                few.insert(hash).unwrap_or_else(|Full| self.others.insert(hash))
            }
            _ => self.others.insert(hash),
        };
        if is_first {
            return 0;
        }
        let again = self.again.entry(hash).or_insert(0);
        *again += 1;
        *again
    }
}

/// The error that a request has more addresses than fit.
struct Full;

impl Few {
    /// Adds an address. Returns whether it is new.
    fn insert(&mut self, hash: u64) -> Result<bool, Full> {
        let bits = (hash >> 32) as u32 | 1;
        let place = self.0.iter_mut().find(|place| [0, bits].contains(place)).ok_or(Full)?;
        Ok(std::mem::replace(place, bits) == 0)
    }
}

#[cfg(test)]
mod tests {
    use kv_core::message::{Kind, ReplicaKind};

    use super::*;
    use crate::scenario::NodeIndex;

    #[test]
    fn each_address_is_counted_on_its_own_however_many_a_request_has() {
        let mut asked = DrawCounter::default();
        for round in 0..3 {
            for request in 0..10 {
                for to in 0..20 {
                    let (from, to) = (NodeIndex(0), NodeIndex(to));
                    let request = RequestId(request);
                    let address = Address::Message {
                        from,
                        to,
                        kind: Kind::Replica(ReplicaKind::Read),
                        request,
                    };
                    assert_eq!(asked.count(&address, address.hash()), round);
                }
            }
            for node in 0..50 {
                let address = Address::Setup { node: NodeIndex(node) };
                assert_eq!(asked.count(&address, address.hash()), round);
            }
        }
    }
}
