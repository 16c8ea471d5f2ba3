//! Check `bounds`: what grows has an end.
//!
//! Vectors hold nothing but events that were minted for their key: one that names others would grow
//! with every process that ever ran. Hints stay near their limits, and so do the operations that a
//! coordinator works on. A replica takes no value that is too long, and mints no sibling beyond the
//! limit; but copies that are joined may have more, as a fallback that has delivered its hint holds
//! nothing again. The work that operations cause is counted in merges, as `merges` says, and in owners
//! that are asked to be read, as `readers` says.

use std::collections::BTreeMap;

use kv_core::config::Config;
use kv_core::event::Event;
use kv_core::store::{Answer, Command, ReplicaAction, ReplicaAnswer, ReplicaCommand, ReplicaDone};
use kv_core::types::NodeId;
use kv_core::version::Container;

use super::check::Check;
use super::datacenters::Among;
use super::findings::Findings;
use super::history::History;
use super::merges::{Merges, TooManyMerges};
use super::occasions::{
    ChangeKind, Execution, KeyEnd, KeyLoss, NodeChange, NodeLoad, OperationEnd, OperationEnding,
    RunEnd,
};
use super::readers::{Readers, TooManyReaders};
use super::story::{Names, when};
use super::{DISK_FLOOR, Setting, TRIP_FLOOR, WorldView};

/// The number of hints that may exceed a limit, each as large as the largest: an admitted hint
/// counts only once it is executed, so those in flight come on top.
const IN_FLIGHT: u64 = 64;

/// The `bounds` check.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// The findings so far, counted in containers, in dots that were minted, and in looks at nodes.
    findings: Findings,
    /// The configuration of all nodes, which says what the limits are.
    config: Config,
    /// The number of owners of a key.
    n: u64,
    /// True if no fault is at work in the run, and no message has a misfortune.
    is_untroubled: bool,
    /// The most merges because of comparisons, if the scenario says so.
    comparison_merges_max: Option<u64>,
    /// The merges so far.
    merges: Merges,
    /// The owners that reads asked so far.
    readers: Readers,
}

impl Check for Bounds {
    const NAME: &'static str = "bounds";
    const ABOUT: &'static str = "version vectors, hints and open work never outgrow their limits";

    fn new(setting: &Setting) -> Self {
        let &Setting { ref config, is_untroubled, comparison_merges_max, .. } = setting;
        Self {
            findings: Findings::default(),
            config: config.clone(),
            n: setting.datacenters.copies(Among::All) as u64,
            is_untroubled,
            comparison_merges_max,
            merges: Merges::default(),
            readers: Readers::default(),
        }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_node_change(&mut self, change: &NodeChange) {
        if change.change == ChangeKind::Stops {
            self.merges.on_stop();
        }
    }

    fn before_loss(&mut self, loss: &mut KeyLoss<'_, impl WorldView>) {
        if *loss.before != loss.left.container {
            self.merges.on_loss();
        }
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        self.merges.on_end(end);
        self.readers.on_end(end.operation);
        match &end.ending {
            OperationEnding::Value(answer) | OperationEnding::Stored(_, answer) => {
                self.judge(end.history, answer.container, end.names);
            }
            OperationEnding::Refused(_) | OperationEnding::Unknown => {}
        }
    }

    fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
        self.merges.on_execution(execution);
        self.readers.on_execution(execution.command);
        let &mut Execution { at, node, command, outcome, names, .. } = execution;
        let (
            Command::Replica(ReplicaCommand { action: ReplicaAction::Mint(mint), .. }),
            Answer::Replica(ReplicaAnswer { result: Ok(ReplicaDone::Minted(minted)), .. }),
        ) = (&command.command, &outcome.answer)
        else {
            return;
        };
        let is_new = outcome.events.iter().any(|event| matches!(event, Event::Minted { .. }));
        let Config { siblings_max, value_bytes_max, .. } = self.config;
        let siblings = minted.container.siblings().len() as u64;
        let length = mint.write.content.value().map_or(0, |value| value.len() as u64);
        self.findings.examined += 1;
        if is_new && (siblings > siblings_max || length > value_bytes_max) {
            self.findings.violated(|| {
                format!(
                    "{} minted for {:?} at {} what is beyond a limit\n  siblings: {siblings}, of \
                     {siblings_max} allowed\n  value:    {length} bytes, of {value_bytes_max} allowed",
                    names.node(node),
                    mint.key,
                    when(at),
                )
            });
        }
    }

