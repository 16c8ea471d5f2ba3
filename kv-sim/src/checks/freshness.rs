//! Check `freshness`: a strict read sees every strict write that was acknowledged before it began,
//! if `R + W > N` over the same owners: over all of them, or over those of one data center.

use kv_core::quorum::Mode;
use kv_core::time::Time;

use super::ack::{GivenAck, Standing};
use super::check::Check;
use super::counted_sets::CountedSets;
use super::datacenters::{Among, Datacenters};
use super::findings::Findings;
use super::history::{EventIndex, History};
use super::occasions::{OperationEnd, OperationEnding};
use super::operation::{Operation, Terms};
use super::story::{Names, when};
use super::{Setting, WorldView};

/// The `freshness` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Freshness {
    /// The findings so far, counted in strict reads.
    findings: Findings,
}

impl Check for Freshness {
    const NAME: &'static str = "freshness";
    const ABOUT: &'static str = "a strict read sees every write acknowledged before it began";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        let &mut OperationEnd {
            at, operation: read, ref history, ref ending, world, names, ..
        } = end;
        let OperationEnding::Value(answer) = ending else { return };
        let Terms { mode: Mode::Strict, reads: Some(reads), .. } = &read.terms else { return };
        self.findings.examined += 1;
        let datacenters = world.datacenters();
        let promised = |event: &EventIndex| {
            let ack = history.write_of(*event).ack.as_ref();
            ack.is_some_and(|ack| is_promised(ack, read, datacenters))
        };
        // An owner may have answered before it held what a fault took from another one meanwhile.
        let was_taken = history.taken_at.is_some_and(|taken_at| taken_at >= read.started);
        let missed: Vec<_> = answer.reach.unreached.iter().filter(promised).collect();
        for event in history.without_twins(&answer.reach.standing, missed) {
            match history.write_of(event).standing {
                Standing::Whole if !was_taken => {
                    let story = || story(history, event, (read, reads), at, datacenters, names);
                    self.findings.violated_about(|| history.subject([event]), story);
                }
                Standing::Whole | Standing::Weak | Standing::Excused => {
                    self.findings.weakened += 1;
                }
            }
        }
    }
}

/// Tells whether a read must see a write with this acknowledgement.
pub(super) fn is_promised(ack: &GivenAck, read: &Operation, datacenters: &Datacenters) -> bool {
    let Terms { mode, reads, .. } = &read.terms;
    let binds = |reads| ack.binds(read.step, reads, datacenters);
    *mode == Mode::Strict && reads.as_ref().is_some_and(binds)
}

fn story(
    history: &History,
    event: EventIndex,
    (read, reads): (&Operation, &CountedSets),
    at: Time,
    datacenters: &Datacenters,
    names: &Names,
) -> String {
    let write = history.event(event).write;
    let ack = history.write(write).ack.as_ref().expect("only promised writes are missed");
    let Operation { number, coordinator, started, .. } = read;
    format!(
        "a strict read of {:?} missed a write that was acknowledged before it began\n  \
         write:  {}\n  acked:  at {} by {} (W = {} of {})\n  \
         read:   operation {number} through {} from {} to {} (R = {})",
        history.key,
        history.describe(write, names),
        when(ack.at),
        names.nodes(ack.owners()),
        ack.quorum.words(datacenters),
        datacenters.copies(Among::All),
        names.node(*coordinator),
        when(*started),
        when(at),
        reads.words(datacenters),
    )
}
