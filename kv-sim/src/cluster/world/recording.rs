//! Reports from the world to its recorder. Nothing here does any work while there is none: code for
//! it lies out of line.

use kv_core::client::{PutContext, Reply, Verb};
use kv_core::event::{EpochReason, Event};
use kv_core::message::{Body, Message};
use kv_core::store::{
    Command, CommandFamily as _, Outcome, ReplicaAction, ReplicaCommand, StoreCommand, Written,
};
use kv_core::types::{Key, NodeId, PartitionId};
use kv_core::version::{Container, Content, Dot};

use super::messages::InTransit;
use super::{Phase, World, hint_notes, message_content};
use crate::checks::{Disks as _, WhichImage};
use crate::cluster::client::Ended;
use crate::cluster::scene::Scene;
use crate::faults::{FaultKind, RuleName};
use crate::scenario::NodeIndex;
use crate::story::history::OperationLog;
use crate::story::record::fact::{
    ClientVerb, Copy, CopyChange, Note, NoteSort, RecordedEnding, RecordedFault, RecordedMessage,
    RecordedOperation, RecordedWrite, WriteContext,
};
use crate::story::record::{Record, Recorder};

/// The number of bytes of a value that are kept.
const VALUE_BYTES_MAX: usize = 24;

impl World {
    /// Starts to report to this recorder.
    pub fn record(&mut self, mut recorder: Recorder) {
        recorder.on_phase(self.scene.now, self.phase.name());
        self.recorder = Some(Box::new(recorder));
        for node in self.scene.cluster.clone().indices() {
            self.record_clocks(node);
            self.record_copies(node);
        }
    }

    /// Ends the recording and takes the record; none, if nothing was recorded.
    pub fn take_record(&mut self) -> Option<Record> {
        for node in self.scene.cluster.clone().indices() {
            self.record_clocks(node);
        }
        Some(self.recorder.take()?.finish(self.scene.now))
    }

    /// Starts to log what clients ask and are told.
    pub fn log_operations(&mut self) {
        self.log = Some(Box::default());
    }

    /// Ends the logging and takes the log; none, if nothing was logged.
    pub fn take_log(&mut self) -> Option<OperationLog> {
        self.log.take().map(|log| *log)
    }

    /// Records that a message is read by its addressee.
    pub(super) fn record_received(&mut self, message: Option<RecordedMessage>, body: &Body) {
        if let (Some(recorder), Some(message)) = (&mut self.recorder, message) {
            rarely(|| {
                let content = message_content::of(body, recorder.focus(), &self.scene);
                recorder.on_message(RecordedMessage { content, ..message }, body.keys());
            });
        }
    }

    /// Records what a node has sent to itself with its last input: it is read in the same moment.
    pub(super) fn record_own_messages(&mut self, node: NodeIndex) {
        let Some(recorder) = &mut self.recorder else { return };
        rarely(|| {
            let now = self.scene.now;
            let process = self.scene.nodes[node.0].process_mut();
            let own = process.map(|process| process.core.take_own_messages()).unwrap_or_default();
            for Message { header, body } in own {
                let fact = RecordedMessage {
                    from: node,
                    to: node,
                    kind: body.kind(),
                    request: header.request,
                    sent: now,
                    ended: now,
                    lost: None,
                    key: None,
                    content: message_content::of(&body, recorder.focus(), &self.scene),
                };
                recorder.on_message(fact, body.keys());
            }
        });
    }

    /// Records that a message is lost.
    pub(super) fn record_lost(&mut self, message: &InTransit, how: &'static str) {
        let Some(recorder) = &mut self.recorder else { return };
        let fact = RecordedMessage { lost: Some(how), ..message.as_fact(self.scene.now) };
        rarely(|| {
            let body = message.read().map(|message| message.body);
            let content =
                body.as_ref().map(|body| message_content::of(body, recorder.focus(), &self.scene));
            let fact = RecordedMessage { content: content.unwrap_or_default(), ..fact };
            recorder.on_message(fact, body.iter().flat_map(Body::keys));
        });
    }

