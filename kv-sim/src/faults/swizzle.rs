//! Swizzles: all links of nodes are clogged, one node after another, and let go in another order.

use kv_core::time::Span;
use toml::Table;

use super::{Change, ClogOrder, FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::random::address::Aspect;
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem};

/// A swizzle: all links of nodes are clogged, one node after another, and let go in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swizzle {
    /// The nodes whose links are clogged.
    pub victims: Victims,
}

impl Inject for Swizzle {
    const NAME: &'static str = "swizzle";
    const ABOUT: &'static str =
        "links of drawn nodes are clogged one after another, and let go in another order";
    const KEYS: &'static [KeyDoc] = victims::ANY_DOC;

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        Ok(Self { victims: Victims::parse_or_any(keys, cluster)? })
    }

    /// Draws nothing: the number of victims and the victims are drawn when it strikes.
    fn draw(_dice: Dice, _cluster: &DrawnCluster, _keys: &mut Table) {}

    fn describe(&self, cluster: &Cluster) -> String {
        self.victims.describe(cluster)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    /// Plans a clog of each victim at a time of its own in the first half of the fault, and its end
    /// at another time in the second half: the steps of an even number, and those after them.
    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        let half = Span(strike.lasts.expect("a swizzle must end").0 / 2);
        for (step, _) in (0..).step_by(2).zip(&strike.victims) {
            let draws = world.draws();
            let turn = draws.next(&strike.address());
            let clogged = draws.up_to(turn, Aspect::Clog, half);
            let let_go = half + draws.up_to(turn, Aspect::Unclog, half);
            world.plan_step(strike.name, step, clogged);
            world.plan_step(strike.name, step + 1, let_go);
        }
    }

    fn step(&self, world: &mut dyn Target, strike: &Strike, step: u32) {
        let node = strike.victims[step as usize / 2].node;
        let (change, verb) = if step.is_multiple_of(2) {
            world.clog(strike.name, node);
            (Change::Worse, "clogs")
        } else {
            world.unclog(strike.name, node);
            world.let_go(ClogOrder::Sent);
            (Change::Better, "lets go")
        };
        let what = format!("{} {verb}: {}", Self::NAME, world.cluster().name(node));
        world.tell_of_step(strike.name, change, &[node], what);
    }

    fn end(&self, world: &mut dyn Target, _strike: &Strike) {
        world.let_go(ClogOrder::Sent);
    }
}
