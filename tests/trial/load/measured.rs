//! What came of a load.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::protocol::Verdict;

/// The outcome of a load. Every operation that was due is counted once.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Operations that were done, and answered in time.
    pub(crate) operations: u64,
    /// Operations that were done, and answered when nobody waited any more.
    pub(crate) late: u64,
    /// Operations that the store refused, by the first word of what it said.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Operations whose time was up before they could be sent.
    pub(crate) unsent: u64,
    /// Operations that were sent, and that nobody has answered.
    pub(crate) unanswered: u64,
    /// Operations that were on a connection when it broke.
    pub(crate) broken: u64,
    /// Operations that were answered with something else than what was asked for.
    pub(crate) wrong: u64,
    pub(crate) first_wrong: Option<String>,
    pub(crate) took: Duration,
    /// What was done, also too late; in microseconds, from when it was meant to begin to the answer.
    pub(crate) latency: Histogram<u64>,
}

impl Measured {
    pub(crate) fn nothing() -> Self {
        let latency = Histogram::new(3).expect("three digits are allowed");
        Self {
            operations: 0,
            late: 0,
            refused: BTreeMap::new(),
            unsent: 0,
            unanswered: 0,
            broken: 0,
            wrong: 0,
            first_wrong: None,
            took: Duration::ZERO,
            latency,
        }
    }

    /// Counts an answer that came so long after its operation was meant to begin.
    pub(crate) fn on_answer(
        &mut self,
        verdict: Verdict,
        after: Duration,
        timeout: Option<Duration>,
    ) {
        match verdict {
            Verdict::Right => {
                let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
                self.latency.record(us).expect("histograms grow");
                match timeout.is_some_and(|timeout| after > timeout) {
                    true => self.late += 1,
                    false => self.operations += 1,
                }
            }
            Verdict::Refused(code) => *self.refused.entry(code).or_default() += 1,
            Verdict::Wrong(what) => {
                self.wrong += 1;
                self.first_wrong.get_or_insert(what);
            }
        }
    }

    /// Operations that were done in time, each second.
    pub(crate) fn per_second(&self) -> f64 {
        self.operations as f64 / self.took.as_secs_f64()
    }

    /// The latency that so large a part of what was done kept below, in milliseconds.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// Operations that the store refused and said so at once; a time-out of its own is none.
    pub(crate) fn refused_sum(&self) -> u64 {
        self.refused.iter().filter(|(code, _)| !is_timeout(code)).map(|(_, count)| count).sum()
    }

    /// Operations of which nobody heard in time.
    pub(crate) fn timed_out(&self) -> u64 {
        let said: u64 =
            self.refused.iter().filter(|(code, _)| is_timeout(code)).map(|(_, count)| count).sum();
        said + self.late + self.unsent + self.unanswered
    }

    /// Everything that is not an operation done in time, in words; none if that is all.
    pub(crate) fn shortcomings(&self) -> Option<String> {
        let mut parts: Vec<_> =
            self.refused.iter().map(|(code, count)| format!("{count} × {code}")).collect();
        let counts = [
            (self.wrong, "wrong"),
            (self.broken, "on a connection that broke"),
            (self.late, "too late"),
            (self.unanswered, "unanswered"),
            (self.unsent, "never sent"),
        ];
        parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        parts.extend(self.first_wrong.as_ref().map(|what| format!("the first wrong: {what}")));
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

fn is_timeout(code: &str) -> bool {
    code == "TIMEOUT" || code == "504"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_latencies() {
        let mut measured = Measured::nothing();
        for us in 1..=1_000 {
            measured.on_answer(Verdict::Right, Duration::from_micros(us), None);
        }
        measured.took = Duration::from_secs(2);
        for (quantile, ms) in [(0.5, 0.5), (0.99, 0.99), (0.999, 0.999)] {
            let shown = measured.latency_ms(quantile);
            assert!((shown - ms).abs() <= ms / 1_000.0, "{quantile}: {shown}");
        }
        assert!((measured.per_second() - 500.0).abs() < 1e-9);
        assert_eq!(measured.shortcomings(), None);
    }

    #[test]
    fn what_is_done_too_late_has_a_latency_and_is_no_goodput() {
        let (mut measured, timeout) = (Measured::nothing(), Some(Duration::from_millis(10)));
        measured.on_answer(Verdict::Right, Duration::from_millis(10), timeout);
        measured.on_answer(Verdict::Right, Duration::from_millis(11), timeout);
        assert_eq!((measured.operations, measured.late, measured.timed_out()), (1, 1, 1));
        assert_eq!(measured.latency.len(), 2);
    }

    #[test]
    fn a_time_out_that_the_store_says_is_no_refusal() {
        let mut measured = Measured::nothing();
        for code in ["BUSY", "TIMEOUT", "BUSY"] {
            measured.on_answer(Verdict::Refused(code.to_owned()), Duration::ZERO, None);
        }
        measured.on_answer(Verdict::Wrong("?".to_owned()), Duration::ZERO, None);
        assert_eq!((measured.refused_sum(), measured.timed_out(), measured.wrong), (2, 1, 1));
        let words = "2 × BUSY, 1 × TIMEOUT, 1 wrong, the first wrong: ?";
        assert_eq!(measured.shortcomings().as_deref(), Some(words));
        assert_eq!(measured.latency.len(), 0);
    }
}
