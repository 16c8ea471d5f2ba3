//! The options of a run.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::runs::panics::PanicLog;

/// The options of a run beside its scenario.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The seed that all chance comes from.
    pub seed: u64,
    /// True if checks run. Without them nothing is proved; it is for measuring their cost.
    pub checks: bool,
    /// True if messages are encoded and decoded. Without, they are handed over as values; it is for
    /// measuring the cost of encoding.
    pub encoding: bool,
    /// True if the result lists the misfortunes of messages, as decisions that bring them back.
    pub misfortunes: bool,
    /// True if the invariants of a node are checked after every input of it, and those of a
    /// partition after every storage command. It changes nothing in a run but that a broken one is
    /// a panic. Without, a run is faster; debug builds, and so all tests, check them always.
    pub paranoid: bool,
    /// The sink of the trace, which has a line of text for each event.
    pub trace: Option<Trace>,
    /// The log in which the places of panics are written down.
    pub panics: Option<PanicLog>,
}

/// The sink that the trace of a run is written to.
#[derive(Clone)]
pub struct Trace(pub Arc<Mutex<dyn Write + Send>>);

impl RunOptions {
    /// The options of an ordinary run with this seed.
    pub const fn seeded(seed: u64) -> Self {
        Self {
            seed,
            checks: true,
            encoding: true,
            misfortunes: false,
            paranoid: cfg!(debug_assertions),
            trace: None,
            panics: None,
        }
    }

    /// The same options, with the invariants checked in any build if `asked`.
    #[must_use]
    pub fn paranoid_if(self, asked: bool) -> Self {
        Self { paranoid: self.paranoid || asked, ..self }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}