    fn on_load(&mut self, load: &NodeLoad<'_>) {
        let &NodeLoad { at, node, load, names } = load;
        self.findings.examined += 1;
        let Config { requests_max, hint_bytes_per_target, hint_bytes_total, .. } = self.config;
        if load.requests > requests_max {
            self.findings.violated(|| {
                format!(
                    "{} works on {} operations at {}; the limit is {requests_max}",
                    names.node(node),
                    load.requests,
                    when(at),
                )
            });
        }
        let largest = load.hints.iter().map(|hints| hints.largest).max().unwrap_or(0);
        let slack = largest.saturating_mul(IN_FLIGHT);
        let mut over = |bytes: u64, of: String, limit: u64| {
            if bytes > limit.saturating_add(slack) {
                self.findings.violated(|| {
                    format!(
                        "{} keeps {bytes} bytes of hints for {of} at {}; the limit is {limit}, and \
                         what was in flight may add {slack}",
                        names.node(node),
                        when(at),
                    )
                });
            }
        };
        let mut by_target: BTreeMap<NodeId, u64> = BTreeMap::new();
        for hints in &load.hints {
            *by_target.entry(hints.target).or_default() += hints.bytes;
        }
        for (target, bytes) in by_target {
            over(bytes, names.node(target), hint_bytes_per_target);
        }
        let total = load.hints.iter().map(|hints| hints.bytes).sum();
        over(total, "all others".to_owned(), hint_bytes_total);
    }

    fn at_end_of_key(&mut self, end: &KeyEnd<'_, impl WorldView>) {
        for (_, container) in end.copies {
            self.judge(end.history, container, end.names);
        }
    }

    fn at_end(&mut self, end: &RunEnd<'_, impl WorldView>) {
        self.findings.examined += 1;
        let is_calm = self.is_untroubled && end.pace.was_quick() && self.is_patient();
        let too_many = self.readers.too_many().filter(|_| is_calm);
        if let Some(TooManyReaders { asked, needed, limit }) = too_many {
            self.findings.violated(|| {
                format!(
                    "reads asked owners {asked} times, and needed {needed} answers\n  a read asks as \
                     many as it needs, and in a calm run one in ten asks one more: {limit} are plenty"
                )
            });
        }
        let by_comparisons = self.merges.too_many_by_comparisons(self.comparison_merges_max);
        let too_many = self.merges.too_many(self.n, &self.config, is_calm);
        for TooManyMerges { by, merges, limit } in too_many.into_iter().chain(by_comparisons) {
            let (operations, all) = self.merges.total();
            self.findings.violated(|| {
                format!(
                    "{merges} containers were joined into copies of owners because of {by}; at most \
                     {limit} can have been caused, with {} owners of a key\n  of {all} merges in \
                     all, for {operations} operations",
                    self.n,
                )
            });
        }
    }
}

impl Bounds {
    /// Tells whether operations wait so long before they hedge that in a run in which nothing was
    /// slow none does.
    fn is_patient(&self) -> bool {
        self.config.hedge() >= (TRIP_FLOOR + DISK_FLOOR).times(4)
    }

    /// Judges a container that was shown, or that stands in the end.
    fn judge(&mut self, history: &History, container: &Container, names: &Names) {
        self.findings.examined += 1;
        let strange = |&(actor, n): &(_, u64)| n > history.minted_by(actor);
        if let Some((actor, n)) = container.seen().iter().find(strange) {
            self.findings.violated_about(|| history.subject([]), || {
                format!(
                    "the vector of {:?} accounts for {n} events of {}, epoch {}, who minted {} for \
                     that key",
                    history.key,
                    names.node(actor.node),
                    actor.epoch,
                    history.minted_by(actor),
                )
            });
        }
    }
}
