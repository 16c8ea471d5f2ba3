//! The commit log under every fault of a disk, byte by byte: the real writer and the real recovery
//! (`kv_core::log`) over simulated files, with a plain list of what was appended beside them.
//!
//! A history ([`torture`]) is drawn from a seed: a log with small segments is created, appended to,
//! written, synced, rotated, recycled and stopped in one of the three modes, and a few kinds of faults
//! ([`TortureFault`]) are drawn for it. Each run ends with a clean stop, the death of the process, or a
//! loss of power that leaves any part of what was not synced. Then the files are recovered, and judged:
//!
//! | check | what it is violated by |
//! |---|---|
//! | `invented` | a batch that was never appended, or batches in another order |
//! | `durability` | a promised batch that is missing, where no fault may take one |
//! | `false-alarm` | the word *corrupt*, where nothing but a crash has happened |
//! | `clean-stop` | a log that is said to be clean and was not stopped, or the reverse |
//! | `unnamed-hole` | batches behind one that is missing, in a log that is not said to be corrupt |
//! | `silent-loss` | a promised batch that is missing in a log that is not said to be corrupt, though something intact in the files says that it had been durable |
//! | `refusal` | a start that is refused without reason |
//! | `panic` | a panic |
//!
//! The judge does not ask the code that it judges: what is intact is what equals, byte by byte, what
//! was written; what a frame must know is what the node had been told when its last batch was appended.
//! What is missing without any such witness is counted as *unwitnessed*, by fault: an older image of the
//! whole log, a disk that lied about its tail, a last group that was corrupted at rest. No log can know
//! these of itself.

mod at_rest;
mod chance;
mod disk;
mod fault;
mod history;
mod judge;
mod node;
mod sweep;
#[cfg(test)]
mod tests;

pub use fault::TortureFault;
pub use history::{HistoryTold, torture};
pub use judge::Broken;
pub use sweep::{TortureFailure, TorturePlan, TortureSummary, torture_all};
