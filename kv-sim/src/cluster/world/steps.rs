//! Faults that do more than begin and end: partitions that come and go, links of one node after
//! another that are clogged and let go.

use kv_core::time::Span;

use super::World;
use crate::cluster::event_queue::SimEvent;
use crate::cluster::network::RuleName;
use crate::random::address::{Address, Aspect};
use crate::scenario::{ClogOrder, Fault, FaultKind, NodeIndex, Partition};
use crate::story::digest::Tag;

/// A step of a fault between its beginning and its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The links of a node are clogged.
    Clog(NodeIndex),
    /// The links of a node are let go.
    Unclog(NodeIndex),
}

impl World {
    /// Takes one of the steps of a fault, unless the fault has ended.
    #[cold]
    #[inline(never)]
    pub(super) fn step_fault(&mut self, name: RuleName, step: u32) {
        let Some(at) = self.chaos.position(name) else { return };
        let (fault, _) = name;
        let kind = self.chaos.faults[fault as usize].kind.clone();
        self.scene.changed_at = self.scene.now;
        if let FaultKind::Partition(Partition { flap: Some(flap), .. }) = &kind {
            self.flap(name, step, &kind);
            self.plan_flap(name, step + 1, *flap);
            return;
        }
        let step = self.chaos.active[at].steps[step as usize];
        let (tag, verb, node) = match step {
            Step::Clog(node) => {
                self.scene.network.clog(name, node);
                (Tag::FaultBegins, "clogs", node)
            }
            Step::Unclog(node) => {
                self.scene.network.unclog(name, node);
                self.let_go(ClogOrder::Sent);
                (Tag::FaultEnds, "lets go", node)
            }
        };
        self.note(tag, fault, &[node]);
        self.tell_of_moment(format!("{} {verb}: {}", kind.name(), self.scene.name(node)));
    }

    /// Lets a partition that flaps go at steps of an even number, and come again at the others.
    fn flap(&mut self, name: RuleName, step: u32, kind: &FaultKind) {
        let (tag, verb) = if step.is_multiple_of(2) {
            self.scene.network.end(name);
            (Tag::FaultEnds, "goes")
        } else {
            self.scene.network.begin(name, kind);
            *self.tally.faults.entry(kind.name()).or_default() += 1;
            (Tag::FaultBegins, "comes again")
        };
        self.note(tag, name.0, &[]);
        self.tell_of_moment(format!(
            "{} {verb}: {}",
            kind.name(),
            kind.describe(&self.scene.cluster)
        ));
    }

    /// Plans the steps of a fault between its beginning and its end.
    pub(super) fn plan_steps(
        &mut self,
        name: RuleName,
        kind: &FaultKind,
        victims: &[NodeIndex],
    ) -> Vec<Step> {
        if let FaultKind::Partition(Partition { flap: Some(flap), .. }) = kind {
            self.plan_flap(name, 0, *flap);
        }
        if let FaultKind::Swizzle(_) = kind {
            return self.plan_swizzle(name, victims);
        }
        Vec::new()
    }

    fn plan_flap(&mut self, (fault, occurrence): RuleName, step: u32, flap: Span) {
        let turn = self.draws.next(&Address::Fault { fault: fault as usize });
        let after = Span(flap.0 / 2) + self.draws.up_to(turn, Aspect::Flap, flap);
        let step = SimEvent::FaultStep { fault, occurrence, step };
        self.event_queue.plan(self.scene.now + after, step);
    }

    /// Plans a clog of each victim at a time of its own in the first half of the fault, and its end
    /// at another time in the second half.
    fn plan_swizzle(&mut self, (fault, occurrence): RuleName, victims: &[NodeIndex]) -> Vec<Step> {
        let Fault { from, until, .. } = self.chaos.faults[fault as usize];
        let half = Span((until.expect("a swizzle ends") - from).0 / 2);
        let mut steps = Vec::new();
        for &node in victims {
            let turn = self.draws.next(&Address::Fault { fault: fault as usize });
            let clogged = self.draws.up_to(turn, Aspect::Clog, half);
            let let_go = half + self.draws.up_to(turn, Aspect::Unclog, half);
            for (after, step) in [(clogged, Step::Clog(node)), (let_go, Step::Unclog(node))] {
                let number = u32::try_from(steps.len()).expect("few steps");
                let what = SimEvent::FaultStep { fault, occurrence, step: number };
                self.event_queue.plan(self.scene.now + after, what);
                steps.push(step);
            }
        }
        steps
    }
}
