//! Check `causality`: no sibling is lost, none is shown that was overwritten, and a dot has one
//! value.
//!
//! Takes the dots that replicas mint and the containers that readers are shown. A container is `(D,
//! V)`: every event that V claims must stand in D or be a true ancestor of what stands there. If it
//! is not, some join or some reused dot has swallowed it: `V` claims what it never had, and will
//! swallow it wherever it goes.

use kv_core::time::Time;
use kv_core::types::NodeId;
use kv_core::version::{Container, Dot};

use super::check::Check;
use super::findings::Findings;
use super::fingerprint::Fingerprint;
use super::history::{EventIndex, History, Reach, Reused};
use super::occasions::{KeyEnd, OperationEnd, OperationEnding, WriteMint};
use super::story::{Names, when};
use super::{Setting, WorldView};

/// The `causality` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Causality {
    /// The findings so far, counted in containers.
    findings: Findings,
}

/// The place and time at which a container was seen.
#[derive(Clone, Copy, Debug)]
struct Sighting<'a> {
    /// The time at which the container was seen.
    at: Time,
    /// The words that come before the node's name in a story, such as "in the end on".
    what: &'a str,
    /// The node that held or showed the container.
    node: NodeId,
}

impl Check for Causality {
    const NAME: &'static str = "causality";
    const ABOUT: &'static str = "a sibling goes only if a writer that saw it overwrites it; none is invented; a dot has one value";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        let &mut OperationEnd { at, operation, ref history, ref ending, names, .. } = end;
        let (what, answer) = match ending {
            OperationEnding::Value(answer) => ("in a read through", answer),
            OperationEnding::Stored(_, answer) => ("with a write through", answer),
            OperationEnding::Refused(_) | OperationEnding::Unknown => return,
        };
        let sighting = Sighting { at, what, node: operation.coordinator };
        self.judge(history, &answer.reach, answer.container, sighting, names);
    }

    /// A dot that names another write is a violation.
    fn on_minted(&mut self, mint: &WriteMint<'_>) {
        let &WriteMint { history, write, minting, event, names, .. } = mint;
        let Err(Reused { first }) = event else { return };
        self.findings.violated_about(|| history.subject([first]), || {
            format!(
                "dot {} of {:?} names two writes: whoever knows the first discards the second\n  \
                 first:  {}\n  then:   {}, for which {} minted it again at {}",
                names.dot(minting.dot),
                history.key,
                history.describe(history.event(first).write, names),
                history.describe(write, names),
                names.node(minting.by),
                when(minting.at),
            )
        });
    }

    fn at_end_of_key(&mut self, end: &KeyEnd<'_, impl WorldView>) {
        let &KeyEnd { at, history, copies, names, .. } = end;
        for &(node, ref container) in copies {
            let reach = history.reach(container);
            let sighting = Sighting { at, what: "in the end on", node };
            self.judge(history, &reach, container, sighting, names);
        }
    }
}

impl Causality {
    /// Judges a container that was shown to a reader or is held by an owner in the end.
    fn judge(
        &mut self,
        history: &History,
        reach: &Reach,
        container: &Container,
        sighting: Sighting<'_>,
        names: &Names,
    ) {
        self.findings.examined += 1;
        let place = || {
            let Sighting { at, what, node } = sighting;
            format!("{what} {} at {}", names.node(node), when(at))
        };
        self.refuse_strangers(history, reach, names, &place);
        self.compare_values(history, container, names, &place);
        self.look_for_lost_siblings(history, reach, container, names, &place);
        self.look_for_false_siblings(history, reach, names, &place);
    }

    fn refuse_strangers(
        &mut self,
        history: &History,
        reach: &Reach,
        names: &Names,
        place: &impl Fn() -> String,
    ) {
        for &dot in &reach.strangers {
            self.findings.violated_about(
                || history.subject([]),
                || {
                    let (dot, key) = (names.dot(dot), &history.key);
                    format!("a sibling of {key:?} that nobody wrote: {dot}\n  shown:  {}", place())
                },
            );
        }
    }