    /// Records that a client begins an operation. `seen` are the siblings that it was shown and may
    /// overwrite.
    pub(super) fn record_begun(&mut self, client: u32, number: u32, seen: &[Dot]) {
        let Some(recorder) = &mut self.recorder else { return };
        rarely(|| {
            let (Some(node), Some(asked)) =
                (self.clients.whom(client, number), self.clients.asks(client, number))
            else {
                return;
            };
            let words = match &asked.verb {
                Verb::Get => (ClientVerb::Get, None),
                Verb::Put { content, context, .. } => {
                    let verb = shortened(content).map_or(ClientVerb::Delete, ClientVerb::Put);
                    let context = match context {
                        PutContext::Nothing => WriteContext::Nothing,
                        PutContext::Token(_) => WriteContext::Shown(seen.to_vec()),
                        PutContext::Latest(_) => WriteContext::Latest(seen.to_vec()),
                    };
                    (verb, Some(context))
                }
            };
            let operation = RecordedOperation::begun(
                self.scene.now,
                (client, number),
                node,
                asked.key.clone(),
                words,
            );
            recorder.on_begun(operation, asked.options.request);
        });
    }

    /// Records that an operation has ended for its client.
    pub(super) fn record_ended(&mut self, client: u32, ended: &Ended) {
        if self.recorder.is_some() {
            rarely(|| self.tell_ended(client, ended));
        }
    }

    fn tell_ended(&mut self, client: u32, ended: &Ended) {
        let Some(recorder) = &mut self.recorder else { return };
        let scene = &self.scene;
        let nodes = |ids: &[NodeId]| ids.iter().map(|&id| scene.index_of(id)).collect();
        let ending = match ended {
            Ended::Replied(
                Reply::Value { container, achieved, .. }
                | Reply::Stored { container, achieved, .. },
            ) => RecordedEnding::Answered {
                shown: container.dots().collect(),
                newest: newest(container),
                owners: nodes(&achieved.owners),
                fallbacks: nodes(&achieved.fallbacks),
            },
            Ended::Replied(Reply::Refused(refusal)) => RecordedEnding::Refused(refusal.to_string()),
            Ended::Replied(Reply::Unknown { achieved }) => {
                let heard = achieved.owners.iter().chain(&achieved.fallbacks);
                RecordedEnding::Unknown { heard: heard.map(|&id| scene.index_of(id)).collect() }
            }
            Ended::Unknown => RecordedEnding::Unknown { heard: Vec::new() },
            Ended::Unreachable => RecordedEnding::Unreachable,
        };
        recorder.on_ended(scene.now, client, ending);
    }

    /// Records that a disk has executed a command.
    pub(super) fn record_executed(
        &mut self,
        node: NodeIndex,
        command: &StoreCommand,
        outcome: &Outcome,
    ) {
        if self.recorder.is_some() {
            rarely(|| self.tell_executed(node, command, outcome));
        }
    }

