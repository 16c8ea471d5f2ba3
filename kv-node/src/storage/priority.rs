//! The priority of threads whose work can wait.

/// The system's measure of how much a thread leaves to others: from 0, as all are, to 19.
const NICE: i32 = 10;

/// Lets the present thread have what time others leave: what it does can wait, and clients cannot. If the
/// system does not allow it, the thread is as all others are.
pub(super) fn yield_to_others() {
    // On Linux this is about the thread that asks.
    let _ = rustix::process::setpriority_process(None, NICE);
}