    fn compare_values(
        &mut self,
        history: &History,
        container: &Container,
        names: &Names,
        place: &impl Fn() -> String,
    ) {
        for (dot, version) in container.siblings() {
            let Some(event) = history.named(*dot) else { continue };
            let is_same = history.content_of(event).is_of(&version.content);
            let is_of_write = is_same && version.request == history.write_of(event).request;
            if is_of_write && version.time == history.event(event).stamp {
                continue;
            }
            let shown = Fingerprint::of(&version.content);
            self.findings.violated_about(
                || history.subject([event]),
                || {
                    format!(
                        "dot {} of {:?} is shown with a value or a time that was not written under it\n  \
                     written: {}, stamped {}\n  shown:   {shown} for request {}, stamped {}, {}",
                        names.dot(*dot),
                        history.key,
                        history.describe(history.event(event).write, names),
                        history.event(event).stamp.0,
                        version.request,
                        version.time.0,
                        place(),
                    )
                },
            );
        }
    }

    fn look_for_lost_siblings(
        &mut self,
        history: &History,
        reach: &Reach,
        container: &Container,
        names: &Names,
        place: &impl Fn() -> String,
    ) {
        let seen = container.seen();
        let claimed = |event: &EventIndex| seen.covers(history.dot(*event));
        let lost: Vec<_> = reach.unreached.iter().filter(claimed).collect();
        let suspects = lost.len();
        let lost = history.without_twins(&reach.standing, lost);
        self.findings.weakened += (suspects - lost.len()) as u64;
        for event in lost {
            self.findings.violated_about(|| history.subject([event]), || {
                let dot = history.dot(event);
                format!(
                    "a sibling of {:?} is lost: {} is accounted for and neither stands nor was \
                     overwritten by what stands\n  write:  {}\n  shown:  siblings {}, and a vector that \
                     claims {}, {}",
                    history.key,
                    names.dot(dot),
                    history.describe(history.event(event).write, names),
                    names.dots(container.dots()),
                    names.dot(Dot { n: seen.get(dot.actor), ..dot }),
                    place(),
                )
            });
        }
    }

    fn look_for_false_siblings(
        &mut self,
        history: &History,
        reach: &Reach,
        names: &Names,
        place: &impl Fn() -> String,
    ) {
        for (at, &newer) in reach.standing.iter().enumerate() {
            for &older in &reach.standing[..at] {
                if history.event(older).write == history.event(newer).write {
                    continue;
                }
                if history.is_ancestor(older, newer) {
                    let story = || false_sibling(history, older, newer, names, place);
                    self.findings.violated_about(|| history.subject([older, newer]), story);
                } else if is_overwritten_twin(history, older, newer)
                    || is_overwritten_twin(history, newer, older)
                {
                    self.findings.weakened += 1;
                }
            }
        }
    }
}

/// Tells whether a twin of `one` was overwritten by `other`, which is no descendant of `one`
/// itself.
fn is_overwritten_twin(history: &History, one: EventIndex, other: EventIndex) -> bool {
    let twins = &history.write_of(one).events;
    twins.len() > 1 && twins.iter().any(|&twin| history.is_ancestor(twin, other))
}

fn false_sibling(
    history: &History,
    older: EventIndex,
    newer: EventIndex,
    names: &Names,
    place: &impl Fn() -> String,
) -> String {
    format!(
        "a false sibling of {:?}: {} stands beside {}, whose writer had seen it\n  \
         older:  {}\n  newer:  {}\n  shown:  {}",
        history.key,
        names.dot(history.dot(older)),
        names.dot(history.dot(newer)),
        history.describe(history.event(older).write, names),
        history.describe(history.event(newer).write, names),
        place(),
    )
}