    fn tell_executed(&mut self, node: NodeIndex, command: &StoreCommand, outcome: &Outcome) {
        let Some(recorder) = &mut self.recorder else { return };
        if matches!(self.phase, Phase::Check(_)) && !command.command.is_read() {
            // An idle cluster writes nothing.
            let text = format!("writes to its disk: {}", command.command.describe());
            let key = match command.command.written() {
                Written::Keys(keys) => keys.first().map(|&key| key.clone()),
                Written::Unknown => None,
            };
            let (at, partition) = (self.scene.now, Some(command.partition));
            recorder.on_note(Note {
                at,
                node: Some(node),
                text,
                key,
                partition,
                sort: NoteSort::Other,
            });
        }
        for (text, key) in hint_notes::of(command, outcome, recorder.focus(), &self.scene) {
            let (at, partition) = (self.scene.now, Some(command.partition));
            let sort = NoteSort::Other;
            recorder.on_note(Note { at, node: Some(node), text, key: Some(key), partition, sort });
        }
        if let Command::Replica(ReplicaCommand { action: ReplicaAction::Mint(mint), .. }) =
            &command.command
        {
            for event in &outcome.events {
                if let Event::Minted { key, dot, request, .. } = event
                    && let Some(key) = recorder.focus().position(key)
                {
                    let (at, value) = (self.scene.now, shortened(&mint.write.content));
                    let (id, name) = (self.scene.node(node).id, &recorder.focus().keys[key]);
                    let live = self.scene.copy(id, name, WhichImage::Live);
                    let stood = recorder.held(node, key).map(|held| held.live.clone());
                    let goes = |dot: &Dot| live.dots().all(|standing| standing != *dot);
                    let replaced = stood.unwrap_or_default().into_iter().filter(goes).collect();
                    let (dot, request) = (*dot, *request);
                    recorder.on_write(RecordedWrite {
                        dot,
                        key,
                        at,
                        node,
                        request,
                        value,
                        replaced,
                    });
                }
            }
        }
        let touched: Vec<_> = match command.command.written() {
            Written::Keys(keys) => {
                keys.into_iter().filter_map(|key| recorder.focus().position(key)).collect()
            }
            Written::Unknown => (0..recorder.focus().keys.len()).collect(),
        };
        for key in touched {
            self.record_copy(node, key);
        }
    }

    /// Records that the disk of a node may hold something else of any key.
    pub(super) fn record_copies(&mut self, node: NodeIndex) {
        let followed = self.recorder.as_ref().map_or(0, |recorder| recorder.focus().keys.len());
        for key in 0..followed {
            self.record_copy(node, key);
        }
    }

    /// Looks at the keys of which a node's copy was not durable when it was last seen, and may be
    /// now.
    pub(super) fn record_synced(&mut self, node: NodeIndex) {
        if self.recorder.is_some() {
            rarely(|| self.tell_synced(node));
        }
    }

    fn tell_synced(&mut self, node: NodeIndex) {
        let Some(recorder) = &self.recorder else { return };
        let is_fresh = |&key: &usize| {
            let held = recorder.held(node, key);
            held.is_some_and(|held| held.live != held.durable || held.knows != held.keeps)
        };
        let fresh: Vec<_> = (0..recorder.focus().keys.len()).filter(is_fresh).collect();
        for key in fresh {
            self.record_copy(node, key);
        }
    }

    fn record_copy(&mut self, node: NodeIndex, key: usize) {
        let Some(recorder) = &mut self.recorder else { return };
        let (scene, focus) = (&self.scene, recorder.focus());
        let (id, name) = (scene.node(node).id, &focus.keys[key]);
        let live = scene.copy(id, name, WhichImage::Live);
        let durable = scene.copy(id, name, WhichImage::Durable);
        let dots = |copy: &Container| copy.dots().collect::<Vec<Dot>>();
        let copy = Copy {
            knows: focus.known_to(&live),
            keeps: focus.known_to(&durable),
            live: dots(&live),
            durable: dots(&durable),
        };
        recorder.on_copy(CopyChange { at: scene.now, node, key, copy });
    }

    /// Records the clocks of a node: they are about to change, have changed, or are just looked at.
    pub(super) fn record_clocks(&mut self, node: NodeIndex) {
        let Some(recorder) = &mut self.recorder else { return };
        let now = self.scene.now;
        recorder.on_clocks(now, node, self.scene.node(node).clock.now(now));
    }

    /// Records that a fault begins, at these nodes if it is one of nodes.
    pub(super) fn record_fault(&mut self, name: RuleName, kind: &FaultKind, nodes: &[NodeIndex]) {
        let Some(recorder) = &mut self.recorder else { return };
        let known = if nodes.is_empty() { kind.clone() } else { kind.of_these(nodes.to_vec()) };
        let what = known.describe(&self.scene.cluster);
        let (kind, from) = (kind.name(), self.scene.now);
        recorder
            .on_fault(name, RecordedFault { kind, what, nodes: nodes.to_vec(), from, until: None });
    }

