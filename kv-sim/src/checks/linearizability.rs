//! Check `linearizability`: the operations on a key are those of one register.
//!
//! Takes the reads and writes of clients on keys whose operations come near to that, and judges
//! each key when the run is over: all of them are strict, writes read first, every R meets every W,
//! and every W every other one. The value of a key is the newest of its siblings by hybrid time and
//! dot, which is the tag of a write in the register of several writers of Attiya, Bar-Noy and Dolev
//! (1995).
//!
//! No level promises a register yet. A read that meets a write under way may show it, and a later one
//! may not; where reads are monotonic, and so write back what they show, a request whose first minter
//! is silent is still minted once more by another node, and such a twin may show again.

use std::collections::BTreeSet;

use kv_core::quorum::Mode;
use kv_core::time::Time;

use super::ack::Standing;
use super::check::Check;
use super::counted_sets::CountedSets;
use super::datacenters::Datacenters;
use super::findings::Findings;
use super::history::{History, WriteIndex};
use super::occasions::{KeyEnd, OperationAnswer, OperationEnd, OperationEnding};
use super::operation::Terms;
use super::per_key::PerKey;
use super::register::{self, Act, RegisterOperation, RegisterViolation, WriteId};
use super::story::Names;
use super::{OperationNumber, Setting, WorldView};

/// The `linearizability` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Linearizability {
    /// The findings so far, counted in operations on keys for which a register is promised.
    findings: Findings,
    keys: PerKey<Recorded>,
}

/// A record of the reads of one key, and of the terms of all operations on it. The writes stand in
/// its history.
#[derive(Clone, Debug, Default)]
struct Recorded {
    promise: RegisterPromise,
    reads: Vec<AnsweredRead>,
}

/// The terms of all operations on a key, as far as they differ.
#[derive(Clone, Debug)]
struct RegisterPromise {
    /// False once an operation was not strict, or wrote without having read.
    stands: bool,
    /// The answers that operations read, each level once.
    reads: Vec<CountedSets>,
    /// The copies that writes wrote, each level once.
    writes: Vec<CountedSets>,
}

/// A read that was answered.
#[derive(Clone, Copy, Debug)]
struct AnsweredRead {
    by: OperationNumber,
    called: Time,
    answered: Time,
    /// The write that it saw; none if the key had never been written.
    seen: Option<WriteIndex>,
}

impl Check for Linearizability {
    const NAME: &'static str = "linearizability";
    const ABOUT: &'static str =
        "the operations on a key have an order in which each read shows the last write";
    const IS_PROMISED: bool = false;

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        let &mut OperationEnd { at, operation, ref history, ref ending, .. } = end;
        let key = self.keys.get_mut(history);
        key.promise.restrict(&operation.terms);
        if let OperationEnding::Value(answer) = ending
            && key.promise.stands
            && answer.reach.strangers.is_empty()
        {
            let seen = newest(answer, history);
            let (by, called) = (operation.number, operation.started);
            key.reads.push(AnsweredRead { by, called, answered: at, seen });
        }
    }

    fn at_end_of_key(&mut self, end: &KeyEnd<'_, impl WorldView>) {
        let &KeyEnd { history, world, names, .. } = end;
        let Some(key) = self.keys.get(history) else { return };
        if !key.promise.is_of_a_register(world.datacenters()) {
            return;
        }
        let operations = key.operations(history);
        self.findings.examined += operations.len() as u64;
        let Err(violation) = register::check(&operations) else { return };
        if history.taken_at.is_some() || history.writes().any(|(_, write)| is_weak(write.standing))
        {
            self.findings.weakened += 1;
            return;
        }
        let events = |write| history.write(write).events.iter().copied();
        let numbers = || violation.operations.iter().map(|operation| operation.number);
        self.findings.violated_about(
            || history.subject(writes_of(&violation).into_iter().flat_map(events)).with(numbers()),
            || story(history, &violation, names),
        );
    }
}

impl Recorded {
    /// All operations on the key, as far as anybody may rely on them: reads that were answered, and
    /// writes, of which those that were not acknowledged may have happened or not.
    fn operations(&self, history: &History) -> Vec<RegisterOperation> {
        let writes = history.writes().filter_map(|(at, write)| {
            let asked = write.asked.as_ref()?;
            Some(RegisterOperation {
                number: asked.operation,
                called: asked.at,
                answered: write.ack.as_ref().map(|ack| ack.at),
                act: Act::Write(WriteId(at as u64)),
            })
        });
        let reads = self.reads.iter().map(|read| RegisterOperation {
            number: read.by,
            called: read.called,
            answered: Some(read.answered),
            act: Act::Read(read.seen.map(|at| WriteId(at as u64))),
        });
        writes.chain(reads).collect()
    }
}

impl Default for RegisterPromise {
    fn default() -> Self {
        Self { stands: true, reads: Vec::new(), writes: Vec::new() }
    }
}

impl RegisterPromise {
    /// Restricts the promise to what an operation on these terms leaves of it.
    fn restrict(&mut self, terms: &Terms) {
        let Terms { mode, reads, writes, monotonic: _, timeout: _ } = terms;
        self.stands &= match mode {
            Mode::Strict => reads.is_some(),
            Mode::Sloppy => false,
        };
        if !self.stands {
            return;
        }
        for (known, sets) in [(&mut self.reads, reads), (&mut self.writes, writes)] {
            if let Some(sets) = sets
                && !known.contains(sets)
            {
                known.push(sets.clone());
            }
        }
    }

    /// Tells whether a register is promised of the key: every read meets every write, and every
    /// write every other.
    fn is_of_a_register(&self, datacenters: &Datacenters) -> bool {
        let meet =
            |one: &CountedSets| self.writes.iter().all(|written| written.meet(one, datacenters));
        self.stands && self.reads.iter().all(meet) && self.writes.iter().all(meet)
    }
}

/// The write that a reader takes for the value of the key: the newest of its siblings.
fn newest(answer: &OperationAnswer<'_>, history: &History) -> Option<WriteIndex> {
    let siblings = answer.container.siblings().iter();
    let (dot, _) = siblings.max_by_key(|(dot, version)| (version.time, *dot))?;
    Some(history.event(history.named(*dot)?).write)
}

fn is_weak(standing: Standing) -> bool {
    match standing {
        Standing::Whole => false,
        Standing::Weak | Standing::Excused => true,
    }
}

/// The writes that a violation is about, each once.
fn writes_of(violation: &RegisterViolation) -> BTreeSet<WriteIndex> {
    let writes = violation.operations.iter().filter_map(|operation| match operation.act {
        Act::Write(WriteId(at)) | Act::Read(Some(WriteId(at))) => Some(at as WriteIndex),
        Act::Read(None) => None,
    });
    writes.collect()
}

fn story(history: &History, violation: &RegisterViolation, names: &Names) -> String {
    let value = |WriteId(at)| history.write(at as WriteIndex).content.to_string();
    let mut story = format!(
        "the operations on {:?} are those of no register: {}",
        history.key,
        violation.story(value)
    );
    for write in writes_of(violation) {
        story.push_str(&format!("\n  write:  {}", history.describe(write, names)));
    }
    story
}
