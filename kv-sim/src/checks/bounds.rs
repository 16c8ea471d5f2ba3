//! Check `bounds`: what grows has an end.
//!
//! Vectors hold nothing but events that were minted for their key: one that names others would grow
//! with every process that ever ran. Hints stay near their limits, and so do the operations that a
//! coordinator works on. Siblings have no end that could be told from here: a replica adds no more
//! to what it holds than its limit, but a fallback that has delivered its hint holds nothing again.

use kv_core::config::Config;
use kv_core::version::Container;

use super::check::Check;
use super::findings::Findings;
use super::history::History;
use super::occasions::{KeyEnd, NodeLoad, OperationEnd, OperationEnding};
use super::story::{Names, when};
use super::{Setting, WorldView};

/// The number of hints that may exceed a limit, each as large as the largest: an admitted hint
/// counts only once it is executed, so those in flight come on top.
const IN_FLIGHT: u64 = 64;

/// The `bounds` check.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// The findings so far, counted in containers and in looks at nodes.
    findings: Findings,
    /// The configuration of all nodes, which says what the limits are.
    config: Config,
}

impl Check for Bounds {
    const NAME: &'static str = "bounds";
    const ABOUT: &'static str = "vectors, hints and work stay in their limits";

    fn new(setting: &Setting) -> Self {
        Self { findings: Findings::default(), config: setting.config.clone() }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        match &end.ending {
            OperationEnding::Value(answer) | OperationEnding::Stored(_, answer) => {
                self.judge(end.history, answer.container, end.names);
            }
            OperationEnding::Refused(_) | OperationEnding::Unknown => {}
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
        for hints in &load.hints {
            over(hints.bytes, names.node(hints.target), hint_bytes_per_target);
        }
        let total = load.hints.iter().map(|hints| hints.bytes).sum();
        over(total, "all others".to_owned(), hint_bytes_total);
    }

    fn at_end_of_key(&mut self, end: &KeyEnd<'_, impl WorldView>) {
        for (_, container) in end.copies {
            self.judge(end.history, container, end.names);
        }
    }
}

impl Bounds {
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
