//! Check `order`: a later write overwrites the earlier one wherever that is promised, and the time
//! that a version is stamped with lies above all that its writer had seen.
//!
//! A plain `SET` in strict mode reads from R owners before it writes. With `R + W > N` it meets every
//! strict write that was acknowledged before it began, and so leaves no sibling of it. Whether it does
//! is judged when it is minted, by what its writer knew, and not by what is left on disks: a sibling
//! may be long gone when somebody reads.
//!
//! The hybrid time of a version decides where the last write wins. So it lies above those of all that
//! the writer had seen or overwrites, whatever any clock shows. And it lies no further ahead of the
//! coordinator's clock than times are adopted, unless it lies just above one of those: one wrong date
//! must not become that of everybody.

use std::sync::Arc;

use kv_core::time::HybridTime;
use kv_core::version::Dot;
use kv_core::write::Basis;

use super::Setting;
use super::ack::Standing;
use super::check::Check;
use super::datacenters::Datacenters;
use super::findings::Findings;
use super::history::{EventIndex, History, HistoryEvent, Minting, WriteRequest};
use super::occasions::WriteMint;
use super::story::{Names, when};

/// The `order` check.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The findings so far, counted in dots that were minted.
    findings: Findings,
    /// The data centers of the layout.
    datacenters: Arc<Datacenters>,
    /// The most by which a time is ahead of a clock and adopted, in milliseconds.
    ahead_ms_max: u64,
}

impl Check for Order {
    const NAME: &'static str = "order";
    const ABOUT: &'static str =
        "a strict SET overwrites all that was acknowledged before, and the times of writes rise";

    fn new(setting: &Setting) -> Self {
        let ahead_ms_max = setting.config.clock_ahead_ms;
        let datacenters = Arc::clone(&setting.datacenters);
        Self { findings: Findings::default(), datacenters, ahead_ms_max }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_minted(&mut self, mint: &WriteMint<'_>) {
        let &WriteMint { history, event, names, .. } = mint;
        // A dot that names another event is a matter of `causality`.
        let Ok(event) = event else { return };
        self.findings.examined += 1;
        self.compare_times(history, event, names);
        self.compare_with_clock(mint, event);
        if let Some(set) = history.write_of(event).asked_once() {
            self.look_for_siblings(history, event, set, names);
        }
    }
}

impl Order {
    /// Judges the time of a version by those that its writer had seen.
    fn compare_times(&mut self, history: &History, event: EventIndex, names: &Names) {
        let HistoryEvent { stamp, parents, .. } = history.event(event);
        let stamp_of = |parent: &EventIndex| history.event(*parent).stamp;
        let Some(&newest) = parents.iter().max_by_key(|parent| stamp_of(parent)) else { return };
        // Beyond the end of all time nothing rises.
        if stamp_of(&newest) >= *stamp && *stamp < HybridTime(u64::MAX) {
            self.findings.violated_about(
                || history.subject([newest, event]),
                || {
                    format!(
                        "the time of a version of {:?} does not lie above that of one which its writer \
                         had seen\n  \
                         seen:   {}, stamped {}\n  then:   {}, stamped {}",
                        history.key,
                        history.describe(history.event(newest).write, names),
                        shown(stamp_of(&newest)),
                        history.describe(history.event(event).write, names),
                        shown(*stamp),
                    )
                },
            );
        }
    }

    /// Judges the time of a version that lies far ahead of the clock of its coordinator.
    fn compare_with_clock(&mut self, mint: &WriteMint<'_>, event: EventIndex) {
        let &WriteMint { history, minting, container, date: Some(date), names, .. } = mint else {
            return;
        };
        let Minting { stamp, dot, basis, replaced, .. } = minting;
        // The count within the millisecond may carry into the next.
        if stamp.ms() <= date.as_ms() + self.ahead_ms_max + 1 {
            return;
        }
        let (Basis::Given(context) | Basis::Held(context)) = basis;
        let stamp_of = |dot: &Dot| history.named(*dot).map(|event| history.event(event).stamp);
        let beside = container.siblings().iter().filter(|(sibling, _)| *sibling != dot);
        let known = beside
            .map(|(_, version)| version.time)
            .chain(replaced.iter().filter_map(stamp_of))
            .chain([context.time, history.event(event).stamp_known]);
        let known = known.max().unwrap_or_default();
        if stamp > known.next() {
            self.findings.violated_about(
                || history.subject([event]),
                || {
                    format!(
                        "a version of {:?} is stamped ahead of the coordinator's clock for no reason\n  \
                         write:   {}, stamped {}\n  clock:   {} ms at most; {} ms ahead of it are adopted\n  \
                         known:   {}",
                        history.key,
                        history.describe(history.event(event).write, names),
                        shown(stamp),
                        date.as_ms(),
                        self.ahead_ms_max,
                        shown(known),
                    )
                },
            );
        }
    }

    /// Looks for writes that a `SET` must overwrite, and of which its writer did not know when it was
    /// minted.
    fn look_for_siblings(
        &mut self,
        history: &History,
        event: EventIndex,
        set: &WriteRequest,
        names: &Names,
    ) {
        let Some(reads) = &set.strict_reads else { return };
        let promised = |earlier: &EventIndex| {
            let ack = history.write_of(*earlier).ack.as_ref();
            ack.is_some_and(|ack| ack.binds(set.step, reads, &self.datacenters))
        };
        let missed: Vec<_> = history.unknown_to(event).filter(promised).collect();
        for earlier in history.without_twins(&[event], missed) {
            match history.write_of(earlier).standing {
                Standing::Whole => {
                    let story =
                        || sibling(history, (earlier, event), set, &self.datacenters, names);
                    self.findings.violated_about(|| history.subject([earlier, event]), story);
                }
                Standing::Weak | Standing::Excused => self.findings.weakened += 1,
            }
        }
    }
}

fn sibling(
    history: &History,
    (earlier, event): (EventIndex, EventIndex),
    set: &WriteRequest,
    datacenters: &Datacenters,
    names: &Names,
) -> String {
    let write = history.event(earlier).write;
    let ack = history.write(write).ack.as_ref().expect("only promised writes are missed");
    format!(
        "a strict SET of {:?} left as a sibling what was acknowledged before it began\n  \
         earlier: {}\n  acked:   at {} by {} (W = {})\n  \
         then:    {}, asked for at {} (R = {})",
        history.key,
        history.describe(write, names),
        when(ack.at),
        names.nodes(ack.owners()),
        ack.quorum.words(datacenters),
        history.describe(history.event(event).write, names),
        when(set.at),
        set.strict_reads.as_ref().map_or_else(String::new, |reads| reads.words(datacenters)),
    )
}

/// A hybrid time, as its milliseconds and its count within the millisecond.
fn shown(time: HybridTime) -> String {
    format!("{} ms + {}", time.ms(), time.0 & 0xffff)
}