    /// Records that a fault ends.
    pub(super) fn record_fault_ended(&mut self, name: RuleName) {
        if let Some(recorder) = &mut self.recorder {
            recorder.on_fault_ended(self.scene.now, name);
        }
    }

    /// Records that a node does not work any more, and the reason.
    pub(super) fn record_outage(&mut self, node: NodeIndex, how: &'static str) {
        if let Some(recorder) = &mut self.recorder {
            recorder.on_outage(self.scene.now, node, how);
        }
    }

    /// Records that one reason why a node did not work is gone, or all reasons.
    pub(super) fn record_outage_ended(&mut self, node: NodeIndex, how: Option<&'static str>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.on_outage_ended(self.scene.now, node, how);
        }
    }

    /// Records an event of a node.
    pub(super) fn record_event(&mut self, node: NodeIndex, event: &Event) {
        if self.recorder.is_some() {
            rarely(|| self.tell_event(node, event));
        }
    }

    fn tell_event(&mut self, node: NodeIndex, event: &Event) {
        let Some(recorder) = &mut self.recorder else { return };
        if let Event::RepairClean { partition, .. } = event {
            // There are many of these, and few matter.
            let mut keys = recorder.focus().keys.iter();
            if !keys.any(|key| self.scene.partition_of(key) == *partition) {
                return;
            }
        }
        if let Some((text, key)) = words(event, &self.scene) {
            let (at, key, partition) = (self.scene.now, key.cloned(), partition_of(event));
            let sort = sort_of(event);
            recorder.on_note(Note { at, node: Some(node), text, key, partition, sort });
        }
    }

    /// Records an excuse of a check.
    pub(super) fn record_excuse(&mut self, text: &str) {
        if let Some(recorder) = &mut self.recorder {
            let (at, text) = (self.scene.now, text.to_owned());
            let (key, partition, sort) = (None, None, NoteSort::Other);
            recorder.on_note(Note { at, node: None, text, key, partition, sort });
        }
    }

    /// Records that a phase begins.
    pub(super) fn record_phase(&mut self, name: &'static str) {
        if let Some(recorder) = &mut self.recorder {
            recorder.on_phase(self.scene.now, name);
        }
    }
}

/// Calls a closure out of line, as few runs have a recorder.
#[cold]
#[inline(never)]
fn rarely(what: impl FnOnce()) {
    what();
}

/// The newest of several siblings.
fn newest(container: &Container) -> Option<Dot> {
    let siblings = container.siblings();
    let newest = siblings.iter().max_by_key(|(dot, version)| (version.time, *dot));
    newest.filter(|_| siblings.len() > 1).map(|(dot, _)| *dot)
}

/// The beginning of a value; nothing, for a tombstone.
fn shortened(content: &Content) -> Option<String> {
    let value = content.value()?;
    let head = value[..value.len().min(VALUE_BYTES_MAX)].escape_ascii().to_string();
    // The values of the simulator's clients are filled up with dots.
    let head = head.trim_end_matches('.').to_owned();
    Some(head)
}

/// The sort of the note that an event makes.
const fn sort_of(event: &Event) -> NoteSort {
    let is_detail = matches!(
        event,
        Event::EpochDrawn { reason: EpochReason::Start, .. }
            | Event::HintStored { .. }
            | Event::HintsDelivered { .. }
            | Event::RepairDiffered { .. }
    );
    if matches!(event, Event::Completed { .. }) {
        NoteSort::Completed
    } else if is_detail {
        NoteSort::Detail
    } else {
        NoteSort::Other
    }
}

