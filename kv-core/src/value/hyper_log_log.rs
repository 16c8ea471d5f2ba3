//! HyperLogLogs: how many distinct elements there were, nearly, in little room.
//!
//! What was counted apart is joined by the maximum of each register, which is exact: nothing is
//! counted twice. As with a text, a deletion takes away what it has seen; registers that were
//! written concurrently stand, with all that their writer knew.

use alloc::vec::Vec;

use bytes::Bytes;

use super::answer::{Applied, ValueAnswer};
use super::dot_store::{DotFun, DotStore, dot_store};
use super::registers::Registers;
use super::write_stamp::WriteStamp;
use crate::codec::codec;

/// The registers of each write that stands: of one, but for concurrent writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HyperLogLog(DotFun<Registers>);

dot_store!(HyperLogLog);

/// A change of a HyperLogLog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HyperLogLogChange {
    /// Adds elements. The answer is whether a register rose or the key is new. If neither is so,
    /// nothing is written: then a concurrent deletion takes away these elements too.
    Add(Vec<Bytes>),
    /// Merges the registers of others into these.
    Merge(Vec<Registers>),
}

codec!(enum HyperLogLogChange { 0 => Add(elements), 1 => Merge(others) });

impl HyperLogLog {
    /// The registers, those of concurrent writes merged.
    pub fn registers(&self) -> Registers {
        let mut all = self.0.iter().map(|(_, registers)| registers);
        let mut merged = all.next().cloned().unwrap_or_default();
        for registers in all {
            merged.merge(registers);
        }
        merged
    }

    /// Executes a change.
    pub(crate) fn apply(&mut self, change: &HyperLogLogChange, at: WriteStamp) -> Applied {
        let mut registers = self.registers();
        let mut has_risen = self.0.is_empty();
        match change {
            HyperLogLogChange::Add(elements) => {
                for element in elements {
                    has_risen |= registers.add(element);
                }
            }
            HyperLogLogChange::Merge(others) => {
                for other in others {
                    has_risen |= registers.merge(other);
                }
            }
        }
        if has_risen {
            self.0.replace(at.dot, registers);
        }
        let answer = match change {
            HyperLogLogChange::Add(_) => ValueAnswer::HasRisen(has_risen),
            HyperLogLogChange::Merge(_) => ValueAnswer::Done,
        };
        Applied { answer, has_changed: has_risen }
    }
}
