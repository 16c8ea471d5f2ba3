//! The most memory that some processes have, over a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::usage::resident_sum;

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(50);

/// A thread that looks at the memory of some processes until it is stopped.
pub(super) struct MemoryWatch {
    is_over: Arc<AtomicBool>,
    looks: JoinHandle<u64>,
}

impl MemoryWatch {
    pub(super) fn start(processes: Vec<u32>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&is_over);
        let looks = std::thread::spawn(move || {
            let mut most = 0;
            while !end.load(Ordering::Relaxed) {
                most = most.max(resident_sum(&processes));
                std::thread::sleep(INTERVAL);
            }
            most
        });
        Self { is_over, looks }
    }

    /// The most that was seen, in bytes.
    pub(super) fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.looks.join().expect("it only reads")
    }
}
