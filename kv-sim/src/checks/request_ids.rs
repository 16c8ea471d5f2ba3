//! Check `request-ids`: a replica that knows the id of a request answers with its dot and mints
//! none.
//!
//! Takes the storage commands that mint, with what each left. A replica knows an id for a key in
//! two ways (semantics.md §1). A version that it made stands in what the replica holds. Or it is one
//! of the last `recent_requests` ids that this process minted for in the partition, and what the
//! replica holds accounts for the dot. It remembers neither fewer nor more.
//!
//! A retry of which neither is true is minted again. Then the twin may stand beside what has
//! overwritten the first: that is the limit of what is promised, and is counted as weakened.

use std::collections::BTreeMap;

use kv_core::event::Event;
use kv_core::store::{
    Answer as StoreAnswer, Command, HandoffAnswer, Mint, MintedWrite, ReplicaAction, ReplicaAnswer,
    ReplicaCommand, ReplicaDone,
};
use kv_core::types::{NodeId, PartitionId, RequestId};
use kv_core::version::{Container, Dot, Version};

use super::check::Check;
use super::findings::Findings;
use super::history::{EventIndex, History, WriteIndex};
use super::occasions::{ChangeKind, Execution, NodeChange};
use super::per_key::PerKey;
use super::story::{Names, when};
use super::{Setting, WorldView};

/// The `request-ids` check.
#[derive(Clone, Debug)]
pub(super) struct RequestIds {
    /// The findings so far, counted in mints that were asked for.
    findings: Findings,
    /// The number of ids that a process remembers in each partition.
    recent_requests: u64,
    nodes: BTreeMap<NodeId, Lives>,
    /// The number of ids that each node has taken note of in each partition.
    noted: BTreeMap<(NodeId, PartitionId), u64>,
    /// The notes of each key's events, in the order of minting.
    notes: PerKey<Vec<NotedMint>>,
}

/// The number of times that a node lost what it remembers, or what it held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lives {
    /// The number of times that its process ended.
    process: u32,
    /// The number of times that it lost or gave away records.
    store: u32,
}

/// The note that a process takes of a dot that it minted.
#[derive(Clone, Copy, Debug, Default)]
struct NotedMint {
    /// The lives of the node when it minted.
    lives: Lives,
    /// The number of ids that it had noted in the partition then, this one among them.
    number: u64,
}

/// A storage command that mints, as it was executed.
struct ExecutedMint<'a> {
    node: NodeId,
    partition: PartitionId,
    history: &'a History,
    write: WriteIndex,
    request: RequestId,
    container: &'a Container,
    dot: Dot,
}

impl Check for RequestIds {
    const NAME: &'static str = "request-ids";
    const ABOUT: &'static str =
        "a replica that knows a request's id answers with its dot and mints none";

    fn new(setting: &Setting) -> Self {
        Self {
            findings: Findings::default(),
            recent_requests: setting.config.recent_requests,
            nodes: BTreeMap::new(),
            noted: BTreeMap::new(),
            notes: PerKey::default(),
        }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
        let &mut Execution { at, node, command, outcome, ref histories, world, names, .. } =
            execution;
        let is_loss = |event: &Event| matches!(event, Event::HintDropped { .. });
        if !outcome.corrupt.is_empty()
            || outcome.events.iter().any(is_loss)
            || gives_hints_away(&outcome.answer)
        {
            self.nodes.entry(node).or_default().store += 1;
        }
        let (
            Command::Replica(ReplicaCommand { action: ReplicaAction::Mint(mint), .. }),
            StoreAnswer::Replica(ReplicaAnswer { result: Ok(ReplicaDone::Minted(minted)), .. }),
        ) = (&command.command, &outcome.answer)
        else {
            return;
        };
        let Mint { key, request, .. } = &**mint;
        let Some((place, write)) = histories.write(*request, key) else { return };
        let (history, partition) = (histories.at(place), world.partition_of(key));
        let MintedWrite { dot, container, .. } = minted;
        let (request, dot) = (*request, *dot);
        let mint = ExecutedMint { node, partition, history, write, request, container, dot };
        self.findings.examined += 1;
        let was_minted = outcome.events.iter().any(|event| matches!(event, Event::Minted { .. }));
        let broken = if was_minted { self.on_minted_now(&mint) } else { self.on_known(&mint) };
        if let Some(broken) = broken {
            let story = || story(&mint, broken, &when(at), names);
            self.findings.violated_about(|| history.subject_of(write), story);
        }
    }

