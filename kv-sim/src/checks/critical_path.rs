//! The longest way that an operation may have to go until it succeeds, one thing after the other, given
//! how each node responds.
//!
//! Of a write owners are asked at once; of a read as many as are needed, another one for each that
//! refuses, and all that are left when half the time is over. Before that, whether another one is asked
//! for one that is silent is a matter of a budget. Whoever does not answer is waited for, for a hedge
//! delay, before a fallback is asked, and the delay doubles each time; whoever refuses costs only the
//! way there and back.
//! So an operation is owed success as soon as its time is long enough for the worst order in which
//! silent nodes can be asked. Once the coordinator knows them for down they are asked last.

use kv_core::quorum::Mode;
use kv_core::types::NodeId;

use super::WorldView;
use super::counted_sets::CountedSets;
use super::operation::Terms;
use super::responses::{NodeResponse, Response, Responses};

/// The most that an operation needs to succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CriticalPath {
    /// The number of messages from one node to another.
    pub(super) trips: usize,
    /// The number of storage commands.
    pub(super) commands: u32,
    /// The number of hedge delays, each as long as the first.
    pub(super) hedges: u64,
    /// True if half the time is over before all readers are asked.
    pub(super) is_late: bool,
}

/// The nodes that come before the ones that do their part.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    /// The number of nodes that do not answer, and are waited for.
    silent: usize,
    /// The number of nodes that refuse.
    refusing: usize,
}

impl CriticalPath {
    /// The way of an operation on these terms; none, if not enough nodes do their part. A coordinator
    /// `is_slow` if its messages may take longer than those who mint take for fresh.
    pub(super) fn of(
        terms: &Terms,
        coordinator: NodeId,
        responses: &Responses,
        is_slow: bool,
        world: &impl WorldView,
    ) -> Option<Self> {
        let mut path = Self::default();
        let mode = terms.mode;
        if let Some(reads) = &terms.reads {
            path.ask_for_silent_readers(responses);
            path.ask_owners(mode, reads, responses, |response| response.reads, world)?;
            // The only answer may be in doubt until the first hedge.
            path.hedges += u64::from(reads.ask_for_one());
            if terms.monotonic && terms.writes.is_none() {
                let standing = reads.standing(world.datacenters());
                path.ask_owners(mode, &standing, responses, |response| response.holds, world)?;
            }
        }
        if let Some(writes) = &terms.writes {
            path.mint(mode, coordinator, responses, is_slow)?;
            path.ask_owners(mode, writes, responses, |response| response.holds, world)?;
        }
        Some(path)
    }

    /// Asks one owner after another in the place of those that refuse to be read, and all when half the
    /// time is over, as some are silent.
    fn ask_for_silent_readers(&mut self, responses: &Responses) {
        let owners = Others::of(responses.of(true).map(|response| response.reads));
        self.is_late = owners.silent > 0;
        self.ask(Others { silent: 0, refusing: owners.refusing });
    }

    /// Asks all owners at once, and fallbacks where they do not suffice; none, if these do not
    /// either.
    fn ask_owners(
        &mut self,
        mode: Mode,
        sets: &CountedSets,
        responses: &Responses,
        part: impl Fn(&NodeResponse) -> Response + Copy,
        world: &impl WorldView,
    ) -> Option<()> {
        self.ask(Others::default());
        if responses.reach(sets, part, false, world) {
            return Some(());
        }
        let fallbacks_count = mode == Mode::Sloppy;
        if !fallbacks_count || !responses.reach(sets, part, true, world) {
            return None;
        }
        let owners = Others::of(responses.of(true).map(part));
        let others = Others::of(responses.of(false).map(part));
        // All silent owners are waited for together, and then for each of them one fallback at a
        // time: also for the next one, if one counts for nothing.
        self.ask(Others {
            silent: usize::from(owners.silent > 0) + others.silent + responses.in_vain(part, world),
            refusing: owners.refusing + others.refusing,
        });
        Some(())
    }

    /// Asks one node after another to mint; none, if nobody does.
    fn mint(
        &mut self,
        mode: Mode,
        coordinator: NodeId,
        responses: &Responses,
        is_slow: bool,
    ) -> Option<()> {
        let candidates: Vec<_> = responses
            .0
            .iter()
            .filter(|response| response.is_owner || mode == Mode::Sloppy)
            .collect();
        let does = |response: &&&NodeResponse| {
            response.mints == Response::Does && (response.is_owner || response.is_known_up)
        };
        let able: Vec<_> = candidates.iter().filter(does).collect();
        if able.is_empty() {
            return None;
        }
        if able.iter().any(|response| response.is_owner && response.node == coordinator) {
            self.ask(Others::default());
            return Some(());
        }
        let mut before = Others::of(candidates.iter().map(|response| response.mints));
        if !able.iter().any(|response| response.is_known_up) {
            // Those that seem down are asked in any order.
            let are_down = |response: &&&NodeResponse| response.mints == Response::Down;
            before.silent += candidates.iter().filter(are_down).count();
        }
        if mode == Mode::Sloppy {
            // The first one asked may find the request too old, and is asked once more. If it does
            // so again, another one is asked.
            before.silent += usize::from(is_slow);
            self.trips += 2;
        }
        self.ask(before);
        Some(())
    }

    /// Asks a node that does its part, after others that do not.
    fn ask(&mut self, Others { silent, refusing }: Others) {
        const DOUBLINGS_MAX: usize = 32;
        self.trips += 2 * (1 + refusing);
        self.commands += 1 + u32::try_from(refusing).unwrap_or(u32::MAX);
        self.hedges += (1 << silent.min(DOUBLINGS_MAX)) - 1;
    }
}

impl Others {
    fn of(responses: impl Iterator<Item = Response>) -> Self {
        let mut others = Self::default();
        for response in responses {
            match response {
                Response::Does | Response::Down => {}
                Response::Refuses => others.refusing += 1,
                Response::Silent => others.silent += 1,
            }
        }
        others
    }
}
