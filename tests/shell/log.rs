//! What happened in a run: its digest, its counts, and what was violated.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use kv_core::types::ContentHash;

/// Clones are the same log.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<Entries>>);

#[derive(Debug)]
struct Entries {
    began: Instant,
    is_shown: bool,
    verdict: Verdict,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Stands for every line of the trace.
    pub(crate) digest: ContentHash,
    /// How often things were done or seen.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// The check, and what broke it.
    pub(crate) violations: Vec<(&'static str, String)>,
}

impl Log {
    /// An empty log of a world that begins now. `is_shown`: every line goes to standard output.
    pub(crate) fn new(is_shown: bool) -> Self {
        let verdict =
            Verdict { digest: ContentHash(0), counts: BTreeMap::new(), violations: Vec::new() };
        Self(Arc::new(Mutex::new(Entries { began: Instant::now(), is_shown, verdict })))
    }

    /// Writes a line of the trace.
    pub(crate) fn note(&self, what: impl Display) {
        self.with(|entries| {
            let line = format!("{:>12} {what}", entries.began.elapsed().as_micros());
            let before = entries.verdict.digest.0.to_be_bytes();
            entries.verdict.digest = ContentHash::of(&[&before, line.as_bytes()]);
            if entries.is_shown {
                println!("{line}");
            }
        });
    }

    /// Counts something.
    pub(crate) fn count(&self, name: &'static str) {
        self.count_many(name, 1);
    }

    pub(crate) fn count_many(&self, name: &'static str, many: u64) {
        self.with(|entries| *entries.verdict.counts.entry(name).or_default() += many);
    }

    /// A check does not hold.
    pub(crate) fn violated(&self, check: &'static str, what: impl Display) {
        self.note(format_args!("VIOLATED {check}: {what}"));
        self.with(|entries| entries.verdict.violations.push((check, what.to_string())));
    }

    pub(crate) fn is_violated(&self) -> bool {
        self.with(|entries| !entries.verdict.violations.is_empty())
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.with(|entries| entries.verdict.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Entries) -> T) -> T {
        f(&mut self.0.lock().expect("nothing panics while it writes the log"))
    }
}