/// The partition that an event is about, if it is about one.
const fn partition_of(event: &Event) -> Option<PartitionId> {
    match event {
        Event::EpochDrawn { partition, .. }
        | Event::Corrupt { partition }
        | Event::HintDropped { partition, .. }
        | Event::RepairDiffered { partition, .. }
        | Event::RepairClean { partition, .. }
        | Event::Completed { partition } => Some(*partition),
        Event::Minted { .. }
        | Event::ReadBeforeWrite { .. }
        | Event::KeyRepaired { .. }
        | Event::Founded
        | Event::DataMissing
        | Event::LogFellBehind { .. }
        | Event::LossUndecided { .. }
        | Event::Suspected { .. }
        | Event::Trusted { .. }
        | Event::Stalled { .. }
        | Event::ClockAhead { .. }
        | Event::HintStored { .. }
        | Event::HintsDelivered { .. }
        | Event::ReadRepair { .. }
        | Event::Rejected { .. }
        | Event::StoreFailed
        | Event::Probe(_) => None,
    }
}

/// Puts an event into words, with the key that it names. None, for an event that is seen better
/// elsewhere.
fn words<'a>(event: &'a Event, scene: &Scene) -> Option<(String, Option<&'a Key>)> {
    let name = |id: &NodeId| scene.name(scene.index_of(*id)).to_owned();
    let partition = |partition: &kv_core::types::PartitionId| partition.0;
    let mut about = None;
    let text = match event {
        Event::Minted { .. } | Event::ReadBeforeWrite { .. } | Event::Probe(_) => return None,
        Event::RepairClean { peer, partition: at } => {
            format!(
                "has compared partition {} with {}: they hold the same",
                partition(at),
                name(peer)
            )
        }
        Event::EpochDrawn { partition: at, reason, .. } => {
            let why = match reason {
                EpochReason::Start => "its process is new",
                EpochReason::HintDeleted => "a hint that it minted into was deleted",
                EpochReason::Corruption => "a record is corrupt",
                EpochReason::Ahead => "others know more of it than it does",
            };
            format!("draws a new epoch for partition {}: {why}", partition(at))
        }
        Event::Corrupt { partition: at } => {
            format!("finds a corrupt record in partition {}", partition(at))
        }
        Event::KeyRepaired { key } => {
            about = Some(key);
            format!("has repaired its copy of {key:?}")
        }
        Event::Founded => "serves: the cluster is founded, and it is new in it".to_owned(),
        Event::DataMissing => {
            "serves: the cluster was founded before, and its own data is missing".to_owned()
        }
        Event::LogFellBehind { peer, remembered, found } => format!(
            "has lost some of what it acknowledged: its log went to {found} when it started, and {} \
             remembers {}",
            name(peer),
            remembered.log
        ),
        Event::LossUndecided { partitions } => {
            format!("can never copy enough of its partitions: {partitions}")
        }
        Event::Suspected { peer } => format!("takes {} for dead", name(peer)),
        Event::Trusted { peer } => format!("finds {} alive", name(peer)),
        Event::Stalled { ms } => format!("notices that it stood still for {ms} ms"),
        Event::ClockAhead { stamped_by, by_ms } => {
            format!("is shown a time of {} that is {by_ms} ms ahead", name(stamped_by))
        }
        Event::HintStored { target } => format!("keeps a hint for {}", name(target)),
        Event::HintDropped { target, .. } => format!("gives up a hint for {}", name(target)),
        Event::HintsDelivered { target, count } => {
            format!("has delivered hints to {}: {count}", name(target))
        }
        Event::RepairDiffered { peer, partition: at, keys } => {
            let (peer, at) = (name(peer), partition(at));
            format!("differs from {peer} in partition {at}, keys: {keys}")
        }
        Event::Completed { partition: at } => {
            let at = partition(at);
            format!("counts itself as complete in partition {at}: it has copied back what it lost")
        }
        Event::ReadRepair { peer, key } => {
            about = Some(key);
            format!("repairs {key:?} on {}, as a read found it behind", name(peer))
        }
        Event::Rejected { reason, .. } => format!("refuses a message: {reason:?}"),
        Event::StoreFailed => "stops: its disk failed".to_owned(),
    };
    Some((text, about))
}
