//! Asks the core for its state, and notices if it does not answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::core_loop::CoreHandle;
use crate::inspection::Inspection;

/// The time after which a core that does not answer counts as silent.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The time after which a core that does not answer never will.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(60);

/// The questions to one core.
#[derive(Clone, Debug)]
pub(super) struct CoreProbe {
    core: CoreHandle,
    hangs_after: Duration,
    /// The time of the oldest question without an answer. The core answers in order.
    waits_since: Arc<Mutex<Option<Instant>>>,
}

impl CoreProbe {
    pub(super) fn new(core: CoreHandle, hangs_after: Duration) -> Self {
        Self { core, hangs_after, waits_since: Arc::default() }
    }

    /// Asks the core for its state; `None` if it does not answer in time.
    pub(super) async fn inspect(&self, longest: Duration) -> Option<Inspection> {
        self.with(|waits_since| *waits_since.get_or_insert(Instant::now()));
        let probe = self.clone();
        // An answer counts however late it comes.
        let answering = tokio::spawn(async move {
            let answer = probe.core.inspect().await;
            probe.with(|waits_since| *waits_since = None);
            answer
        });
        timeout(longest, answering).await.ok()?.ok()?.ok()
    }

    /// Tells whether the core has been silent for so long that only a new process helps.
    pub(super) fn hangs(&self) -> bool {
        let hangs_after = self.hangs_after;
        self.with(|waits_since| waits_since.is_some_and(|since| since.elapsed() >= hangs_after))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Option<Instant>) -> T) -> T {
        look(&mut self.waits_since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::*;
    use crate::core_loop;

    #[tokio::test]
    async fn a_core_that_never_answers_is_silent_at_once_and_hangs_in_the_end() {
        let brief = Duration::from_millis(1);
        for (hangs_after, hangs) in [(brief, true), (Duration::from_secs(3_600), false)] {
            let (core, inboxes) = core_loop::inboxes(1);
            let probe = CoreProbe::new(core, hangs_after);
            assert!(!probe.hangs(), "it was never asked");
            assert!(probe.inspect(brief).await.is_none());
            assert_eq!(probe.hangs(), hangs);
            // A second question does not make the first one younger.
            assert!(probe.inspect(brief).await.is_none());
            assert_eq!(probe.hangs(), hangs);
            // A core that has ended is asked no more.
            drop(inboxes);
            while probe.with(|waits_since| waits_since.is_some()) {
                tokio::task::yield_now().await;
            }
            assert!(!probe.hangs());
        }
    }
}
