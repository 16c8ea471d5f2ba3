//! Check `ownership`: answers are counted from distinct owners of the layout, and from those that
//! are their fallbacks.
//!
//! Takes replies, which name who answered. An owner that keeps a hint for another one as well, as
//! nobody else was left to, is named in both roles and is one machine. The layout is fixed yet, so
//! a key's owners are the same from the beginning to the end.

use kv_core::client::Achieved;
use kv_core::quorum::Mode;
use kv_core::types::NodeId;
use smallvec::SmallVec;

use super::check::Check;
use super::findings::Findings;
use super::occasions::{OperationEnd, OperationEnding};
use super::operation::{Operation, Terms};
use super::story::when;
use super::{Disks, Setting, WorldView};

/// The `ownership` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Ownership {
    /// The findings so far, counted in replies.
    findings: Findings,
}

impl Check for Ownership {
    const NAME: &'static str = "ownership";
    const ABOUT: &'static str = "answers are counted from distinct owners and their fallbacks";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        match end.ending {
            OperationEnding::Value(ref answer) | OperationEnding::Stored(_, ref answer) => {
                self.judge(end, answer.achieved);
            }
            OperationEnding::Refused(_) | OperationEnding::Unknown => {}
        }
    }
}

impl Ownership {
    /// Judges an operation that succeeded by the answers that `achieved` names.
    fn judge(&mut self, end: &OperationEnd<'_, impl WorldView>, achieved: &Achieved) {
        let &OperationEnd { at, operation, ref history, world, names, .. } = end;
        self.findings.examined += 1;
        let Achieved { owners, fallbacks, machines: said } = achieved;
        let real = world.owners(&history.key);
        let Terms { mode, reads, writes, .. } = &operation.terms;
        // A write may have read first; its copies are what it achieved.
        let needed = if operation.write.is_some() { writes } else { reads };
        let needed = needed.as_ref().expect("what was done was asked for");
        let all = machines(owners.iter().chain(fallbacks), world);
        let datacenters = world.datacenters();
        let count = |among| {
            let there = owners.iter().filter(|&&owner| datacenters.is_among(among, owner));
            match mode {
                // A fallback may have answered for an owner anywhere.
                Mode::Sloppy => machines(there.chain(fallbacks), world),
                Mode::Strict => machines(there, world),
            }
        };
        let wrong = if !are_distinct(owners) || !are_distinct(fallbacks) {
            "somebody was counted twice"
        } else if owners.iter().any(|owner| !real.contains(owner)) {
            "somebody was counted as an owner that is none"
        } else if all != *said {
            "the machines were counted wrong"
        } else if !needed.are_reached(count) {
            "too few machines that count"
        } else {
            return;
        };
        self.findings.violated_about(
            || history.subject([]),
            || {
                let Operation { number, coordinator, .. } = operation;
                format!(
                    "an operation on {:?} was answered by others than it should be: {wrong}\n  \
                 operation: {number} through {} at {}, {} of {} asked for\n  \
                 counted:   owners {} and fallbacks {}, on {said} machines\n  owners:    {}",
                    history.key,
                    names.node(*coordinator),
                    when(at),
                    match mode {
                        Mode::Sloppy => "sloppy",
                        Mode::Strict => "strict",
                    },
                    needed.words(datacenters),
                    names.nodes(owners),
                    names.nodes(fallbacks),
                    names.nodes(real),
                )
            },
        );
    }
}

fn machines<'a>(nodes: impl Iterator<Item = &'a NodeId>, disks: &impl Disks) -> usize {
    let machines: SmallVec<[_; 8]> = nodes.map(|&node| disks.machine(node)).collect();
    distinct(&machines)
}

fn are_distinct(nodes: &[NodeId]) -> bool {
    distinct(nodes) == nodes.len()
}

/// Counts the distinct items. They are few: each is compared with those behind it.
fn distinct<T: PartialEq>(all: &[T]) -> usize {
    all.iter().enumerate().filter(|(at, one)| !all[at + 1..].contains(one)).count()
}
