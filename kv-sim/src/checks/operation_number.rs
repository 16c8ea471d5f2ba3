//! The number of an operation of a client.

use std::fmt;

/// The number of a client's operation, over the whole run: the client in the high half, the
/// operation counted within the client in the low half. A retry is an operation of its own, with
/// the same request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationNumber(pub u64);

impl fmt::Display for OperationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} of client {}", self.0 & u64::from(u32::MAX), self.0 >> 32)
    }
}