    fn on_node_change(&mut self, &NodeChange { node, change }: &NodeChange) {
        let lives = self.nodes.entry(node).or_default();
        match change {
            ChangeKind::Stops => lives.process += 1,
            ChangeKind::LosesData(_) => lives.store += 1,
            ChangeKind::ClockStands(_)
            | ChangeKind::ClockRuns(_)
            | ChangeKind::ClockStrays(_)
            | ChangeKind::Starts(_)
            | ChangeKind::Pauses(_)
            | ChangeKind::Wakes(_)
            | ChangeKind::Rots(..) => {}
        }
    }
}

impl RequestIds {
    /// Judges a dot that was minted for a request, and takes note of it. Returns the rule that is
    /// broken, if one is.
    fn on_minted_now(&mut self, mint: &ExecutedMint<'_>) -> Option<&'static str> {
        let lives = self.lives(mint.node);
        let earlier = &mint.history.write(mint.write).events;
        let mut remembered = earlier.iter().filter_map(|&event| self.remembered(mint, event));
        let remembered = remembered.next_back();
        let is_standing =
            |(dot, version): &(Dot, Version)| *dot != mint.dot && version.request == mint.request;
        let broken = if mint.container.siblings().iter().any(is_standing) {
            Some("a version of it stood where it was minted again")
        } else if remembered.is_some_and(|note| note.lives == lives) {
            Some("it had minted for it, and had no reason to forget that")
        } else {
            None
        };
        self.findings.weakened += u64::from(!earlier.is_empty() && broken.is_none());

        // What is in its memory stays in its place there.
        let number = remembered.map_or_else(
            || {
                let noted = self.noted.entry((mint.node, mint.partition)).or_default();
                *noted += 1;
                *noted
            },
            |note| note.number,
        );
        let notes = self.notes.get_mut(mint.history);
        notes.resize(mint.history.minted() + 1, NotedMint::default());
        notes[mint.history.minted()] = NotedMint { lives, number };
        broken
    }

    /// Judges the answer of a replica that knew the request. Returns the rule that is broken, if one
    /// is.
    fn on_known(&self, mint: &ExecutedMint<'_>) -> Option<&'static str> {
        let ExecutedMint { history, write, container, dot, .. } = *mint;
        let event = history.named(dot).filter(|&event| history.event(event).write == write);
        let Some(event) = event else { return Some("the dot that it answers is of another write") };
        if container.get(dot).is_some() {
            return None;
        }
        let is_forgotten = self.remembered(mint, event).is_none();
        is_forgotten.then_some("it remembers more ids than `recent_requests` says")
    }

    /// The note of an event, if it is in the memory of the process that is asked to mint.
    fn remembered(&self, mint: &ExecutedMint<'_>, event: EventIndex) -> Option<NotedMint> {
        let &ExecutedMint { node, partition, history, .. } = mint;
        let note = *self.notes.get(history)?.get(event as usize)?;
        let noted_later = self.noted.get(&(node, partition))?.checked_sub(note.number)?;
        let is_there = history.event(event).by == node
            && note.lives.process == self.lives(node).process
            && noted_later < self.recent_requests;
        is_there.then_some(note)
    }

    fn lives(&self, node: NodeId) -> Lives {
        self.nodes.get(&node).copied().unwrap_or_default()
    }
}

/// Tells whether a storage command may have deleted hints.
fn gives_hints_away(answer: &StoreAnswer) -> bool {
    match answer {
        StoreAnswer::Handoff(HandoffAnswer::Dropped { result: Ok(_), .. }) => true,
        StoreAnswer::Handoff(HandoffAnswer::Read { result: Ok(batch), .. }) => batch.left.is_some(),
        _ => false,
    }
}

fn story(mint: &ExecutedMint<'_>, broken: &str, at: &str, names: &Names) -> String {
    let ExecutedMint { node, history, write, dot, .. } = *mint;
    format!(
        "{} treats the id of a request for {:?} as it must not: {broken}\n  asked:  at {at}, and \
         answers {}\n  write:  {}",
        names.node(node),
        history.key,
        names.dot(dot),
        history.describe(write, names),
    )
}
