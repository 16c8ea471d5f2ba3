//! Check `no-trace`: what was refused leaves no trace, and what must be refused is.
//!
//! Takes the endings of operations and the dots that replicas mint. A client that is told "refused"
//! is told that nothing was done: no dot is ever minted for that write, unless the client asked for
//! it another time. And some requests make no sense, as the client knows that sent them: a token of
//! another key, or one that is corrupt, would overwrite what nobody has seen. None of these is
//! answered or minted.

use kv_core::client::RequestRefusal;
use kv_core::time::Time;

use super::Setting;
use super::WorldView;
use super::check::Check;
use super::findings::Findings;
use super::history::{History, WriteIndex};
use super::occasions::{OperationEnd, OperationEnding, WriteMint};
use super::operation::Operation;
use super::story::{Names, when};

/// The `no-trace` check.
#[derive(Clone, Debug, Default)]
pub(super) struct NoTrace {
    /// The findings so far, counted in refusals.
    findings: Findings,
}

impl Check for NoTrace {
    const NAME: &'static str = "no-trace";
    const ABOUT: &'static str =
        "a refused write leaves no trace, and what must be refused is refused";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        match end.ending {
            OperationEnding::Refused(refusal) if is_definite(refusal) => {
                self.findings.examined += 1;
                let Some(write) = end.operation.write else { return };
                end.history.write_mut(write).on_refused();
                if !end.history.write(write).events.is_empty() {
                    self.refuse_write_of_refused(end.history, write, end.at, end.names);
                }
            }
            OperationEnding::Value(_)
            | OperationEnding::Stored(..)
            | OperationEnding::Refused(_) => self.refuse_answer_to_misuse(end),
            OperationEnding::Unknown => {}
        }
    }

    fn on_minted(&mut self, mint: &WriteMint<'_>) {
        let &WriteMint { history, write, minting, names, .. } = mint;
        self.refuse_write_of_refused(history, write, minting.at, names);
        if let Some(misuse) = history.write(write).misuse() {
            self.findings.violated_about(
                || history.subject_of(write),
                || {
                    format!(
                        "a write to {:?} had to be refused and was done: it came with {misuse}\n  \
                     write:  {}",
                        history.key,
                        history.describe(write, names),
                    )
                },
            );
        }
    }
}

impl NoTrace {
    /// Judges a write of which there is a dot.
    fn refuse_write_of_refused(
        &mut self,
        history: &History,
        write: WriteIndex,
        at: Time,
        names: &Names,
    ) {
        if !history.write(write).is_refused() {
            return;
        }
        self.findings.violated_about(|| history.subject_of(write), || {
            format!(
                "a write to {:?} was refused, so that nothing was done, and was done: noticed at \
                 {}\n  write:  {}",
                history.key,
                when(at),
                history.describe(write, names),
            )
        });
    }

    /// Judges an operation that replicas took part in.
    fn refuse_answer_to_misuse(&mut self, end: &OperationEnd<'_, impl WorldView>) {
        let &OperationEnd { at, operation, ref history, names, .. } = end;
        let Operation { number, coordinator, misuse, .. } = operation;
        let Some(misuse) = misuse else { return };
        self.findings.violated_about(
            || history.subject([]),
            || {
                format!(
                    "an operation on {:?} had to be refused at once and was not: it came with \
                     {misuse}\n  operation: {number} through {} at {}",
                    history.key,
                    names.node(*coordinator),
                    when(at),
                )
            },
        );
    }
}

/// Tells whether nothing of the request was sent to a replica before it was refused. A replica's
/// own refusal is not definite: the network may bring it the same request once more.
const fn is_definite(refusal: &RequestRefusal) -> bool {
    match refusal {
        RequestRefusal::Context(_)
        | RequestRefusal::Quorum(_)
        | RequestRefusal::Key { .. }
        | RequestRefusal::Value { .. }
        | RequestRefusal::Busy { .. }
        | RequestRefusal::NotFounded
        | RequestRefusal::Stopping
        | RequestRefusal::StoreFailed => true,
        RequestRefusal::Replica(_) => false,
    }
}
